/// An immutable picture of what RAM lies where in guest-physical space; everything else is device space.
///
/// Ranges are sorted, disjoint and aligned to pages. A change of the map makes a new view of a higher generation.
public final class FlatView: Sendable {
    /// A run of guest-physical addresses backed by one block.
    public struct Range: Sendable {
        /// First address.
        public let start: GuestPhysical
        /// Bytes.
        public let count: UInt64
        /// The block behind it.
        public let block: RAMBlock
        /// Offset of `start` in the block.
        public let offset: UInt64
        /// False for ROM and for write-protected shadow memory; guest writes go nowhere.
        public let writable: Bool

        /// A run of `count` bytes at `start`.
        public init(start: GuestPhysical, count: UInt64, block: RAMBlock, offset: UInt64 = 0, writable: Bool = true) {
            self.start = start
            self.count = count
            self.block = block
            self.offset = offset
            self.writable = writable
        }

        /// The address after the last; no wrap, as views end below 2^52.
        public var end: GuestPhysical { start + count }
    }

    /// Sorted by start.
    public let ranges: [Range]
    /// Rises with each change of the address space.
    public let generation: UInt64

    init(ranges: [Range], generation: UInt64) {
        self.ranges = ranges
        self.generation = generation
    }

    /// The range that holds `address`, by binary search.
    public func range(at address: GuestPhysical) -> Range? {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            let range = ranges[middle]
            if address < range.start {
                high = middle
            } else if address.rawValue >= range.start.rawValue + range.count {
                low = middle + 1
            } else {
                return range
            }
        }
        return nil
    }
}
