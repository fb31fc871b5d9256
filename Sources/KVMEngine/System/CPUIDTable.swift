internal import CLinux
internal import HostOS
internal import SystemPackage
internal import X86

/// One answer of CPUID as KVM takes and gives it (struct kvm_cpuid_entry2, 40 bytes after a header of 8).
struct CPUIDEntry: Equatable, Sendable {
    var leaf: UInt32
    var subleaf: UInt32
    /// The sub-leaf matters (KVM_CPUID_FLAG_SIGNIFCANT_INDEX).
    var isIndexed: Bool
    var registers: CPUIDRegisters

    private static let size = 40
    private static let headerSize = 8

    /// KVM_GET_SUPPORTED_CPUID, with more room until it fits.
    static func supported(_ control: Control) throws(HostError) -> [CPUIDEntry] {
        var room = 128
        while true {
            var bytes = [UInt8](repeating: 0, count: headerSize + room * size)
            bytes.put(UInt32(room), at: 0)
            do throws(HostError) {
                try control.exchange(APUS_KVM_GET_SUPPORTED_CPUID, bytes: &bytes, "ask KVM for supported CPUID")
            } catch {
                guard error.errno == Errno(rawValue: E2BIG), room < 4096 else { throw error }
                room *= 2
                continue
            }
            return decode(bytes, room: room)
        }
    }

    /// Takes KVM's structure apart.
    static func decode(_ bytes: [UInt8], room: Int) -> [CPUIDEntry] {
        let count = min(Int(bytes.get(0, as: UInt32.self)), room)
        return (0..<count).map { number in
            let start = headerSize + number * size
            func word(_ index: Int) -> UInt32 { bytes.get(start + index * 4, as: UInt32.self) }
            return CPUIDEntry(
                leaf: word(0), subleaf: word(1), isIndexed: word(2) & 1 != 0,
                registers: CPUIDRegisters(eax: word(3), ebx: word(4), ecx: word(5), edx: word(6)))
        }
    }

    /// KVM's structure of some answers.
    static func encode(_ entries: [CPUIDEntry]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: headerSize + entries.count * size)
        bytes.put(UInt32(entries.count), at: 0)
        for (number, entry) in entries.enumerated() {
            let words = [
                entry.leaf, entry.subleaf, entry.isIndexed ? 1 : 0, entry.registers.eax, entry.registers.ebx,
                entry.registers.ecx, entry.registers.edx,
            ]
            for (index, word) in words.enumerated() { bytes.put(word, at: headerSize + number * size + index * 4) }
        }
        return bytes
    }
}

extension ResolvedCPU {
    /// Every answer of CPUID on the processor with the given APIC ID. KVM itself keeps those bits true that follow the
    /// processor's state (OSXSAVE, OSPKE, the APIC's enable, sizes of XSAVE areas).
    func cpuidTable(apicID: UInt32) -> [CPUIDEntry] {
        let state = ResolvedCPU.State(xcr0: xcr0Supported, apicID: apicID)
        var entries: [CPUIDEntry] = []
        func add(_ leaf: UInt32, _ subleaf: UInt32, isIndexed: Bool) -> CPUIDRegisters {
            let registers = cpuid(leaf: leaf, subleaf: subleaf, state: state)
            entries.append(CPUIDEntry(leaf: leaf, subleaf: subleaf, isIndexed: isIndexed, registers: registers))
            return registers
        }
        /// Sub-leaves up to and including the first that ends the list.
        func addList(_ leaf: UInt32, isLast: (CPUIDRegisters) -> Bool) {
            for subleaf in UInt32(0)..<32 where isLast(add(leaf, subleaf, isIndexed: true)) { return }
        }
        for leaf in 0...min(level, 0x20) {
            switch leaf {
            case 4: addList(leaf) { $0.eax & 0x1F == 0 }
            case 7:
                let highest = min(add(leaf, 0, isIndexed: true).eax, 8)
                if highest > 0 { for subleaf in 1...highest { _ = add(leaf, subleaf, isIndexed: true) } }
            case 0xB, 0x1F: addList(leaf) { $0.ecx >> 8 & 0xFF == 0 }
            case 0xD:
                for subleaf in UInt32(0)..<63 {
                    let registers = cpuid(leaf: leaf, subleaf: subleaf, state: state)
                    if subleaf < 2 || registers.eax != 0 { _ = add(leaf, subleaf, isIndexed: true) }
                }
            default: _ = add(leaf, 0, isIndexed: false)
            }
        }
        let highest = cpuid(leaf: 0x4000_0000, subleaf: 0, state: state).eax
        if highest >= 0x4000_0000 {
            for leaf in 0x4000_0000...min(highest, 0x4000_0010) { _ = add(leaf, 0, isIndexed: false) }
        }
        for leaf in 0x8000_0000...min(max(xlevel, 0x8000_0000), 0x8000_0021) {
            if leaf == 0x8000_001D {
                addList(leaf) { $0.eax & 0x1F == 0 }
            } else {
                _ = add(leaf, 0, isIndexed: false)
            }
        }
        return entries
    }
}
