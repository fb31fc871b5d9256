/// The tables of a VHDX image: regions, metadata, and a block allocation table whose entries lie between those of
/// sector bitmaps.
final class VHDXMap: ImageMap {
    enum State: UInt64 {
        case notPresent = 0
        case undefined = 1
        case zero = 2
        case unmapped = 3
        case fullyPresent = 6
        case partiallyPresent = 7
    }

    static let signature: [UInt8] = Array("vhdxfile".utf8)
    static let regionPlaces: [UInt64] = [192 << 10, 256 << 10]
    static let tableRegion = guid("6677c22d23f600429d64115e9bfd4a08")
    static let metadataRegion = guid("06a27c8b90479a4bb8fe575f050f886e")
    static let parameters = guid("3767a1ca36fa434db3b633f0aa44e76b")
    static let diskSize = guid("2442a52f1bcd7648b2115dbed83bf4b8")
    static let page83 = guid("ab12cabee6b2234593efc309e000c746")
    static let logicalSector = guid("1dbf41816fa90947ba47f233a8faab5f")
    static let physicalSector = guid("c748a3cd5d4471449cc9e9885251c556")
    static let megabyte: UInt64 = 1 << 20
    private static let maximumSize: UInt64 = 64 << 40

    let file: any BlockNode
    private(set) var size: UInt64 = 0
    private var header: VHDXHeader
    private var blockSize: UInt64 = 0
    private var chunkRatio: UInt64 = 1
    private var table: PagedTable<UInt64>?
    /// Where the next block goes.
    private var end: UInt64 = 0

    var formatName: String { "vhdx" }
    var description: ImageDescription {
        var description = ImageDescription()
        description.clusterSize = blockSize
        return description
    }

    static func guid(_ digits: String) -> [UInt8] {
        let values = digits.utf8.map { $0 < 58 ? $0 - 48 : $0 - 87 }
        return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }

    init(_ file: any BlockNode) throws(BlockError) {
        self.file = file
        let path = file.filename
        let (status, head) = file.bytesAndWait(at: 0, count: 512)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        guard Array(head.prefix(8)) == VHDXMap.signature else {
            throw .wrongFormat(path: path, expected: "vhdx", found: ImageFormat.probe(head).rawValue)
        }
        header = try VHDXHeader.read(file)
        if header.hasLog {
            guard !file.isReadOnly, let file = file as? any Resizable else {
                throw .invalidImage(
                    path: path,
                    reason: "VHDX image file '\(path)' opened read-only, but contains a log that needs to be replayed")
            }
            try VHDXLog(header, file).replay(file)
            header.logIdentifier = [UInt8](repeating: 0, count: 16)
            try header.advance(file)
        }
        let regions = try VHDXMap.regions(file)
        guard let tableRegion = regions[VHDXMap.tableRegion], let metadata = regions[VHDXMap.metadataRegion] else {
            throw .invalidImage(path: path, reason: "A required region is missing")
        }
        try readMetadata(metadata.offset, path)
        try readTable(tableRegion, path)
    }

    private static func regions(
        _ file: any BlockNode
    ) throws(BlockError) -> [[UInt8]: (offset: UInt64, length: UInt64)] {
        let path = file.filename
        for place in regionPlaces {
            let bytes = try file.metadataBytes("region table", at: place, count: 64 << 10)
            guard bytes.prefix(4).elementsEqual("regi".utf8),
                CRC32C.of(bytes, without: 4) == bytes.littleEndian(UInt32.self, at: 4)
            else { continue }
            let count = Int(bytes.littleEndian(UInt32.self, at: 8))
            guard count <= 2047 else { throw .invalidImage(path: path, reason: "There are \(count) regions") }
            var result: [[UInt8]: (UInt64, UInt64)] = [:]
            for index in 0..<count {
                let at = 16 + index * 32
                let name = Array(bytes[at..<at + 16])
                let offset = bytes.littleEndian(UInt64.self, at: at + 16)
                let length = UInt64(bytes.littleEndian(UInt32.self, at: at + 24))
                guard offset >= megabyte, offset % megabyte == 0, length % megabyte == 0,
                    offset <= UInt64(Int64.max) / 2
                else { throw .invalidImage(path: path, reason: "Region \(index) lies at \(offset)") }
                let isRequired = bytes.littleEndian(UInt32.self, at: at + 28) & 1 != 0
                if isRequired && name != tableRegion && name != metadataRegion {
                    throw .unsupported(path: path, feature: "a VHDX region that is required and not known")
                }
                guard result.updateValue((offset, length), forKey: name) == nil else {
                    throw .invalidImage(path: path, reason: "Region \(index) is there twice")
                }
            }
            return result
        }
        throw .invalidImage(path: path, reason: "No valid region table found")
    }

