/// Cuts a stream of bytes into top-level JSON values, for monitors.
///
/// A value is complete with its last bracket or quote; a bare word or number with the byte after it. After an error
/// the stream goes on with the next byte, so that one bad request costs one error; a value over the size limit is
/// dropped up to the end of its line. Byte 0xff, which is nowhere in UTF-8, always starts anew, as QMP's clients
/// expect.
public struct JSONStream {
    /// A value, or what was wrong in its place.
    public typealias Item = Result<JSONValue, JSONError>

    private enum State { case idle, scalar, string(quote: UInt8, escaped: Bool), between, dropping }
    private var state = State.idle
    private var buffer: [UInt8] = []
    /// The closing brackets that are due, innermost last.
    private var closers: [UInt8] = []
    private let limits: JSONLimits

    /// A stream at its start.
    public init(limits: JSONLimits = .monitor) { self.limits = limits }

    /// Whether no value is in progress.
    public var isIdle: Bool { if case .idle = state { true } else { false } }

    /// What the next bytes complete, in order.
    public mutating func feed(_ bytes: some Sequence<UInt8>) -> [Item] {
        var items: [Item] = []
        for byte in bytes { take(byte, &items) }
        return items
    }

    private mutating func reset() {
        state = .idle
        buffer.removeAll(keepingCapacity: buffer.capacity <= 65536)
        closers.removeAll(keepingCapacity: true)
    }
    private mutating func finish(_ items: inout [Item]) {
        do { items.append(.success(try JSONReader.parse(buffer, limits: limits))) } catch {
            items.append(.failure(error))
        }
        reset()
    }
    private mutating func fail(_ reason: JSONError.Reason, _ items: inout [Item]) {
        items.append(.failure(JSONError(reason, at: buffer.count)))
        reset()
    }

    private mutating func take(_ byte: UInt8, _ items: inout [Item]) {
        if byte == 0xff {
            if !buffer.isEmpty { fail(.encoding, &items) }
            return reset()
        }
        switch state {
        case .dropping:
            if byte == 0x0a { reset() }
        case .idle: begin(byte, &items)
        case .scalar:
            if Self.endsScalar(byte) {
                finish(&items)
                begin(byte, &items)
            } else {
                append(byte, &items)
            }
        case .string(let quote, let escaped): takeInString(byte, quote: quote, escaped: escaped, &items)
        case .between: takeBetween(byte, &items)
        }
    }

    private static func endsScalar(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "\"")
            || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "{")
            || byte == UInt8(ascii: "}")
    }

    private func isQuote(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\"") || (limits.singleQuotes && byte == UInt8(ascii: "'"))
    }

    private mutating func begin(_ byte: UInt8, _ items: inout [Item]) {
        switch byte {
        case 0x20, 0x09, 0x0a, 0x0d: break
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            state = .between
            takeBetween(byte, &items)
        case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ","), UInt8(ascii: ":"):
            fail(.unbalanced(byte: byte), &items)
        default:
            state = isQuote(byte) ? .string(quote: byte, escaped: false) : .scalar
            append(byte, &items)
        }
    }

    private mutating func takeBetween(_ byte: UInt8, _ items: inout [Item]) {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard closers.count < limits.depth else { return fail(.depth(limit: limits.depth), &items) }
            closers.append(byte == UInt8(ascii: "{") ? UInt8(ascii: "}") : UInt8(ascii: "]"))
            append(byte, &items)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            guard closers.last == byte else { return fail(.unbalanced(byte: byte), &items) }
            closers.removeLast()
            append(byte, &items)
            if closers.isEmpty, case .between = state { finish(&items) }
        default:
            append(byte, &items)
            if isQuote(byte), case .between = state { state = .string(quote: byte, escaped: false) }
        }
    }

    private mutating func takeInString(_ byte: UInt8, quote: UInt8, escaped: Bool, _ items: inout [Item]) {
        guard byte >= 0x20 else {
            // An unclosed string: its line's end is where the next request starts.
            return fail(.controlCharacter(byte), &items)
        }
        state = .string(quote: quote, escaped: !escaped && byte == UInt8(ascii: "\\"))
        append(byte, &items)
        guard !escaped, byte == quote, case .string = state else { return }
        if closers.isEmpty { finish(&items) } else { state = .between }
    }

    private mutating func append(_ byte: UInt8, _ items: inout [Item]) {
        guard buffer.count < limits.size else {
            fail(.size(limit: limits.size), &items)
            state = .dropping
            return
        }
        buffer.append(byte)
    }
}
