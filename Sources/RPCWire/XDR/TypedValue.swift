/// The value of a typed parameter: a kind, then what it holds (`virTypedParameterType`).
public enum TypedValue: XDRCodable, Equatable {
    /// Kind 1.
    case int(Int32)
    /// Kind 2.
    case uint(UInt32)
    /// Kind 3.
    case long(Int64)
    /// Kind 4.
    case ulong(UInt64)
    /// Kind 5.
    case double(Double)
    /// Kind 6.
    case boolean(Bool)
    /// Kind 7. Only for clients that said that they take strings.
    case string(String)

    public init(from reader: inout XDRReader) throws(XDRError) {
        let kind = try Int32(from: &reader)
        switch kind {
        case 1: self = .int(try Int32(from: &reader))
        case 2: self = .uint(try UInt32(from: &reader))
        case 3: self = .long(try Int64(from: &reader))
        case 4: self = .ulong(try UInt64(from: &reader))
        case 5: self = .double(try Double(from: &reader))
        case 6: self = .boolean(try Int32(from: &reader) != 0)
        case 7: self = .string(try reader.string())
        default: throw XDRError.unknownKind(kind)
        }
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        switch self {
        case .int(let value): try TypedValue.write(1, value, &writer)
        case .uint(let value): try TypedValue.write(2, value, &writer)
        case .long(let value): try TypedValue.write(3, value, &writer)
        case .ulong(let value): try TypedValue.write(4, value, &writer)
        case .double(let value): try TypedValue.write(5, value, &writer)
        case .boolean(let value): try TypedValue.write(6, Int32(value ? 1 : 0), &writer)
        case .string(let value): try TypedValue.write(7, value, &writer)
        }
    }

    private static func write(
        _ kind: UInt32, _ value: some XDRCodable, _ writer: inout XDRWriter
    ) throws(XDRError) {
        writer.word(kind)
        try value.write(to: &writer)
    }
}
