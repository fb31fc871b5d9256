/// The NUMA nodes of a machine, checked: empty on a machine without NUMA.
public struct NUMAConfiguration: Equatable, Sendable {
    /// A node.
    public struct Node: Equatable, Sendable {
        /// Its memory in bytes.
        public var memory: UInt64
        /// The object that is its memory, or nil.
        public var backend: String?
        /// A node's memory.
        public init(memory: UInt64, backend: String? = nil) {
            self.memory = memory
            self.backend = backend
        }
    }
    /// The nodes by number.
    public var nodes: [Node] = []
    /// The node of each possible processor, by index.
    public var processors: [Int] = []
    /// The distances between nodes, row by row; empty where none was given.
    public var distances: [[UInt8]] = []

    /// No nodes.
    public init() {}
}
