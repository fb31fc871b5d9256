internal import CEngine
internal import CLinux
internal import GuestMemory
internal import HostOS

// What a log should say when KVM cannot go on.
extension HardwareProcessor {
    func hex(_ value: UInt64) -> String { String(value, radix: 16) }

    /// KVM_EXIT_INTERNAL_ERROR in words.
    func internalError() -> String {
        let suberror = page.suberror
        let words = page.errorWords
        let name =
            switch Int32(truncatingIfNeeded: suberror) {
            case KVM_INTERNAL_ERROR_EMULATION: "an instruction that it cannot emulate"
            case KVM_INTERNAL_ERROR_SIMUL_EX: "exceptions at the same time"
            case KVM_INTERNAL_ERROR_DELIVERY_EV: "an exit while an event was delivered"
            case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: "an unexpected exit"
            default: "no more is known"
            }
        let data = words.isEmpty ? "" : ", data " + words.map { "0x" + hex($0) }.joined(separator: " ")
        return "KVM internal error \(suberror) (\(name))\(data)"
    }

    /// A reason with the registers and the bytes at the instruction pointer.
    func describe(_ reason: String) -> String {
        guard let state = try? readState() else { return "\(reason); the registers cannot be read" }
        let g = state.gpr
        let named: [(String, UInt64)] = [
            ("RIP", state.rip), ("RFL", state.rflags), ("RAX", g.0), ("RCX", g.1), ("RDX", g.2), ("RBX", g.3),
            ("RSP", g.4), ("RBP", g.5), ("RSI", g.6), ("RDI", g.7), ("R8", g.8), ("R9", g.9), ("R10", g.10),
            ("R11", g.11), ("R12", g.12), ("R13", g.13), ("R14", g.14), ("R15", g.15), ("CR0", state.cr0),
            ("CR2", state.cr2), ("CR3", state.cr3), ("CR4", state.cr4), ("EFER", state.efer),
        ]
        let registers = named.map { "\($0)=\(hex($1))" }.joined(separator: " ")
        let cs = state.segment.1
        return "\(reason); processor \(index), CS=\(hex(UInt64(cs.selector))) base \(hex(cs.base)), \(registers), "
            + "code \(instructionBytes(at: cs.base &+ state.rip))"
    }

    private func instructionBytes(at linear: UInt64) -> String {
        var translation = kvm_translation()
        translation.linear_address = linear
        guard (try? control.exchange(APUS_KVM_TRANSLATE, &translation, "translate an address")) != nil,
            translation.valid != 0
        else { return "not mapped" }
        let count = min(15, 4096 - Int(linear & 0xFFF))
        guard let bytes = try? memory.bytes(GuestPhysical(translation.physical_address), count: count) else {
            return "not in memory"
        }
        return bytes.map { ($0 < 16 ? "0" : "") + hex(UInt64($0)) }.joined(separator: " ")
    }
}
