/// The ones' complement sum of the Internet's protocols (RFC 1071).
public enum InternetChecksum {
    /// The sum of bytes as 16-bit words in the order of the network, folded to 16 bits; an odd last byte counts high.
    public static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var total: UInt64 = 0
        var place = 0
        let count = bytes.count
        // The sum does not depend on the order of bytes but for a swap at the end (RFC 1071, 2.B).
        while place &+ 8 <= count {
            // SAFETY: words are loaded at places that leave their length before the end.
            let word = unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            total = total &+ (word & 0xFFFF_FFFF) &+ (word >> 32)
            place &+= 8
        }
        while place &+ 2 <= count {
            total = total &+ UInt64(unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt16.self))
            place &+= 2
        }
        if place < count { total = total &+ UInt64(unsafe bytes[place]) }
        return UInt32(UInt16(truncatingIfNeeded: fold(total)).byteSwapped)
    }

    /// Folds a sum of words to 16 bits.
    public static func fold(_ sum: UInt64) -> UInt32 {
        var rest = sum
        while rest > 0xFFFF { rest = (rest & 0xFFFF) + (rest >> 16) }
        return UInt32(rest)
    }

    /// The checksum of bytes whose own checksum field is zero, with the sum of a pseudo header or 0.
    public static func checksum(_ bytes: UnsafeRawBufferPointer, initial: UInt32 = 0) -> UInt16 {
        ~UInt16(truncatingIfNeeded: fold(UInt64(unsafe sum(bytes)) + UInt64(initial)))
    }
}
