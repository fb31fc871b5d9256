/// How far down a chain of backing images an image lies, and a mark further up that shows when the chain comes back to
/// where it was (R. P. Brent's way to find cycles: the mark moves at each power of two).
struct ChainPlace {
    /// More images are not followed.
    static let most: UInt64 = 1000

    private(set) var depth: UInt64
    /// An image above, by its file.
    private var mark: String?

    /// The place that the image above has handed on.
    init(taking options: inout BlockOptions) throws(BlockError) {
        depth = try options.takeSize("x-depth") ?? 0
        mark = options.take("x-mark")
    }

    /// Goes one image down. `identity` tells its file from all others; nil: unknown. Throws at the end of a loop, and
    /// of what is followed.
    mutating func descend(to identity: String?, from path: String) throws(BlockError) {
        guard identity == nil || identity != mark else { throw .loopingChain(path: path) }
        guard depth < Self.most else { throw .endlessChain(path: path, most: Self.most) }
        depth += 1
        if depth & (depth - 1) == 0 { mark = identity }
    }

    /// Hands it on to the image below.
    func hand(to options: inout BlockOptions) {
        options.setDefault("x-depth", "\(depth)")
        if let mark { options.setDefault("x-mark", mark) }
    }
}
