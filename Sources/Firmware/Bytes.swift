/// Little-endian fields of tables and file headers, always with their bounds checked.
extension Array where Element == UInt8 {
    /// Appends an integer, low byte first.
    package mutating func append<T: FixedWidthInteger>(little value: T) {
        for index in 0..<(T.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> T(index * 8))) }
    }

    /// Replaces the bytes of an integer at `offset`, which must lie within the array.
    package mutating func store<T: FixedWidthInteger>(little value: T, at offset: Int) {
        for index in 0..<(T.bitWidth / 8) { self[offset + index] = UInt8(truncatingIfNeeded: value >> T(index * 8)) }
    }

    /// The integer at `offset`, or nil where the array ends before its last byte.
    package func load<T: FixedWidthInteger>(little type: T.Type, at offset: Int) -> T? {
        let size = T.bitWidth / 8
        guard offset >= 0, count >= size, offset <= count - size else { return nil }
        var value: T = 0
        for index in 0..<size { value |= T(truncatingIfNeeded: self[offset + index]) << T(index * 8) }
        return value
    }

    /// Replaces the bytes from `offset`, which must all lie within the array.
    package mutating func store(_ bytes: [UInt8], at offset: Int) {
        for (index, byte) in bytes.enumerated() { self[offset + index] = byte }
    }

    /// Appends zeros up to a multiple of `alignment`, a power of two.
    package mutating func align(to alignment: Int) {
        while count & (alignment - 1) != 0 { append(0) }
    }

    /// The byte that makes the sum of `range` zero, where the byte to be set counts as it stands.
    package func checksum(_ range: Range<Int>) -> UInt8 {
        var sum: UInt8 = 0
        for index in range { sum &+= self[index] }
        return 0 &- sum
    }
}

/// `value` raised to a multiple of `alignment` (a power of two), or nil where that is past 2^64.
package func alignedUp(_ value: UInt64, to alignment: UInt64) -> UInt64? {
    let (sum, overflow) = value.addingReportingOverflow(alignment - 1)
    return overflow ? nil : sum & ~(alignment - 1)
}

/// A number as people read addresses: `0x100000`.
package func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
