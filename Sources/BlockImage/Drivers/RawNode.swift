internal import CLinux
internal import Synchronization

/// The format without a format: the bytes of the node below, or a window of them (`offset`, `size`).
public final class RawNode: BatchingBackend, BlockNode, Reopenable {
    public let nodeName: String
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) }
    public var driverName: String { "raw" }
    public var filename: String { file.filename }
    public var logicalBlockSize: Int { file.logicalBlockSize }
    public var children: [BlockChild] { [BlockChild(role: "file", node: file)] }

    private let file: any BlockNode
    private let batching: (any BatchingBackend)?
    private let window: UInt64
    private let fixedSize: UInt64?
    private let readOnly: Atomic<Bool>
    let usualPolicy: NodePolicy
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly
        return policy
    }
    private let guardsHeader: Bool
    private let inFlight = InFlight()

    /// A raw disk on `file`. With `isProbed` (nobody said that the image is raw), a write that would turn the first
    /// sector into the header of another format fails: a guest must not choose how its image is read next time.
    public init(
        file: any BlockNode, nodeName: String, offset: UInt64 = 0, size: UInt64? = nil, isProbed: Bool = false,
        options: NodeOptions = NodeOptions()
    ) throws(BlockError) {
        let available = file.sizeInBytes
        guard offset <= available else {
            throw .invalidOption(option: "offset", value: "\(offset)", expected: "at most \(available) bytes")
        }
        if let size {
            guard size <= available - offset else {
                throw .invalidOption(
                    option: "size", value: "\(size)", expected: "at most \(available - offset) bytes here")
            }
            guard size % 512 == 0 else {
                throw .invalidOption(option: "size", value: "\(size)", expected: "a multiple of 512")
            }
        }
        guard options.readOnly || options.autoReadOnly || !file.isReadOnly else {
            throw .readOnly(path: file.filename)
        }
        self.file = file
        self.nodeName = nodeName
        batching = file as? any BatchingBackend
        window = offset
        fixedSize = size
        readOnly = Atomic(options.readOnly || file.isReadOnly)
        usualPolicy = NodePolicy(options, readOnly: options.readOnly || file.isReadOnly)
        guardsHeader = isProbed
    }

    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        guard let file = file as? any Reopenable else { throw .readOnly(path: filename) }
        try file.reopen(readOnly: wanted)
        readOnly.store(wanted, ordering: .relaxed)
    }

    public var sizeInBytes: UInt64 {
        if let fixedSize { return fixedSize }
        let size = file.sizeInBytes
        return size > window ? (size - window) / 512 * 512 : 0
    }

    public func submit(_ request: BlockRequest) {
        var inner = request
        if let status = policy.apply(to: &inner) ?? refusal(of: inner) {
            inFlight.enter()
            file.schedule { [inFlight] in
                request.completion(status)
                inFlight.leave()
            }
            return
        }
        inner.offset &+= window
        file.submit(inner)
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        var inner = request
        if let status = policy.apply(to: &inner) ?? refusal(of: inner) { return status }
        inner.offset &+= window
        return file.carryOut(inner)
    }

    private func refusal(of request: BlockRequest) -> Int32? {
        guard request.operation != .flush else { return nil }
        if let fixedSize {
            guard request.offset <= fixedSize, request.length <= fixedSize - request.offset else {
                return request.isModifying ? ENOSPC : EINVAL
            }
        } else if request.offset + request.length > UInt64(Int64.max) - window {
            return EINVAL
        }
        if guardsHeader && request.offset < 512 && request.operation == .write {
            // A part of the header cannot be judged alone.
            guard request.offset == 0, request.length >= 512 else { return EPERM }
            let head = request.segments.bytes(count: 512)
            if ImageFormat.probe(head) != .raw { return EPERM }
        }
        return nil
    }

    public func beginBatch() { batching?.beginBatch() }
    public func endBatch() { batching?.endBatch() }
    public func poll() { batching?.poll() }
    public var wantsEvents: Bool { file.wantsEvents }
    public func debugEvent(_ event: BlockEvent) { file.debugEvent(event) }
    public func schedule(_ work: @escaping @Sendable () -> Void) { file.schedule(work) }

    public func drain() {
        inFlight.waitUntilIdle()
        file.drain()
    }

    public func close() { drain() }
}

extension RawNode: Resizable, SparseMappable {
    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard fixedSize == nil, let file = file as? any Resizable else {
            throw .unsupported(path: filename, feature: "a new size of a raw disk with the option 'size'")
        }
        let (end, overflow) = window.addingReportingOverflow(size)
        guard !overflow else { throw .invalidSize(path: filename, size: size) }
        try file.resize(to: end, preallocation: preallocation)
    }

    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        let size = sizeInBytes
        guard offset < size, length > 0 else { return [] }
        let count = min(length, size - offset)
        guard let file = file as? any SparseMappable else {
            return [BlockExtent(offset: offset, length: count, isAllocated: true, isZero: false)]
        }
        let below = try file.extents(offset: offset + window, length: count, limit: limit)
        return below.map { extent in
            var extent = extent
            extent.offset -= window
            // For a raw disk holes are as allocated as data: there is nothing behind them.
            extent.isAllocated = true
            return extent
        }
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        guard let file = file as? any SparseMappable else { return sizeInBytes }
        return try file.allocatedBytes()
    }
}

extension [BlockSegment] {
    /// The first `count` bytes (or all there are).
    func bytes(count: Int) -> [UInt8] {
        let total = reduce(0) { $0 + $1.count }
        let parts = slice(from: 0, count: Swift.min(count, total))
        return unsafe Array<UInt8>(unsafeUninitializedCapacity: Swift.min(count, total)) { buffer, filled in
            // SAFETY: the parts sum to the buffer's capacity.
            if let base = buffer.baseAddress { unsafe parts.copy(to: UnsafeMutableRawPointer(base)) }
            filled = Swift.min(count, total)
        }
    }
}
