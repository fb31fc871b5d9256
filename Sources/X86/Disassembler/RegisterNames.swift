/// The names of registers and conditions, without the AT&T syntax's percent sign.
enum RegisterNames {
    static let conditions = [
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
    ]
    private static let bytes = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"]
    private static let highBytes = ["ah", "ch", "dh", "bh"]
    private static let words = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
    private static let segments = ["es", "cs", "ss", "ds", "fs", "gs"]

    /// A general register of 1, 2, 4 or 8 bytes.
    static func general(_ number: UInt8, size: UInt16) -> String {
        let number = Int(number & 15)
        if number >= 8 {
            let suffix =
                switch size {
                case 1: "b"
                case 2: "w"
                case 4: "d"
                default: ""
                }
            return "r\(number)\(suffix)"
        }
        return switch size {
        case 1: bytes[number]
        case 2: words[number]
        case 4: "e" + words[number]
        default: "r" + words[number]
        }
    }

    /// A segment register in encoding order.
    static func segment(_ number: UInt8) -> String { segments[Int(min(number, 5))] }

    /// The register of an operand, or nil where it is none. `st` is how the syntax writes the x87 stack registers.
    static func name(of operand: Operand, syntax: Disassembler.Syntax) -> String? {
        switch operand.kind {
        case .general: return general(operand.register, size: operand.size)
        case .highByte: return highBytes[Int(operand.register & 3)]
        case .segment: return segment(operand.register)
        case .control: return "cr\(operand.register)"
        case .debug: return syntax == .att ? "db\(operand.register)" : "dr\(operand.register)"
        case .mmx: return "mm\(operand.register)"
        case .vector: return (operand.size == 32 ? "ymm" : "xmm") + "\(operand.register)"
        case .x87: return operand.register == 0 && syntax == .att ? "st" : "st(\(operand.register))"
        case .none, .memory, .immediate, .immediate2, .relative, .farPointer, .one: return nil
        }
    }
}
