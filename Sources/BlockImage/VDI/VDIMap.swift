/// The tables of a VDI image (VirtualBox; the layout is that of its `VDICore.h`): a header and a map of blocks of
/// 1 MiB, in file order of their first write.
final class VDIMap: ImageMap {
    static let signature: UInt32 = 0xbeda_107f
    static let blockSize: UInt64 = 1 << 20
    static let headerSize = 512
    static let maximumBlocks: UInt32 = 0x1fff_ff80
    private static let unallocated: UInt32 = 0xffff_ffff
    private static let discarded: UInt32 = 0xffff_fffe

    let file: any BlockNode
    let size: UInt64
    private let map: PagedTable<UInt32>
    private let isStatic: Bool
    private let mapOffset: UInt64
    private let dataOffset: UInt64
    private(set) var allocated: UInt32
    var formatName: String { "vdi" }
    var description: ImageDescription {
        var description = ImageDescription()
        description.clusterSize = VDIMap.blockSize
        return description
    }
    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        let path = file.filename
        func fail(_ reason: String) -> BlockError {
            .invalidImage(path: path, reason: "unsupported VDI image (\(reason))")
        }
        let (status, head) = file.bytesAndWait(at: 0, count: VDIMap.headerSize)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        let magic = head.littleEndian(UInt32.self, at: 64)
        guard magic == VDIMap.signature else {
            let text = String(magic, radix: 16)
            throw .invalidImage(
                path: path,
                reason:
                    "Image not in VDI format (bad signature \(String(repeating: "0", count: 8 - text.count))\(text))")
        }
        let version = head.littleEndian(UInt32.self, at: 68)
        guard version == 0x0001_0001 else { throw fail("version \(version >> 16).\(version & 0xffff)") }
        let map = head.littleEndian(UInt32.self, at: 340)
        let data = head.littleEndian(UInt32.self, at: 344)
        guard map % 512 == 0 else { throw fail("block map offset 0x\(String(map, radix: 16))") }
        guard data % 512 == 0 else { throw fail("data offset 0x\(String(data, radix: 16))") }
        let sector = head.littleEndian(UInt32.self, at: 360)
        guard sector == 512 else { throw fail("sector size \(sector) is not 512") }
        let block = head.littleEndian(UInt32.self, at: 376)
        guard UInt64(block) == VDIMap.blockSize else { throw fail("block size \(block) is not 1048576") }
        let count = head.littleEndian(UInt32.self, at: 384)
        guard count <= VDIMap.maximumBlocks else {
            throw fail("too many blocks \(count), max is \(VDIMap.maximumBlocks)")
        }
        let disk = head.littleEndian(UInt64.self, at: 368)
        guard disk <= UInt64(count) * VDIMap.blockSize else {
            throw fail("disk size \(disk), image bitmap has room for \(UInt64(count) * VDIMap.blockSize)")
        }
        guard !head[424..<440].contains(where: { $0 != 0 }) else { throw fail("non-NULL link UUID") }
        guard !head[440..<456].contains(where: { $0 != 0 }) else { throw fail("non-NULL parent UUID") }
        size = (disk + 511) / 512 * 512
        isStatic = head.littleEndian(UInt32.self, at: 76) == 2
        mapOffset = UInt64(map)
        dataOffset = UInt64(data)
        allocated = head.littleEndian(UInt32.self, at: 388)
        let used = Int((size + VDIMap.blockSize - 1) / VDIMap.blockSize)
        self.map = try PagedTable(file, "block map", at: mapOffset, count: used)
    }

    func isFlat(_ offset: UInt64) -> Bool { isStatic }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let index = Int(offset / VDIMap.blockSize)
        let inside = offset % VDIMap.blockSize
        guard index < map.count else { throw .corrupt("offset \(offset) is behind the block map") }
        let length = VDIMap.blockSize - inside
        switch try map.number(index) {
        case VDIMap.unallocated: return (.unallocated, length)
        case VDIMap.discarded: return (.zero, length)
        case let entry: return (.data(file, dataOffset + UInt64(entry) * VDIMap.blockSize + inside), length)
        }
    }

    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock {
        guard allocated < VDIMap.maximumBlocks else { throw .io(27) }
        let host = dataOffset + UInt64(allocated) * VDIMap.blockSize
        return NewBlock(
            start: offset / VDIMap.blockSize * VDIMap.blockSize, length: VDIMap.blockSize, file: file, host: host,
            isZero: host >= file.sizeInBytes && file.growsWithZeroes)
    }

    func link(_ block: NewBlock) throws(ImageFailure) {
        let index = Int(block.start / VDIMap.blockSize)
        var bytes = [UInt8](repeating: 0, count: 4)
        // The count first: were it to lag behind, the next block would be laid over this one.
        bytes.storeLittle(allocated + 1, at: 0)
        try ImageFailure.check(file.writeAndWait(at: 388, bytes: bytes))
        try map.store(allocated, at: index)
        allocated += 1
    }

    /// Checks the map: blocks outside of the file, and blocks used twice.
    func check(_ report: (String) -> Void) throws(BlockError) -> ImageCheck {
        var result = ImageCheck()
        // A bit a block.
        var seen = [UInt64](repeating: 0, count: (map.count + 63) / 64)
        var found: UInt32 = 0
        try map.forEach { index, entry in
            guard entry < VDIMap.discarded else { return }
            if entry < UInt32(map.count) {
                found += 1
                if seen[Int(entry / 64)] >> UInt64(entry % 64) & 1 == 1 {
                    report("ERROR: block index \(entry) also used by \(index)")
                    result.corruptions += 1
                }
                seen[Int(entry / 64)] |= 1 << UInt64(entry % 64)
            } else {
                report("ERROR: block index \(index) out of range, is \(entry)")
                result.corruptions += 1
            }
        }
        if found != allocated {
            report("ERROR: allocated blocks mismatch, is \(found), should be \(allocated)")
            result.corruptions += 1
        }
        return result
    }

    /// Writes an empty image into a file.
    static func create(size: UInt64, isStatic: Bool, in file: any Resizable, identifier: [UInt8]) throws(BlockError) {
        let blocks = (size + blockSize - 1) / blockSize
        guard blocks <= UInt64(maximumBlocks) else { throw .invalidSize(path: file.filename, size: size) }
        let mapBytes = (Int(blocks) * 4 + 511) / 512 * 512
        var head = [UInt8](repeating: 0, count: headerSize)
        head.store("<<< Apus Virtual Disk Image >>>\n", at: 0)
        head.storeLittle(signature, at: 64)
        head.storeLittle(UInt32(0x0001_0001), at: 68)
        head.storeLittle(UInt32(0x180), at: 72)
        head.storeLittle(UInt32(isStatic ? 2 : 1), at: 76)
        head.storeLittle(UInt32(0x200), at: 340)
        head.storeLittle(UInt32(0x200 + mapBytes), at: 344)
        head.storeLittle(UInt32(512), at: 360)
        head.storeLittle(size, at: 368)
        head.storeLittle(UInt32(blockSize), at: 376)
        head.storeLittle(UInt32(blocks), at: 384)
        head.storeLittle(UInt32(isStatic ? blocks : 0), at: 388)
        for (index, byte) in identifier.prefix(32).enumerated() { head[392 + index] = byte }
        try file.resize(to: 0, preallocation: .off)
        var map = [UInt8](repeating: 0, count: mapBytes)
        for index in 0..<Int(blocks) { map.storeLittle(isStatic ? UInt32(index) : unallocated, at: index * 4) }
        try file.put(map, at: 0x200)
        let end = UInt64(0x200 + mapBytes)
        try file.resize(to: isStatic ? end + blocks * blockSize : end, preallocation: .off)
        try file.put(head, at: 0)
        try file.flushAndWait()
    }
}
