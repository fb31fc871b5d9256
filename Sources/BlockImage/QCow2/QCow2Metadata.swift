internal import CLinux
internal import SystemPackage

/// Why an operation on a qcow2 image's metadata did not succeed.
enum QCow2Failure: Error {
    /// The file below failed.
    case io(Int32)
    /// The image contradicts itself.
    case corrupt(String)

    /// What a request completes with.
    var status: Int32 {
        switch self {
        case .io(let status): status
        case .corrupt: EIO
        }
    }
}

/// Where a run of guest bytes is.
struct QCow2Run {
    enum Kind {
        /// Nowhere: the backing file's, or zero.
        case unallocated
        /// Zero, whatever the backing file says. The cluster may still own storage.
        case zero(host: UInt64?)
        /// As it is, at an offset of the file.
        case normal(UInt64)
        /// Packed: the first byte, and an upper bound of the length.
        case compressed(UInt64, Int)
    }

    var kind: Kind
    /// Bytes from the offset asked for.
    var length: UInt64
    /// The storage belongs to this cluster of the active disk alone, and may be written in place.
    var isCopied: Bool
}

/// The tables of an open qcow2 image: guest clusters to host clusters, and reference counts. Blocks on the file.
///
/// Not for several threads at once: the node's metadata lock is held around every call. Nothing of this is written
/// at once; `writeBack` brings it to the disk in an order that a crash at any point leaves consistent but for leaks.
final class QCow2Metadata: @unchecked Sendable {
    // Sendable: guarded by the node's metadata lock.
    let file: any BlockNode
    let path: String
    var header: QCow2Header
    var l1: [UInt64]
    var dirtyL1: Range<Int> = 0..<0
    var refcountTable: [UInt64]
    var l2Cache: MetadataCache
    var refcountCache: MetadataCache
    /// Clusters to give up once nothing on the disk points to them any more.
    var pendingFrees: [(cluster: UInt64, count: UInt64)] = []
    /// Where the search for free clusters begins.
    var freeHint: UInt64 = 0
    /// Clusters from here on have never been written: on a regular file they read as zeroes.
    var pristine: UInt64
    /// A copy of older content was made that the tables will point to: it must be on the disk before them.
    var hasCopies = false
    /// What is wrong with the image; nothing is written to it any more.
    var corruption: String?
    /// Ranges that no guest data may overwrite: the header, the tables of snapshots, the active tables.
    var fixedMetadata: [Range<UInt64>] = []
    /// Gives storage of freed clusters back to the file.
    var passesDiscard = false

    let clusterBits: UInt64
    let clusterSize: UInt64
    let l2Bits: UInt64
    let refcountBits: UInt64
    /// Reference counts in one block, as a logarithm.
    let refcountBlockBits: UInt64

    private static let offsetMask: UInt64 = 0x00ff_ffff_ffff_fe00
    static let copied: UInt64 = 1 << 63
    static let compressed: UInt64 = 1 << 62
    static let zero: UInt64 = 1
    private static let l1Reserved: UInt64 = 0x7f00_0000_0000_01ff
    private static let l2Reserved: UInt64 = 0x3f00_0000_0000_01fe

    /// Reads the tables that stay in memory: L1 and the reference count table.
    init(
        header: QCow2Header, file: any BlockNode, path: String, l2CacheBytes: Int, refcountCacheBytes: Int
    ) throws(BlockError) {
        self.header = header
        self.file = file
        self.path = path
        clusterBits = UInt64(header.clusterBits)
        clusterSize = 1 << clusterBits
        l2Bits = clusterBits - 3
        refcountBits = 1 << UInt64(header.refcountOrder)
        refcountBlockBits = clusterBits + 3 - UInt64(header.refcountOrder)
        l2Cache = MetadataCache(tableSize: header.clusterSize, bytes: l2CacheBytes)
        refcountCache = MetadataCache(tableSize: header.clusterSize, bytes: refcountCacheBytes)
        l1 = try QCow2Metadata.numbers(file, path, header.l1Offset, Int(header.l1Size))
        refcountTable = try QCow2Metadata.numbers(
            file, path, header.refcountTableOffset, Int(header.refcountTableClusters) * header.clusterSize / 8)
        pristine = (file.sizeInBytes + clusterSize - 1) >> clusterBits
        noteFixedMetadata([])
    }

