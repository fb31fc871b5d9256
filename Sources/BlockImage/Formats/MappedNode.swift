internal import CLinux
internal import Synchronization
internal import SystemPackage

/// A disk in one of the formats that are a table of blocks. Works on the calling thread or on its own; what changes
/// the tables is done by one at a time.
public final class MappedNode: BlockNode, Reopenable {
    public let nodeName: String
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) }
    public let driverName: String
    public let filename: String
    public let sizeInBytes: UInt64
    public let children: [BlockChild]
    public var logicalBlockSize: Int { 512 }

    /// Guarded by `lock`.
    let map: GuardedMap
    let lock = Mutex(())
    let files: [any BlockNode]
    let backing: (any BlockNode)?
    let usualPolicy: NodePolicy
    private let readOnly: Atomic<Bool>
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly
        return policy
    }
    let inFlight = InFlight()
    private let pool: WorkerPool
    let isClosed = Atomic(false)
    private let hasWritten = Atomic(false)

    /// The tables, which the node's lock guards.
    final class GuardedMap: @unchecked Sendable {
        // Sendable: only used with the node's lock held.
        let value: any ImageMap
        init(_ value: any ImageMap) { self.value = value }
    }

    /// A disk of a format's tables over files.
    init(
        _ map: any ImageMap, children: [BlockChild], nodeName: String, node: NodeOptions
    ) throws(BlockError) {
        self.map = GuardedMap(map)
        self.children = children
        self.nodeName = nodeName
        driverName = map.formatName
        filename = children.first?.node.filename ?? ""
        sizeInBytes = map.size
        backing = children.first { $0.role == "backing" }?.node
        files = children.filter { $0.role != "backing" }.map(\.node)
        let isReadOnly = node.readOnly || files.contains { $0.isReadOnly }
        guard !isReadOnly || node.readOnly || node.autoReadOnly else { throw .readOnly(path: filename) }
        readOnly = Atomic(isReadOnly)
        usualPolicy = NodePolicy(node, readOnly: isReadOnly)
        pool = WorkerPool(name: "block-\(map.formatName)", maximum: 8)
    }

    public func submit(_ request: BlockRequest) {
        inFlight.enter()
        pool.submit { [self] in
            request.completion(work(request))
            inFlight.leave()
        }
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        inFlight.enter()
        defer { inFlight.leave() }
        return work(request)
    }

    public func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }
    public func drain() { inFlight.waitUntilIdle() }

    public func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        drain()
        if hasWritten.load(ordering: .relaxed) {
            // Nobody is left to tell.
            try? withMap { map throws(ImageFailure) in
                try map.flush()
                try map.close()
            }
        }
        pool.close()
    }

    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        guard ["vdi", "vhdx", "vmdk", "vpc"].contains(driverName) else { throw .readOnly(path: filename) }
        if hasWritten.exchange(false, ordering: .relaxed) {
            do throws(ImageFailure) {
                try flush()
                try withMap { map throws(ImageFailure) in try map.close() }
            } catch {
                hasWritten.store(true, ordering: .relaxed)
                throw .io(path: filename, operation: "settle", error.status)
            }
        }
        for file in files {
            guard let file = file as? any Reopenable else { throw .readOnly(path: filename) }
            try file.reopen(readOnly: wanted)
        }
        readOnly.store(wanted, ordering: .relaxed)
    }

    private func work(_ given: BlockRequest) -> Int32 {
        var request = given
        guard !isClosed.load(ordering: .relaxed) else { return EBADF }
        if let status = policy.apply(to: &request) { return status }
        if request.operation != .flush {
            guard request.offset <= sizeInBytes, request.length <= sizeInBytes - request.offset else { return EINVAL }
        }
        do throws(ImageFailure) {
            if request.isModifying { try beginWriting() }
            switch request.operation {
            case .read: try read(request.offset, request.segments)
            case .write: try write(request.offset, request.segments)
            case .flush: try flush()
            case .discard: break
            case .writeZeroes(let mayUnmap): try writeZeroes(request.offset, request.length, mayUnmap)
            }
            if request.forceUnitAccess { try flush() }
            return 0
        } catch {
            return error.status
        }
    }

    func withMap<Value>(_ body: (any ImageMap) throws(ImageFailure) -> Value) throws(ImageFailure) -> Value {
        try lock.withLock { _ throws(ImageFailure) in
            let result: Result<Value, ImageFailure>
            do throws(ImageFailure) { result = .success(try body(map.value)) } catch { result = .failure(error) }
            return try result.get()
        }
    }

    /// Changes the tables, alone.
    func changing(_ body: (any ImageMap) throws(ImageFailure) -> Void) throws(ImageFailure) {
        try beginWriting()
        try withMap(body)
    }

    private func beginWriting() throws(ImageFailure) {
        guard !hasWritten.load(ordering: .acquiring) else { return }
        try withMap { map throws(ImageFailure) in
            guard !hasWritten.load(ordering: .relaxed) else { return }
            try map.beginWriting()
            hasWritten.store(true, ordering: .releasing)
        }
    }

    private func flush() throws(ImageFailure) {
        try withMap { map throws(ImageFailure) in try map.flush() }
        for file in files where !file.isReadOnly { try ImageFailure.check(file.performAndWait(.flush)) }
    }

    // MARK: Reading

    func find(_ offset: UInt64, _ limit: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let found = try withMap { map throws(ImageFailure) in try map.find(offset) }
        guard found.length > 0 else { throw .corrupt("an empty block") }
        return (found.piece, min(found.length, limit))
    }

    private func read(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        let total = segments.reduce(0) { $0 + $1.count }
        var done = 0
        while done < total {
            let at = offset + UInt64(done)
            let (piece, length) = try find(at, UInt64(total - done))
            let part = segments.slice(from: done, count: Int(length))
            if case .unallocated = piece { try readBacking(at, part) } else { try read(piece, at, part) }
            done += Int(length)
        }
    }

    /// Fills the segments with a piece that this image has.
    private func read(_ piece: MappedPiece, _ at: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        switch piece {
        case .unallocated: break
        case .zero: segments.zero(from: 0)
        case .data(let file, let host): try ImageFailure.check(file.readAndWait(at: host, into: segments))
        case .packed:
            let block = try withMap { map throws(ImageFailure) in try map.unpack(at) }
            let skip = Int(at - block.start)
            let length = segments.reduce(0) { $0 + $1.count }
            guard block.bytes.count >= skip + length else { throw .corrupt("a packed block is too short") }
            // SAFETY: checked above.
            unsafe block.bytes.withUnsafeBytes { unsafe segments.fill(from: $0.baseAddress! + skip) }
        }
    }
}

/// The image as one of a chain.
extension MappedNode: ChainLayer {
    var below: (any BlockNode)? { backing }

    func beginRead(_ start: UInt64, _ end: UInt64) throws(ImageFailure) -> UInt64 {
        guard !isClosed.load(ordering: .relaxed) else { throw .io(EBADF) }
        inFlight.enter()
        return 0
    }

    func endRead(_ ticket: UInt64) { inFlight.leave() }

    func readOwn(
        at offset: UInt64, limit: UInt64, into place: (UInt64) -> [BlockSegment]
    ) throws(ImageFailure) -> (length: UInt64, isBelow: Bool) {
        let (piece, length) = try find(offset, limit)
        if case .unallocated = piece { return (length, true) }
        try read(piece, offset, place(length))
        return (length, false)
    }

    func drainAlone() { inFlight.waitUntilIdle() }
}
