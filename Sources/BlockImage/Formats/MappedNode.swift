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
    private let lock = Mutex(())
    private let files: [any BlockNode]
    private let backing: (any BlockNode)?
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

    private func withMap<Value>(_ body: (any ImageMap) throws(ImageFailure) -> Value) throws(ImageFailure) -> Value {
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

    private func find(_ offset: UInt64, _ limit: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
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

    private func readBacking(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        let end = backing?.sizeInBytes ?? 0
        guard let backing, offset < end else { return segments.zero(from: 0) }
        let total = segments.reduce(0) { $0 + $1.count }
        let count = Int(min(UInt64(total), end - offset))
        if count < total { segments.zero(from: count) }
        try ImageFailure.check(backing.readAndWait(at: offset, into: segments.slice(from: 0, count: count)))
    }

    // MARK: Writing

    private func write(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        let total = segments.reduce(0) { $0 + $1.count }
        var done = 0
        while done < total {
            let at = offset + UInt64(done)
            let (piece, length) = try find(at, UInt64(total - done))
            let part = segments.slice(from: done, count: Int(length))
            if case .data(let file, let host) = piece {
                try ImageFailure.check(file.writeAndWait(at: host, from: part))
            } else {
                try withMap { map throws(ImageFailure) in
                    // Another may have made the block meanwhile.
                    if case .data(let file, let host) = try map.find(at).piece {
                        return try ImageFailure.check(file.writeAndWait(at: host, from: part))
                    }
                    try writeNew(map, at, part, Int(length))
                }
            }
            done += Int(length)
        }
    }

    /// Writes into a block that has no storage yet: the whole block, with what it held around the new bytes.
    private func writeNew(
        _ map: any ImageMap, _ at: UInt64, _ part: [BlockSegment], _ count: Int
    ) throws(ImageFailure) {
        let piece = try map.find(at).piece
        let block = try map.allocate(at)
        guard at >= block.start, at + UInt64(count) <= block.start + block.length else { throw .corrupt("a block moved") }
        let before = Int(at - block.start)
        let end = min(block.start + block.length, sizeInBytes)
        let after = Int(end - at) - count
        let hasContent: Bool
        switch piece {
        case .unallocated: hasContent = backing != nil
        case .packed: hasContent = true
        case .zero, .data: hasContent = false
        }
        if hasContent || !block.isZero {
            let buffer = AlignedBuffer(count: Int(block.length))
            defer { withExtendedLifetime(buffer) {} }
            let whole = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
            whole.zero(from: 0)
            if hasContent {
                if case .packed = piece {
                    let old = try map.unpack(at)
                    let length = min(old.bytes.count, buffer.count)
                    // SAFETY: the length fits both.
                    unsafe old.bytes.withUnsafeBytes { source in
                        unsafe buffer.base.copyMemory(from: source.baseAddress!, byteCount: length)
                    }
                } else {
                    if before > 0 { try readBacking(block.start, whole.slice(from: 0, count: before)) }
                    if after > 0 {
                        try readBacking(at + UInt64(count), whole.slice(from: before + count, count: after))
                    }
                }
            }
            // SAFETY: the part lies inside the block.
            unsafe part.copy(to: buffer.base + before)
            try ImageFailure.check(block.file.writeAndWait(at: block.host, from: whole))
        } else {
            try ImageFailure.check(block.file.writeAndWait(at: block.host + UInt64(before), from: part))
            try MappedNode.lengthen(block.file, to: block.host + block.length)
        }
        try map.link(block)
    }

    /// Makes a file at least as long, with a hole.
    static func lengthen(_ file: any BlockNode, to size: UInt64) throws(ImageFailure) {
        guard file.sizeInBytes < size, let file = file as? any Resizable else { return }
        do throws(BlockError) { try file.resize(to: size, preallocation: .off) } catch { throw .io(EIO) }
    }

    private func writeZeroes(_ offset: UInt64, _ length: UInt64, _ mayUnmap: Bool) throws(ImageFailure) {
        let end = offset + length
        var at = offset
        var zeroes: AlignedBuffer?
        while at < end {
            let (piece, count) = try find(at, end - at)
            switch piece {
            case .zero: break
            case .unallocated where backing == nil: break
            case .data(let file, let host):
                try ImageFailure.check(
                    file.performAndWait(.writeZeroes(mayUnmap: mayUnmap), offset: host, length: count))
            case .unallocated, .packed:
                let isCleared = try withMap { map throws(ImageFailure) in
                    // Only whole blocks: from a block's start to its end.
                    guard try map.find(at).length == count, at == 0 || startsBlock(map, at) else { return false }
                    return try map.clear(at)
                }
                if !isCleared {
                    if zeroes == nil { zeroes = AlignedBuffer(count: 1 << 20) }
                    let part = min(count, 1 << 20)
                    let segments = unsafe [BlockSegment(pointer: zeroes!.base, count: Int(part))]
                    segments.zero(from: 0)
                    try write(at, segments)
                    at += part
                    continue
                }
            }
            at += count
        }
    }

    private func startsBlock(_ map: any ImageMap, _ at: UInt64) -> Bool {
        // The block before ends here.
        (try? map.find(at - 1).length) == 1
    }
}

extension MappedNode: SparseMappable, DescribedImage {
    public var imageDescription: ImageDescription { lock.withLock { _ in map.value.description } }

    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard offset < sizeInBytes, length > 0 else { return [] }
        let end = offset + min(length, sizeInBytes - offset)
        var result: [BlockExtent] = []
        var at = offset
        while at < end && result.count < limit {
            let found: (piece: MappedPiece, length: UInt64)
            let (start, rest) = (at, end - at)
            do throws(ImageFailure) { found = try find(start, rest) } catch {
                if case .corrupt(let reason) = error { throw .invalidImage(path: filename, reason: reason) }
                throw .io(path: filename, operation: "map", error.status)
            }
            var extent = BlockExtent(offset: at, length: found.length, isAllocated: true, isZero: false)
            switch found.piece {
            case .unallocated:
                (extent.isAllocated, extent.isZero) = (map.value.isComplete, backing == nil)
            case .zero: extent.isZero = true
            case .data(let file, let host):
                extent.hostOffset = host
                if map.value.isFlat(at), let file = file as? any SparseMappable,
                    let first = try file.extents(offset: host, length: found.length, limit: 1).first
                {
                    extent.length = min(extent.length, first.length)
                    (extent.isZero, extent.isHole) = (first.isZero, first.isZero)
                }
            case .packed: extent.isCompressed = true
            }
            if let last = result.last, joins(last, extent) {
                result[result.count - 1].length += extent.length
            } else {
                result.append(extent)
            }
            at += extent.length
        }
        return result
    }

    private func joins(_ one: BlockExtent, _ next: BlockExtent) -> Bool {
        guard one.isAllocated == next.isAllocated, one.isZero == next.isZero, one.isHole == next.isHole,
            one.isCompressed == next.isCompressed
        else { return false }
        switch (one.hostOffset, next.hostOffset) {
        case (nil, nil): return true
        case (.some(let first), .some(let second)): return first + one.length == second
        default: return false
        }
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        var total: UInt64 = 0
        for file in files { total += try (file as? any SparseMappable)?.allocatedBytes() ?? file.sizeInBytes }
        return total
    }
}

