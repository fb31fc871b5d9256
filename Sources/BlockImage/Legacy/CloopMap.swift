/// A compressed loop image (cloop's version 2.0), for reading: zlib streams, one a block.
final class CloopMap: ImageMap {
    let file: any BlockNode
    let size: UInt64
    private let blockSize: UInt64
    private let offsets: PagedTable<UInt64>
    private var last: (index: Int, bytes: [UInt8])?
    var formatName: String { "cloop" }
    var description: ImageDescription {
        var description = ImageDescription()
        description.knowsDirt = false
        return description
    }

    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        func fail(_ reason: String) -> BlockError { .invalidImage(path: file.filename, reason: reason) }
        let head = try file.metadataBytes("header", at: 128, count: 8)
        let block = head.bigEndian(UInt32.self, at: 0)
        let count = head.bigEndian(UInt32.self, at: 4)
        guard block > 0 else { throw fail("block_size cannot be zero") }
        guard block % 512 == 0 else { throw fail("block_size \(block) must be a multiple of 512") }
        guard block <= 64 << 20 else { throw fail("block_size \(block) must be 64 MB or less") }
        guard count <= (512 << 20) / 8 - 1 else {
            throw fail("image requires too many offsets, try increasing block size")
        }
        offsets = try PagedTable(file, "table of offsets", at: 136, count: Int(count) + 1, isBigEndian: true)
        var before: UInt64 = 0
        try offsets.forEach { index, offset throws(BlockError) in
            guard offset >= before else {
                throw fail("offsets not monotonically increasing at index \(index), image file is corrupt")
            }
            guard index == 0 || offset - before <= UInt64(block) * 2 else {
                throw fail("invalid compressed block size at index \(index), image file is corrupt")
            }
            before = offset
        }
        guard before <= UInt64(Int64.max) else { throw fail("a block lies behind every file") }
        blockSize = UInt64(block)
        size = UInt64(count) * blockSize
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        (.packed, blockSize - offset % blockSize)
    }

    func unpack(_ offset: UInt64) throws(ImageFailure) -> (start: UInt64, bytes: [UInt8]) {
        let index = Int(offset / blockSize)
        guard index + 1 < offsets.count else { throw .corrupt("offset \(offset) is behind the table") }
        if let last, last.index == index { return (UInt64(index) * blockSize, last.bytes) }
        let (start, end) = (try offsets.number(index), try offsets.number(index + 1))
        // Somebody may have changed the file since it was looked at.
        guard end >= start, end - start <= blockSize * 2 else { throw .corrupt("block \(index) is broken") }
        let (status, packed) = file.bytesAndWait(at: start, count: Int(end - start))
        try ImageFailure.check(status)
        guard let bytes = Unpacking.inflate(packed, count: Int(blockSize), window: 15) else {
            throw .corrupt("block \(index) is broken")
        }
        last = (index, bytes)
        return (UInt64(index) * blockSize, bytes)
    }
}