    private func readMetadata(_ region: UInt64, _ path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let bytes = try file.metadataBytes("metadata table", at: region, count: 64 << 10)
        guard bytes.prefix(8).elementsEqual("metadata".utf8) else { throw fail("The metadata table has no signature") }
        let count = Int(bytes.littleEndian(UInt16.self, at: 10))
        guard count <= 2047 else { throw fail("There are \(count) metadata entries") }
        func item(_ name: [UInt8], _ length: Int, _ what: String) throws(BlockError) -> [UInt8] {
            for index in 0..<count {
                let at = 32 + index * 32
                guard Array(bytes[at..<at + 16]) == name else { continue }
                let offset = bytes.littleEndian(UInt32.self, at: at + 16)
                guard offset >= 64 << 10 else { throw fail("The \(what) lies inside of the metadata table") }
                return try file.metadataBytes(what, at: region + UInt64(offset), count: length)
            }
            throw fail("The \(what) is missing")
        }
        let parameters = try item(VHDXMap.parameters, 8, "file parameters")
        blockSize = UInt64(parameters.littleEndian(UInt32.self, at: 0))
        guard blockSize >= VHDXMap.megabyte, blockSize <= 256 << 20, blockSize & (blockSize - 1) == 0 else {
            throw fail("Invalid block size \(blockSize)")
        }
        guard parameters.littleEndian(UInt32.self, at: 4) & 2 == 0 else {
            throw .unsupported(path: path, feature: "a differencing VHDX image")
        }
        let sector = UInt64(try item(VHDXMap.logicalSector, 4, "logical sector size").littleEndian(UInt32.self, at: 0))
        guard sector == 512 || sector == 4096 else { throw fail("Invalid logical sector size \(sector)") }
        size = try item(VHDXMap.diskSize, 8, "virtual disk size").littleEndian(UInt64.self, at: 0)
        guard size <= VHDXMap.maximumSize, size % 512 == 0 else { throw fail("Invalid virtual disk size \(size)") }
        chunkRatio = (sector << 23) / blockSize
    }

    private func readTable(_ region: (offset: UInt64, length: UInt64), _ path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let blocks = (size + blockSize - 1) / blockSize
        let entries = blocks + (blocks == 0 ? 0 : (blocks - 1) / chunkRatio)
        guard entries * 8 <= region.length else { throw fail("The block allocation table is too small") }
        let table = try PagedTable<UInt64>(file, "block allocation table", at: region.offset, count: Int(entries))
        self.table = table
        var end = (file.sizeInBytes + VHDXMap.megabyte - 1) / VHDXMap.megabyte * VHDXMap.megabyte
        let chunk = Int(chunkRatio) + 1
        try table.forEach(skipsZeroes: true) { index, entry throws(BlockError) in
            // After each chunk stands one entry for a bitmap of sectors, of images that are a difference alone.
            guard entry & 7 >= State.fullyPresent.rawValue, index % chunk < chunk - 1 else { return }
            let offset = (entry >> 20) << 20
            guard offset >= VHDXMap.megabyte, offset <= UInt64(Int64.max) / 2 else {
                throw fail("Block \(index - index / chunk) lies at \(offset)")
            }
            end = max(end, offset + blockSize)
        }
        self.end = end
        guard end <= file.sizeInBytes + blockSize + VHDXMap.megabyte else { throw fail("A block lies behind the file") }
    }

    private func place(_ block: UInt64) -> Int { Int(block + block / chunkRatio) }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let inside = offset % blockSize
        let index = place(offset / blockSize)
        guard let table, index < table.count else {
            throw .corrupt("offset \(offset) is behind the block allocation table")
        }
        let entry = try table.number(index)
        let host = (entry >> 20) << 20
        guard host <= UInt64(Int64.max) / 2 else { throw .corrupt("a block lies at \(host)") }
        let length = min(blockSize - inside, size - offset)
        switch State(rawValue: entry & 7) {
        case .fullyPresent: return (.data(file, host + inside), length)
        case .partiallyPresent: throw .corrupt("a block is partially present without a parent")
        case .zero: return (.zero, length)
        default: return (.unallocated, length)
        }
    }

    func allocate(_ offset: UInt64) throws(ImageFailure) -> NewBlock {
        guard end < 1 << 62 else { throw .io(27) }
        return NewBlock(
            start: offset / blockSize * blockSize, length: blockSize, file: file, host: end,
            isZero: end >= file.sizeInBytes && file.growsWithZeroes)
    }

    /// The block is durable before the table says so: then no log is needed, as one entry is written in one piece.
    func link(_ block: NewBlock) throws(ImageFailure) {
        let index = place(block.start / blockSize)
        try ImageFailure.check(file.performAndWait(.flush))
        let entry = block.host | State.fullyPresent.rawValue
        try table?.store(entry, at: index)
        end = block.host + block.length
    }

    /// The identifiers change with the first write, as the specification asks.
    func beginWriting() throws(ImageFailure) {
        header.fileIdentifier = OtherFormats.identifier(16)
        header.dataIdentifier = OtherFormats.identifier(16)
        do throws(BlockError) { try header.advance(file) } catch { throw .io(5) }
    }
}
