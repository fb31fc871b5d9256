import X86

/// A piece of 64-bit user code with the registers it starts with.
struct UserCase {
    /// Where the code, and where the data lies, in the guest and natively.
    static let codeBase: UInt64 = 0x1000_0000
    static let codeCount = 8192
    static let dataBase: UInt64 = 0x2000_0000
    static let dataCount = 8192

    /// Compatibility mode, a code segment of 32 bits.
    var isNarrow = false
    /// RAX to R15 in encoding order.
    var gpr = [UInt64](repeating: 0, count: 16)
    /// Arithmetic flags and DF; IF is always set.
    var flags: UInt64 = 0
    /// At most `codeCount` bytes with `start`; INT3 follows it up to there.
    var code: [UInt8] = []
    /// Distance of the code from the start of its page.
    var start = 0

    /// Whether a string instruction at the end has stored to the code's page.
    func writesItself(_ end: UserOutcome) -> Bool {
        end.vector == 14 && (end.gpr[7] &- Self.codeBase) < UInt64(Self.codeCount + 8)
    }

    /// Whether the case ends where its data is, which is code of every kind: OpcodeSpaceTests have an eye on that.
    func executesData(_ native: UserOutcome) -> Bool { native.rip >> 16 == Self.dataBase >> 16 }

    // MARK: Processors of AMD

    /// Whether the host ends the case with flags that Intel's manual has otherwise: AMD's processors keep those of a
    /// repeated comparison's last iteration when the next one faults, and a trap may follow an instruction that leaves
    /// some undefined.
    func endsWithFlagsOfItsOwn(_ native: UserOutcome) -> Bool {
        guard InstructionGenerator.hostKeepsFlags else { return false }
        let last = native.vector == 14 ? mnemonic(at: native.rip) : nil
        return native.vector == 1 || last == .scas || last == .cmps
    }

    /// Whether the host faults where Intel's processors do not, or not yet: at the other operand of a comparison of strings,
    /// at BOUND's second limit, at MOVSXD's upper half to a register of 16 bits, at the segment's limit where an operand goes
    /// over the end of 4 GiB.
    func faultsElsewhere(_ native: UserOutcome, _ here: UserOutcome) -> Bool {
        guard InstructionGenerator.hostKeepsFlags else { return false }
        switch native.vector {
        case 14:
            let last = mnemonic(at: native.rip)
            return last == .cmps && (here.vector == 13 || here.vector == 14) || last == .bound && here.vector == 5 || last == .movsxd
        case 13 where mnemonic(at: native.rip) == .cmps: return here.vector == 14
        case 12, 13: return isNarrow && here.vector == 14 && here.rip == native.rip && here.address >= 0xffff_ff00
        default: return false
        }
    }

    private func mnemonic(at rip: UInt64) -> Mnemonic? {
        let place = Int(truncatingIfNeeded: rip &- Self.codeBase) &- start
        guard code.indices.contains(place) else { return nil }
        return try? Decoder.decode(Array(code[place...]), code: isNarrow ? .bits32 : .bits64).mnemonic
    }
}

/// How a case ended.
struct UserOutcome: Equatable {
    /// RAX to R15, RIP and RFLAGS as the exception's handler finds them.
    var gpr = [UInt64](repeating: 0, count: 16)
    var rip: UInt64 = 0
    var flags: UInt64 = 0
    /// The exception that ended it: 3 where the code ran to its end.
    var vector: UInt64 = 0
    var error: UInt64 = 0
    /// The address of a page fault, else 0.
    var address: UInt64 = 0
    var data: [UInt8] = []

    /// What differs from the native outcome, in words.
    func differences(from native: UserOutcome, flagMask: UInt64) -> [String] {
        let names = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        ]
        var found: [String] = []
        func compare(_ name: String, _ a: UInt64, _ b: UInt64) {
            if a != b { found.append("\(name) is \(String(a, radix: 16)), natively \(String(b, radix: 16))") }
        }
        compare("vector", vector, native.vector)
        compare("error", error, native.error)
        compare("rip", rip, native.rip)
        compare("cr2", address, native.address)
        for index in 0..<16 { compare(names[index], gpr[index], native.gpr[index]) }
        compare("flags", flags & flagMask, native.flags & flagMask)
        if data != native.data {
            for index in 0..<data.count where data[index] != native.data[index] {
                compare("data[\(String(index, radix: 16))]", UInt64(data[index]), UInt64(native.data[index]))
                if found.count > 24 { break }
            }
        }
        return found
    }
}
