/// What a debugger wants of a processor. Addresses are linear, as the processor's instructions and accesses have them.
public struct DebugRequest: Equatable, Sendable {
    /// Bytes that an access is to stop at.
    public struct Watchpoint: Hashable, Sendable {
        /// Which accesses count.
        public enum Kind: Hashable, Sendable {
            /// Writes.
            case write
            /// Reads.
            case read
            /// Both.
            case access
        }
        /// The first byte.
        public var address: UInt64
        /// Bytes, at least 1.
        public var count: UInt64
        /// Which accesses count.
        public var kind: Kind

        /// A watchpoint of all parts.
        public init(address: UInt64, count: UInt64, kind: Kind) {
            self.address = address
            self.count = count
            self.kind = kind
        }
    }

    /// `run` returns after each instruction.
    public var singleStep = false
    /// While it steps, interrupts wait (unless it sleeps), so that a step does not end in the clock's handler.
    public var holdsInterrupts = true
    /// `run` returns before the instructions at these addresses.
    public var breakpoints: Set<UInt64> = []
    /// `run` returns after an instruction that accesses any of these.
    public var watchpoints: [Watchpoint] = []
    /// Where the debugger has put the ISA's breakpoint instruction into memory: there it returns `.debug` instead of
    /// reaching the guest. For engines that take few breakpoints by address.
    public var breakpointInstructions: Set<UInt64> = []

    /// Nothing.
    public init() {}

    /// Whether anything is wanted.
    public var isEmpty: Bool { self == DebugRequest() }
}

/// Why a processor stopped for its debugger.
public enum DebugStop: Equatable, Sendable {
    /// An instruction was executed.
    case step
    /// The next instruction is at a breakpoint.
    case breakpoint(UInt64)
    /// The instruction before accessed a watched byte.
    case watchpoint(address: UInt64, kind: DebugRequest.Watchpoint.Kind)
    /// The next instruction is the ISA's breakpoint instruction, at this address.
    case breakpointInstruction(UInt64)
}

/// What an engine can do for a debugger.
public struct DebugAbilities: Equatable, Sendable {
    /// Breakpoints and watchpoints at the same time; nil: any number.
    public var pointLimit: Int?
    /// The longest watchpoint in bytes.
    public var watchLength: UInt64
    /// Whether reads alone can be watched.
    public var watchesReads: Bool

    /// All parts.
    public init(pointLimit: Int?, watchLength: UInt64, watchesReads: Bool) {
        self.pointLimit = pointLimit
        self.watchLength = watchLength
        self.watchesReads = watchesReads
    }
}

extension Processor {
    /// None: an engine says otherwise where it is otherwise.
    public var debugAbilities: DebugAbilities? { nil }
    /// Nothing; false.
    public func setDebug(_ request: DebugRequest) -> Bool { false }
}
