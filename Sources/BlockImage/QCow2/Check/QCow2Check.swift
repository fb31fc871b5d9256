/// The check of a qcow2 image: counts every reference to a cluster and compares with the counts on the disk. What it
/// says are `qemu-img check`'s words.
///
/// Works on the file, below the node: nothing else may use the image meanwhile.
public final class QCow2Check {
    let file: any BlockNode
    var header: QCow2Header
    var snapshots: [QCow2Snapshot] = []
    let repair: ImageCheck.Repair
    let report: (String) -> Void
    var result = ImageCheck()
    var counts = ReferenceCounts()
    /// Clusters of the file.
    let clusters: UInt64
    let fileSize: UInt64
    let clusterBits: UInt64
    let clusterSize: UInt64
    var refcountTable: [UInt64] = []
    /// The counts on the disk cannot be mended one by one.
    var needsRebuild = false
    var highestCluster: UInt64 = 0
    /// Counts on the disk that are wrong and stay so.
    var wrongCounts: [UInt64: UInt64] = [:]
    /// Leaves out the reference count table and its blocks: they are to be made anew.
    var skipsRefcounts = false
    /// A table in memory, used for one after the other.
    let buffer: AlignedBuffer

    /// A check of the image in `file`, whose size is that of the header it has. `report` gets a line at a time.
    public init(
        file: any BlockNode, repair: ImageCheck.Repair = .nothing, report: @escaping (String) -> Void
    ) throws(BlockError) {
        self.file = file
        self.repair = repair
        self.report = report
        header = try QCow2Node.readHeader(file)
        clusterBits = UInt64(header.clusterBits)
        clusterSize = UInt64(header.clusterSize)
        fileSize = file.sizeInBytes
        clusters = (fileSize + clusterSize - 1) >> clusterBits
        buffer = AlignedBuffer(count: header.clusterSize)
    }

    /// Mends an image whose counts lag behind, without a word.
    static func repairDirty(file: any BlockNode) throws(BlockError) {
        let check = try QCow2Check(file: file, repair: .all) { _ in }
        let result = try check.run()
        guard result.corruptions == 0, result.errors == 0 else {
            throw .invalidImage(path: file.filename, reason: "qcow2: Image is corrupt; cannot be opened read/write")
        }
    }

    /// Checks, and mends what it may. Throws only when the image cannot be read.
    public func run() throws(BlockError) -> ImageCheck {
        snapshots = try QCow2Snapshot.table(header, file: file)
        try readRefcountTable()
        result.totalClusters = (header.size + clusterSize - 1) >> clusterBits
        try countReferences()
        let before = result
        // What is wrong is told first, then mended, each with its line.
        try compare(fixing: .nothing)
        if needsRebuild && repair == .all {
            try rebuild()
        } else if needsRebuild && repair != .nothing {
            report("ERROR need to rebuild refcount structures")
            result.errors += 1
            throw .invalidImage(path: file.filename, reason: "ERROR need to rebuild refcount structures")
        } else if repair != .nothing && result.leaks + result.corruptions > 0 {
            (result, wrongCounts) = (before, [:])
            try compare(fixing: repair)
        }
        if repair != .nothing && !needsRebuild { try clearBehindEnd() }
        try checkCopiedFlags()
        result.imageEnd = (highestCluster + 1) << clusterBits
        if repair != .nothing { try markClean() }
        return result
    }

    private func readRefcountTable() throws(BlockError) {
        refcountTable = try QCow2Metadata.numbers(
            file, file.filename, header.refcountTableOffset,
            Int(header.refcountTableClusters) * header.clusterSize / 8)
    }

    /// Clears the marks of damage that is mended.
    private func markClean() throws(BlockError) {
        guard header.version >= 3, result.errors == 0, result.corruptions == 0 else { return }
        let marks = QCow2Header.Incompatible.dirty | QCow2Header.Incompatible.corrupt
        guard header.incompatible & marks != 0 else { return }
        try file.flushAndWait()
        header.incompatible &= ~marks
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.store(header.incompatible, at: 0)
        try file.put(bytes, at: 72)
        try file.flushAndWait()
    }

