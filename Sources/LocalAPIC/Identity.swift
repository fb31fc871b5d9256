extension APIC {
    /// What an APIC is addressed by (11.6.2, 11.12.10): a copy, to be matched without further looks at the state.
    public struct Identity: Equatable, Sendable {
        /// The mode; a disabled APIC is not reached.
        public var mode: Mode
        /// The APIC ID; xAPIC mode uses its low 8 bits.
        public var id: UInt32
        /// The logical ID: 8 bits in xAPIC mode, 32 in x2APIC mode.
        public var logicalID: UInt32
        /// The destination format register says cluster model (xAPIC mode only).
        public var isCluster: Bool

        /// An identity from its parts.
        public init(mode: Mode, id: UInt32, logicalID: UInt32, isCluster: Bool) {
            self.mode = mode
            self.id = id
            self.logicalID = logicalID
            self.isCluster = isCluster
        }

        /// True where `destination` addresses this APIC. 8-bit destinations (`isWide` false) come from xAPIC mode,
        /// IOAPICs and MSIs; an APIC in x2APIC mode takes them as zero-extended, and 0xFF as the broadcast.
        public func matches(_ destination: UInt32, isWide: Bool, isLogical: Bool) -> Bool {
            guard mode != Mode.disabled else { return false }
            if destination == (isWide ? 0xFFFF_FFFF : 0xFF) { return true }
            if !isLogical { return destination == (mode == Mode.x2APIC ? id : id & 0xFF) }
            if mode == Mode.x2APIC {
                return destination >> 16 == logicalID >> 16 && destination & logicalID & 0xFFFF != 0
            }
            guard destination <= 0xFF else { return false }
            if !isCluster { return destination & logicalID != 0 }
            return (destination >> 4 == 15 || destination >> 4 == logicalID >> 4) && destination & logicalID & 15 != 0
        }
    }

    /// How this APIC is addressed now. Any thread.
    public var identity: Identity {
        let mode = self.mode
        let id = self.id
        return Identity(
            mode: mode, id: id,
            logicalID: mode == Mode.x2APIC ? APIC.x2LogicalID(id) : logicalDestination >> 24,
            isCluster: destinationFormat >> 28 == 0)
    }

    /// The logical ID that x2APIC mode derives from the ID (11.12.10.2).
    static func x2LogicalID(_ id: UInt32) -> UInt32 { (id >> 4) << 16 | 1 << (id & 15) }
}

/// Chooses the one processor that a lowest-priority message goes to (11.6.2.4): that of the lowest processor priority;
/// among equals the next one after the last winner, so that interrupts spread.
public struct LowestPriorityArbitration: Sendable {
    private let last: Int
    private var best: (index: Int, priority: UInt8, distance: UInt)?

    /// A round after one that `last` won; -1 for the first.
    public init(after last: Int) { self.last = last }

    /// Adds processor `index`, which the message reaches, with its `processorPriority`.
    public mutating func consider(_ index: Int, priority: UInt8) {
        // Those after the last winner come first: their distance is small, that of the others wraps to large numbers.
        let distance = UInt(bitPattern: index &- last &- 1)
        if let best, (best.priority >> 4, best.distance) <= (priority >> 4, distance) { return }
        best = (index, priority, distance)
    }

    /// The winner, or nil where no one was considered.
    public var winner: Int? { best?.index }
}
