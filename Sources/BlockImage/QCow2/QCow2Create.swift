internal import SystemPackage

/// A new qcow2 image. The defaults are those of `qemu-img create`.
public struct QCow2CreateOptions: Sendable {
    /// The disk's size in bytes; rounded up to a sector.
    public var size: UInt64
    /// `cluster_size`: a power of two, 512 to 2 MiB.
    public var clusterSize = 65536
    /// `compat`: 3 for `1.1`, 2 for `0.10`.
    public var version: UInt32 = 3
    /// `refcount_bits`: a power of two, 1 to 64; 16 in version 2.
    public var refcountBits = 16
    /// `lazy_refcounts`.
    public var lazyRefcounts = false
    /// `compression_type`.
    public var compression = QCow2Header.Compression.zlib
    /// `backing_file`.
    public var backingFile: String?
    /// `backing_fmt`.
    public var backingFormat: String?

    /// `extended_l2`.
    public var extendedL2 = false
    /// `data_file`: the name that the header keeps. The file itself is the caller's to make.
    public var dataFile: String?
    /// `data_file_raw`.
    public var dataFileRaw = false

    /// `encrypt.format`: `luks` with its options, or nil for neither.
    public var luks: LUKSOptions?
    /// `encrypt.format=aes`.
    public var isAES = false
    /// The passphrase of an encrypted image.
    public var passphrase: [UInt8] = []

    /// An image of a size.
    public init(size: UInt64) { self.size = size }
}

extension QCow2CreateOptions {
    /// Whether the tables of a disk of this size stay within their limits.
    public var fitsTables: Bool {
        guard size <= UInt64(Int64.max) - UInt64(clusterSize), clusterSize >= 512 else { return false }
        let entries = UInt64(clusterSize) / (extendedL2 ? 16 : 8)
        let coverage = UInt64(clusterSize) * entries
        return (size + coverage - 1) / coverage * 8 <= UInt64(QCow2Header.maximumL1Bytes)
    }
}

extension QCow2Node {
    /// Makes storage for the whole disk, and the data file as long as the disk.
    public func reserve(_ way: Preallocation) throws(BlockError) {
        if header.hasDataFile, let data = dataFile as? any Resizable {
            try data.resize(to: size, preallocation: way == .metadata ? .off : way)
        }
        // A raw data file's every byte counts: all of it is mapped.
        guard way != .off || header.hasRawData else { return }
        let hasBase = header.backingFile != nil
        guard !hasBase || header.isExtended else { return }
        try preallocate(from: 0, to: size, way == .off ? .metadata : way, showsBelow: hasBase)
    }

    /// Writes an empty image into `file`, whose content is lost. Blocks.
    public static func create(_ options: QCow2CreateOptions, in file: any Resizable) throws(BlockError) {
        let path = file.filename
        let header = try layout(options, path)
        let clusterSize = UInt64(header.clusterSize)
        let tableClusters = UInt64(header.refcountTableClusters)
        let l1Clusters = (UInt64(header.l1Size) * 8 + clusterSize - 1) / clusterSize
        let crypto = header.encryptionHeader
        let cryptoClusters = ((crypto?.length ?? 0) + clusterSize - 1) / clusterSize
        let total = header.l1Offset / clusterSize + l1Clusters + cryptoClusters
        let perBlock = (clusterSize * 8) >> UInt64(header.refcountOrder)
        let blockOffset = header.refcountTableOffset + tableClusters * clusterSize
        let blocks = (header.l1Offset - blockOffset) / clusterSize
        func put(_ bytes: [UInt8], at offset: UInt64) throws(BlockError) {
            let status = file.writeAndWait(at: offset, bytes: bytes)
            guard status == 0 else { throw .system(path: path, operation: "write", Errno(rawValue: status)) }
        }

        try file.resize(to: 0, preallocation: .off)
        try file.resize(to: total * clusterSize, preallocation: .off)
        // Written whole, as readers count storage against clusters; the L1 table may be a hole.
        func whole(_ bytes: [UInt8]) -> [UInt8] {
            bytes
                + [UInt8](
                    repeating: 0, count: (header.clusterSize - bytes.count % header.clusterSize) % header.clusterSize)
        }
        var table = [UInt8](repeating: 0, count: Int(blocks) * 8)
        for index in 0..<blocks { table.store(blockOffset + index * clusterSize, at: Int(index) * 8) }
        try put(whole(table), at: header.refcountTableOffset)
        for index in 0..<blocks {
            let used = total > index * perBlock ? min(perBlock, total - index * perBlock) : 0
            try put(whole(counts(Int(used), bits: 1 << header.refcountOrder)), at: blockOffset + index * clusterSize)
        }
        if let crypto, let luks = options.luks {
            try LUKSVolume.create(luks, passphrase: options.passphrase, in: file, at: crypto.offset)
        }
        // The header last: before it, this is no image.
        let encoded = header.encoded()
        guard encoded.count <= header.clusterSize else {
            throw .invalidOption(
                option: "backing_file", value: options.backingFile ?? "", expected: "a name that fits the header")
        }
        try put(whole(encoded), at: 0)
        guard file.performAndWait(.flush) == 0 else { throw .system(path: path, operation: "flush", .ioError) }
    }