    private static func numbers(
        _ file: any BlockNode, _ path: String, _ offset: UInt64, _ count: Int
    ) throws(BlockError) -> [UInt64] {
        let (status, bytes) = file.bytesAndWait(at: offset, count: count * 8)
        guard status == 0 else {
            throw .system(path: path, operation: "read a table of", Errno(rawValue: status))
        }
        return (0..<count).map { bytes.bigEndian(UInt64.self, at: $0 * 8) }
    }

    /// Notes where the metadata with fixed places is.
    func noteFixedMetadata(_ snapshots: [QCow2Snapshot]) {
        func range(_ offset: UInt64, _ bytes: UInt64) -> Range<UInt64> {
            offset..<offset + (bytes + clusterSize - 1) / clusterSize * clusterSize
        }
        fixedMetadata = [
            0..<clusterSize, range(header.l1Offset, UInt64(header.l1Size) * 8),
            range(header.refcountTableOffset, UInt64(header.refcountTableClusters) * clusterSize),
        ]
        for snapshot in snapshots { fixedMetadata.append(range(snapshot.l1Offset, UInt64(snapshot.l1Size) * 8)) }
        if header.snapshotCount > 0 { fixedMetadata.append(range(header.snapshotOffset, 1)) }
    }

    /// Throws when guest data would overwrite metadata: only a damaged or hostile image asks for that.
    func checkOverlap(_ offset: UInt64, _ length: UInt64) throws(QCow2Failure) {
        guard length <= UInt64(Int64.max), offset <= UInt64(Int64.max) - length else {
            throw corrupt("host offset \(offset) is out of range")
        }
        let end = offset + length
        for range in fixedMetadata where offset < range.upperBound && range.lowerBound < end {
            throw corrupt("a write at \(offset) would overwrite metadata")
        }
        var cluster = (offset >> clusterBits) << clusterBits
        while cluster < end {
            if l2Cache.contains(cluster) || refcountCache.contains(cluster) {
                throw corrupt("a write at \(offset) would overwrite a table")
            }
            cluster += clusterSize
        }
    }

    /// Notes a damage, and gives the failure to throw.
    func corrupt(_ reason: String) -> QCow2Failure {
        if corruption == nil { corruption = reason }
        return .corrupt(reason)
    }

    // MARK: Mapping

    /// The L2 table that covers a guest offset, or nil when there is none. With `onlyCached`, a table that would have
    /// to be read throws `EAGAIN`.
    func l2Table(for offset: UInt64, onlyCached: Bool = false) throws(QCow2Failure) -> MetadataTable? {
        let index = Int(offset >> (clusterBits + l2Bits))
        guard index < l1.count else { return nil }
        let at = l1[index] & QCow2Metadata.offsetMask
        guard at != 0 else { return nil }
        guard at & (clusterSize - 1) == 0, l1[index] & QCow2Metadata.l1Reserved == 0 else {
            throw corrupt("L1 entry \(index) is \(l1[index])")
        }
        if let table = l2Cache.find(at) { return table }
        if onlyCached { throw .io(EAGAIN) }
        return try load(at, into: \.l2Cache)
    }

    /// Reads a table from the file into a cache.
    func load(
        _ offset: UInt64, into cache: ReferenceWritableKeyPath<QCow2Metadata, MetadataCache>
    ) throws(QCow2Failure) -> MetadataTable {
        if self[keyPath: cache].isChoked { try writeBack() }
        let table = MetadataTable(offset: offset, buffer: AlignedBuffer(count: Int(clusterSize)))
        let status = unsafe file.readAndWait(
            at: offset, into: [BlockSegment(pointer: table.buffer.base, count: table.buffer.count)])
        guard status == 0 else { throw .io(status) }
        self[keyPath: cache].insert(table)
        return table
    }

    /// Where the guest byte at `offset` is, and how many after it (at most `limit`) are of the same kind, one after
    /// the other.
    func run(at offset: UInt64, limit: UInt64, onlyCached: Bool = false) throws(QCow2Failure) -> QCow2Run {
        let inCluster = offset & (clusterSize - 1)
        let first = Int((offset >> clusterBits) & ((1 << l2Bits) - 1))
        let tableEnd = ((offset >> (clusterBits + l2Bits)) + 1) << (clusterBits + l2Bits)
        guard let table = try l2Table(for: offset, onlyCached: onlyCached) else {
            return QCow2Run(kind: .unallocated, length: min(limit, tableEnd - offset), isCopied: false)
        }
        var run = try decode(table[first])
        run.length = clusterSize - inCluster
        var index = first + 1
        let entries = 1 << Int(l2Bits)
        while run.length < limit && index < entries {
            let next = try decode(table[index])
            guard continues(run, next, clusterSize * UInt64(index - first)) else { break }
            run.length += clusterSize
            index += 1
        }
        run.length = min(run.length, limit)
        switch run.kind {
        case .normal(let host): run.kind = .normal(host + inCluster)
        default: break
        }
        return run
    }

