/// Reads XDR (RFC 4506): big-endian units of four bytes. It never reads past the end and never allocates more than a
/// small multiple of the bytes that are there. Bytes after the last value are the caller's to judge.
public struct XDRReader: Sendable {
    private let bytes: [UInt8]
    /// Where the next value begins.
    public private(set) var position: Int

    /// Reads from `position` on.
    public init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = max(0, min(position, bytes.count))
    }

    /// How many bytes are left.
    public var remaining: Int { bytes.count - position }

    /// The next four bytes.
    public mutating func word() throws(XDRError) -> UInt32 {
        guard remaining >= 4 else { throw XDRError.truncated }
        let at = position
        position += 4
        return UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
            | UInt32(bytes[at + 3])
    }

    /// So many bytes as they are, with the padding to a multiple of four behind them.
    public mutating func bytes(_ count: Int) throws(XDRError) -> [UInt8] {
        guard count >= 0, remaining >= count else { throw XDRError.truncated }
        let padded = (count + 3) & ~3
        guard remaining >= padded else { throw XDRError.truncated }
        defer { position += padded }
        return Array(bytes[position..<position + count])
    }

    /// A length within the limit.
    private mutating func count(max limit: Int) throws(XDRError) -> Int {
        let count = Int(try word())
        guard count <= limit else { throw XDRError.tooLong(count: count, limit: limit) }
        return count
    }

    /// A byte sequence of at most `max` bytes.
    public mutating func opaque(max: Int) throws(XDRError) -> [UInt8] { try bytes(try count(max: max)) }

    /// A string. Bytes that are no UTF-8 become replacement characters.
    public mutating func string(max: Int = RPCLimits.string) throws(XDRError) -> String {
        let count = try count(max: max)
        let padded = (count + 3) & ~3
        guard remaining >= padded else { throw XDRError.truncated }
        let slice = bytes[position..<position + count]
        position += padded
        guard !slice.contains(0) else { throw XDRError.zeroInString }
        return String(decoding: slice, as: UTF8.self)
    }

    /// A value that may be absent. Any flag but zero means present: some clients send others than 1.
    public mutating func optional<Value: XDRCodable>(_ type: Value.Type) throws(XDRError) -> Value? {
        try word() == 0 ? nil : try Value(from: &self)
    }

    /// An array of at most `max` elements.
    public mutating func array<Element: XDRCodable>(_ type: Element.Type, max: Int) throws(XDRError) -> [Element] {
        let count = try count(max: max)
        return try vector(type, count: count)
    }

    /// An array whose length is known.
    public mutating func vector<Element: XDRCodable>(_ type: Element.Type, count: Int) throws(XDRError) -> [Element] {
        // Every element has four bytes and more: a count that cannot be there allocates nothing.
        guard count >= 0, count <= remaining / 4 else { throw XDRError.truncated }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try Element(from: &self)) }
        return elements
    }
}
