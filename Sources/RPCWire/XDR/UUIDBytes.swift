/// A UUID as the protocol carries it: sixteen bytes in the order in which they are written.
public struct UUIDBytes: XDRCodable, Hashable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// From sixteen bytes; nil for another number of them.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        high = bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// From its text: 32 hexadecimal digits, with hyphens anywhere between bytes.
    public init?(_ text: String) {
        var bytes: [UInt8] = []
        var digit: UInt8?
        for byte in text.utf8 {
            if byte == UInt8(ascii: "-"), digit == nil { continue }
            guard bytes.count < 16, let value = UUIDBytes.value(of: byte) else { return nil }
            if let high = digit {
                bytes.append(high << 4 | value)
                digit = nil
            } else {
                digit = value
            }
        }
        guard digit == nil else { return nil }
        self.init(bytes)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The sixteen bytes.
    public var bytes: [UInt8] {
        (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - 8 * ($0 & 7))) }
    }

    /// Lower case, with hyphens.
    public var description: String {
        var text: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 { text.append(UInt8(ascii: "-")) }
            for digit in [byte >> 4, byte & 15] {
                text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    public init(from reader: inout XDRReader) throws(XDRError) {
        high = try UInt64(from: &reader)
        low = try UInt64(from: &reader)
    }

    public func write(to writer: inout XDRWriter) throws(XDRError) {
        try high.write(to: &writer)
        try low.write(to: &writer)
    }
}
