/// Prints instructions as assembly text.
///
/// AT&T syntax follows binutils' objdump, so that its output and the monitor's can be compared line by line. What is
/// not printed, because an `Instruction` does not hold it: prefixes without effect, and the pseudo index register of
/// addresses that have a SIB byte without need.
public enum Disassembler {
    /// The two dialects of x86 assembly.
    public enum Syntax: Sendable {
        /// `mov DWORD PTR [rax+0x8],0x1`
        case intel
        /// `movl   $0x1,0x8(%rax)`
        case att
    }

    /// The text of an instruction that lies at `address`, which branch targets and RIP-relative addresses need.
    ///
    /// `code` is the size of the code segment it was decoded for: it decides which operand sizes need a suffix.
    public static func format(
        _ instruction: Instruction, address: UInt64, syntax: Syntax = .att, code: CodeSize = .bits64
    ) -> String {
        let text: (name: String, operands: String)
        switch syntax {
        case .att:
            let printer = ATTPrinter(instruction: instruction, address: address, code: code)
            text = (printer.mnemonic, printer.operands)
        case .intel:
            let printer = IntelPrinter(instruction: instruction, address: address, code: code)
            text = (printer.mnemonic, printer.operands)
        }
        if text.operands.isEmpty { return text.name }
        let padding = String(repeating: " ", count: max(0, 6 - text.name.utf8.count))
        return "\(text.name)\(padding) \(text.operands)"
    }
}

extension Instruction {
    /// The operands that are present, in Intel's order.
    var presentOperands: [Operand] {
        [operands.0, operands.1, operands.2, operands.3].filter { $0.kind != .none }
    }

    /// The suffix of conditional instructions: `e`, `ne`, ...
    var conditionName: String { RegisterNames.conditions[Int(encoding.opcode & 15)] }

    /// The target of a relative branch at `address`.
    func branchTarget(address: UInt64) -> UInt64 {
        let target = address &+ UInt64(length) &+ UInt64(bitPattern: immediate)
        return target & Self.mask(size: operandSize)
    }

    /// The immediate as the unsigned number that its operand's size gives.
    func immediateBits(size: UInt16) -> UInt64 {
        UInt64(bitPattern: immediate) & Self.mask(size: UInt8(truncatingIfNeeded: size))
    }

    /// All ones in the given number of bytes.
    static func mask(size: UInt8) -> UInt64 {
        size >= 8 ? .max : (1 << (UInt64(size) * 8)) - 1
    }
}

/// A number as both syntaxes print it.
func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// A displacement with its sign.
func signedHex(_ value: Int64) -> String {
    value < 0 ? "-" + hex(value.magnitude) : hex(UInt64(value))
}
