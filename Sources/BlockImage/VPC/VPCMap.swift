/// The tables of a VPC (VHD) image: all of the disk in one piece, or blocks that come to the end of the file as they
/// are written.
final class VPCMap: ImageMap {
    private static let unallocated: UInt32 = 0xffff_ffff
    private static let maximumEntries: UInt32 = 1 << 22

    let file: any BlockNode
    let size: UInt64
    private let isFixed: Bool
    private var footer: VPCFooter
    private var map: [UInt32] = []
    private var mapOffset: UInt64 = 0
    private var blockSize: UInt64 = 2 << 20
    private var bitmapSize: UInt64 = 512
    /// Where the next block goes: where the footer is now.
    private var end: UInt64 = 0

    var formatName: String { "vpc" }
    var description: ImageDescription {
        var description = ImageDescription()
        if !isFixed { description.clusterSize = blockSize }
        return description
    }

    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        let path = file.filename
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let length = file.sizeInBytes
        guard length >= UInt64(VPCFooter.size) else { throw fail("invalid VPC image") }
        let (status, head) = file.bytesAndWait(at: 0, count: VPCFooter.size)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        var found = VPCFooter(head)
        if found == nil {
            found = VPCFooter(
                try file.metadataBytes("footer", at: length - UInt64(VPCFooter.size), count: VPCFooter.size))
            guard found?.kind == VPCFooter.Kind.fixed.rawValue else { throw fail("invalid VPC image") }
        }
        guard let found else { throw fail("invalid VPC image") }
        guard found.isChecksumRight else { throw fail("incorrect header checksum") }
        footer = found
        guard footer.sectors <= VPCFooter.maximumSectors || footer.kind == VPCFooter.Kind.fixed.rawValue,
            footer.sectors <= UInt64(Int64.max) / 512
        else { throw fail("The disk has \(footer.sectors) sectors, too many") }
        size = footer.sectors * 512
        isFixed = footer.kind == VPCFooter.Kind.fixed.rawValue
        if isFixed {
            guard size <= length else { throw fail("The disk of \(size) bytes is larger than its file") }
            return
        }
        guard footer.kind == VPCFooter.Kind.dynamic.rawValue else {
            let isDifferencing = footer.kind == VPCFooter.Kind.differencing.rawValue
            throw .unsupported(
                path: path, feature: isDifferencing ? "a differencing VPC image" : "a VPC image of type \(footer.kind)")
        }
        try readTables(path)
    }

    private func readTables(_ path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let head = try file.metadataBytes("dynamic header", at: footer.dataOffset, count: 1024)
        guard head.prefix(8).elementsEqual("cxsparse".utf8) else { throw fail("invalid header magic") }
        blockSize = UInt64(head.bigEndian(UInt32.self, at: 32))
        guard blockSize >= 512, blockSize & (blockSize - 1) == 0 else { throw fail("Invalid block size \(blockSize)") }
        bitmapSize = (blockSize / 512 / 8 + 511) / 512 * 512
        let entries = head.bigEndian(UInt32.self, at: 28)
        guard entries <= VPCMap.maximumEntries else {
            throw fail("Too many entries in the block allocation table: \(entries)")
        }
        guard UInt64(entries) * blockSize >= size else { throw fail("Page table too small") }
        mapOffset = head.bigEndian(UInt64.self, at: 16)
        let bytes = try file.metadataBytes("block allocation table", at: mapOffset, count: Int(entries) * 4)
        map = (0..<Int(entries)).map { bytes.bigEndian(UInt32.self, at: $0 * 4) }
        end = (mapOffset + UInt64(entries) * 4 + 511) / 512 * 512
        for entry in map where entry != VPCMap.unallocated {
            end = max(end, UInt64(entry) * 512 + bitmapSize + blockSize)
        }
        guard end <= file.sizeInBytes + blockSize else { throw fail("A block lies behind the end of the file") }
    }

    func isFlat(_ offset: UInt64) -> Bool { isFixed }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        if isFixed { return (.data(file, offset), size - offset) }
        let index = Int(offset / blockSize)
        let inside = offset % blockSize
        guard index < map.count else { throw .corrupt("offset \(offset) is behind the block allocation table") }
        let length = min(blockSize - inside, size - offset)
        if map[index] == VPCMap.unallocated { return (.unallocated, length) }
        return (.data(file, UInt64(map[index]) * 512 + bitmapSize + inside), length)
    }

    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock {
        guard end / 512 < UInt64(VPCMap.unallocated) else { throw .io(27) }
        return NewBlock(
            start: offset / blockSize * blockSize, length: blockSize, file: file, host: end + bitmapSize,
            isZero: end + bitmapSize >= file.sizeInBytes && file.growsWithZeroes)
    }

    func link(_ block: NewBlock) throws(ImageFailure) {
        let index = Int(block.start / blockSize)
        // Every sector counts from now on; the footer moves behind the block; the table last.
        let bitmap = [UInt8](repeating: 0xff, count: Int(bitmapSize))
        try ImageFailure.check(file.writeAndWait(at: end, bytes: bitmap))
        let next = end + bitmapSize + blockSize
        try ImageFailure.check(file.writeAndWait(at: next, bytes: footer.bytes))
        var bytes = [UInt8](repeating: 0, count: 4)
        let entry = UInt32(end / 512)
        bytes.store(entry, at: 0)
        try ImageFailure.check(file.writeAndWait(at: mapOffset + UInt64(index) * 4, bytes: bytes))
        map[index] = entry
        end = next
    }

    /// Writes an empty image into a file.
    static func create(
        size: UInt64, isFixed: Bool, isExact: Bool, in file: any Resizable, identifier: [UInt8]
    ) throws(BlockError) {
        let footer: VPCFooter
        do throws(BlockError) {
            footer = try VPCFooter(
                size: size, kind: isFixed ? .fixed : .dynamic, isExact: isExact, identifier: identifier)
        } catch {
            throw .invalidSize(path: file.filename, size: size)
        }
        let sectors = footer.sectors
        try file.resize(to: 0, preallocation: .off)
        if isFixed {
            try file.resize(to: sectors * 512, preallocation: .off)
            try OtherFormats.allocateFirstBlock(file)
            try file.put(footer.bytes, at: sectors * 512)
            return try file.flushAndWait()
        }
        let blockSize: UInt64 = 2 << 20
        let entries = (sectors * 512 + blockSize - 1) / blockSize
        let tableBytes = (Int(entries) * 4 + 511) / 512 * 512
        var head = [UInt8](repeating: 0, count: 1024)
        head.store("cxsparse", at: 0)
        head.store(UInt64.max, at: 8)
        head.store(UInt64(3 * 512), at: 16)
        head.store(UInt32(0x0001_0000), at: 24)
        head.store(UInt32(entries), at: 28)
        head.store(UInt32(blockSize), at: 32)
        head.store(VPCFooter.checksum(head), at: 36)
        try file.put([UInt8](repeating: 0xff, count: tableBytes), at: 3 * 512)
        try file.put(footer.bytes, at: UInt64(3 * 512 + tableBytes))
        try file.put(head, at: 512)
        try file.put(footer.bytes, at: 0)
        try file.flushAndWait()
    }
}
