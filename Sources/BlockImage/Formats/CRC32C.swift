/// The checksum of VHDX's structures: CRC-32 with Castagnoli's polynomial (RFC 3720, appendix B.4).
enum CRC32C {
    private static let table: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 != 0 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
        return value
    }

    static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var value: UInt32 = .max
        for byte in bytes { value = table[Int((value ^ UInt32(byte)) & 0xff)] ^ value >> 8 }
        return ~value
    }

    /// The checksum with the four bytes at `place` as zeroes.
    static func of(_ bytes: [UInt8], without place: Int) -> UInt32 {
        var copy = bytes
        copy.store(UInt32(0), at: place)
        return of(copy)
    }
}
