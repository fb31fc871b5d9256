internal import Synchronization

/// A node that passes on the disk of the node below it (`throttle`, `copy-on-read`): to jobs and snapshots the image is
/// that one, and images come and go between the two.
public protocol FilterNode: BlockNode {
    /// The node below.
    var filtered: any BlockNode { get }
    /// Puts another node below. Nothing is in flight here; the graph counts the users.
    func exchange(filtered node: any BlockNode)
}

extension BlockNode {
    /// The node whose image this is: this one, or what is below filters.
    public var unfiltered: any BlockNode {
        var node: any BlockNode = self
        while let filter = node as? any FilterNode { node = filter.filtered }
        return node
    }
}

/// What a filter stands on.
struct FilterLink: Sendable {
    private(set) var node: any BlockNode
    private(set) var batching: (any BatchingBackend)?
    /// How many batches are open there.
    private var batches = 0

    init(_ node: any BlockNode) {
        self.node = node
        batching = node as? any BatchingBackend
    }

    mutating func changeBatches(by step: Int) -> (any BatchingBackend)? {
        batches += step
        return batching
    }

    /// Puts another node in the place. Batches that are open go on there.
    static func exchange(_ link: borrowing Mutex<FilterLink>, _ node: any BlockNode) {
        let new = node as? any BatchingBackend
        let (old, batches) = link.withLock { link in
            defer { (link.node, link.batching) = (node, new) }
            return (link.batching, link.batches)
        }
        for _ in 0..<max(0, batches) {
            new?.beginBatch()
            old?.endBatch()
        }
    }
}
