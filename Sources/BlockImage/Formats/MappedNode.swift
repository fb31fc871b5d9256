internal import CLinux
internal import Synchronization
internal import SystemPackage

/// A disk in one of the formats that are a table of blocks. Works on the calling thread or on its own; what changes
/// the tables is done by one at a time.
public final class MappedNode: BlockNode {
    public let nodeName: String
    public let isReadOnly: Bool
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
    private let policy: RequestPolicy
    private let inFlight = InFlight()
    private let pool: WorkerPool
    private let isClosed = Atomic(false)
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
        isReadOnly = node.readOnly || files.contains { $0.isReadOnly }
        guard !isReadOnly || node.readOnly || node.autoReadOnly else { throw .readOnly(path: filename) }
        policy = RequestPolicy(node, readOnly: isReadOnly)
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
            switch piece {
            case .unallocated: try readBacking(at, part)
            case .zero: part.zero(from: 0)
            case .data(let file, let host): try ImageFailure.check(file.readAndWait(at: host, into: part))
            case .packed:
                let block = try withMap { map throws(ImageFailure) in try map.unpack(at) }
                let skip = Int(at - block.start)
                guard block.bytes.count >= skip + Int(length) else { throw .corrupt("a packed block is too short") }
                // SAFETY: checked above.
                unsafe block.bytes.withUnsafeBytes { unsafe part.fill(from: $0.baseAddress! + skip) }
            }
            done += Int(length)
        }
    }

    func readBacking(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        let end = backing?.sizeInBytes ?? 0
        guard let backing, offset < end else { return segments.zero(from: 0) }
        let total = segments.reduce(0) { $0 + $1.count }
        let count = Int(min(UInt64(total), end - offset))
        if count < total { segments.zero(from: count) }
        try ImageFailure.check(backing.readAndWait(at: offset, into: segments.slice(from: 0, count: count)))
    }
}
