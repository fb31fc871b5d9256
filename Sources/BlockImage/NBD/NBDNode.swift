internal import CLinux
internal import HostOS
internal import Synchronization

/// An export of an NBD server (`nbd`).
public final class NBDNode: BatchingBackend, BlockNode, Resizable {
    public let nodeName: String
    public let filename: String
    public let sizeInBytes: UInt64
    public let isReadOnly: Bool
    public var driverName: String { "nbd" }
    public var children: [BlockChild] { [] }
    public var logicalBlockSize: Int { max(512, Int(minimumBlock)) }
    /// The size as the server states it, also when it is no multiple of 512.
    public let exactSize: UInt64

    private let links: [NBDLink]
    private let nextConnection = Atomic(0)
    private let flags: UInt16
    /// The metadata context that tells where what is.
    private let context: String
    let minimumBlock: UInt64
    private let maximumPayload: UInt64
    let usualPolicy: NodePolicy
    private var policy: RequestPolicy { usualPolicy.now }
    private let inFlight = InFlight()
    private let pool = WorkerPool(name: "block-nbd-work", maximum: 4)
    private let isClosed = Atomic(false)
    /// Guards the blocks that an unaligned write changes.
    private let partial = Mutex(())

    /// Takes over connections to the same export.
    init(
        _ links: [NBDLink], location: NBDLocation, context: String, nodeName: String, node: NodeOptions
    ) throws(BlockError) {
        let info = links[0].result.info
        self.links = links
        self.nodeName = nodeName
        self.context = context
        filename = location.name
        exactSize = info.size
        guard info.size <= UInt64(Int64.max) else {
            throw .message("export length is too large")
        }
        flags = info.flags
        sizeInBytes = (info.size + 511) / 512 * 512
        isReadOnly = node.readOnly || info.flags & NBD.TransmissionFlag.readOnly != 0
        guard node.readOnly || node.autoReadOnly || !isReadOnly else {
            throw .message("request on write denied without write permission")
        }
        usualPolicy = NodePolicy(node, readOnly: isReadOnly)
        minimumBlock = UInt64(info.blockSizes?.minimum ?? 1)
        let largest = UInt64(min(info.blockSizes?.maximum ?? UInt32(NBD.maximumPayload), UInt32(NBD.maximumPayload)))
        maximumPayload = max(minimumBlock, largest / minimumBlock * minimumBlock)
    }

