/// Numbers in the byte orders of disk formats. Reading behind the end gives 0, writing there does nothing: callers
/// have checked, and a mistake of theirs ends in a wrong number, not in a crash.
extension [UInt8] {
    /// The big-endian number at `offset`.
    func bigEndian<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        let size = Number.bitWidth / 8
        guard offset >= 0, offset <= count - size else { return 0 }
        var value: Number = 0
        for index in 0..<size { value = value << 8 | Number(truncatingIfNeeded: self[offset + index]) }
        return value
    }

    /// The little-endian number at `offset`.
    func littleEndian<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        bigEndian(type, at: offset).byteSwapped
    }

    /// Stores a big-endian number.
    mutating func store<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        let size = Number.bitWidth / 8
        guard offset >= 0, offset <= count - size else { return }
        for index in 0..<size {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> Number(8 * (size - 1 - index)))
        }
    }

    /// Stores a little-endian number.
    mutating func storeLittle<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        store(value.byteSwapped, at: offset)
    }

    /// Stores the bytes of a text, without an end.
    mutating func store(_ text: String, at offset: Int) {
        for (index, byte) in text.utf8.enumerated() where offset + index < count { self[offset + index] = byte }
    }

    /// The text at `offset` of at most `length` bytes, up to a zero byte.
    func text(at offset: Int, length: Int) -> String {
        guard offset >= 0, offset < count else { return "" }
        return String(decoding: self[offset..<Swift.min(count, offset + length)].prefix { $0 != 0 }, as: UTF8.self)
    }
}
