/// The jumps that lead to each block's code, so that they follow it when it is translated anew: lists whose heads lie
/// before the code.
struct IncomingLinks {
    enum Kind: UInt8 {
        /// The displacement of a jump.
        case jump
        /// A `FarRecord`.
        case record
    }
    struct Link {
        let kind: Kind
        /// Where it is in the code cache.
        let offset: UInt32
        let next: Int32
    }
    /// The end of a list.
    static let none = Int32(-1)
    /// Beyond so many, jumps keep going by way of the old code.
    private static let limit = 1 << 19

    private var links: [Link] = []
    /// The number of the first: those before it were a parent's. What leads to its code keeps going by way of it.
    private var first: Int32 = 0

    /// Begins after a parent's.
    mutating func begin(at number: Int) { first = Int32(clamping: number) }
    /// How many there are, a parent's among them.
    var count: Int { Int(first) + links.count }

    /// Adds a link before a list, and returns the new head.
    mutating func add(_ kind: Kind, _ offset: UInt32, next: Int32) -> Int32 {
        guard count < Self.limit else { return next }
        links.append(Link(kind: kind, offset: offset, next: next))
        return Int32(count - 1)
    }

    subscript(index: Int32) -> Link? { index < first ? nil : links[Int(index - first)] }

    mutating func forget() {
        first = 0
        links.removeAll(keepingCapacity: true)
    }
}
