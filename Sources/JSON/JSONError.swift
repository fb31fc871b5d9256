/// Why bytes are not the JSON that was asked for, and where.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: Equatable, Sendable {
        /// There is no value.
        case empty
        /// The input ends inside a value.
        case unexpectedEnd
        /// A byte that cannot stand where it does, and what could.
        case unexpected(byte: UInt8, expected: String)
        /// A bare word other than `true`, `false` and `null`.
        case keyword(String)
        /// A number outside the grammar.
        case number
        /// A number too large for a double.
        case numberRange
        /// A backslash followed by something that is no escape.
        case escape
        /// A surrogate without its other half.
        case surrogate
        /// A control character inside a string.
        case controlCharacter(UInt8)
        /// Bytes that are not UTF-8.
        case encoding
        /// A name that the object already has.
        case duplicate(String)
        /// More nesting than the reader allows.
        case depth(limit: Int)
        /// More bytes than the reader allows.
        case size(limit: Int)
        /// A closing bracket that closes nothing, or the wrong thing.
        case unbalanced(byte: UInt8)
    }
    /// What is wrong.
    public let reason: Reason
    /// Where, in bytes from the start of the value.
    public let offset: Int

    /// An error of the given reason and place.
    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String { "\(words) at offset \(offset)" }

    private var words: String {
        switch reason {
        case .empty: "no value"
        case .unexpectedEnd: "input ends inside a value"
        case .unexpected(let byte, let expected): "\(Self.name(byte)) where \(expected) is expected"
        case .keyword(let word): "invalid keyword '\(word)'"
        case .number: "invalid number"
        case .numberRange: "number out of range"
        case .escape: "invalid escape sequence"
        case .surrogate: "surrogate without its pair"
        case .controlCharacter(let byte): "control character \(Self.name(byte)) in a string"
        case .encoding: "invalid UTF-8"
        case .duplicate(let name): "duplicate member '\(name)'"
        case .depth(let limit): "nesting deeper than \(limit)"
        case .size(let limit): "value longer than \(limit) bytes"
        case .unbalanced(let byte): "unbalanced \(Self.name(byte))"
        }
    }
    private static func name(_ byte: UInt8) -> String {
        if byte > 0x20 && byte < 0x7f { return "'\(Character(UnicodeScalar(byte)))'" }
        let digits = String(byte, radix: 16)
        return "0x" + (digits.count < 2 ? "0" : "") + digits
    }
}

/// What a reader accepts.
public struct JSONLimits: Equatable, Sendable {
    /// The longest value, in bytes.
    public var size: Int
    /// The deepest nesting of arrays and objects.
    public var depth: Int
    /// Whether strings may stand in single quotes, as QMP allows.
    public var singleQuotes: Bool

    /// Limits of the given size in bytes and nesting.
    public init(size: Int = 64 << 20, depth: Int = 512, singleQuotes: Bool = false) {
        self.size = size
        self.depth = depth
        self.singleQuotes = singleQuotes
    }
    /// What a QMP monitor takes from a client.
    public static let monitor = JSONLimits(size: 4 << 20, depth: 512, singleQuotes: true)
}
