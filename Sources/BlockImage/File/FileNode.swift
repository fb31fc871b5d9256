internal import CLinux
internal import HostOS
internal import Synchronization
internal import SystemPackage

/// The bottom of the graph: a regular file (`file`) or a block device of the host (`host_device`).
///
/// Reads past the end give zeroes; writes past the end of a regular file make it grow.
public final class FileNode: BatchingBackend, BlockNode, Reopenable {
    public let nodeName: String
    public let driverName: String
    public let filename: String
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) }
    public var children: [BlockChild] { [] }
    public var logicalBlockSize: Int { 512 }
    public var growsWithZeroes: Bool { !access.isBlockDevice }
    public var sizeInBytes: UInt64 { (access.size.load(ordering: .relaxed) &+ 511) / 512 * 512 }

    let access: FileAccess
    private let engine: any FileEngine
    private let readOnly: Atomic<Bool>
    let usualPolicy: NodePolicy
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly || isInactive.load(ordering: .relaxed)
        return policy
    }
    private let options: FileOptions
    private let nodeOptions: NodeOptions
    private let opener: FileOpener
    let noFlush: Atomic<Bool>
    private let inFlight = InFlight()
    /// Of direct I/O alone.
    private let ranges = RangeLocks()
    private let isClosed = Atomic(false)
    private let highest = Atomic<UInt64>(0)
    let locking: FileLocking
    let forcesShare: Bool
    /// Another process has the image: this one holds no locks, and does not write.
    let isInactive: Atomic<Bool>

    /// Behind the last byte that was written since the file was opened (QEMU's `wr_highest_offset`).
    public var highestWrite: UInt64 { highest.load(ordering: .relaxed) }

    /// What carries the requests: `io_uring` or `threads`.
    public var engineName: String { engine.name }
    /// The multiple that requests need to go straight to the disk; others are bounced. 1 through the page cache.
    public var requestAlignment: Int { access.alignment }

    /// Opens the file. Blocks. Must be closed in the end: its completion thread keeps it alive.
    public init(
        _ options: FileOptions, node: NodeOptions, isDevice: Bool, nodeName: String,
        open: @escaping FileOpener = FileNode.openDirectly
    ) throws(BlockError) {
        let path = options.path
        let driver = isDevice ? "host_device" : "file"
        if options.aio == .native && !node.cache.direct {
            throw BlockError.invalidOption(option: "aio", value: "native", expected: "cache.direct=on with it")
        }
        let (descriptor, readOnly) = try FileNode.open(path, node, open, waits: options.waitsForWriter)
        do throws(BlockError) {
            try FileNode.checkKind(descriptor, path, isDevice)
            if options.locking != .off, !options.isInactive {
                try ImageLock.acquire(
                    descriptor, path: path, writes: !readOnly, forceShare: node.forceShare,
                    insists: options.locking == .on)
            }
        } catch {
            CLinux.close(descriptor)
            throw error
        }
        access = try FileAccess(
            descriptor: descriptor, path: path, isBlockDevice: isDevice, isDirect: node.cache.direct)
        self.nodeName = nodeName
        driverName = driver
        filename = path
        self.readOnly = Atomic(readOnly)
        (self.options, nodeOptions, opener) = (options, node, open)
        noFlush = Atomic(node.cache.noFlush)
        usualPolicy = NodePolicy(node, readOnly: readOnly)
        locking = options.locking
        forcesShare = node.forceShare
        isInactive = Atomic(options.isInactive)
        engine = try FileNode.engine(options, access, isLate: readOnly)
    }

    /// `open(2)` by this process itself.
    public static let openDirectly: FileOpener = { path, flags, mode in
        let descriptor = unsafe apus_open(path, flags, mode)
        return descriptor < 0 ? .failure(Errno(rawValue: apus_errno())) : .success(descriptor)
    }

    private static func open(
        _ path: String, _ node: NodeOptions, _ open: FileOpener, waits: Bool = false
    ) throws(BlockError) -> (Int32, Bool) {
        // Not to sleep on a FIFO; files and disks do not mind.
        let flags = O_CLOEXEC | O_NONBLOCK | (node.cache.direct ? O_DIRECT : 0)
        guard !path.utf8.contains(0) else { throw BlockError.notFound(path: path) }
        func attempt(_ access: Int32) throws(BlockError) -> Int32? {
            switch open(path, flags | access, 0) {
            case .success(let descriptor): return descriptor
            case .failure(let reason):
                if reason == .invalidArgument && node.cache.direct { throw BlockError.noDirectIO(path: path) }
                let refusesWrites = reason == .permissionDenied || reason == .readOnlyFileSystem
                if access == O_RDWR && node.autoReadOnly && (refusesWrites || reason == .notPermitted) { return nil }
                throw BlockError.opening(path, forWriting: access == O_RDWR, reason)
            }
        }
        let waits = waits && !node.readOnly && node.autoReadOnly
        if waits, let descriptor = try? attempt(O_RDONLY) { return (descriptor, true) }
        if !node.readOnly, let descriptor = try attempt(O_RDWR) { return (descriptor, false) }
        guard let descriptor = try attempt(O_RDONLY) else { throw BlockError.notFound(path: path) }
        return (descriptor, true)
    }

    private static func checkKind(_ descriptor: Int32, _ path: String, _ isDevice: Bool) throws(BlockError) {
        var status = stat()
        // SAFETY: the structure outlives the calls.
        guard unsafe apus_fstat(descriptor, &status) == 0 else {
            throw BlockError.system(path: path, operation: "examine", Errno(rawValue: apus_errno()))
        }
        if unsafe apus_is_directory(&status) != 0 { throw BlockError.isDirectory(path: path) }
        if isDevice {
            guard unsafe apus_is_block_device(&status) != 0 else { throw BlockError.notDevice(path: path) }
        } else {
            guard unsafe apus_is_regular(&status) != 0 else { throw BlockError.notRegularFile(path: path) }
        }
    }

    private static func engine(
        _ options: FileOptions, _ access: FileAccess, isLate: Bool
    ) throws(BlockError) -> any FileEngine {
        let pool = WorkerPool(name: "block-worker", maximum: 64)
        if options.aio == .threads { return ThreadEngine(access: access, pool: pool) }
        if isLate && options.aio == .auto && options.ringFailure == nil {
            return LateEngine(pool: pool) { () -> any FileEngine in
                do throws(HostError) { return try UringEngine(access: access, pool: pool) } catch {
                    return ThreadEngine(access: access, pool: pool)
                }
            }
        }
        do throws(HostError) {
            if let reason = options.ringFailure { throw HostError("set up io_uring", reason) }
            return try UringEngine(access: access, pool: pool)
        } catch {
            if options.aio == .io_uring { throw BlockError.noRing(path: options.path, error.errno) }
            return ThreadEngine(access: access, pool: pool)
        }
    }

    public func submit(_ request: BlockRequest) {
        var request = request
        let completion = request.completion
        guard !isClosed.load(ordering: .relaxed) else { return completion(EBADF) }
        inFlight.enter()
        let refused = policy.apply(to: &request)
        let noFlush = noFlush.load(ordering: .relaxed)
        if let status = refused ?? (noFlush && request.operation == .flush ? 0 : nil) {
            engine.schedule { [inFlight] in
                completion(status)
                inFlight.leave()
            }
            return
        }
        if noFlush { request.forceUnitAccess = false }
        guard request.isModifying else {
            request.completion = { [inFlight] status in
                completion(status)
                inFlight.leave()
            }
            return engine.submit(request)
        }
        let end = request.offset + request.length
        if request.operation != .discard { noteWrite(to: end) }
        let grows = request.operation != .discard && !access.isBlockDevice
        guard access.isDirect else {
            request.completion = { [inFlight, access] status in
                if status == 0 && grows { access.grow(to: end) }
                completion(status)
                inFlight.leave()
            }
            return engine.submit(request)
        }
        submitDirect(request, ranges, grows: grows)
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        // Direct I/O may have to wait for others' blocks.
        guard !access.isDirect else { return submitAndWait(request) }
        var request = request
        guard !isClosed.load(ordering: .relaxed) else { return EBADF }
        inFlight.enter()
        defer { inFlight.leave() }
        if let status = policy.apply(to: &request) { return status }
        if noFlush.load(ordering: .relaxed) {
            if request.operation == .flush { return 0 }
            request.forceUnitAccess = false
        }
        if request.isModifying, request.operation != .discard { noteWrite(to: request.offset + request.length) }
        let status = access.perform(request)
        if status == 0 && request.isModifying && request.operation != .discard && !access.isBlockDevice {
            access.grow(to: request.offset + request.length)
        }
        return status
    }

    private func noteWrite(to end: UInt64) {
        // Seldom a new one: a look is enough.
        if highest.load(ordering: .relaxed) < end { highest.max(end, ordering: .relaxed) }
    }

    /// Direct I/O writes whole blocks, so a request that changes parts of one excludes the others of that block.
    private func submitDirect(_ request: BlockRequest, _ ranges: RangeLocks, grows: Bool) {
        let mask = UInt64(access.alignment - 1)
        let end = request.offset + request.length
        let isPartial = (request.offset | request.length) & mask != 0
        ranges.acquire(
            start: request.offset & ~mask, end: (end &+ mask) & ~mask, isExclusive: isPartial
        ) { [engine, inFlight, access] ticket in
            var inner = request
            inner.completion = { status in
                if status == 0 && grows { access.grow(to: end) }
                ranges.release(ticket)
                request.completion(status)
                inFlight.leave()
            }
            engine.submit(inner)
        }
    }

    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        var node = nodeOptions
        (node.readOnly, node.autoReadOnly) = (wanted, false)
        node.cache.direct = access.isDirect
        let (descriptor, _) = try FileNode.open(options.path, node, opener)
        // The kernel closes it; what stays is the number that requests know.
        defer { CLinux.close(descriptor) }
        try FileNode.checkKind(descriptor, options.path, access.isBlockDevice)
        if options.locking != .off, !isInactive.load(ordering: .relaxed) {
            // The two would exclude each other.
            ImageLock.release(access.descriptor)
            do throws(BlockError) {
                try lock(descriptor, writes: !wanted)
            } catch {
                try? lock(access.descriptor, writes: wanted)
                throw error
            }
        }
        guard dup2(descriptor, access.descriptor) >= 0 else {
            throw .system(path: options.path, operation: "reopen", Errno(rawValue: apus_errno()))
        }
        _ = apus_fcntl(access.descriptor, F_SETFD, Int(FD_CLOEXEC))
        self.readOnly.store(wanted, ordering: .relaxed)
    }

    /// Goes through the host's page cache from now on, or no more. Nothing is in flight here.
    func setDirect(_ wanted: Bool) throws(BlockError) {
        guard wanted != access.isDirect else { return }
        guard wanted || options.aio != .native else {
            throw .invalidOption(option: "aio", value: "native", expected: "cache.direct=on with it")
        }
        try access.setDirect(wanted)
    }

    private func lock(_ descriptor: Int32, writes: Bool) throws(BlockError) {
        try ImageLock.acquire(
            descriptor, path: options.path, writes: writes, forceShare: nodeOptions.forceShare && !writes,
            insists: options.locking == .on)
    }

    public func beginBatch() { engine.beginBatch() }
    public func endBatch() { engine.endBatch() }
    public func poll() { engine.poll() }
    func register(_ ranges: [MemoryRange]) -> Bool { engine.register(ranges) }
    func forgetRegistered() { engine.forgetRegistered() }
    public func schedule(_ work: @escaping @Sendable () -> Void) { engine.schedule(work) }
    public func drain() { inFlight.waitUntilIdle() }

    public func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        drain()
        engine.close()
        access.unlock()
    }
}
