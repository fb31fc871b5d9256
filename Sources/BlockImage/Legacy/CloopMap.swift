/// A compressed loop image (cloop's version 2.0), for reading: zlib streams, one a block.
final class CloopMap: ImageMap {
    let file: any BlockNode
    let size: UInt64
    private let blockSize: UInt64
    private let offsets: [UInt64]
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
        let bytes = try file.metadataBytes("table of offsets", at: 136, count: (Int(count) + 1) * 8)
        offsets = (0...Int(count)).map { bytes.bigEndian(UInt64.self, at: $0 * 8) }
        for index in 0..<Int(count) {
            guard offsets[index + 1] >= offsets[index] else {
                throw fail("offsets not monotonically increasing at index \(index + 1), image file is corrupt")
            }
            guard offsets[index + 1] - offsets[index] <= UInt64(block) * 2 else {
                throw fail("invalid compressed block size at index \(index + 1), image file is corrupt")
            }
        }
        guard (offsets.last ?? 0) <= UInt64(Int64.max) else { throw fail("a block lies behind every file") }
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
        let (status, packed) = file.bytesAndWait(
            at: offsets[index], count: Int(offsets[index + 1] - offsets[index]))
        try ImageFailure.check(status)
        guard let bytes = Unpacking.inflate(packed, count: Int(blockSize), window: 15) else {
            throw .corrupt("block \(index) is broken")
        }
        last = (index, bytes)
        return (UInt64(index) * blockSize, bytes)
    }
}