    // MARK: Counting

    func countReferences() throws(BlockError) {
        addRange(0, clusterSize)
        try countL1(header.l1Offset, Int(header.l1Size), isActive: true)
        for snapshot in snapshots { try countL1(snapshot.l1Offset, Int(snapshot.l1Size), isActive: false) }
        if !snapshots.isEmpty {
            addRange(header.snapshotOffset, snapshots.reduce(0) { $0 + UInt64($1.encoded().count) })
        }
        if let place = header.encryptionHeader { addRange(place.offset, place.length) }
        try countBitmaps()
        guard !skipsRefcounts else { return }
        addRange(header.refcountTableOffset, UInt64(header.refcountTableClusters) << clusterBits)
        countRefcountBlocks()
    }

    /// Adds a reference to every cluster that a range of the file touches.
    func addRange(_ offset: UInt64, _ length: UInt64) {
        guard length > 0 else { return }
        let (end, overflow) = offset.addingReportingOverflow(length)
        // The last cluster of an image may be there only in part.
        guard !overflow, end < fileSize + clusterSize || end <= fileSize else {
            report(
                "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
                    + "offset 0x\(String(offset, radix: 16)) size 0x\(String(length, radix: 16))")
            result.corruptions += 1
            return
        }
        for cluster in offset >> clusterBits...(end - 1) >> clusterBits { counts.add(cluster) }
    }

    private func countL1(_ offset: UInt64, _ size: Int, isActive: Bool) throws(BlockError) {
        guard size > 0 else { return }
        addRange(offset, UInt64(size) * 8)
        guard offset <= fileSize, UInt64(size) * 8 <= (fileSize - offset + clusterSize) else { return }
        let l1 = try QCow2Metadata.numbers(file, file.filename, offset, size)
        for entry in l1 where entry != 0 {
            if entry & QCow2Metadata.l1Reserved != 0 {
                report("ERROR found L1 entry with reserved bits set: \(String(entry, radix: 16))")
                result.corruptions += 1
            }
            let table = entry & QCow2Metadata.offsetMask
            addRange(table, clusterSize)
            if table & (clusterSize - 1) != 0 {
                report(
                    "ERROR l2_offset=\(String(table, radix: 16)): Table is not cluster aligned; L1 entry corrupted")
                result.corruptions += 1
            }
            guard table < fileSize else { continue }
            try load(table)
            countL2(isActive: isActive)
        }
    }

    /// Reads a table into the buffer.
    func load(_ offset: UInt64) throws(BlockError) {
        let status = unsafe file.readAndWait(
            at: offset, into: [BlockSegment(pointer: buffer.base, count: buffer.count)])
        guard status == 0 else { throw .io(path: file.filename, operation: "read a table of", status) }
    }

    /// A number of the table in the buffer, at an index under the cluster size's eighth.
    @inline(__always)
    func number(_ index: Int) -> UInt64 {
        // SAFETY: callers stay under the buffer's size.
        unsafe UInt64(bigEndian: buffer.base.load(fromByteOffset: index * 8, as: UInt64.self))
    }

