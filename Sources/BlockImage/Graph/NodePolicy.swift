internal import Synchronization

/// The options of a node that all drivers share, as they are now: others may come while the node is open. Any thread.
final class NodePolicy: Sendable {
    private let bits: Atomic<UInt8>

    /// The policy of a node that was opened with `options`.
    init(_ options: NodeOptions, readOnly: Bool) {
        bits = Atomic(Self.bits(RequestPolicy(options, readOnly: readOnly)))
    }

    /// The policy as it is now.
    var now: RequestPolicy {
        let bits = bits.load(ordering: .relaxed)
        var options = NodeOptions()
        options.discard = bits & 2 != 0 ? .unmap : .ignore
        options.detectZeroes = bits & 8 != 0 ? .unmap : bits & 4 != 0 ? .on : .off
        return RequestPolicy(options, readOnly: bits & 1 != 0)
    }

    /// From now on requests are treated by other options; whether they may write stays.
    func change(_ options: NodeOptions) {
        bits.store(Self.bits(RequestPolicy(options, readOnly: now.readOnly)), ordering: .relaxed)
    }

    private static func bits(_ policy: RequestPolicy) -> UInt8 {
        (policy.readOnly ? 1 : 0) | (policy.discard == .unmap ? 2 : 0)
            | (policy.detectZeroes == .off ? 0 : policy.detectZeroes == .on ? 4 : 8)
    }
}

/// A node whose options may change while it is open, and nothing is in flight there.
protocol AdjustableNode: BlockNode {
    /// What every driver does with a request first.
    var usualPolicy: NodePolicy { get }
    /// Takes other options of those that all drivers share, but for `read-only`. Blocks. Throws, and has changed nothing,
    /// if there is no way.
    func adjust(to options: NodeOptions) throws(BlockError)
}

extension AdjustableNode {
    func adjust(to options: NodeOptions) throws(BlockError) { usualPolicy.change(options) }
}

extension QCow2Node: AdjustableNode {
    func adjust(to options: NodeOptions) throws(BlockError) {
        usualPolicy.change(options)
        metadataLock.withLock { _ in metadata.passesDiscard = metadata.passDiscard ?? (options.discard == .unmap) }
    }
}
extension RawNode: AdjustableNode {}
extension MappedNode: AdjustableNode {}
extension LUKSNode: AdjustableNode {}
extension NBDNode: AdjustableNode {}
extension NullNode: AdjustableNode {}
extension BlkdebugNode: AdjustableNode {}
extension ThrottleNode: AdjustableNode {}
extension CopyOnReadNode: AdjustableNode {}
extension FileNode: AdjustableNode {
    func adjust(to options: NodeOptions) throws(BlockError) {
        try setDirect(options.cache.direct)
        noFlush.store(options.cache.noFlush, ordering: .relaxed)
        usualPolicy.change(options)
    }
}
