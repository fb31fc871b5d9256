internal import CLinux
internal import Synchronization

/// What passes is limited, together with what the others of its group do (`throttle`). Flushes are not.
public final class ThrottleNode: BatchingBackend, FilterNode, Resizable, SparseMappable, Reopenable {
    public let nodeName: String
    public var driverName: String { "throttle" }
    public var filename: String { filtered.filename }
    public var sizeInBytes: UInt64 { filtered.sizeInBytes }
    public var isReadOnly: Bool { readOnly.load(ordering: .relaxed) || filtered.isReadOnly }
    public var logicalBlockSize: Int { filtered.logicalBlockSize }
    public var growsWithZeroes: Bool { filtered.growsWithZeroes }
    public var children: [BlockChild] { [BlockChild(role: "file", node: filtered)] }
    public var filtered: any BlockNode { link.withLock { $0.node } }

    private let link: Mutex<FilterLink>
    private let member: ThrottleMember
    let usualPolicy: NodePolicy
    private let readOnly: Atomic<Bool>
    private let inFlight = InFlight()
    private var policy: RequestPolicy {
        var policy = usualPolicy.now
        policy.readOnly = isReadOnly
        return policy
    }

    /// A node over `file` in a group.
    init(
        _ file: any BlockNode, group: ThrottleGroup, nodeName: String, node: NodeOptions
    ) throws(BlockError) {
        guard node.readOnly || node.autoReadOnly || !file.isReadOnly else { throw .readOnly(path: file.filename) }
        self.nodeName = nodeName
        link = Mutex(FilterLink(file))
        member = ThrottleMember(group)
        readOnly = Atomic(node.readOnly)
        usualPolicy = NodePolicy(node, readOnly: node.readOnly)
    }

    /// The group that it is in.
    public var group: ThrottleGroup { member.group }

    public func exchange(filtered node: any BlockNode) { FilterLink.exchange(link, node) }

    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        if filtered.isReadOnly != wanted {
            guard let file = filtered as? any Reopenable else { throw .readOnly(path: filename) }
            try file.reopen(readOnly: wanted)
        }
        readOnly.store(wanted, ordering: .relaxed)
    }

    public func submit(_ request: BlockRequest) {
        var inner = request
        let status = policy.apply(to: &inner)
        inFlight.enter()
        inner.completion = { [inFlight] status in
            request.completion(status)
            inFlight.leave()
        }
        if let status {
            filtered.schedule { [inner] in inner.completion(status) }
        } else if inner.operation == .flush {
            filtered.submit(inner)
        } else {
            member.admit(inner.length, isWrite: inner.isModifying) { [self, inner] in filtered.submit(inner) }
        }
    }

    public func carryOut(_ request: BlockRequest) -> Int32 {
        var inner = request
        if let status = policy.apply(to: &inner) { return status }
        if inner.operation != .flush {
            let turn = BlockingAnswer()
            member.admit(inner.length, isWrite: inner.isModifying) { turn.give(0) }
            _ = turn.wait()
        }
        return filtered.carryOut(inner)
    }

    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard let file = filtered as? any Resizable else { throw .invalidSize(path: filename, size: size) }
        try file.resize(to: size, preallocation: preallocation)
    }
    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard let file = filtered as? any SparseMappable else {
            let size = sizeInBytes
            guard offset < size, length > 0 else { return [] }
            let count = min(length, size - offset)
            return [BlockExtent(offset: offset, length: count, isAllocated: true, isZero: false)]
        }
        return try file.extents(offset: offset, length: length, limit: limit)
    }
    public func allocatedBytes() throws(BlockError) -> UInt64 {
        guard let file = filtered as? any SparseMappable else { return sizeInBytes }
        return try file.allocatedBytes()
    }

    public func beginBatch() { link.withLock { $0.changeBatches(by: 1) }?.beginBatch() }
    public func endBatch() { link.withLock { $0.changeBatches(by: -1) }?.endBatch() }
    public func poll() { link.withLock { $0.batching }?.poll() }
    public var wantsEvents: Bool { filtered.wantsEvents }
    public func debugEvent(_ event: BlockEvent) { filtered.debugEvent(event) }
    public func schedule(_ work: @escaping @Sendable () -> Void) { filtered.schedule(work) }
    public func drain() {
        member.beginDrain()
        inFlight.waitUntilIdle()
        member.endDrain()
        filtered.drain()
    }
    public func close() { drain() }
}

extension BlockDriver {
    /// The driver `throttle`.
    static var throttle: BlockDriver {
        BlockDriver(name: "throttle") { graph, options, node, nodeName throws(BlockError) in
            let name = try options.require("throttle-group", driver: "throttle")
            guard let group = graph.throttles.group(named: name) else {
                throw .message("Throttle group '\(name)' does not exist")
            }
            let file = try graph.openChild("file", of: "throttle", &options, node)
            do throws(BlockError) {
                try options.finish(driver: "throttle")
                return try ThrottleNode(file, group: group, nodeName: nodeName, node: node)
            } catch {
                graph.discard(file)
                throw error
            }
        }
    }
}
