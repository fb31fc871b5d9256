extension OtherFormats {
    /// A VHDX image. A block size of 0 is chosen by the disk's size.
    public static func createVHDX(
        size: UInt64, blockSize wanted: UInt64, logSize: UInt64, isFixed: Bool, marksZero: Bool,
        in file: any Resizable
    ) throws(BlockError) {
        let path = file.filename
        guard size <= 64 << 40 else { throw .invalidSize(path: path, size: size) }
        var blockSize: UInt64 =
            size > 32 << 40 ? 64 << 20 : size > 100 << 30 ? 32 << 20 : size > 1 << 30 ? 16 << 20 : 8 << 20
        if wanted != 0 { blockSize = wanted }
        guard blockSize >= 1 << 20, blockSize <= 256 << 20, blockSize & (blockSize - 1) == 0 else {
            throw .invalidOption(option: "block_size", value: "\(wanted)", expected: "a power of two from 1M to 256M")
        }
        let megabyte = VHDXMap.megabyte
        let log = max(megabyte, (logSize + megabyte - 1) / megabyte * megabyte)
        guard log < 4 << 30 else {
            throw .invalidOption(option: "log_size", value: "\(logSize)", expected: "less than 4G")
        }
        let blocks = (size + blockSize - 1) / blockSize
        let ratio = (512 << 23) / blockSize
        let entries = blocks + (blocks == 0 ? 0 : (blocks - 1) / ratio)
        let tableOffset = megabyte + log
        // QEMU's counts the blocks of an empty disk from -1 on, and wants room for as many.
        let rows = blocks == 0 ? UInt64(UInt32.max) / ratio : entries
        let tableSize = max(megabyte, (rows * 8 + megabyte - 1) / megabyte * megabyte)
        let metadata = tableOffset + tableSize
        let first = metadata + megabyte

        try file.resize(to: 0, preallocation: .off)
        try file.resize(to: isFixed ? first + blocks * blockSize : first, preallocation: .off)
        try writeRegions(file, table: (tableOffset, tableSize), metadata: metadata)
        try writeMetadata(file, at: metadata, size: size, blockSize: blockSize)
        if isFixed || marksZero {
            var table = [UInt8](repeating: 0, count: Int(entries) * 8)
            for block in 0..<blocks {
                let entry =
                    isFixed
                    ? (first + block * blockSize) | VHDXMap.State.fullyPresent.rawValue
                    : VHDXMap.State.zero.rawValue
                table.storeLittle(entry, at: Int(block + block / ratio) * 8)
            }
            try file.put(table, at: tableOffset)
        }
        var header = VHDXHeader(logOffset: megabyte, logLength: UInt32(log))
        try header.advance(file)
        try header.advance(file)
        var identifier = [UInt8](repeating: 0, count: 512)
        identifier.replaceSubrange(0..<8, with: VHDXMap.signature)
        for (index, unit) in "Apus".utf16.enumerated() { identifier.storeLittle(unit, at: 8 + index * 2) }
        try file.put(identifier, at: 0)
        try file.flushAndWait()
    }

    private static func writeRegions(
        _ file: any Resizable, table: (offset: UInt64, size: UInt64), metadata: UInt64
    ) throws(BlockError) {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        bytes.store("regi", at: 0)
        bytes.storeLittle(UInt32(2), at: 8)
        let rows = [(VHDXMap.tableRegion, table.offset, table.size), (VHDXMap.metadataRegion, metadata, 1 << 20)]
        for (index, row) in rows.enumerated() {
            let at = 16 + index * 32
            bytes.replaceSubrange(at..<at + 16, with: row.0)
            bytes.storeLittle(row.1, at: at + 16)
            bytes.storeLittle(UInt32(row.2), at: at + 24)
            bytes.storeLittle(UInt32(1), at: at + 28)
        }
        bytes.storeLittle(CRC32C.of(bytes), at: 4)
        for place in VHDXMap.regionPlaces { try file.put(bytes, at: place) }
    }

    private static func writeMetadata(
        _ file: any Resizable, at region: UInt64, size: UInt64, blockSize: UInt64
    ) throws(BlockError) {
        var bytes = [UInt8](repeating: 0, count: (64 << 10) + 512)
        bytes.store("metadata", at: 0)
        bytes.storeLittle(UInt16(5), at: 10)
        var parameters = [UInt8](repeating: 0, count: 8)
        parameters.storeLittle(UInt32(blockSize), at: 0)
        var length = [UInt8](repeating: 0, count: 8)
        length.storeLittle(size, at: 0)
        let sector: [UInt8] = [0, 2, 0, 0]
        // Flags: 4 required, 2 of the virtual disk.
        let items: [([UInt8], [UInt8], UInt32)] = [
            (VHDXMap.parameters, parameters, 4), (VHDXMap.diskSize, length, 6),
            (VHDXMap.page83, identifier(16), 6), (VHDXMap.logicalSector, sector, 6),
            (VHDXMap.physicalSector, sector, 6),
        ]
        var at = 64 << 10
        for (index, item) in items.enumerated() {
            let row = 32 + index * 32
            bytes.replaceSubrange(row..<row + 16, with: item.0)
            bytes.storeLittle(UInt32(at), at: row + 16)
            bytes.storeLittle(UInt32(item.1.count), at: row + 20)
            bytes.storeLittle(item.2, at: row + 24)
            bytes.replaceSubrange(at..<at + item.1.count, with: item.1)
            at += item.1.count
        }
        try file.put(bytes, at: region)
    }
}
