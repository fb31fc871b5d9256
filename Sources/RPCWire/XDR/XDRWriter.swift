/// Writes XDR (RFC 4506). What the protocol's limits forbid is an error, so that no message leaves that the other end
/// would refuse.
public struct XDRWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// An empty writer with room for `capacity` bytes.
    public init(capacity: Int = 64) { bytes.reserveCapacity(capacity) }

    /// Four bytes.
    public mutating func word(_ value: UInt32) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 24))
        bytes.append(UInt8(truncatingIfNeeded: value >> 16))
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    /// Replaces four bytes that were written before, such as a length.
    public mutating func replaceWord(at offset: Int, _ value: UInt32) {
        guard offset >= 0, offset + 4 <= bytes.count else { return }
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
    }

    /// Bytes as they are, without padding.
    public mutating func raw(_ data: some Collection<UInt8>) { bytes.append(contentsOf: data) }

    private mutating func pad(_ count: Int) {
        for _ in 0..<(-count & 3) { bytes.append(0) }
    }

    private func check(_ count: Int, _ limit: Int) throws(XDRError) {
        if count > limit { throw XDRError.tooLong(count: count, limit: limit) }
    }

    /// A byte sequence of at most `max` bytes.
    public mutating func opaque(_ data: [UInt8], max: Int) throws(XDRError) {
        try check(data.count, max)
        word(UInt32(truncatingIfNeeded: data.count))
        raw(data)
        pad(data.count)
    }

    /// A byte sequence of a known length.
    public mutating func fixed(_ data: [UInt8], count: Int) throws(XDRError) {
        guard data.count == count else { throw XDRError.wrongCount(count: data.count, expected: count) }
        raw(data)
        pad(count)
    }

    /// A string of at most `max` bytes.
    public mutating func string(_ text: String, max: Int = RPCLimits.string) throws(XDRError) {
        let count = text.utf8.count
        try check(count, max)
        word(UInt32(truncatingIfNeeded: count))
        raw(text.utf8)
        pad(count)
    }

    /// A value that may be absent.
    public mutating func optional(_ value: (some XDRCodable)?) throws(XDRError) {
        word(value == nil ? 0 : 1)
        if let value { try value.write(to: &self) }
    }

    /// An array of at most `max` elements.
    public mutating func array(_ elements: [some XDRCodable], max: Int) throws(XDRError) {
        try check(elements.count, max)
        word(UInt32(truncatingIfNeeded: elements.count))
        for element in elements { try element.write(to: &self) }
    }

    /// An array of a known length.
    public mutating func vector(_ elements: [some XDRCodable], count: Int) throws(XDRError) {
        guard elements.count == count else { throw XDRError.wrongCount(count: elements.count, expected: count) }
        for element in elements { try element.write(to: &self) }
    }
}
