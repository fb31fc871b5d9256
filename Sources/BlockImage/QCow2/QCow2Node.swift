internal import CLinux
internal import Synchronization
internal import SystemPackage

/// Unpacks one compressed cluster of `count` bytes; nil when the input is broken. It may have bytes after its end.
public typealias QCow2Inflate =
    @Sendable (_ compression: QCow2Header.Compression, _ input: [UInt8], _ count: Int) -> [UInt8]?

/// A disk in the format qcow2, over a file and perhaps a backing image.
///
/// Requests hold the clusters they touch: reads and writes in place together, those that change the mapping alone.
/// What needs no look at the disk's tables goes straight to the file; the rest works on the node's own threads. Lock
/// order: a cluster range, then the metadata lock; the file below is waited for with both held.
public final class QCow2Node: BatchingBackend, BlockNode {
    /// The driver's own options.
    public struct Options: Sendable {
        /// `l2-cache-size`, in bytes.
        public var l2CacheSize = 32 << 20
        /// `refcount-cache-size`, in bytes.
        public var refcountCacheSize = 1 << 20
        /// `pass-discard-request`: storage of freed clusters goes back to the file.
        public var passDiscard: Bool?
        /// Unpacks compressed clusters; without it, reading one fails with `ENOTSUP`.
        public var inflate: QCow2Inflate?
        /// The defaults.
        public init() {}
    }

    public let nodeName: String
    public let isReadOnly: Bool
    public var driverName: String { "qcow2" }
    public var filename: String { file.filename }
    public var logicalBlockSize: Int { 512 }
    public var sizeInBytes: UInt64 { size }
    public var children: [BlockChild] {
        [BlockChild(role: "file", node: file)] + (backing.map { [BlockChild(role: "backing", node: $0)] } ?? [])
    }

    /// The header as it was read.
    public let header: QCow2Header
    /// The internal snapshots.
    public let snapshots: [QCow2Snapshot]

    let file: any BlockNode
    let backing: (any BlockNode)?
    let size: UInt64
    let clusterSize: UInt64
    let inflate: QCow2Inflate?
    /// Guarded by `metadataLock`.
    let metadata: QCow2Metadata
    let metadataLock = Mutex(())
    /// The last compressed cluster that was read: small requests in a row unpack it once. It cannot go stale, as
    /// nothing packed is written here: as long as an entry points there, the bytes are the same.
    let inflated = Mutex<(host: UInt64, bytes: [UInt8])?>(nil)
    private let batching: (any BatchingBackend)?
    private let policy: RequestPolicy
    private let ranges = RangeLocks()
    private let inFlight = InFlight()
    private let pool = WorkerPool(name: "block-qcow2", maximum: 16)
    private let isClosed = Atomic(false)

    /// Reads the header of the image in `file`, checked.
    public static func readHeader(_ file: any BlockNode) throws(BlockError) -> QCow2Header {
        func read(_ count: Int) throws(BlockError) -> [UInt8] {
            let (status, bytes) = file.bytesAndWait(at: 0, count: count)
            guard status == 0 else {
                throw .system(path: file.filename, operation: "read", Errno(rawValue: status))
            }
            return bytes
        }
        let bits = try QCow2Header.clusterBits(try read(512), path: file.filename)
        return try QCow2Header(parsing: try read(1 << bits), path: file.filename)
    }

