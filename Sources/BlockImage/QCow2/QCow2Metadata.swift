internal import CLinux
internal import SystemPackage

/// Why an operation on a qcow2 image's metadata did not succeed.
enum ImageFailure: Error {
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
        /// Zero, whatever the backing file says.
        case zero
        /// As it is, at an offset of the file (or of the external data file).
        case normal(UInt64)
        /// Packed: the first byte, and an upper bound of the length.
        case compressed(UInt64, Int)
    }

    var kind: Kind
    /// Bytes from the offset asked for.
    var length: UInt64
    /// The storage belongs to this cluster of the active disk alone, and may be written in place.
    var isCopied = false
    /// Storage that the first cluster owns: also that of a zero cluster, or of one with subclusters not in use. A run
    /// of kind `unallocated` or `zero` with storage does not go beyond one cluster.
    var storage: UInt64?
}

/// An L2 entry: the descriptor, and the subclusters' bits where entries are extended.
struct QCow2Entry: Equatable {
    var descriptor: UInt64 = 0
    /// Bits 0 to 31: the subcluster is allocated; 32 to 63: it reads as zeroes.
    var bitmap: UInt64 = 0

    static let allAllocated: UInt64 = 0xffff_ffff
    static let allZero: UInt64 = 0xffff_ffff << 32

    /// Whether it is one of a cluster that begins where clusters do.
    func isAligned(_ clusterSize: UInt64) -> Bool {
        descriptor & QCow2Metadata.compressed != 0 || descriptor & QCow2Metadata.offsetMask & (clusterSize - 1) == 0
    }
}

/// The tables of an open qcow2 image: guest clusters to host clusters, and reference counts. Blocks on the file.
///
/// Not for several threads at once: the node's metadata lock is held around every call. Nothing of this is written
/// at once; `writeBack` brings it to the disk in an order that a crash at any point leaves consistent but for leaks.
final class QCow2Metadata: @unchecked Sendable {
    // Sendable: guarded by the node's metadata lock.
    let file: any BlockNode
    /// Where guest data is. Set once, before the first use.
    var dataFile: any BlockNode
    let path: String
    var header: QCow2Header
    var snapshots: [QCow2Snapshot] = []
    var l1: [UInt64]
    var dirtyL1: Range<Int> = 0..<0
    var refcountTable: [UInt64]
    var l2Cache: MetadataCache
    var refcountCache: MetadataCache
    /// Clusters to give up once nothing on the disk points to them any more.
    var pendingFrees: [(cluster: UInt64, count: UInt64)] = []
    /// Clusters that the extensions of the header on the disk still lead to, and the next header does not.
    var retired: [(cluster: UInt64, count: UInt64)] = []
    /// Where the search for free clusters begins.
    var freeHint: UInt64 = 0
    /// Clusters from here on have never been written: on a regular file they read as zeroes.
    var pristine: UInt64
    /// Bytes were written that the tables will point to, and that must be on the disk before them: without them the
    /// guest would see what was in that place before.
    var hasNewContent = false
    /// Counts are written that a flush has not made durable.
    var hasUnflushedCounts = false
    /// L2 tables, or parts of L1, are written that a flush has not made durable.
    var hasUnflushedTables = false
    /// A change broke off half way: counts may be too high.
    var mayLeak = false
    /// Nobody knows which tables the header on the disk names: nothing is written to the image any more.
    var isLost = false
    /// What is wrong with the image; nothing is written to it any more.
    var corruption: String?
    var corruptPlace: (offset: UInt64, size: UInt64)?
    /// It has been told.
    var hasSignaled = false
    /// The tables are read for a change.
    var isChanging = false
    /// Ranges that no guest data may overwrite: the header, the tables of snapshots, the active tables.
    var fixedMetadata: [(range: Range<UInt64>, name: String)] = []
    /// Where L2 tables and blocks of counts may be.
    var l2Places = PlaceFilter()
    var countPlaces = PlaceFilter()
    /// Zeroes of the file are not zeroes of the guest's.
    var isEncrypted = false
    /// Gives storage of freed clusters back to the file.
    var passesDiscard = false
    /// `pass-discard-request`, where it was given.
    var passDiscard: Bool?

    /// Where the next packed cluster may go on: a byte of a cluster that is not full yet; 0 for none.
    var packedTail: UInt64 = 0
    /// Guest data lies in a file of its own, at the guest's offsets: nothing is allocated for it here.
    let hasDataFile: Bool
    let isExtended: Bool

