/// A value that is written as one attribute or as the text of an element.
public protocol XMLValue: Equatable, Sendable {
    /// The value of that text, `nil` for text that is none.
    init?(xml: String)
    /// The text, before escapes.
    var xml: String { get }
    /// What an error says was expected, behind libvirt's sentence; empty for a choice of words.
    static var expectation: String { get }
}

extension XMLValue {
    public static var expectation: String { "" }
}

extension XMLValue where Self: RawRepresentable<String> {
    public init?(xml: String) { self.init(rawValue: xml) }
    public var xml: String { rawValue }
}

extension XMLValue where Self: FixedWidthInteger {
    public init?(xml: String) {
        let text = xml.trimmedBlanks
        guard let value = Self(text, radix: 10) else { return nil }
        self = value
    }
    public var xml: String { String(self, radix: 10) }
    public static var expectation: String {
        Self.isSigned ? "Expected integer value" : "Expected non-negative integer value"
    }
}

extension Int: XMLValue {}
extension Int32: XMLValue {}
extension Int64: XMLValue {}
extension UInt: XMLValue {}
extension UInt8: XMLValue {}
extension UInt16: XMLValue {}
extension UInt32: XMLValue {}
extension UInt64: XMLValue {}

extension String: XMLValue {
    public init?(xml: String) { self = xml }
    public var xml: String { self }

    var trimmedBlanks: String {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }
        guard let first = utf8.first, let last = utf8.last, isBlank(first) || isBlank(last) else { return self }
        let kept = utf8.drop(while: isBlank)
        guard let end = kept.lastIndex(where: { !isBlank($0) }) else { return "" }
        return String(self[kept.startIndex...end])
    }
}

/// A number in any of C's notations, written in hexadecimal with `0x`: `0x1f0`.
public struct Hex<Value: FixedWidthInteger & UnsignedInteger & Sendable>: XMLValue, Hashable {
    public var value: Value

    public init(_ value: Value) { self.value = value }

    public init?(xml: String) {
        guard let value = Value(cNotation: xml) else { return nil }
        self.value = value
    }
    public var xml: String { "0x" + String(value, radix: 16) }
    public static var expectation: String { "Expected non-negative integer value" }
}

extension FixedWidthInteger {
    /// A number as `strtoull` with base 0 reads it: decimal, `0x` hexadecimal, or octal behind a 0.
    init?(cNotation text: String) {
        let text = text.trimmedBlanks
        if text.hasPrefix("0x") || text.hasPrefix("0X") {
            self.init(text.dropFirst(2), radix: 16)
        } else if text.hasPrefix("0"), text.utf8.count > 1 {
            self.init(text.dropFirst(1), radix: 8)
        } else {
            self.init(text, radix: 10)
        }
    }

    /// Hexadecimal digits with zeros in front.
    func hex(_ digits: Int) -> String {
        let text = String(self, radix: 16)
        return String(repeating: "0", count: Swift.max(0, digits - text.utf8.count)) + text
    }
}

/// `yes` or `no`.
public enum YesNo: String, XMLValue {
    case yes, no
    public init(_ value: Bool) { self = value ? .yes : .no }
    public var isYes: Bool { self == .yes }
}

/// `on` or `off`.
public enum OnOff: String, XMLValue {
    case on, off
    public init(_ value: Bool) { self = value ? .on : .off }
    public var isOn: Bool { self == .on }
}

/// The 16 bytes that name a domain, network, pool or secret for good.
public struct UniqueID: XMLValue, Hashable, CustomStringConvertible {
    private var high: UInt64
    private var low: UInt64

    /// - Parameter bytes: 16 of them, as the protocol carries them; `nil` for another count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Hexadecimal digits with hyphens anywhere, as libvirt takes them.
    public init?(xml: String) {
        var nibbles: [UInt8] = []
        for byte in xml.trimmedBlanks.utf8 where byte != UInt8(ascii: "-") {
            guard nibbles.count < 32, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            nibbles.append(UInt8(digit))
        }
        guard nibbles.count == 32 else { return nil }
        self.init(bytes: (0..<16).map { nibbles[$0 * 2] << 4 | nibbles[$0 * 2 + 1] })
    }

    /// A random one of version 4.
    public static func random(using generator: inout some RandomNumberGenerator) -> UniqueID {
        var id = zero
        id.high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        id.low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        return id
    }

    public var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64($0))) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64($0))) }
    }

    public var description: String { xml }
    public var xml: String {
        let digits = Array((high.hex(16) + low.hex(16)).utf8)
        func part(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
        return "\(part(0..<8))-\(part(8..<12))-\(part(12..<16))-\(part(16..<20))-\(part(20..<32))"
    }
}

extension UniqueID {
    fileprivate static var zero: UniqueID { UniqueID(high: 0, low: 0) }
    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// A network card's address.
public struct MACAddress: XMLValue, Hashable {
    public var bytes: [UInt8]

    public init?(bytes: [UInt8]) {
        guard bytes.count == 6 else { return nil }
        self.bytes = bytes
    }

    /// Six numbers of one or two hexadecimal digits with colons between.
    public init?(xml: String) {
        let parts = xml.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.utf8.count <= 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == 6, bytes.count == 6 else { return nil }
        self.bytes = bytes
    }

    /// One of those that libvirt gives to a machine: `52:54:00` and three random bytes.
    public static func random(using generator: inout some RandomNumberGenerator) -> MACAddress {
        let value = generator.next()
        return MACAddress(known: [
            0x52, 0x54, 0, UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8),
            UInt8(truncatingIfNeeded: value >> 16),
        ])
    }

    private init(known: [UInt8]) { bytes = known }

    public var xml: String { bytes.map { $0.hex(2) }.joined(separator: ":") }
}
