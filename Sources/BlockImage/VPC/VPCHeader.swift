internal import CLinux

/// The footer of a VPC (VHD) image ("Virtual Hard Disk Image Format Specification", 1.0): 512 bytes at the end of the
/// file, and a copy at the start of one that grows. Big-endian.
struct VPCFooter {
    enum Kind: UInt32 {
        case fixed = 2
        case dynamic = 3
        case differencing = 4
    }

    static let size = 512
    /// The largest geometry: 65535 cylinders, 16 heads, 255 sectors.
    static let maximumGeometry: UInt64 = 65535 * 16 * 255
    /// 2040 GiB, in sectors.
    static let maximumSectors: UInt64 = 2040 << 21

    var bytes: [UInt8]

    /// The footer in 512 bytes, or nil when there is none.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == VPCFooter.size, bytes.prefix(8).elementsEqual("conectix".utf8) else { return nil }
        self.bytes = bytes
    }

    var isChecksumRight: Bool {
        var copy = bytes
        copy.store(UInt32(0), at: 64)
        return VPCFooter.checksum(copy) == bytes.bigEndian(UInt32.self, at: 64)
    }
    var kind: UInt32 { bytes.bigEndian(UInt32.self, at: 60) }
    var dataOffset: UInt64 { bytes.bigEndian(UInt64.self, at: 16) }

    /// The disk's size: by geometry, as Virtual PC has it, or as it is stated, where the program that made it did so.
    var sectors: UInt64 {
        let geometry = UInt64(bytes.bigEndian(UInt16.self, at: 56)) * UInt64(bytes[58]) * UInt64(bytes[59])
        let makers = ["win ", "qem2", "d2v ", "tap\0", "CTXS"]
        let statesSize = makers.contains { bytes[28..<32].elementsEqual($0.utf8) }
        guard statesSize || geometry == VPCFooter.maximumGeometry else { return geometry }
        return bytes.bigEndian(UInt64.self, at: 48) / 512
    }

    static func checksum(_ bytes: [UInt8]) -> UInt32 { ~bytes.reduce(UInt32(0)) { $0 &+ UInt32($1) } }

    /// A new footer for a disk of at least `size` bytes (exactly that with `isExact`).
    init(size: UInt64, kind: Kind, isExact: Bool, identifier: [UInt8]) throws(BlockError) {
        var sectors = (size + 511) / 512
        var geometry = VPCFooter.geometry(sectors)
        if isExact {
            geometry = Geometry(cylinders: 65535, heads: 16, sectors: 255)
        } else {
            // The geometry rounds down: ask for more until it is enough.
            var wanted = sectors
            while geometry.product < sectors && geometry.product < VPCFooter.maximumGeometry {
                wanted += 1
                geometry = VPCFooter.geometry(wanted)
            }
            if geometry.product < VPCFooter.maximumGeometry { sectors = geometry.product }
        }
        guard sectors <= VPCFooter.maximumSectors else { throw .invalidSize(path: "", size: size) }
        bytes = [UInt8](repeating: 0, count: VPCFooter.size)
        bytes.store("conectix", at: 0)
        bytes.store(UInt32(2), at: 8)
        bytes.store(UInt32(0x0001_0000), at: 12)
        bytes.store(kind == .dynamic ? 512 : UInt64.max, at: 16)
        bytes.store(UInt32(truncatingIfNeeded: max(0, time(nil) - 946_684_800)), at: 24)
        bytes.store(isExact ? "qem2" : "qemu", at: 28)
        bytes.store(UInt32(0x0005_0003), at: 32)
        bytes.store("Wi2k", at: 36)
        bytes.store(sectors * 512, at: 40)
        bytes.store(sectors * 512, at: 48)
        bytes.store(UInt16(geometry.cylinders), at: 56)
        bytes[58] = UInt8(geometry.heads)
        bytes[59] = UInt8(geometry.sectors)
        bytes.store(kind.rawValue, at: 60)
        for (index, byte) in identifier.prefix(16).enumerated() { bytes[68 + index] = byte }
        bytes.store(VPCFooter.checksum(bytes), at: 64)
    }

    private struct Geometry {
        var cylinders: UInt64
        var heads: UInt64
        var sectors: UInt64
        var product: UInt64 { cylinders * heads * sectors }
    }

    /// The geometry that the specification's appendix computes for a number of sectors.
    private static func geometry(_ wanted: UInt64) -> Geometry {
        let total = min(wanted, maximumGeometry)
        var (heads, perTrack): (UInt64, UInt64)
        var tracks: UInt64
        if total >= 65535 * 16 * 63 {
            (heads, perTrack) = (16, 255)
            tracks = total / perTrack
        } else {
            perTrack = 17
            tracks = total / perTrack
            heads = max(4, (tracks + 1023) / 1024)
            if tracks >= heads * 1024 || heads > 16 {
                (heads, perTrack) = (16, 31)
                tracks = total / perTrack
            }
            if tracks >= heads * 1024 {
                (heads, perTrack) = (16, 63)
                tracks = total / perTrack
            }
        }
        return Geometry(cylinders: tracks / heads, heads: heads, sectors: perTrack)
    }
}
