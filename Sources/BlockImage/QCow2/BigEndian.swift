/// Numbers in the byte order of disk formats that come from networks and mainframes.
extension [UInt8] {
    /// The big-endian number at `offset`, or 0 when the bytes end before.
    func bigEndian<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        let size = Number.bitWidth / 8
        guard offset >= 0, offset <= count - size else { return 0 }
        var value: Number = 0
        for index in 0..<size { value = value << 8 | Number(truncatingIfNeeded: self[offset + index]) }
        return value
    }

    /// Stores a big-endian number; nothing when it does not fit.
    mutating func store<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        let size = Number.bitWidth / 8
        guard offset >= 0, offset <= count - size else { return }
        for index in 0..<size {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> Number(8 * (size - 1 - index)))
        }
    }
}