    /// Opens the image in `file`. `backing` is what the header's backing file names, opened. Blocks. To be closed.
    public init(
        file: any BlockNode, backing: (any BlockNode)?, nodeName: String, options: Options = Options(),
        node: NodeOptions = NodeOptions()
    ) throws(BlockError) {
        let path = file.filename
        let header = try QCow2Node.readHeader(file)
        guard node.readOnly || node.autoReadOnly || !file.isReadOnly else { throw .readOnly(path: path) }
        let readOnly = node.readOnly || file.isReadOnly
        if !readOnly {
            guard header.incompatible & QCow2Header.Incompatible.dirty == 0 else {
                throw .unsupported(
                    path: path, feature: "writing to a qcow2 image that was not closed (check repairs it)")
            }
            guard header.incompatible & QCow2Header.Incompatible.corrupt == 0 else {
                throw .unsupported(path: path, feature: "writing to a qcow2 image that is marked as damaged")
            }
        }
        metadata = try QCow2Metadata(
            header: header, file: file, path: path, l2CacheBytes: options.l2CacheSize,
            refcountCacheBytes: options.refcountCacheSize)
        snapshots = try QCow2Snapshot.table(header, path: path) { offset, count throws(BlockError) in
            guard offset <= file.sizeInBytes, UInt64(count) <= file.sizeInBytes - offset else {
                throw BlockError.invalidImage(path: path, reason: "the snapshot table ends behind the file")
            }
            let (status, bytes) = file.bytesAndWait(at: offset, count: count)
            guard status == 0 else { throw BlockError.system(path: path, operation: "read", Errno(rawValue: status)) }
            return bytes
        }
        metadata.noteFixedMetadata(snapshots)
        metadata.passesDiscard = options.passDiscard ?? (node.discard == .unmap)
        self.header = header
        self.file = file
        self.backing = backing
        self.nodeName = nodeName
        isReadOnly = readOnly
        size = header.size / 512 * 512
        clusterSize = UInt64(header.clusterSize)
        inflate = options.inflate
        batching = file as? any BatchingBackend
        policy = RequestPolicy(node, readOnly: readOnly)
        // Features that a writer without them must clear: what they describe is about to change.
        if !readOnly && header.version >= 3 && header.autoclear != 0 {
            let status = file.writeAndWait(at: 88, bytes: [UInt8](repeating: 0, count: 8))
            guard status == 0 else { throw .system(path: path, operation: "write", Errno(rawValue: status)) }
        }
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
                node.work(held) { () throws(QCow2Failure) in
                    try node.discard(offset: held.offset, length: held.length)
                }
            }
        case .writeZeroes(let mayUnmap):
            hold(request, isExclusive: true) { node, held in
                node.work(held) { () throws(QCow2Failure) in
                    try node.writeZeroes(offset: held.offset, length: held.length, mayUnmap: mayUnmap)
                }
            }
        }
    }

    private func refusal(of request: BlockRequest) -> Int32? {
        guard request.operation != .flush else { return nil }
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
    private func work(_ request: BlockRequest, _ body: @escaping @Sendable () throws(QCow2Failure) -> Void) {
        pool.submit { [self] in
            do throws(QCow2Failure) {
                try body()
                if request.forceUnitAccess { try flushTables() }
                request.completion(0)
            } catch {
                request.completion(error.status)
            }
        }
    }

    /// Looks at the tables, alone.
    func withTables<Value>(_ body: (QCow2Metadata) throws(QCow2Failure) -> Value) throws(QCow2Failure) -> Value {
        try metadataLock.withLock { _ throws(QCow2Failure) in
            let result: Result<Value, QCow2Failure>
            do throws(QCow2Failure) {
                result = .success(try body(metadata))
            } catch {
                result = .failure(error)
            }
            return try result.get()
        }
    }

    /// Changes the tables, alone. A damaged image is not changed any more, or the damage would spread; it is marked,
    /// so that nobody else does either before a check.
    func changingTables<Value>(
        _ body: (QCow2Metadata) throws(QCow2Failure) -> Value
    ) throws(QCow2Failure) -> Value {
        try withTables { metadata throws(QCow2Failure) in
            guard metadata.corruption == nil else {
                metadata.markCorrupt()
                throw .io(EIO)
            }
            do throws(QCow2Failure) {
                return try body(metadata)
            } catch {
                if case .corrupt = error { metadata.markCorrupt() }
                throw error
            }
        }
    }

    private func flushTables() throws(QCow2Failure) {
        try changingTables { metadata throws(QCow2Failure) in try metadata.flush() }
    }

    /// The run at an offset if the tables are at hand: nil when someone else holds them, or they must be read.
    private func runAtHand(_ offset: UInt64, _ length: UInt64) -> QCow2Run? {
        let run = metadataLock.withLockIfAvailable { _ in
            try? metadata.run(at: offset, limit: length, onlyCached: true)
        }
        return run ?? nil
    }

    private func read(_ request: BlockRequest) {
        if let run = runAtHand(request.offset, request.length), run.length >= request.length,
            case .normal(let host) = run.kind
        {
            var inner = request
            inner.offset = host
            return file.submit(inner)
        }
        work(request) { [self] () throws(QCow2Failure) in try read(request.offset, request.segments) }
    }

    private func write(_ request: BlockRequest) {
        let mask = clusterSize - 1
        let start = request.offset & ~mask
        ranges.acquire(start: start, end: (request.offset + request.length + mask) & ~mask, isExclusive: false) {
            [self] ticket in
            if let host = placeAtHand(request) {
                var inner = request
                inner.offset = host
                inner.completion = { [ranges] status in
                    ranges.release(ticket)
                    request.completion(status)
                }
                return file.submit(inner)
            }
            // Storage is needed, or a table must be read: alone on these clusters, and where it may block.
            ranges.release(ticket)
            hold(request, isExclusive: true) { node, held in
                node.work(held) { () throws(QCow2Failure) in try node.write(held.offset, held.segments) }
            }
        }
    }

    /// Where a write goes in the file, if it can go there as it is.
    private func placeAtHand(_ request: BlockRequest) -> UInt64? {
        guard let run = runAtHand(request.offset, request.length), run.length >= request.length, run.isCopied,
            case .normal(let host) = run.kind
        else { return nil }
        let isSafe = metadataLock.withLockIfAvailable { _ in
            metadata.corruption == nil && (try? metadata.checkOverlap(host, request.length)) != nil
                && !(request.forceUnitAccess && metadata.isDirty)
        }
        return isSafe == true ? host : nil
    }

    private func flush(_ request: BlockRequest) {
        let isClean = metadataLock.withLockIfAvailable { _ in !metadata.isDirty }
        if isClean == true { return file.submit(request) }
        work(request) { [self] () throws(QCow2Failure) in try flushTables() }
    }

    public func beginBatch() { batching?.beginBatch() }
    public func endBatch() { batching?.endBatch() }
    public func poll() { batching?.poll() }
    public func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }

    public func drain() {
        inFlight.waitUntilIdle()
        file.drain()
        backing?.drain()
    }

    public func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        drain()
        if !isReadOnly {
            // Nobody is left to tell; what was flushed is safe, and what was not is lost as with any disk.
            try? changingTables { metadata throws(QCow2Failure) in try metadata.settle() }
        }
        pool.close()
    }
}
