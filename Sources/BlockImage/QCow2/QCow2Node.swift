internal import CLinux
internal import Synchronization
internal import SystemPackage

/// A disk in the format qcow2, over a file and perhaps a backing image.
///
/// Requests hold the clusters they touch: reads and writes in place together, those that change the mapping alone.
/// What needs no look at the disk's tables goes straight to the file; the rest works on the node's own threads. Lock
/// order: a cluster range, then the metadata lock; the file below is waited for with both held.
public final class QCow2Node: BatchingBackend, BlockNode, Reopenable {
    public let nodeName: String
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) }
    public var driverName: String { "qcow2" }
    public var filename: String { file.filename }
    public var logicalBlockSize: Int { 512 }
    public var sizeInBytes: UInt64 { size }
    public var children: [BlockChild] {
        var children = [BlockChild(role: "file", node: file)]
        if header.hasDataFile { children.append(BlockChild(role: "data-file", node: dataFile)) }
        if let backing { children.append(BlockChild(role: "backing", node: backing)) }
        return children
    }

    /// The header as it was read.
    public let header: QCow2Header
    /// The header as it is now.
    public var currentHeader: QCow2Header { metadataLock.withLock { _ in metadata.header } }
    /// The internal snapshots.
    public var snapshots: [QCow2Snapshot] { metadataLock.withLock { _ in metadata.snapshots } }

    let file: any BlockNode
    /// Where guest data is: the file, or the external data file.
    let dataFile: any BlockNode
    /// The image below. A job may put another in its place, while nothing is in flight.
    var backing: (any BlockNode)? { link.withLock { $0 } }
    let link: Mutex<(any BlockNode)?>
    let readOnly: Atomic<Bool>
    let clusterSize: UInt64
    let currentSize: Atomic<UInt64>
    var size: UInt64 { currentSize.load(ordering: .relaxed) }
    /// How the guest's bytes are encrypted, of an image that is and was not opened only to be described.
    let encryption: QCow2Encryption?
    /// The persistent bitmaps that are being kept up to date.
    var bitmaps: QCow2BitmapStore? { store.withLock { $0 } }
    let store: Mutex<QCow2BitmapStore?>
    /// Guarded by `metadataLock`.
    let metadata: QCow2Metadata
    let metadataLock = Mutex(())
    /// The last compressed cluster that was read: small requests in a row unpack it once. Writing a packed cluster
    /// empties it: else the bytes stay the same for as long as an entry points there.
    let inflated = Mutex<(host: UInt64, bytes: [UInt8])?>(nil)
    private let batching: (any BatchingBackend)?
    /// The file below wants to know what happens here, or bytes have to be encrypted: all work is done where that may
    /// block.
    private let needsThread: Bool
    let usualPolicy: NodePolicy
    var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly || isElsewhere
        return policy
    }
    let ranges = RangeLocks()
    let inFlight = InFlight()
    private let pool = WorkerPool(name: "block-qcow2", maximum: 16)
    let isClosed = Atomic(false)
    /// Another process has the image: it is not written, and its tables are read anew when it is taken over.
    let elsewhere: Atomic<Bool>
    var isElsewhere: Bool { elsewhere.load(ordering: .relaxed) }
    let closingStatus = Atomic<Int32>(0)
    /// Who is told of damage; with the tables held.
    let observer: (@Sendable (ImageCorruption) -> Void)?

    /// Reads the header of the image in `file`, checked.
    public static func readHeader(_ file: any BlockNode) throws(BlockError) -> QCow2Header {
        func read(_ count: Int) throws(BlockError) -> [UInt8] {
            let (status, bytes) = file.bytesAndWait(at: 0, count: count)
            guard status == 0 else {
                throw .system(path: file.filename, operation: "read", Errno(rawValue: status))
            }
            return bytes
        }
        // Most have all of it in their first bytes.
        let head = try read(QCow2Header.usualLength)
        let bits = try QCow2Header.clusterBits(head, path: file.filename)
        let isWhole = 1 << bits <= head.count || QCow2Header.isWhole(head)
        return try QCow2Header(
            parsing: isWhole ? Array(head.prefix(1 << bits)) : try read(1 << bits), path: file.filename)
    }

    /// Opens the image in `file`. `backing` is what the header's backing file names, opened. Blocks. To be closed.
    public init(
        file: any BlockNode, backing: (any BlockNode)?, nodeName: String, options: Options = Options(),
        node: NodeOptions = NodeOptions()
    ) throws(BlockError) {
        let path = file.filename
        var header: QCow2Header
        if let read = options.header { header = read } else { header = try QCow2Node.readHeader(file) }
        guard node.readOnly || node.autoReadOnly || !file.isReadOnly else { throw .readOnly(path: path) }
        guard header.refcountTableClusters > 0 || options.isRepair else {
            throw .invalidImage(path: path, reason: "Image does not contain a reference count table")
        }
        let readOnly = node.readOnly || file.isReadOnly
        encryption = try QCow2Encryption(header, options, file, readOnly: readOnly)
        elsewhere = Atomic(options.isElsewhere)
        observer = options.onCorruption
        if !readOnly && !options.isRepair && !options.isElsewhere {
            guard header.incompatible & QCow2Header.Incompatible.corrupt == 0 else {
                throw .invalidImage(path: path, reason: "qcow2: Image is corrupt; cannot be opened read/write")
            }
            if header.incompatible & QCow2Header.Incompatible.dirty != 0 {
                // Counts lagged behind when the last user ended: made right before anything is allocated by them.
                try QCow2Check.repairDirty(file: file)
                header = try QCow2Node.readHeader(file)
            }
        }
        metadata = try QCow2Metadata(
            header: header, file: file, path: path, l2CacheBytes: options.l2CacheSize,
            refcountCacheBytes: options.refcountCacheSize, isDescription: options.isDescription && readOnly)
        metadata.snapshots = try QCow2Snapshot.table(header, file: file)
        metadata.noteFixedMetadata()
        metadata.passDiscard = options.passDiscard
        metadata.passesDiscard = options.passDiscard ?? (node.discard == .unmap)
        self.header = header
        self.file = file
        link = Mutex(backing)
        self.nodeName = nodeName
        self.readOnly = Atomic(readOnly)
        var shown = header.size
        if let key = options.snapshot {
            let all = metadata.snapshots
            guard readOnly, let found = all.first(where: { $0.id == key }) ?? all.first(where: { $0.name == key })
            else { throw .snapshot("Can't find snapshot") }
            metadata.l1 = try QCow2Metadata.numbers(file, path, found.l1Offset, Int(found.l1Size))
            guard UInt64(found.l1Size) >= header.l1Entries(for: found.diskSize) else {
                throw .invalidImage(path: path, reason: "Snapshot '\(found.id)' has too small an L1 table")
            }
            shown = found.diskSize
        }
        currentSize = Atomic(shown / 512 * 512)
        clusterSize = UInt64(header.clusterSize)
        dataFile = try QCow2Node.dataFile(of: header, file, options)
        metadata.dataFile = dataFile
        batching = file as? any BatchingBackend
        needsThread = file.wantsEvents || encryption != nil
        metadata.isEncrypted = header.encryption != 0
        usualPolicy = NodePolicy(node, readOnly: readOnly)
        store = Mutex(readOnly ? nil : try QCow2BitmapStore(header: header, metadata: metadata, path: path))
        if !readOnly && !options.isElsewhere { metadata.header = try clearUnknown(header) }
    }

    /// Clears features that a writer without them must clear: what they describe is about to change.
    func clearUnknown(_ header: QCow2Header) throws(BlockError) -> QCow2Header {
        guard header.version >= 3, header.autoclear & ~QCow2Header.Autoclear.known != 0 else { return header }
        var header = header
        header.autoclear &= QCow2Header.Autoclear.known
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.store(header.autoclear, at: 0)
        try file.put(bytes, at: 88)
        return header
    }

    private static func dataFile(
        of header: QCow2Header, _ file: any BlockNode, _ options: Options
    ) throws(BlockError) -> any BlockNode {
        guard header.hasDataFile else {
            guard options.dataFile == nil else {
                throw .invalidImage(
                    path: file.filename, reason: "'data-file' can only be set for images with an external data file")
            }
            return file
        }
        guard let dataFile = options.dataFile else {
            if options.isDescription { return file }
            throw .invalidImage(path: file.filename, reason: "'data-file' is required for this image")
        }
        return dataFile
    }

    public func submit(_ request: BlockRequest) {
        var request = request
        let completion = request.completion
        guard !isClosed.load(ordering: .relaxed) else { return completion(EBADF) }
        inFlight.enter()
        request.completion = { [inFlight] status in
            completion(status)
            inFlight.leave()
        }
        if let status = policy.apply(to: &request) ?? refusal(of: request) {
            return pool.submit { [request] in request.completion(status) }
        }
        switch request.operation {
        case .flush: flush(request)
        case .read: hold(request, isExclusive: false) { $0.read($1) }
        case .write: write(request)
        case .discard:
            hold(request, isExclusive: true) { node, held in
                node.work(held) { () throws(ImageFailure) in
                    try node.discard(offset: held.offset, length: held.length)
                }
            }
        case .writeZeroes(let mayUnmap):
            hold(request, isExclusive: true) { node, held in
                node.work(held) { () throws(ImageFailure) in
                    try node.writeZeroes(offset: held.offset, length: held.length, mayUnmap: mayUnmap)
                }
            }
        }
    }

    func refusal(of request: BlockRequest) -> Int32? {
        guard request.operation != .flush else { return nil }
        guard header.encryption == 0 || encryption != nil else { return EACCES }
        guard request.offset <= size, request.length <= size - request.offset else { return EINVAL }
        return nil
    }

    /// Calls `body` when the request's clusters are its own (or shared with others that do not change the mapping).
    private func hold(
        _ request: BlockRequest, isExclusive: Bool, _ body: @escaping @Sendable (QCow2Node, BlockRequest) -> Void
    ) {
        let mask = clusterSize - 1
        ranges.acquire(
            start: request.offset & ~mask, end: (request.offset + request.length + mask) & ~mask,
            isExclusive: isExclusive
        ) { [self] ticket in
            var held = request
            held.completion = { [ranges] status in
                ranges.release(ticket)
                request.completion(status)
            }
            body(self, held)
        }
    }

    /// Runs a blocking step of a request on a thread of the node's, and completes it: durably if it asks for that.
    private func work(_ request: BlockRequest, _ body: @escaping @Sendable () throws(ImageFailure) -> Void) {
        pool.submit { [self] in
            do throws(ImageFailure) {
                try body()
                if request.forceUnitAccess { try flushTables() }
                request.completion(0)
            } catch {
                request.completion(error.status)
            }
        }
    }

    /// Looks at the tables, alone.
    func withTables<Value>(_ body: (QCow2Metadata) throws(ImageFailure) -> Value) throws(ImageFailure) -> Value {
        try metadataLock.withLock { _ throws(ImageFailure) in
            let result: Result<Value, ImageFailure>
            do throws(ImageFailure) {
                result = .success(try body(metadata))
            } catch {
                if case .corrupt = error { signalCorruption() }
                result = .failure(error)
            }
            return try result.get()
        }
    }

    /// Changes the tables, alone. A damaged image is not changed any more, or the damage would spread; it is marked,
    /// so that nobody else does either before a check.
    func changingTables<Value>(
        _ body: (QCow2Metadata) throws(ImageFailure) -> Value
    ) throws(ImageFailure) -> Value {
        try withTables { metadata throws(ImageFailure) in
            guard metadata.corruption == nil else {
                signalCorruption()
                throw .io(EIO)
            }
            guard !metadata.isLost else { throw .io(EIO) }
            metadata.isChanging = true
            defer { metadata.isChanging = false }
            do throws(ImageFailure) {
                return try body(metadata)
            } catch {
                // Clusters may be counted that nothing points to: the image keeps its mark until it is counted anew.
                metadata.mayLeak = true
                throw error
            }
        }
    }

    func flushTables() throws(ImageFailure) {
        try changingTables { metadata throws(ImageFailure) in try metadata.flush() }
    }

    /// The run at an offset if the tables are at hand: nil when someone else holds them, or they must be read.
    private func runAtHand(_ offset: UInt64, _ length: UInt64) -> QCow2Run? {
        guard !needsThread else { return nil }
        let run = metadataLock.withLockIfAvailable { _ in
            // A damage is told, and the image marked, where that may block: whoever gets nothing here comes there.
            metadata.trying { try? metadata.run(at: offset, limit: length, onlyCached: true) }
        }
        return run ?? nil
    }

    private func read(_ request: BlockRequest) {
        if let run = runAtHand(request.offset, request.length), run.length >= request.length,
            case .normal(let host) = run.kind
        {
            var inner = request
            inner.offset = host
            return dataFile.submit(inner)
        }
        work(request) { [self] () throws(ImageFailure) in try read(request.offset, request.segments) }
    }

    private func write(_ request: BlockRequest) {
        let mask = clusterSize - 1
        let start = request.offset & ~mask
        ranges.acquire(start: start, end: (request.offset + request.length + mask) & ~mask, isExclusive: false) {
            [self] ticket in
            if let host = placeAtHand(request) {
                noteWrite(request.offset, request.length)
                var inner = request
                inner.offset = host
                inner.completion = { [ranges] status in
                    ranges.release(ticket)
                    request.completion(status)
                }
                return dataFile.submit(inner)
            }
            // Storage is needed, or a table must be read: alone on these clusters, and where it may block.
            ranges.release(ticket)
            hold(request, isExclusive: true) { node, held in
                node.work(held) { () throws(ImageFailure) in try node.write(held.offset, held.segments) }
            }
        }
    }

    /// Where a write goes in the file, if it can go there as it is.
    private func placeAtHand(_ request: BlockRequest) -> UInt64? {
        guard let run = runAtHand(request.offset, request.length), run.length >= request.length, run.isCopied,
            case .normal(let host) = run.kind
        else { return nil }
        let isSafe = metadataLock.withLockIfAvailable { _ in
            metadata.corruption == nil
                && metadata.trying { (try? metadata.checkOverlap(host, request.length)) != nil }
                && !(request.forceUnitAccess && (metadata.isDirty || metadata.hasUnflushedTables))
        }
        return isSafe == true ? host : nil
    }

    private func flush(_ request: BlockRequest) {
        let isClean = needsThread ? false : metadataLock.withLockIfAvailable { _ in !metadata.isDirty }
        if isClean == true && !header.hasDataFile { return file.submit(request) }
        work(request) { [self] () throws(ImageFailure) in try flushTables() }
    }

    /// Notes that guest bytes change, for the bitmaps that record it. Before the change.
    func noteWrite(_ offset: UInt64, _ length: UInt64) {
        // What lies behind the end is a machine's state.
        if offset < size { bitmaps?.note(offset, length) }
    }

    public func beginBatch() { batching?.beginBatch() }
    public func endBatch() { batching?.endBatch() }
    public func poll() { batching?.poll() }
    public var wantsEvents: Bool { file.wantsEvents }
    public func debugEvent(_ event: BlockEvent) { file.debugEvent(event) }
    public func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }

    public func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        drainAlone()
        // A long chain goes image by image, not from the top through all of them.
        defer { link.withLock { $0 = nil } }
        if !isReadOnly, !isElsewhere {
            // What was flushed is safe, and what was not is lost as with any disk.
            do throws(ImageFailure) {
                try changingTables { metadata throws(ImageFailure) in
                    try bitmaps?.save(metadata)
                    try metadata.settle()
                    if !metadata.mayLeak { try metadata.mark(dirty: false) }
                }
            } catch {
                if corruption == nil { closingStatus.store(error.status, ordering: .relaxed) }
            }
        }
        pool.close()
    }
}
