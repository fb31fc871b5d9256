internal import Synchronization

/// How deep below the first image another one is opened, and a mark further up that shows when the chain comes back to where
/// it was (R. P. Brent's way to find cycles: the mark moves at each power of two).
///
/// It goes along with the options of whatever is opened below, whichever drivers lie between: what an image names cannot
/// make it begin anew.
struct ChainPlace: Sendable {
    /// More images are not followed, along one way or along several.
    static let most = 1000
    /// For how many images a node counts that stands between two: chains of such are read by a call for each.
    private static let wrapping = 32
    /// How many nodes are opened within one another on one thread's stack.
    private static let mostOnStack = 32

    /// How much has been opened below the first image.
    private final class Opened: Sendable {
        let count = Atomic(0)
    }
    private let opened = Opened()
    private var depth: UInt64 = 0
    private var nesting = 0
    /// An image above, by its file.
    private var mark: String?

    /// At the first image.
    init() {}

    /// Whether the next node is opened with a stack of its own.
    var needsStack: Bool { nesting > 0 && nesting % Self.mostOnStack == 0 }

    /// Goes one image down. `identity` tells its file from all others; nil: unknown. Throws at the end of a loop, and
    /// of what is followed.
    mutating func descend(to identity: String?, from path: String) throws(BlockError) {
        guard identity == nil || identity != mark else { throw .loopingChain(path: path) }
        try count(1, path)
        depth += 1
        nesting += 1
        if depth & (depth - 1) == 0 { mark = identity }
    }

    /// Goes through a node that is no file, in the place of one.
    mutating func wrap(_ path: String) throws(BlockError) {
        try count(Self.wrapping, path)
        nesting += 1
    }

    private func count(_ number: Int, _ path: String) throws(BlockError) {
        guard opened.count.add(number, ordering: .relaxed).newValue <= Self.most else {
            throw .endlessChain(path: path, most: UInt64(Self.most))
        }
    }
}