    let clusterBits: UInt64
    let clusterSize: UInt64
    let l2Bits: UInt64
    var refcountBits: UInt64
    /// Reference counts in one block, as a logarithm.
    var refcountBlockBits: UInt64

    static let offsetMask: UInt64 = 0x00ff_ffff_ffff_fe00
    static let copied: UInt64 = 1 << 63
    static let compressed: UInt64 = 1 << 62
    static let zero: UInt64 = 1
    static let l1Reserved: UInt64 = 0x7f00_0000_0000_01ff
    static let l2Reserved: UInt64 = 0x3f00_0000_0000_01fe

    /// Reads the tables that stay in memory: L1 and the reference count table; none of them for somebody who only wants to
    /// know what the header says.
    init(
        header: QCow2Header, file: any BlockNode, path: String, l2CacheBytes: Int, refcountCacheBytes: Int,
        isDescription: Bool = false
    ) throws(BlockError) {
        self.header = header
        self.file = file
        dataFile = file
        self.path = path
        clusterBits = UInt64(header.clusterBits)
        clusterSize = 1 << clusterBits
        l2Bits = UInt64(header.l2Bits)
        isExtended = header.isExtended
        hasDataFile = header.hasDataFile
        refcountBits = 1 << UInt64(header.refcountOrder)
        refcountBlockBits = clusterBits + 3 - UInt64(header.refcountOrder)
        l2Cache = MetadataCache(tableSize: header.clusterSize, bytes: l2CacheBytes)
        refcountCache = MetadataCache(tableSize: header.clusterSize, bytes: refcountCacheBytes)
        l1 = isDescription ? [] : try QCow2Metadata.numbers(file, path, header.l1Offset, Int(header.l1Size))
        file.debugEvent(.reftableLoad)
        let counts = Int(header.refcountTableClusters) * header.clusterSize / 8
        refcountTable =
            isDescription ? [] : try QCow2Metadata.numbers(file, path, header.refcountTableOffset, counts)
        pristine = (file.sizeInBytes + clusterSize - 1) >> clusterBits
        noteFixedMetadata()
    }

    /// Takes over a header whose reference counts are elsewhere, or of another width.
    func reload(_ new: QCow2Header) throws(BlockError) {
        header = new
        refcountBits = 1 << UInt64(header.refcountOrder)
        refcountBlockBits = clusterBits + 3 - UInt64(header.refcountOrder)
        refcountCache = MetadataCache(tableSize: header.clusterSize, bytes: refcountCache.limit * header.clusterSize)
        refcountTable = try QCow2Metadata.numbers(
            file, path, header.refcountTableOffset, Int(header.refcountTableClusters) * header.clusterSize / 8)
        snapshots = try QCow2Snapshot.table(header, file: file)
        freeHint = 0
        pristine = (file.sizeInBytes + clusterSize - 1) >> clusterBits
        noteFixedMetadata()
    }

    static func numbers(
        _ file: any BlockNode, _ path: String, _ offset: UInt64, _ count: Int
    ) throws(BlockError) -> [UInt64] {
        var numbers = [UInt64](repeating: 0, count: count)
        guard count > 0 else { return numbers }
        // SAFETY: the array outlives the wait.
        let status = unsafe numbers.withUnsafeMutableBytes {
            unsafe file.readAndWait(at: offset, into: [BlockSegment(pointer: $0.baseAddress!, count: $0.count)])
        }
        guard status == 0 else {
            throw .system(path: path, operation: "read a table of", Errno(rawValue: status))
        }
        for index in numbers.indices { numbers[index] = UInt64(bigEndian: numbers[index]) }
        return numbers
    }

    // MARK: Mapping

    /// The L2 table that covers a guest offset, or nil when there is none. With `onlyCached`, a table that would have
    /// to be read throws `EAGAIN`.
    func l2Table(for offset: UInt64, onlyCached: Bool = false) throws(ImageFailure) -> MetadataTable? {
        let index = Int(offset >> (clusterBits + l2Bits))
        guard index < l1.count else { return nil }
        let at = l1[index] & QCow2Metadata.offsetMask
        guard at != 0 else { return nil }
        guard at & (clusterSize - 1) == 0 else {
            let (place, number) = (QCow2Metadata.hexadecimal(at), QCow2Metadata.hexadecimal(UInt64(index)))
            throw corrupt("L2 table offset \(place) unaligned (L1 index: \(number))")
        }
        guard l1[index] & QCow2Metadata.l1Reserved == 0 else {
            throw corrupt("L1 entry \(index) is \(l1[index])")
        }
        if let table = l2Cache.find(at) { return table }
        if onlyCached { throw .io(EAGAIN) }
        return try load(at, into: \.l2Cache)
    }

