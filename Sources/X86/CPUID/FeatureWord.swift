/// A 32-bit register of a CPUID leaf whose bits are features.
public enum FeatureWord: Int, CaseIterable, Sendable {
    /// 01H:ECX.
    case leaf1ECX
    /// 01H:EDX.
    case leaf1EDX
    /// 06H:EAX.
    case leaf6EAX
    /// 07H.0:EBX.
    case leaf7EBX
    /// 07H.0:ECX.
    case leaf7ECX
    /// 07H.0:EDX.
    case leaf7EDX
    /// 07H.1:EAX.
    case leaf7Sub1EAX
    /// 0DH.1:EAX.
    case leafDSub1EAX
    /// 80000001H:ECX.
    case extended1ECX
    /// 80000001H:EDX.
    case extended1EDX
    /// 80000007H:EDX.
    case extended7EDX
    /// 80000008H:EBX.
    case extended8EBX
    /// 40000001H:EAX, KVM's paravirtual features.
    case kvmEAX

    /// The leaf.
    public var leaf: UInt32 {
        switch self {
        case .leaf1ECX, .leaf1EDX: 1
        case .leaf6EAX: 6
        case .leaf7EBX, .leaf7ECX, .leaf7EDX, .leaf7Sub1EAX: 7
        case .leafDSub1EAX: 0xD
        case .extended1ECX, .extended1EDX: 0x8000_0001
        case .extended7EDX: 0x8000_0007
        case .extended8EBX: 0x8000_0008
        case .kvmEAX: 0x4000_0001
        }
    }

    /// The sub-leaf, 0 where the leaf has none.
    public var subleaf: UInt32 {
        switch self {
        case .leaf7Sub1EAX, .leafDSub1EAX: 1
        default: 0
        }
    }

    /// The word out of the leaf's registers.
    public func value(in registers: CPUIDRegisters) -> UInt32 {
        switch self {
        case .leaf6EAX, .leaf7Sub1EAX, .leafDSub1EAX, .kvmEAX: registers.eax
        case .leaf7EBX, .extended8EBX: registers.ebx
        case .leaf1ECX, .leaf7ECX, .extended1ECX: registers.ecx
        case .leaf1EDX, .leaf7EDX, .extended1EDX, .extended7EDX: registers.edx
        }
    }

    /// The manual's notation, such as "CPUID.07H.1:EAX".
    public var notation: String {
        let number = String(leaf, radix: 16, uppercase: true)
        let padded = number.utf8.count == 1 ? "0" + number : number
        let part = subleaf == 0 ? "" : ".\(subleaf)"
        let register =
            switch self {
            case .leaf6EAX, .leaf7Sub1EAX, .leafDSub1EAX, .kvmEAX: "EAX"
            case .leaf7EBX, .extended8EBX: "EBX"
            case .leaf1ECX, .leaf7ECX, .extended1ECX: "ECX"
            case .leaf1EDX, .leaf7EDX, .extended1EDX, .extended7EDX: "EDX"
            }
        return "CPUID.\(padded)H\(part):\(register)"
    }

    /// The names of bits 0 to 31 in QEMU's spelling; "-" where a bit is not a feature that can be asked for (reserved,
    /// or derived: HTT, OSXSAVE, OSPKE).
    ///
    /// Sources: Intel SDM volume 2, CPUID; AMD64 APM volume 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst.
    var bitNames: String {
        switch self {
        case .leaf1ECX:
            """
            pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm \
            - pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave - avx f16c rdrand hypervisor
            """
        case .leaf1EDX:
            """
            fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov \
            pat pse36 pn clflush - ds acpi mmx fxsr sse sse2 ss - tm ia64 pbe
            """
        case .leaf6EAX: "- - arat"
        case .leaf7EBX:
            """
            fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - \
            avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er avx512cd \
            sha-ni avx512bw avx512vl
            """
        case .leaf7ECX:
            """
            - avx512vbmi umip pku - waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni avx512bitalg - \
            avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - movdiri movdir64b - sgxlc pks
            """
        case .leaf7EDX:
            """
            - - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - serialize - \
            tsx-ldtrk - - arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp - arch-capabilities \
            core-capability ssbd
            """
        case .leaf7Sub1EAX: "- - - - avx-vnni avx512-bf16 - - - - fzrm fsrs fsrc"
        case .leafDSub1EAX: "xsaveopt xsavec xgetbv1 xsaves xfd"
        case .extended1ECX:
            """
            lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - \
            lwp fma4 tce - nodeid-msr - tbm topoext perfctr-core perfctr-nb
            """
        case .extended1EDX:
            """
            - - - - - - - - - - - syscall - - - - \
            - - - - nx - mmxext - - fxsr-opt pdpe1gb rdtscp - lm 3dnowext 3dnow
            """
        case .extended7EDX: "- - - - - - - - invtsc"
        case .extended8EBX:
            """
            clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp - - - - - - - - amd-ssbd virt-ssbd \
            amd-no-ssb
            """
        case .kvmEAX:
            """
            kvmclock-old kvm-nopiodelay kvm-mmu kvmclock kvm-asyncpf kvm-steal-time kvm-pv-eoi kvm-pv-unhalt - \
            kvm-pv-tlb-flush - kvm-pv-ipi kvm-poll-control kvm-pv-sched-yield kvm-asyncpf-int kvm-msi-ext-dest-id \
            - - - - - - - - kvmclock-stable-bit
            """
        }
    }
}

/// What CPUID returns.
public struct CPUIDRegisters: Equatable, Sendable {
    /// EAX.
    public var eax: UInt32
    /// EBX.
    public var ebx: UInt32
    /// ECX.
    public var ecx: UInt32
    /// EDX.
    public var edx: UInt32

    /// Four registers, zero unless told.
    public init(eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0) {
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}
