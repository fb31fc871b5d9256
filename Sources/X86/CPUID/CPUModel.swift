/// A named processor model: what its CPUID says, as data.
public struct CPUModel: Sendable {
    /// The name that `-cpu` knows.
    public var name: String
    /// Twelve characters: GenuineIntel, AuthenticAMD.
    public var vendor: String
    /// The family, extended family included.
    public var family: UInt32
    /// The model, extended model included.
    public var model: UInt32
    /// The stepping.
    public var stepping: UInt32
    /// The highest basic leaf.
    public var level: UInt32
    /// The highest extended leaf.
    public var xlevel: UInt32
    /// The brand string, up to 48 characters.
    public var modelID: String
    /// Its features.
    public var features: FeatureSet

    /// The vendor of Intel's processors.
    public static let intel = "GenuineIntel"
    /// The vendor of AMD's processors.
    public static let amd = "AuthenticAMD"
}

extension CPUModel {
    /// The models of fixed content. `max` and `host` are made of what there is (`CPUSpecification.resolve`).
    ///
    /// Values are those of the processors' documentation, as QEMU's models of version 1 show them.
    public static let all: [CPUModel] = [
        make(
            "qemu64", amd, 15, 107, 1, 0xD, 0x8000_000A, "QEMU Virtual CPU version 2.5+",
            [minimal, "clflush mca mtrr pse36 cx16 pni lm nx syscall lahf-lm svm"]),
        make(
            "qemu32", intel, 6, 6, 3, 4, 0x8000_0004, "QEMU Virtual CPU version 2.5+", [minimal, "pni"]),
        make(
            "kvm64", intel, 15, 6, 1, 0xD, 0x8000_0008, "Common KVM processor",
            [minimal, "clflush mca mtrr pse36 vme cx16 pni lm nx syscall"]),
        make(
            "kvm32", intel, 15, 6, 1, 5, 0x8000_0008, "Common 32-bit KVM processor",
            [minimal, "clflush mca mtrr pse36 vme pni"]),
        make(
            "Nehalem", intel, 6, 26, 3, 0xB, 0x8000_0008, "Intel Core i7 9xx (Nehalem Class Core i7)", [nehalem]),
        make(
            "Westmere", intel, 6, 44, 1, 0xB, 0x8000_0008, "Westmere E56xx/L56xx/X56xx (Nehalem-C)",
            [nehalem, westmere]),
        make(
            "SandyBridge", intel, 6, 42, 1, 0xD, 0x8000_0008, "Intel Xeon E312xx (Sandy Bridge)",
            [nehalem, westmere, sandyBridge]),
        make(
            "IvyBridge", intel, 6, 58, 9, 0xD, 0x8000_0008, "Intel Xeon E3-12xx v2 (Ivy Bridge)",
            [nehalem, westmere, sandyBridge, ivyBridge]),
        make(
            "Haswell", intel, 6, 60, 4, 0xD, 0x8000_0008, "Intel Core Processor (Haswell)",
            [nehalem, westmere, sandyBridge, ivyBridge, haswell, "hle rtm"]),
        make(
            "Skylake-Server", intel, 6, 85, 4, 0xD, 0x8000_0008, "Intel Xeon Processor (Skylake)",
            [nehalem, westmere, sandyBridge, ivyBridge, haswell, "hle rtm", skylakeServer]),
        make("EPYC", amd, 23, 1, 2, 0xD, 0x8000_001E, "AMD EPYC Processor", [epyc]),
    ]

    /// The model of a name: "Nehalem", or "Nehalem-v1" with its version. Letters count as they are.
    public static func named(_ name: String) -> CPUModel? {
        let base = name.hasSuffix("-v1") ? String(name.dropLast(3)) : name
        return all.first { $0.name == base }
    }

    /// Features that a model has but that virtual machines do without in silence where the engine lacks them, as
    /// with QEMU: only asking for one by its name is worth a warning.
    public static let dispensable = FeatureSet(names: "vme monitor svm acpi")

    /// Features that every model gets where the engine offers them, because guests run better with them: those that
    /// QEMU adds under KVM, and the deadline timer, which needs no calibration.
    static let added = FeatureSet(
        names: """
            hypervisor x2apic tsc-deadline kvmclock-old kvm-nopiodelay kvmclock kvm-steal-time kvm-pv-eoi \
            kvm-pv-unhalt kvm-asyncpf kvm-asyncpf-int kvm-pv-tlb-flush kvm-pv-ipi kvm-poll-control \
            kvm-pv-sched-yield kvm-msi-ext-dest-id kvmclock-stable-bit
            """)

    private static func make(
        _ name: String, _ vendor: String, _ family: UInt32, _ model: UInt32, _ stepping: UInt32, _ level: UInt32,
        _ xlevel: UInt32, _ modelID: String, _ features: [String]
    ) -> CPUModel {
        CPUModel(
            name: name, vendor: vendor, family: family, model: model, stepping: stepping, level: level,
            xlevel: xlevel, modelID: modelID,
            features: features.reduce(into: FeatureSet()) { $0.formUnion(FeatureSet(names: $1)) })
    }

    // Each generation adds to the one before.
    private static let minimal = "fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat mmx fxsr sse sse2"
    private static let nehalem = """
        fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni ssse3 \
        cx16 sse4.1 sse4.2 popcnt lm nx syscall lahf-lm
        """
    private static let westmere = "aes pclmulqdq arat"
    private static let sandyBridge = "avx xsave xsaveopt tsc-deadline x2apic rdtscp"
    private static let ivyBridge = "f16c rdrand fsgsbase smep erms"
    private static let haswell = "fma movbe pcid bmi1 bmi2 avx2 invpcid abm"
    private static let skylakeServer = """
        rdseed adx smap clflushopt clwb avx512f avx512dq avx512bw avx512cd avx512vl pku 3dnowprefetch pdpe1gb xsavec \
        xgetbv1
        """
    private static let epyc = """
        fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 \
        pni pclmulqdq monitor ssse3 fma cx16 sse4.1 sse4.2 movbe popcnt aes xsave avx f16c rdrand \
        fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap clflushopt sha-ni arat \
        lm nx syscall mmxext fxsr-opt pdpe1gb rdtscp \
        lahf-lm svm cr8legacy abm sse4a misalignsse 3dnowprefetch osvw topoext xsaveopt xsavec xgetbv1
        """
}