    /// An export is as large as its server says; asking for that size is no error.
    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard size == exactSize || size == sizeInBytes else {
            throw .message("Cannot resize NBD nodes")
        }
    }

    // MARK: Requests

    public func submit(_ request: BlockRequest) {
        var request = request
        let completion = request.completion
        guard !isClosed.load(ordering: .relaxed) else { return completion(EBADF) }
        inFlight.enter()
        request.completion = { [inFlight] status in
            completion(status)
            inFlight.leave()
        }
        if let status = policy.apply(to: &request) { return later(request, status) }
        switch request.operation {
        case .flush:
            guard flags & NBD.TransmissionFlag.flush != 0 else { return later(request, 0) }
            return flush(request)
        case .discard:
            guard flags & NBD.TransmissionFlag.trim != 0 else { return later(request, 0) }
        case .writeZeroes:
            guard flags & NBD.TransmissionFlag.writeZeroes != 0 else {
                return pool.submit { [self, request] in request.completion(writeZeroes(request)) }
            }
        case .read, .write: break
        }
        if request.operation == .read && request.offset + request.length > exactSize { return readEnd(request) }
        guard request.offset <= exactSize, request.length <= exactSize - request.offset else {
            // The last sector may be longer than the export.
            guard request.operation == .write, request.offset < exactSize,
                request.offset + request.length <= sizeInBytes
            else { return later(request, request.isModifying ? ENOSPC : EINVAL) }
            return writeEnd(request)
        }
        guard (request.offset | request.length) & (minimumBlock - 1) == 0 else {
            return pool.submit { [self, request] in request.completion(unaligned(request)) }
        }
        start(request)
    }

    private func later(_ request: BlockRequest, _ status: Int32) {
        pool.submit { request.completion(status) }
    }

    /// What is behind the end reads as zeroes.
    private func readEnd(_ request: BlockRequest) {
        let known = request.offset < exactSize ? Int(exactSize - request.offset) : 0
        request.segments.zero(from: known)
        guard known > 0 else { return later(request, 0) }
        var inner = request
        inner.length = UInt64(known)
        inner.segments = request.segments.slice(from: 0, count: known)
        resubmit(inner)
    }

    private func writeEnd(_ request: BlockRequest) {
        var inner = request
        inner.length = exactSize - request.offset
        inner.segments = request.segments.slice(from: 0, count: Int(inner.length))
        resubmit(inner)
    }

    private func resubmit(_ request: BlockRequest) {
        guard (request.offset | request.length) & (minimumBlock - 1) == 0 else {
            return pool.submit { [self, request] in request.completion(unaligned(request)) }
        }
        start(request)
    }

    /// Sends an aligned request, in parts where it is too long for one.
    private func start(_ request: BlockRequest) {
        let isData = request.operation == .read || request.operation == .write
        let limit = isData ? maximumPayload : UInt64(Int32.max) / minimumBlock * minimumBlock
        guard request.length > limit else { return send(request, finish: request.completion) }
        let parts = Int((request.length + limit - 1) / limit)
        let rest = Mutex((left: parts, status: Int32(0)))
        let countdown = Countdown(rest)
        var done: UInt64 = 0
        while done < request.length {
            var part = request
            part.offset += done
            part.length = min(limit, request.length - done)
            if isData { part.segments = request.segments.slice(from: Int(done), count: Int(part.length)) }
            done += part.length
            send(part) { status in countdown.arrive(status, request.completion) }
        }
    }

    private final class Countdown: Sendable {
        private let rest: Mutex<(left: Int, status: Int32)>
        init(_ rest: consuming Mutex<(left: Int, status: Int32)>) { self.rest = rest }

        func arrive(_ status: Int32, _ completion: @Sendable (Int32) -> Void) {
            let end = rest.withLock { rest -> Int32? in
                rest.left -= 1
                if rest.status == 0 { rest.status = status }
                return rest.left == 0 ? rest.status : nil
            }
            if let end { completion(end) }
        }
    }

    private func send(_ request: BlockRequest, finish: @escaping @Sendable (Int32) -> Void) {
        let command: UInt16
        var bits: UInt16 = 0
        switch request.operation {
        case .read: command = NBD.Command.read
        case .write: command = NBD.Command.write
        case .discard: command = NBD.Command.trim
        case .flush: command = NBD.Command.flush
        case .writeZeroes(let mayUnmap):
            command = NBD.Command.writeZeroes
            if !mayUnmap { bits |= NBD.CommandFlag.noHole }
        }
        // Without the flag, durability is made by a flush after it.
        var after = finish
        if request.forceUnitAccess && request.isModifying {
            if flags & NBD.TransmissionFlag.forceUnitAccess != 0 {
                bits |= NBD.CommandFlag.forceUnitAccess
            } else if flags & NBD.TransmissionFlag.flush != 0 {
                after = { [self] status in
                    guard status == 0 else { return finish(status) }
                    send(BlockRequest(operation: .flush) { _ in }, finish: finish)
                }
            }
        }
        let pending = NBDConnection.Pending(
            command: command, offset: request.offset, length: Int(request.length),
            segments: request.operation == .read ? request.segments : []
        ) { [after] status, _ in after(status == NBDConnection.lost ? EIO : status) }
        let link = links.count == 1 ? links[0] : choose()
        let sent = NBDLink.Request(
            pending: pending, flags: bits, data: request.operation == .write ? request.segments : [])
        if !link.submit(sent) { pool.submit { finish(EIO) } }
    }

    private func choose() -> NBDLink {
        let (turn, _) = nextConnection.add(1, ordering: .relaxed)
        return links[Int(UInt(bitPattern: turn) % UInt(links.count))]
    }

    /// A flush on one connection is one on all: the server promises that when it allows several.
    private func flush(_ request: BlockRequest) {
        send(BlockRequest(operation: .flush) { _ in }, finish: request.completion)
    }

    // MARK: What a server cannot do itself. On the pool's threads.

    /// A request that is not of whole blocks: whole ones are read, and written back.
    private func unaligned(_ request: BlockRequest) -> Int32 {
        let mask = minimumBlock - 1
        let end = min((request.offset + request.length + mask) & ~mask, exactSize)
        if request.operation == .discard || request.length == 0 { return 0 }
        if case .writeZeroes = request.operation { return writeZeroes(request) }
        var at = request.offset & ~mask
        while at < end {
            let count = Int(min(end - at, maximumPayload, 1 << 20))
            let (first, last) = (max(at, request.offset), min(at + UInt64(count), request.offset + request.length))
            let part = request.segments.slice(from: Int(first - request.offset), count: Int(last - first))
            let status = partial.withLock { _ in
                let buffer = NBDBuffer(count: count)
                let whole = unsafe [BlockSegment(pointer: buffer.base, count: count)]
                let status = blocking(.read, at, count, whole)
                guard status == 0 else { return status }
                // SAFETY: the part lies inside the buffer.
                let inside = unsafe buffer.base + Int(first - at)
                guard request.operation == .write else {
                    unsafe part.fill(from: inside)
                    return 0
                }
                unsafe part.copy(to: inside)
                return blocking(.write, at, count, whole, request.forceUnitAccess)
            }
            if status != 0 { return status }
            at += UInt64(count)
        }
        return 0
    }

    private func writeZeroes(_ request: BlockRequest) -> Int32 {
        let zeroes = NBDBuffer(count: Int(min(request.length, 1 << 20)))
        unsafe zeroes.base.initializeMemory(as: UInt8.self, repeating: 0, count: zeroes.count)
        var done: UInt64 = 0
        while done < request.length {
            let count = Int(min(request.length - done, UInt64(zeroes.count)))
            let segments = unsafe [BlockSegment(pointer: zeroes.base, count: count)]
            var write = request
            write.operation = .write
            write.offset += done
            write.length = UInt64(count)
            write.segments = segments
            let isAligned = (write.offset | write.length) & (minimumBlock - 1) == 0
            let status =
                isAligned
                ? blocking(.write, write.offset, count, segments, request.forceUnitAccess) : unaligned(write)
            if status != 0 { return status }
            done += UInt64(count)
        }
        return 0
    }

    private func blocking(
        _ operation: BlockRequest.Operation, _ offset: UInt64, _ count: Int, _ segments: [BlockSegment],
        _ isDurable: Bool = false
    ) -> Int32 {
        let answer = BlockingAnswer()
        let request = BlockRequest(
            operation: operation, offset: offset, length: UInt64(count), segments: segments,
            forceUnitAccess: isDurable
        ) { answer.give($0) }
        start(request)
        return answer.wait()
    }

    // MARK: Life

    public func beginBatch() { for link in links { link.beginBatch() } }
    public func endBatch() { for link in links { link.endBatch() } }
    public func poll() {}
    public func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }
    public func drain() { inFlight.waitUntilIdle() }

    public func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        drain()
        for link in links { link.close() }
        pool.close()
    }
}

