/// The tables of a growing Bochs image (Bochs' `hdimage.h`, "Redolog"), for reading: a catalog of extents, each with
/// a bitmap of its sectors.
final class BochsMap: ImageMap {
    let file: any BlockNode
    let size: UInt64
    private let extentSize: UInt64
    private let bitmapBlocks: UInt64
    private let extentBlocks: UInt64
    private let dataOffset: UInt64
    private let catalog: [UInt32]
    /// The bitmap that was read last.
    private var bitmap: (place: UInt64, bytes: [UInt8])?
    var formatName: String { "bochs" }
    var description: ImageDescription {
        var description = ImageDescription()
        description.knowsDirt = false
        return description
    }

    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        func fail(_ reason: String) -> BlockError { .invalidImage(path: file.filename, reason: reason) }
        let (status, head) = file.bytesAndWait(at: 0, count: 512)
        guard status == 0 else { throw .io(path: file.filename, operation: "read", status) }
        let version = head.littleEndian(UInt32.self, at: 64)
        guard head.text(at: 0, length: 32) == "Bochs Virtual HD Image", head.text(at: 32, length: 16) == "Redolog",
            head.text(at: 48, length: 16) == "Growing", version == 0x0002_0000 || version == 0x0001_0000
        else { throw fail("Image not in Bochs format") }
        let disk = head.littleEndian(UInt64.self, at: version == 0x0001_0000 ? 84 : 88)
        guard disk <= UInt64(Int64.max) else { throw fail("The disk has \(disk) bytes") }
        size = disk / 512 * 512
        let entries = head.littleEndian(UInt32.self, at: 72)
        guard entries <= 0x100000 else { throw fail("Catalog size is too large") }
        extentSize = UInt64(head.littleEndian(UInt32.self, at: 80))
        guard extentSize >= 512 else { throw fail("Extent size must be at least 512") }
        guard extentSize & (extentSize - 1) == 0 else { throw fail("Extent size \(extentSize) is not a power of two") }
        guard extentSize <= 0x800000 else { throw fail("Extent size \(extentSize) is too large") }
        guard UInt64(entries) >= (size + extentSize - 1) / extentSize else {
            throw fail("Catalog size is too small for this disk size")
        }
        let bitmapSize = UInt64(head.littleEndian(UInt32.self, at: 76))
        guard bitmapSize >= extentSize / 512 / 8, bitmapSize > 0 else {
            throw fail("Bitmap size \(bitmapSize) is too small")
        }
        bitmapBlocks = 1 + (bitmapSize - 1) / 512
        extentBlocks = 1 + (extentSize - 1) / 512
        let start = UInt64(head.littleEndian(UInt32.self, at: 68))
        let bytes = try file.metadataBytes("catalog", at: start, count: Int(entries) * 4)
        catalog = (0..<Int(entries)).map { bytes.littleEndian(UInt32.self, at: $0 * 4) }
        dataOffset = start + UInt64(entries) * 4
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let index = Int(offset / extentSize)
        guard index < catalog.count else { throw .corrupt("offset \(offset) is behind the catalog") }
        let inside = offset % extentSize
        guard catalog[index] != .max else { return (.unallocated, min(extentSize - inside, size - offset)) }
        let place = dataOffset + 512 * UInt64(catalog[index]) * (extentBlocks + bitmapBlocks)
        if bitmap?.place != place {
            let (status, bytes) = file.bytesAndWait(at: place, count: Int((extentBlocks + 7) / 8))
            try ImageFailure.check(status)
            bitmap = (place, bytes)
        }
        guard let bytes = bitmap?.bytes else { throw .corrupt("no bitmap") }
        func isThere(_ sector: UInt64) -> Bool { bytes[Int(sector / 8)] >> UInt8(sector % 8) & 1 != 0 }
        let first = inside / 512
        var end = first + 1
        while end < extentBlocks && isThere(end) == isThere(first) { end += 1 }
        let length = min(end * 512 - inside, size - offset)
        guard isThere(first) else { return (.unallocated, length) }
        return (.data(file, place + 512 * bitmapBlocks + inside), length)
    }
}