    /// Reads a table from the file into a cache.
    func load(
        _ offset: UInt64, into cache: ReferenceWritableKeyPath<QCow2Metadata, MetadataCache>
    ) throws(ImageFailure) -> MetadataTable {
        if self[keyPath: cache].isChoked { try writeBack() }
        file.debugEvent(cache == \.l2Cache ? .l2Load : .refblockLoad)
        let table = MetadataTable(offset: offset, buffer: AlignedBuffer(count: Int(clusterSize)))
        // SAFETY: the table owns the buffer and outlives the wait.
        let status = unsafe file.readAndWait(
            at: offset, into: [BlockSegment(pointer: table.buffer.base, count: table.buffer.count)])
        guard status == 0 else { throw .io(status) }
        self[keyPath: cache].insert(table)
        return table
    }

    /// Where the guest byte at `offset` is, and how many after it (at most `limit`) are of the same kind, one after
    /// the other.
    func run(at offset: UInt64, limit: UInt64, onlyCached: Bool = false) throws(ImageFailure) -> QCow2Run {
        let inCluster = offset & (clusterSize - 1)
        let first = Int((offset >> clusterBits) & ((1 << l2Bits) - 1))
        let tableEnd = ((offset >> (clusterBits + l2Bits)) + 1) << (clusterBits + l2Bits)
        guard let table = try l2Table(for: offset, onlyCached: onlyCached) else {
            return QCow2Run(kind: .unallocated, length: min(limit, tableEnd - offset))
        }
        var run = try part(of: table, first, inCluster, guest: offset)
        guard isExtended else {
            extend(&run, table, first, limit)
            return run
        }
        var index = first
        var at = inCluster + run.length
        let entries = 1 << Int(l2Bits)
        while run.length < limit {
            if at == clusterSize {
                index += 1
                at = 0
                guard index < entries else { break }
            }
            let next = try part(of: table, index, at, guest: offset + run.length)
            guard continues(run, next, isSameCluster: at > 0) else { break }
            run.length += next.length
            at += next.length
        }
        run.length = min(run.length, limit)
        return run
    }

    /// Lengthens a run of whole clusters by the entries that go on with it: the same, or one cluster further each.
    private func extend(_ run: inout QCow2Run, _ table: MetadataTable, _ first: Int, _ limit: UInt64) {
        defer { run.length = min(run.length, limit) }
        let step: UInt64
        switch run.kind {
        case .normal: step = clusterSize
        case .unallocated: step = 0
        case .zero where run.storage == nil: step = 0
        case .zero, .compressed: return
        }
        var expected = table[first] &+ step
        var index = first + 1
        let entries = 1 << Int(l2Bits)
        while run.length < limit, index < entries, table[index] == expected {
            run.length += clusterSize
            index += 1
            expected &+= step
        }
    }

    private func continues(_ run: QCow2Run, _ next: QCow2Run, isSameCluster: Bool) -> Bool {
        switch (run.kind, next.kind) {
        case (.unallocated, .unallocated), (.zero, .zero):
            isSameCluster || (run.storage == nil && next.storage == nil)
        case (.normal(let host), .normal(let other)): run.isCopied == next.isCopied && host + run.length == other
        default: false
        }
    }

    /// An entry as it is in its table.
    func entry(_ table: MetadataTable, _ index: Int) -> QCow2Entry {
        isExtended
            ? QCow2Entry(descriptor: table[2 * index], bitmap: table[2 * index + 1])
            : QCow2Entry(descriptor: table[index])
    }

    /// Sets an entry in its table.
    func store(_ entry: QCow2Entry, _ table: MetadataTable, _ index: Int) {
        guard isExtended else { return table[index] = entry.descriptor }
        table[2 * index] = entry.descriptor
        table[2 * index + 1] = entry.bitmap
    }