extension NBDNode: SparseMappable {
    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard offset < sizeInBytes, length > 0 else { return [] }
        let end = min(sizeInBytes, offset + min(length, sizeInBytes - offset))
        guard let context = links[0].result.contexts.values.first else {
            return [
                BlockExtent(offset: offset, length: end - offset, isAllocated: true, isZero: false, hostOffset: offset)
            ]
        }
        var result: [BlockExtent] = []
        var at = offset
        while at < end, result.count < limit {
            guard at < exactSize else {
                result.append(BlockExtent(offset: at, length: end - at, isAllocated: true, isZero: true))
                break
            }
            for found in try status(at, min(end, exactSize) - at, context) where at < end && result.count < limit {
                // The bits of other contexts are read as if they were this one's; every depth below the first is one.
                let flags = self.context == NBD.depthContext ? min(found.flags, 2) : found.flags
                let isZero = flags & NBD.StateFlag.zero != 0
                let count = min(UInt64(found.length), end - at)
                var extent = BlockExtent(offset: at, length: count, isAllocated: true, isZero: isZero, hostOffset: at)
                extent.isHole = isZero && flags & NBD.StateFlag.hole == 0
                extent.isUnmapped =
                    self.context != NBD.allocationContext && !isZero && flags & NBD.StateFlag.hole != 0
                result.append(extent)
                at += count
            }
        }
        return result
    }

    private func status(
        _ offset: UInt64, _ length: UInt64, _ context: UInt32
    ) throws(BlockError) -> [(length: UInt32, flags: UInt32)] {
        let mask = minimumBlock - 1
        let start = offset & ~mask
        let wanted = min((offset + length + mask) & ~mask, exactSize) - start
        let count = Int(min(wanted, UInt64(Int32.max) / minimumBlock * minimumBlock))
        let answer = BlockingAnswer()
        let found = Mutex<[(length: UInt32, flags: UInt32)]>([])
        let box = Extents(found)
        let pending = NBDConnection.Pending(
            command: NBD.Command.blockStatus, offset: start, length: count, context: context
        ) { status, extents in
            box.value.withLock { $0 = extents }
            answer.give(status)
        }
        inFlight.enter()
        defer { inFlight.leave() }
        guard links[0].submit(NBDLink.Request(pending: pending)) else {
            throw .io(path: filename, operation: "examine", EIO)
        }
        let answered = answer.wait()
        let status = answered == NBDConnection.lost ? EIO : answered
        guard status == 0 else { throw .io(path: filename, operation: "examine", status) }
        var extents = box.value.withLock { $0 }
        let skipped = UInt32(offset - start)
        // The answer begins at a block's start; and it must go on.
        guard let first = extents.first, first.length > skipped else {
            throw .io(path: filename, operation: "examine", EIO)
        }
        extents[0].length -= skipped
        return extents
    }

    private final class Extents: Sendable {
        let value: Mutex<[(length: UInt32, flags: UInt32)]>
        init(_ value: consuming Mutex<[(length: UInt32, flags: UInt32)]>) { self.value = value }
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 { throw .io(path: filename, operation: "measure", 95) }
}
