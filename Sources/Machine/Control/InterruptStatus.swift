/// A local APIC's registers (SDM volume 3, 11.4), for `info lapic`.
public struct LocalAPICStatus: Equatable, Sendable {
    /// Requested and in service, and which of them are level-triggered: a bit for each vector.
    public var requests = [UInt32](repeating: 0, count: 8)
    /// See `requests`.
    public var inService = [UInt32](repeating: 0, count: 8)
    /// See `requests`.
    public var levels = [UInt32](repeating: 0, count: 8)
    /// The local vectors: LINT0, LINT1, performance, error, thermal, timer.
    public var vectors = [UInt32](repeating: 0x10000, count: 6)
    /// The spurious vector's register.
    public var spurious: UInt32 = 0xFF
    /// The interrupt command, low and high.
    public var command: (low: UInt32, high: UInt32) = (0, 0)
    /// Errors.
    public var errors: UInt32 = 0
    /// The task's priority.
    public var taskPriority: UInt32 = 0
    /// The logical destination, and its format.
    public var logical: (destination: UInt32, format: UInt32) = (0, UInt32.max)
    /// The timer's divider and counts.
    public var timer: (divider: UInt32, initial: UInt32, current: UInt32) = (0, 0, 0)
    /// Whether it is in x2APIC mode.
    public var isX2 = false

    /// An APIC after its reset.
    public init() {}

    public static func == (a: LocalAPICStatus, b: LocalAPICStatus) -> Bool {
        a.requests == b.requests && a.inService == b.inService && a.levels == b.levels && a.vectors == b.vectors
            && a.spurious == b.spurious && a.command == b.command && a.errors == b.errors
            && a.taskPriority == b.taskPriority && a.logical == b.logical && a.timer == b.timer && a.isX2 == b.isX2
    }
}

/// The machine's interrupt controllers beside the processors' own, for `info pic`.
public struct InterruptControllerStatus: Equatable, Sendable {
    /// An 8259A.
    public struct Legacy: Equatable, Sendable {
        /// Requested, masked and in service: a bit for each input.
        public var requests: UInt8 = 0
        /// See `requests`.
        public var mask: UInt8 = 0
        /// See `requests`.
        public var inService: UInt8 = 0
        /// The input of the highest priority.
        public var highest = 0
        /// Its first vector.
        public var base: UInt8 = 0
        /// Whether reads tell what is in service.
        public var readsInService = false
        /// Inputs that are level-triggered.
        public var levels: UInt8 = 0
        /// Special fully nested mode.
        public var isNested = false

        /// A controller after its reset.
        public init() {}
    }
    /// The first and the second 8259A, or none.
    public var legacy: [Legacy] = []
    /// The IOAPIC's ID, the register that is chosen, and its inputs' entries; none: there is no such chip.
    public var id: UInt8 = 0
    /// See `id`.
    public var select: UInt8 = 0
    /// See `id`.
    public var entries: [UInt64] = []
    /// Inputs that ask: a bit for each.
    public var requests: UInt32 = 0

    /// None.
    public init() {}
}