    /// The part of one cluster from `inCluster` on that is of one kind.
    private func part(
        of table: MetadataTable, _ index: Int, _ inCluster: UInt64, guest: UInt64
    ) throws(ImageFailure) -> QCow2Run {
        let entry = entry(table, index)
        guard entry.isAligned(clusterSize) else { throw unaligned(entry, table, index, guest: guest) }
        var run = try decode(entry)
        run.length = clusterSize - inCluster
        if isExtended, case .compressed = run.kind { return run }
        if isExtended {
            let size = clusterSize / 32
            let first = Int(inCluster / size)
            let kind = subcluster(entry.bitmap, first)
            var end = first + 1
            while end < 32 && subcluster(entry.bitmap, end) == kind { end += 1 }
            run.length = UInt64(end) * size - inCluster
            switch kind {
            case 0: run.kind = .unallocated
            case 1:
                guard let storage = run.storage else { throw corrupt("L2 entry has subclusters without storage") }
                run.kind = .normal(storage)
            case 2: run.kind = .zero
            default: throw corrupt("L2 entry has a subcluster that is both allocated and zero")
            }
        }
        if case .normal(let host) = run.kind { run.kind = .normal(host + inCluster) }
        return run
    }

    /// The failure of an entry that points into the middle of a cluster.
    private func unaligned(_ entry: QCow2Entry, _ table: MetadataTable, _ index: Int, guest: UInt64) -> ImageFailure {
        let number = QCow2Metadata.hexadecimal
        let host = number(entry.descriptor & QCow2Metadata.offsetMask)
        guard isChanging else {
            return corrupt(
                "Cluster allocation offset \(host) unaligned (L2 offset: \(number(table.offset)), L2 index: "
                    + "\(number(UInt64(index))))")
        }
        let isZero = !isExtended && entry.descriptor & QCow2Metadata.zero != 0
        return corrupt(
            "\(isZero ? "Preallocated zero" : "Data") cluster offset \(host) unaligned (guest offset: \(number(guest)))"
        )
    }

    private func subcluster(_ bitmap: UInt64, _ index: Int) -> UInt64 {
        (bitmap >> UInt64(index) & 1) | (bitmap >> UInt64(32 + index) & 1) << 1
    }

    /// What a whole cluster's entry says. With subclusters, `normal` only tells that there is storage.
    func decode(_ entry: QCow2Entry) throws(ImageFailure) -> QCow2Run {
        let descriptor = entry.descriptor
        let isCopied = descriptor & QCow2Metadata.copied != 0
        if descriptor & QCow2Metadata.compressed != 0 {
            guard !hasDataFile else { throw corrupt("a compressed cluster in an image with an external data file") }
            let (offset, length) = QCow2Metadata.packed(descriptor, clusterBits)
            guard offset <= UInt64(Int64.max) - UInt64(length) else { throw corrupt("L2 entry \(descriptor)") }
            return QCow2Run(kind: .compressed(offset, length), length: 0)
        }
        guard descriptor & QCow2Metadata.l2Reserved == 0 else {
            throw corrupt("L2 entry \(descriptor) has reserved bits")
        }
        let host = descriptor & QCow2Metadata.offsetMask
        guard host & (clusterSize - 1) == 0 else { throw corrupt("L2 entry \(descriptor) is not a cluster's offset") }
        // In a data file offset 0 is a place like any other; the flag tells that it is meant.
        let storage = host != 0 || (hasDataFile && isCopied) ? host : nil
        if !isExtended && descriptor & QCow2Metadata.zero != 0 {
            guard header.version >= 3 else { throw corrupt("a zero cluster in version 2") }
            return QCow2Run(kind: .zero, length: 0, isCopied: isCopied, storage: storage)
        }
        guard let storage else { return QCow2Run(kind: .unallocated, length: 0) }
        return QCow2Run(kind: .normal(storage), length: 0, isCopied: isCopied, storage: storage)
    }

    /// The first byte and the longest possible length of a packed cluster. The offset's bits shrink as the cluster
    /// size grows, in favour of the length's.
    static func packed(_ descriptor: UInt64, _ clusterBits: UInt64) -> (offset: UInt64, length: Int) {
        let lengthShift = 62 - (clusterBits - 8)
        let offset = descriptor & ((1 << lengthShift) - 1)
        let sectors = (descriptor >> lengthShift) & ((1 << (clusterBits - 8)) - 1)
        return (offset, Int((sectors + 1) * 512 - (offset & 511)))
    }
}