    private func countL2(isActive: Bool) {
        let step = header.isExtended ? 2 : 1
        var expected: UInt64 = 0
        for index in stride(from: 0, to: Int(clusterSize) / 8, by: step) {
            let descriptor = number(index)
            let bitmap = step == 2 ? number(index + 1) : 0
            guard descriptor | bitmap != 0 else { continue }
            if descriptor & QCow2Metadata.compressed != 0 {
                countPacked(descriptor, index / step, isActive: isActive)
                continue
            }
            if descriptor & QCow2Metadata.l2Reserved != 0 {
                report("ERROR found l2 entry with reserved bits set: \(String(descriptor, radix: 16))")
                result.corruptions += 1
            }
            let host = descriptor & QCow2Metadata.offsetMask
            let isPlaced = host != 0 || (header.hasDataFile && descriptor & QCow2Metadata.copied != 0)
            guard isPlaced else {
                if bitmap & QCow2Entry.allAllocated != 0 {
                    report("ERROR: Unallocated cluster has non-zero subcluster allocation map")
                    result.corruptions += 1
                }
                continue
            }
            if bitmap >> 32 & bitmap != 0 {
                report(
                    "ERROR offset=\(String(host, radix: 16)): Allocated cluster has corrupted subcluster allocation "
                        + "bitmap")
                result.corruptions += 1
                continue
            }
            guard host & (clusterSize - 1) == 0 else {
                report(
                    "ERROR offset=\(String(host, radix: 16)): Cluster is not properly aligned; L2 entry corrupted.")
                result.corruptions += 1
                continue
            }
            if isActive {
                result.allocatedClusters += 1
                if expected != 0 && host != expected { result.fragmentedClusters += 1 }
                expected = host + clusterSize
            }
            guard !header.hasDataFile else { continue }
            if host < fileSize { counts.add(host >> clusterBits) } else { addRange(host, clusterSize) }
        }
    }

    private func countPacked(_ descriptor: UInt64, _ index: Int, isActive: Bool) {
        let (offset, length) = QCow2Metadata.packed(descriptor, clusterBits)
        if descriptor & QCow2Metadata.copied != 0 {
            report(
                "ERROR: coffset=0x\(String(offset, radix: 16)): copied flag must never be set for compressed clusters")
            result.corruptions += 1
        }
        guard !header.hasDataFile else {
            report("ERROR compressed cluster \(index) with data file, entry=0x\(String(descriptor, radix: 16))")
            result.corruptions += 1
            return
        }
        if isActive {
            result.allocatedClusters += 1
            result.compressedClusters += 1
            result.fragmentedClusters += 1
        }
        addRange(offset, UInt64(length))
    }

    private func countBitmaps() throws(BlockError) {
        guard let place = header.bitmaps else { return }
        addRange(place.directoryOffset, place.directorySize)
        for bitmap in try QCow2Bitmap.directory(header, file: file) {
            addRange(bitmap.tableOffset, UInt64(bitmap.tableSize) * 8)
            guard bitmap.tableOffset < fileSize else { continue }
            let table = try QCow2Metadata.numbers(
                file, file.filename, bitmap.tableOffset, Int(bitmap.tableSize))
            for entry in table {
                let offset = entry & QCow2Metadata.offsetMask
                if entry & ~(QCow2Metadata.offsetMask | 1) != 0 || offset & (clusterSize - 1) != 0 {
                    result.corruptions += 1
                } else if offset != 0 {
                    addRange(offset, clusterSize)
                }
            }
        }
    }

    private func countRefcountBlocks() {
        for (index, entry) in refcountTable.enumerated() where entry != 0 {
            guard entry & 0x1ff == 0 else {
                report("ERROR refcount table entry \(index) has reserved bits set")
                result.corruptions += 1
                needsRebuild = true
                continue
            }
            guard entry & (clusterSize - 1) == 0 else {
                report("ERROR refcount block \(index) is not cluster aligned; refcount table entry corrupted")
                result.corruptions += 1
                needsRebuild = true
                continue
            }
            guard entry >> clusterBits < clusters else {
                report("ERROR refcount block \(index) is outside image")
                result.corruptions += 1
                needsRebuild = true
                continue
            }
            addRange(entry, clusterSize)
            let count = counts.count(entry >> clusterBits)
            if count != 1 {
                report("ERROR refcount block \(index) refcount=\(count)")
                result.corruptions += 1
                needsRebuild = true
            }
        }
    }
}
