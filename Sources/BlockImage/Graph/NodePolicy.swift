internal import Synchronization

/// The options of a node that all drivers share, as they are now: others may come while the node is open. Any thread.
final class NodePolicy: Sendable {
    private let bits: Atomic<UInt8>
    private static let watched: UInt8 = 16
    private let threshold = Mutex<WriteThreshold?>(nil)

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
        var policy = RequestPolicy(options, readOnly: bits & 1 != 0)
        if bits & Self.watched != 0 { policy.threshold = threshold.withLock { $0 } }
        return policy
    }

    /// From now on requests are treated by other options; whether they may write stays.
    func change(_ options: NodeOptions) {
        let new = Self.bits(RequestPolicy(options, readOnly: now.readOnly))
        threshold.withLock { bits.store(new | ($0 == nil ? 0 : Self.watched), ordering: .relaxed) }
    }

    /// Where the mark is; 0: there is none.
    var writeThreshold: UInt64 { threshold.withLock { $0?.offset ?? 0 } }

    /// Sets a mark in the place of what there was; 0: none. `passed` is called once, with the bytes beyond, by whoever
    /// submits the request that goes there, and the mark is gone then.
    func setWriteThreshold(_ offset: UInt64, _ passed: @escaping @Sendable (_ excess: UInt64) -> Void) {
        let new =
            offset == 0
            ? nil
            : WriteThreshold(offset) { [weak self] threshold, excess in
                self?.replace(threshold, by: nil)
                passed(excess)
            }
        replace(nil, by: new)
    }

    /// Puts a mark in the place of another, or of whatever there is.
    private func replace(_ old: WriteThreshold?, by new: WriteThreshold?) {
        threshold.withLock { threshold in
            guard old == nil || old === threshold else { return }
            threshold = new
            if new == nil {
                bits.bitwiseAnd(~Self.watched, ordering: .relaxed)
            } else {
                bits.bitwiseOr(Self.watched, ordering: .relaxed)
            }
        }
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