    /// `count` reference counts of one, packed.
    private static func counts(_ count: Int, bits: Int) -> [UInt8] {
        if bits >= 8 {
            return (0..<count).flatMap { _ in [UInt8](repeating: 0, count: bits / 8 - 1) + [1] }
        }
        var bytes = [UInt8](repeating: 0, count: (count * bits + 7) / 8)
        for index in 0..<count { bytes[index * bits / 8] |= 1 << UInt8(index * bits % 8) }
        return bytes
    }

    /// The header: reference count table, its blocks and the L1 table follow it in this order.
    private static func layout(_ options: QCow2CreateOptions, _ path: String) throws(BlockError) -> QCow2Header {
        func invalid(_ option: String, _ value: Int, _ expected: String) -> BlockError {
            .invalidOption(option: option, value: "\(value)", expected: expected)
        }
        guard options.version == 2 || options.version == 3 else {
            throw invalid("compat", Int(options.version), "2 or 3")
        }
        let size = options.clusterSize
        guard size >= 512, size <= 2 << 20, size & (size - 1) == 0 else {
            throw invalid("cluster_size", size, "a power of two from 512 to 2M")
        }
        let bits = options.refcountBits
        guard bits >= 1, bits <= 64, bits & (bits - 1) == 0, options.version == 3 || bits == 16 else {
            throw invalid("refcount_bits", bits, options.version == 3 ? "a power of two up to 64" : "16 in version 2")
        }
        guard options.version == 3 || (!options.lazyRefcounts && options.compression == .zlib) else {
            throw invalid("compat", 2, "3 for lazy_refcounts and compression_type=zstd")
        }
        guard !options.extendedL2 || (size >= 16384 && options.version == 3) else {
            throw invalid("cluster_size", size, "16384 or more, and compat=1.1, for extended_l2")
        }
        guard options.dataFile == nil || (options.version == 3 && options.backingFile == nil) else {
            throw invalid("compat", Int(options.version), "3, and no backing file, for data_file")
        }
        guard (options.backingFile?.utf8.count ?? 0) <= QCow2Header.maximumBackingName else {
            throw .invalidOption(
                option: "backing_file", value: options.backingFile ?? "", expected: "at most 1023 bytes")
        }
        var header = QCow2Header()
        header.version = options.version
        header.clusterBits = size.trailingZeroBitCount
        guard options.size <= UInt64(Int64.max) - 511 else { throw .invalidSize(path: path, size: options.size) }
        header.size = (options.size + 511) / 512 * 512
        header.refcountOrder = bits.trailingZeroBitCount
        header.compatible = options.lazyRefcounts ? 1 : 0
        header.compression = options.compression
        header.incompatible = options.compression == .zlib ? 0 : QCow2Header.Incompatible.compressionType
        if options.extendedL2 { header.incompatible |= QCow2Header.Incompatible.extendedL2 }
        if let dataFile = options.dataFile {
            header.dataFile = dataFile
            header.incompatible |= QCow2Header.Incompatible.externalData
            if options.dataFileRaw { header.autoclear |= QCow2Header.Autoclear.rawData }
        }
        header.backingFile = options.backingFile
        header.backingFormat = options.backingFormat

        let coverage = UInt64(1) << UInt64(header.l2CoverageBits)
        // One entry at least: a cluster without a table in it would be a leak.
        let l1Size = max(1, (header.size + coverage - 1) / coverage)
        guard l1Size * 8 <= UInt64(QCow2Header.maximumL1Bytes) else {
            throw .invalidSize(path: path, size: options.size)
        }
        header.l1Size = UInt32(l1Size)
        let cluster = UInt64(size)
        let l1Clusters = (l1Size * 8 + cluster - 1) / cluster
        let cryptoLength = try options.luks.map(LUKSVolume.headerLength) ?? 0
        let cryptoClusters = (cryptoLength + cluster - 1) / cluster
        let perBlock = (cluster * 8) >> UInt64(header.refcountOrder)
        var (tables, blocks): (UInt64, UInt64) = (1, 1)
        while true {
            let total = 1 + tables + blocks + l1Clusters + cryptoClusters
            let neededBlocks = (total + perBlock - 1) / perBlock
            let neededTables = (neededBlocks * 8 + cluster - 1) / cluster
            if neededBlocks <= blocks && neededTables <= tables { break }
            (tables, blocks) = (max(tables, neededTables), max(blocks, neededBlocks))
        }
        header.refcountTableOffset = cluster
        header.refcountTableClusters = UInt32(tables)
        header.l1Offset = (1 + tables + blocks) * cluster
        if options.isAES { header.encryption = 1 }
        if cryptoLength > 0 {
            header.encryption = 2
            header.encryptionExtension = [UInt8](repeating: 0, count: 16)
            header.encryptionExtension.store(header.l1Offset + l1Clusters * cluster, at: 0)
            header.encryptionExtension.store(cryptoLength, at: 8)
        }
        return header
    }
}
