/// A node of the block graph: a driver at work on a file, or on other nodes.
///
/// A node checks what is asked of it against what it can do, not against the guest's disk size: nodes below a format
/// grow. The guest's range is `BlockDevice`'s to check.
public protocol BlockNode: BlockBackend {
    /// The name that no other node of the graph has (`node-name`).
    var nodeName: String { get }
    /// The driver's name, as `-blockdev driver=` takes it.
    var driverName: String { get }
    /// The file or device at the bottom, for people to read.
    var filename: String { get }
    /// The nodes that this one works on, with the role each plays (`file`, `backing`, `data-file`).
    var children: [BlockChild] { get }
    /// What a write makes the file longer by reads as zeroes until it is written to: so of a regular file, not of a
    /// device.
    var growsWithZeroes: Bool { get }
    /// `debugEvent` does something here, and may put its caller to sleep: so nobody comes to an event in `submit`.
    var wantsEvents: Bool { get }
    /// The node above has come to a point in its work: for nodes that make faults there.
    func debugEvent(_ event: BlockEvent)
    /// Runs `work` on a thread that may block on I/O of this node's: never on the calling thread.
    func schedule(_ work: @escaping @Sendable () -> Void)
    /// Sleeps until nothing is in flight here and below. Not from a completion.
    func drain()
    /// Drains, writes back what the node holds, and gives up files and threads of its own. Children are closed by
    /// the graph. A request submitted afterwards completes with `EBADF`.
    func close()
}

extension BlockNode {
    public var growsWithZeroes: Bool { false }
    public var wantsEvents: Bool { false }
    public func debugEvent(_ event: BlockEvent) {}
}

/// A node and what it is to the node above.
public struct BlockChild: Sendable {
    /// `file`, `backing` or `data-file`.
    public let role: String
    /// The node.
    public let node: any BlockNode

    /// A child in a role.
    public init(role: String, node: any BlockNode) {
        self.role = role
        self.node = node
    }
}

/// How the storage of new space comes to be (`preallocation=`).
public enum Preallocation: String, Sendable, CaseIterable {
    /// Holes.
    case off
    /// Only the metadata of a format.
    case metadata
    /// Reserved by `fallocate`, not written.
    case falloc
    /// Written with zeroes.
    case full
}

/// A node whose size can change.
public protocol Resizable: BlockNode {
    /// Makes the disk `size` bytes long. New space reads as zeroes. Blocks.
    func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError)
}

/// A run of bytes of the same kind.
public struct BlockExtent: Sendable, Hashable {
    /// First byte.
    public var offset: UInt64
    /// Length in bytes, not zero.
    public var length: UInt64
    /// Storage is allocated at this node (not in a backing file).
    public var isAllocated: Bool
    /// Reads as zeroes without looking.
    public var isZero: Bool
    /// Where the bytes are in the file below, when they are there as they are.
    public var hostOffset: UInt64?
    /// Stored as data, in a part of the file that is a hole: so it reads as zeroes all the same.
    public var isHole = false
    /// Packed.
    public var isCompressed = false
    /// A map has nothing to tell here: a bitmap shown in its place (`x-dirty-bitmap`) marks it.
    public var isUnmapped = false

    /// A run.
    public init(offset: UInt64, length: UInt64, isAllocated: Bool, isZero: Bool, hostOffset: UInt64? = nil) {
        self.offset = offset
        self.length = length
        self.isAllocated = isAllocated
        self.isZero = isZero
        self.hostOffset = hostOffset
    }
}

/// A node that knows which of its ranges hold data.
public protocol SparseMappable: BlockNode {
    /// The runs of the range, in order and without gaps, clipped to the disk; at most `limit` of them. Blocks.
    func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent]
    /// How many bytes of the host's storage the node's own file takes.
    func allocatedBytes() throws(BlockError) -> UInt64
}

/// A node that can change between reading and writing while it is open.
public protocol Reopenable: BlockNode {
    /// Lets the disk be written to, or no more. Nothing is in flight here. Blocks.
    func reopen(readOnly: Bool) throws(BlockError)
}
