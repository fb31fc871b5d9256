internal import Synchronization

/// A mark on a node: the first change that reaches beyond it is told of, and ends it. Any thread.
/// As QEMU's `block-set-write-threshold` has it.
final class WriteThreshold: Sendable {
    /// Changes up to this byte, and not including it, are no matter.
    let offset: UInt64
    private let isArmed = Atomic(true)
    private let passed: @Sendable (WriteThreshold, _ excess: UInt64) -> Void

    init(_ offset: UInt64, _ passed: @escaping @Sendable (WriteThreshold, _ excess: UInt64) -> Void) {
        self.offset = offset
        self.passed = passed
    }

    /// A change that ends before the byte `end` is about to be made.
    func check(_ end: UInt64) {
        guard end > offset, isArmed.exchange(false, ordering: .relaxed) else { return }
        passed(self, end - offset)
    }
}

extension BlockGraph {
    /// Sets a node's mark in the place of the one that it had; 0: none. `passed` is called once, with the bytes beyond it,
    /// by the thread that asks for the change: it must neither block nor come back to the node.
    public func setWriteThreshold(
        of name: String, to offset: UInt64, _ passed: @escaping @Sendable (_ excess: UInt64) -> Void
    ) throws(BlockError) {
        guard let node = node(named: name) as? any AdjustableNode else { throw .unknownNode(name) }
        node.usualPolicy.setWriteThreshold(offset, passed)
    }

    /// Where a node's mark is; 0: it has none.
    public func writeThreshold(of node: any BlockNode) -> UInt64 {
        (node as? any AdjustableNode)?.usualPolicy.writeThreshold ?? 0
    }
}
