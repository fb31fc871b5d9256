/// The checksum of the stream: 64 bits over pieces of bytes, at the speed of memory.
///
/// Four lanes take 8 bytes each in turn by steps that can be undone, so that a change of any one word always shows.
/// It guards against damage, not against forgery: everything behind it is checked again.
public struct StateChecksum: Sendable {
    private static let prime: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let mixer: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private var lanes: (UInt64, UInt64, UInt64, UInt64)

    /// The checksum of nothing.
    public init() {
        lanes = (Self.prime, Self.mixer, ~Self.prime, ~Self.mixer)
    }

    @inline(__always)
    private static func step(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        let mixed = (lane ^ word) &* prime
        return mixed << 29 | mixed >> 35
    }

    /// Adds a piece. The pieces' bounds count: two pieces are not the same as one of both.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var (a, b, c, d) = lanes
        let count = bytes.count
        var offset = 0
        while count - offset >= 32 {
            // SAFETY: 32 bytes are left.
            a = Self.step(a, unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            b = Self.step(b, unsafe bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
            c = Self.step(c, unsafe bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self))
            d = Self.step(d, unsafe bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self))
            offset += 32
        }
        while offset < count {
            a = Self.step(a, UInt64(unsafe bytes[offset]))
            offset += 1
        }
        d = Self.step(d, UInt64(count))
        lanes = (a, b, c, d)
    }

    /// Adds a piece.
    public mutating func add(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe add($0) }
    }

    /// The checksum of all pieces.
    public var value: UInt64 {
        var result = Self.mixer
        for lane in [lanes.0, lanes.1, lanes.2, lanes.3] {
            result = Self.step(result, lane)
            result ^= result >> 31
            result = result &* Self.mixer
        }
        return result ^ result >> 29
    }
}