extension BlockDriver {
    /// The driver `qed`.
    static var qed: BlockDriver {
        BlockDriver(name: "qed") { graph, options, node, nodeName throws(BlockError) in
            let depth = try options.takeSize("x-depth") ?? 0
            let file = try graph.openChild("file", of: "qed", &options, node)
            var children = [BlockChild(role: "file", node: file)]
            do throws(BlockError) {
                let map = try QEDMap(file, isForWriting: !node.readOnly && !node.autoReadOnly)
                do throws(BlockError) {
                    let named = map.backing.map { ($0, map.isBackingRaw ? "raw" : nil) }
                    let backing = try openBacking(graph, named, file, &options, node, depth, driver: "qed")
                    if let backing { children.append(BlockChild(role: "backing", node: backing)) }
                } catch {
                    throw BlockError.backing(error)
                }
                try options.finish(driver: "qed")
                var reading = node
                reading.readOnly = true
                return try MappedNode(map, children: children, nodeName: nodeName, node: reading)
            } catch {
                for child in children { graph.discard(child.node) }
                throw error
            }
        }
    }

    /// A driver of a format that is one file and its tables, and that is only read here.
    static func readable(
        _ name: String, open: @escaping @Sendable (_ file: any BlockNode) throws(BlockError) -> any ImageMap
    ) -> BlockDriver {
        mapped(name) { file, node, _ throws(BlockError) in
            guard node.readOnly || node.autoReadOnly else {
                throw BlockError.unsupported(path: file.filename, feature: "writing to a \(name) image")
            }
            return try open(file)
        }
    }

    /// A driver of a format that is one file and its tables.
    static func mapped(
        _ name: String,
        open: @escaping @Sendable (_ file: any BlockNode, _ node: NodeOptions, _ options: inout BlockOptions)
            throws(BlockError) -> any ImageMap
    ) -> BlockDriver {
        BlockDriver(name: name) { graph, options, node, nodeName throws(BlockError) in
            let file = try graph.openChild("file", of: name, &options, node)
            do throws(BlockError) {
                let map = try open(file, node, &options)
                try options.finish(driver: name)
                return try MappedNode(
                    map, children: [BlockChild(role: "file", node: file)], nodeName: nodeName, node: node)
            } catch {
                graph.discard(file)
                throw error
            }
        }
    }
}
