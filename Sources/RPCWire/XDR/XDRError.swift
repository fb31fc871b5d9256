/// Why bytes are not the value that was asked for, or a value cannot be sent (RFC 4506 and the protocol's limits).
public enum XDRError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes end before the value does.
    case truncated
    /// A string, array or byte sequence is longer than the protocol allows.
    case tooLong(count: Int, limit: Int)
    /// An array of fixed size has another number of elements.
    case wrongCount(count: Int, expected: Int)
    /// A string with a zero byte, which no C client can have meant.
    case zeroInString
    /// The kind of a typed value is not one of the seven.
    case unknownKind(Int32)

    /// One line, with the numbers at fault.
    public var description: String {
        switch self {
        case .truncated: "The data ends too soon"
        case .tooLong(let count, let limit): "A count of \(count) is above the limit of \(limit)"
        case .wrongCount(let count, let expected): "A count of \(count) is not the \(expected) of the protocol"
        case .zeroInString: "A string holds a zero byte"
        case .unknownKind(let kind): "A typed value has the unknown kind \(kind)"
        }
    }
}

/// A value with a form on the wire.
public protocol XDRCodable: Sendable {
    /// Reads one value; the reader then stands behind it.
    init(from reader: inout XDRReader) throws(XDRError)
    /// Appends the value. An error means that a limit of the protocol does not let it pass.
    func write(to writer: inout XDRWriter) throws(XDRError)
}

/// The payload of procedures without arguments or results.
public struct NoPayload: XDRCodable, Equatable {
    public init() {}
    public init(from reader: inout XDRReader) throws(XDRError) {}
    public func write(to writer: inout XDRWriter) throws(XDRError) {}
}

/// Limits of libvirt's protocol that hold for every message.
public enum RPCLimits {
    /// The longest string, in bytes.
    public static let string = 4_194_304
    /// The longest message, length word included, in bytes.
    public static let message = 33_554_432 + 4
    /// Length word and header, in bytes.
    public static let header = 28
    /// Descriptors with one message.
    public static let descriptors = 32
    /// What is put into one frame of a stream, in bytes.
    public static let streamChunk = 262_120
}
