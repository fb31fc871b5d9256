internal import CLinux
internal import Synchronization

/// What is read from the images below is stored in the one on top, so that it is read from there the next time
/// (`copy-on-read`).
///
/// A read that stores has its range alone; writes share theirs, and come before or after it.
public final class CopyOnReadNode: BatchingBackend, FilterNode, Resizable, SparseMappable, Reopenable {
    public let nodeName: String
    public var driverName: String { "copy-on-read" }
    public var filename: String { file.filename }
    public var sizeInBytes: UInt64 { file.sizeInBytes }
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) || file.isReadOnly }
    public var logicalBlockSize: Int { file.logicalBlockSize }
    public var children: [BlockChild] { [BlockChild(role: "file", node: file)] }

    public var filtered: any BlockNode { file }
    private var file: any BlockNode { link.withLock { $0.node } }
    private let link: Mutex<FilterLink>
    let usualPolicy: NodePolicy
    private let readOnly: Atomic<Bool>
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly
        return policy
    }
    private let ranges = RangeLocks()
    private let inFlight = InFlight()
    /// Reads wait for clusters of the image that its own threads may be working on.
    private let pool = WorkerPool(name: "block-cor", maximum: 16)

    /// Bytes that are read and stored at once.
    private static let step = 1 << 20
    /// Ranges are held in units of the largest cluster: what a write fills up around itself lies inside.
    private static let unit: UInt64 = 2 << 20

    /// Stores what is read in `file`, which has an image below it, or nothing happens.
    package init(_ file: any BlockNode, nodeName: String, node: NodeOptions) throws(BlockError) {
        guard file is any SparseMappable else {
            throw .message("Images of the format '\(file.driverName)' cannot be copied to on reads")
        }
        link = Mutex(FilterLink(file))
        self.nodeName = nodeName
        usualPolicy = NodePolicy(node, readOnly: node.readOnly)
        readOnly = Atomic(node.readOnly)
    }

    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        if file.isReadOnly != wanted {
            guard let file = file as? any Reopenable else { throw .readOnly(path: filename) }
            try file.reopen(readOnly: wanted)
        }
        readOnly.store(wanted, ordering: .relaxed)
    }

    private func range(_ request: BlockRequest) -> (start: UInt64, end: UInt64) {
        let start = request.offset / Self.unit * Self.unit
        let (end, isTooFar) = request.offset.addingReportingOverflow(request.length)
        guard !isTooFar, end <= UInt64(Int64.max) else { return (start, UInt64.max) }
        return (start, (end + Self.unit - 1) / Self.unit * Self.unit)
    }

    public func submit(_ request: BlockRequest) {
        var inner = request
        if let status = policy.apply(to: &inner) {
            inFlight.enter()
            return pool.submit { [inFlight] in
                request.completion(status)
                inFlight.leave()
            }
        }
        let changed = inner
        guard changed.operation != .flush else { return file.submit(changed) }
        let (start, end) = range(changed)
        inFlight.enter()
        ranges.acquire(start: start, end: end, isExclusive: changed.operation == .read) { [self] ticket in
            let finish: @Sendable (Int32) -> Void = { [self] status in
                ranges.release(ticket)
                request.completion(status)
                inFlight.leave()
            }
            if changed.operation == .read { return pool.submit { [self] in finish(read(changed)) } }
            var held = changed
            held.completion = finish
            file.submit(held)
        }
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        var inner = request
        if let status = policy.apply(to: &inner) { return status }
        guard inner.operation != .flush else { return file.carryOut(inner) }
        let (start, end) = range(inner)
        let ticket = ranges.acquireAndWait(start: start, end: end, isExclusive: inner.operation == .read)
        defer { ranges.release(ticket) }
        return inner.operation == .read ? read(inner) : file.carryOut(inner)
    }

    /// Reads, and stores what the images below have.
    private func read(_ request: BlockRequest) -> Int32 {
        let total = Int(request.length)
        guard !file.isReadOnly else { return file.readAndWait(at: request.offset, into: request.segments) }
        var buffer: AlignedBuffer?
        var done = 0
        while done < total {
            let at = request.offset + UInt64(done)
            let found = try? (file as? any SparseMappable)?.extents(offset: at, length: UInt64(total - done), limit: 1)
            let length = found?.first.map { Int(clamping: $0.length) } ?? total - done
            var count = max(1, min(length, total - done))
            let isBelow = found?.first.map { !$0.isAllocated && !$0.isZero } ?? false
            guard isBelow else {
                let status = file.readAndWait(at: at, into: request.segments.slice(from: done, count: count))
                if status != 0 { return status }
                done += count
                continue
            }
            // Through memory that nobody else changes: what is stored is what was read.
            let own = buffer ?? AlignedBuffer(count: Self.step)
            buffer = own
            count = min(count, own.count)
            // SAFETY: the count is at most the buffer's, which lives until the requests end.
            let part = unsafe [BlockSegment(pointer: own.base, count: count)]
            let status = file.readAndWait(at: at, into: part)
            if status != 0 { return status }
            file.debugEvent(.corWrite)
            // What cannot be stored is read from below the next time, too.
            _ =
                part[0].isZero
                ? file.performAndWait(.writeZeroes(mayUnmap: true), offset: at, length: UInt64(count))
                : file.writeAndWait(at: at, from: part)
            unsafe request.segments.slice(from: done, count: count).fill(from: own.base)
            done += count
        }
        return 0
    }

    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard let file = file as? any Resizable else { throw .invalidSize(path: filename, size: size) }
        try file.resize(to: size, preallocation: preallocation)
    }
    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard let file = file as? any SparseMappable else {
            return [BlockExtent(offset: offset, length: length, isAllocated: true, isZero: false)]
        }
        return try file.extents(offset: offset, length: length, limit: limit)
    }
    public func allocatedBytes() throws(BlockError) -> UInt64 {
        try (file as? any SparseMappable)?.allocatedBytes() ?? sizeInBytes
    }
    public func exchange(filtered node: any BlockNode) { FilterLink.exchange(link, node) }

    public func beginBatch() { link.withLock { $0.changeBatches(by: 1) }?.beginBatch() }
    public func endBatch() { link.withLock { $0.changeBatches(by: -1) }?.endBatch() }
    public func poll() { link.withLock { $0.batching }?.poll() }
    public var wantsEvents: Bool { file.wantsEvents }
    public func debugEvent(_ event: BlockEvent) { file.debugEvent(event) }
    public func schedule(_ work: @escaping @Sendable () -> Void) { file.schedule(work) }
    public func drain() {
        inFlight.waitUntilIdle()
        file.drain()
    }
    public func close() {
        drain()
        pool.close()
    }
}

extension BlockDriver {
    /// The driver `copy-on-read`.
    static var copyOnRead: BlockDriver {
        BlockDriver(name: "copy-on-read") { graph, options, node, nodeName throws(BlockError) in
            _ = options.take("bottom")
            let file = try graph.openChild("file", of: "copy-on-read", &options, node)
            do throws(BlockError) {
                try options.finish(driver: "copy-on-read")
                return try CopyOnReadNode(file, nodeName: nodeName, node: node)
            } catch {
                graph.discard(file)
                throw error
            }
        }
    }
}