    private func continues(_ run: QCow2Run, _ next: QCow2Run, _ distance: UInt64) -> Bool {
        switch (run.kind, next.kind) {
        case (.unallocated, .unallocated), (.zero(nil), .zero(nil)): true
        case (.normal(let host), .normal(let other)): run.isCopied == next.isCopied && host + distance == other
        default: false
        }
    }

    private func decode(_ entry: UInt64) throws(QCow2Failure) -> QCow2Run {
        let isCopied = entry & QCow2Metadata.copied != 0
        if entry & QCow2Metadata.compressed != 0 {
            // The offset's bits grow with the cluster size at the cost of the length's.
            let lengthShift = 62 - (clusterBits - 8)
            let offset = entry & ((1 << lengthShift) - 1)
            let sectors = (entry >> lengthShift) & ((1 << (clusterBits - 8)) - 1)
            let length = Int((sectors + 1) * 512 - (offset & 511))
            guard offset <= UInt64(Int64.max) - UInt64(length) else { throw corrupt("L2 entry \(entry)") }
            return QCow2Run(kind: .compressed(offset, length), length: 0, isCopied: false)
        }
        guard entry & QCow2Metadata.l2Reserved == 0 else { throw corrupt("L2 entry \(entry) has reserved bits") }
        let host = entry & QCow2Metadata.offsetMask
        guard host & (clusterSize - 1) == 0 else { throw corrupt("L2 entry \(entry) is not a cluster's offset") }
        if entry & QCow2Metadata.zero != 0 {
            guard header.version >= 3 else { throw corrupt("a zero cluster in version 2") }
            return QCow2Run(kind: .zero(host: host == 0 ? nil : host), length: 0, isCopied: isCopied)
        }
        guard host != 0 else { return QCow2Run(kind: .unallocated, length: 0, isCopied: false) }
        return QCow2Run(kind: .normal(host), length: 0, isCopied: isCopied)
    }

    // MARK: Changing the mapping

    /// The L2 table that covers a guest offset, made if it is missing, and this disk's own: safe to change.
    func writableL2(for offset: UInt64) throws(QCow2Failure) -> MetadataTable {
        let index = Int(offset >> (clusterBits + l2Bits))
        guard index < l1.count else { throw .io(EFBIG) }
        let old = try l2Table(for: offset)
        if let old, l1[index] & QCow2Metadata.copied != 0 { return old }
        if l2Cache.isChoked { try writeBack() }
        let (cluster, _) = try allocate(1)
        let table = MetadataTable(offset: cluster << clusterBits, buffer: AlignedBuffer(count: Int(clusterSize)))
        if let old {
            unsafe table.buffer.base.copyMemory(from: old.buffer.base, byteCount: table.buffer.count)
            withExtendedLifetime(old) {}
            pendingFrees.append((old.offset >> clusterBits, 1))
        } else {
            // SAFETY: the buffer's own length.
            unsafe memset(table.buffer.base, 0, table.buffer.count)
        }
        table.touch(0, table.buffer.count)
        l2Cache.insert(table)
        l1[index] = table.offset | QCow2Metadata.copied
        dirtyL1 =
            dirtyL1.isEmpty
            ? index..<index + 1 : min(index, dirtyL1.lowerBound)..<max(index + 1, dirtyL1.upperBound)
        return table
    }

    /// Sets one guest cluster's entry and gives up what the old one held (unless `keeps`: the storage is the same).
    func setEntry(_ entry: UInt64, for offset: UInt64, keeps: Bool = false) throws(QCow2Failure) {
        let table = try writableL2(for: offset)
        let index = Int((offset >> clusterBits) & ((1 << l2Bits) - 1))
        let old = try decode(table[index])
        table[index] = entry
        guard !keeps else { return }
        switch old.kind {
        case .unallocated, .zero(nil): break
        case .normal(let host), .zero(.some(let host)): pendingFrees.append((host >> clusterBits, 1))
        case .compressed(let host, let length):
            let first = host >> clusterBits
            pendingFrees.append((first, ((host + UInt64(length) - 1) >> clusterBits) - first + 1))
        }
    }
}
