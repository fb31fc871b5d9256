internal import CEngine
internal import X86

/// Translates one decoded block of 64-bit code, or of 32-bit code with flat segments: there addresses have 32 bits and the
/// stack moves by four bytes, and the upper halves of registers are 0.
///
/// Guest registers stay in host registers (R13 to R15 in the structure, RSP in R15) and guest flags in host flags as
/// far as someone looks at them. Everything that has no translation of its own, and every access that misses in the
/// tables, is executed by the interpreter's handler in between.
@safe struct BlockTranslator {
    var a: Assembler
    let stubs: TranslatedStubs
    let ops: UnsafePointer<apus_op>
    let tier: Tier
    let is64: Bool
    /// It is code of level 0.
    let isSupervisor: Bool
    /// The instructions whose accesses have inline caches in the upper tiers: a bit each.
    let cached: UInt64
    /// Accesses look into the TLB, as there are no tables.
    let isTagged: Bool
    /// Each block adds its instructions to those that were executed, unless that is more than the limit.
    let countsInstructions: Bool
    var limitPath: UnsafeMutablePointer<UInt8>?
    /// Executions in this tier before the next.
    let executions: Int32
    /// Where a counting block has its record, the jump for its promotion, and how many inline caches it has.
    var blockRecord: UnsafeMutablePointer<UInt8>?
    var promotion: UnsafeMutablePointer<UInt8>?
    var cacheCount: UInt32 = 0
    /// Whether the guest's flags are the host's, and not in `arith`.
    var flagsInHost = false
    var slowPaths: [SlowPath] = []
    /// The same for instructions that end the block.
    var endPaths: [SlowPath] = []
    var stepPaths: [StepPath] = []
    var x87Paths: [X87Path] = []
    /// The host's x87 unit is known to hold the guest's registers, with every exception masked.
    var isX87Ready = false
    /// Indirect jumps without a hit, and the op with `TransferMiss`.
    var transfers: [(misses: [UnsafeMutablePointer<UInt8>], word: UInt64)] = unsafe []
    var exits: [Exit] = []
    var sideExits: [SideExit] = []
    var leftCalls: [LeftCall] = []
    /// The calls that the superblock is in, the innermost last: their records, and whether the function is in another page.
    var calls: [(record: UnsafeMutablePointer<UInt8>, isFar: Bool)] = unsafe []
    /// What the numbers of the instructions at hand count from: their ops follow it.
    private(set) var base: UnsafePointer<apus_op>
    /// Places where translated code may fault by itself, with their op: code address after the access.
    var sites: [(end: UnsafeMutablePointer<UInt8>, op: UnsafePointer<apus_op>, dirty: UInt32)] = unsafe []
    /// Vector registers that the host's hold, and those of them whose value is nowhere else.
    var loadedVectors: UInt16 = 0
    var dirtyVectors: UInt16 = 0
    var hasPlainVectors = false
    /// The block has AVX instructions, and all of its registers are moved whole.
    var hasWideVectors = false
    /// The block's last instruction was an LDMXCSR that went by without a change.
    var setsPlainControl = false

    /// What the two free registers hold of the guest's.
    var heldByAddress: HeldRegister?
    var heldByAddend: HeldRegister?
    /// The window that is open, and the number of the instruction at hand.
    var window: Window?
    var current = 0
    var windowPaths: [WindowPath] = []
    /// The ways around windows, and whether one is being emitted.
    var crossings: [Crossing] = []
    var isRepeating = false
    /// Of a hot block that goes around.
    var loop: LoopStart?

    /// An access that goes to the interpreter.
    @safe struct SlowPath {
        let op: UnsafePointer<apus_op>
        /// The linear address.
        let address: RM
        /// The guest's register that the address register holds, then and at the instruction's end.
        let held: UInt8?
        var heldAtEnd: UInt8?
        /// The jumps that lead here: of a miss, and of a misaligned access, which may still be within its page.
        let miss: UnsafeMutablePointer<UInt8>
        let misaligned: UnsafeMutablePointer<UInt8>?
        let size: Int
        let write: Bool
        /// Where an access goes on that is misaligned only, or whose cache has been filled.
        let aligned: UnsafeMutablePointer<UInt8>
        /// The inline cache.
        var cache: UnsafeMutablePointer<UInt8>?
        /// Where the instruction ends.
        var end: UnsafeMutablePointer<UInt8>
        var reloadsFlags: Bool
        /// Vector registers to store before, and to load after.
        var dirty: UInt16
        var loaded: UInt16 = 0
    }
    /// What a place that may fault says of vector registers: a bit for each whose value only the host has.
    enum FaultSite {
        /// Their upper halves too.
        static let wide: UInt32 = 1 << 31
    }
    /// A direct jump that is not linked yet.
    @safe struct Exit {
        let place: UnsafeMutablePointer<UInt8>
        let op: UnsafePointer<apus_op>
    }

    init(
        _ assembler: Assembler, stubs: TranslatedStubs, ops: UnsafePointer<apus_op>,
        records: UnsafeMutablePointer<UInt8>, code: CodeSize, isSupervisor: Bool, tier: Tier, cached: UInt64,
        isTagged: Bool, promotion: Int32, countsInstructions: Bool
    ) {
        is64 = code == .bits64
        self.isSupervisor = isSupervisor
        a = assembler
        self.tier = tier
        self.cached = cached
        self.isTagged = isTagged
        self.countsInstructions = countsInstructions
        executions = promotion
        unsafe self.records = records
        self.stubs = stubs
        unsafe self.ops = ops
        unsafe base = ops
    }

    /// The op of the instruction before that of a number in its superblock.
    func op(_ index: Int) -> UnsafePointer<apus_op> { unsafe base + index }
    mutating func begin(_ segment: DecodedBlock.Segment) {
        unsafe base = segment.header - segment.instructions.lowerBound
        isX87Ready = false
    }

    /// Bytes that the stack moves by.
    var unit: Int32 { is64 ? 8 : 4 }

    // MARK: Registers

    /// The host register of a guest register, nil for one in the structure.
    static func pinned(_ guest: UInt8) -> UInt8? { guest == 4 ? Host.guestStack : guest < 13 ? guest : nil }
    func place(_ guest: UInt8) -> RM { Self.pinned(guest).map { RM.register($0) } ?? .state(Int(guest) * 8) }
    mutating func loadGuest(_ guest: UInt8, into host: UInt8) { a.load(host, place(guest)) }

    // MARK: Flags

    /// Host flags to `arith`; keeps all registers but one that is free.
    mutating func spillFlags() { a.spillFlags(by: freeRegister()) }
    /// `arith` to host flags; keeps all registers but one that is free.
    mutating func reloadFlags() { a.reloadFlags(by: freeRegister()) }
    private mutating func freeRegister() -> UInt8 {
        let host = window == nil ? Host.addend : Host.address
        release(host)
        return host
    }

    // MARK: Instructions that the interpreter executes

    /// In the middle of the block.
    mutating func emitInterpreted(_ op: UnsafePointer<apus_op>, liveBefore: Bool) {
        protectFlags(liveBefore)
        spillVectors()
        loadedVectors = 0
        window = nil
        isX87Ready = false
        unsafe emitCall(op, stubs.step)
    }
    /// At the block's end.
    mutating func emitInterpretedEnd(_ op: UnsafePointer<apus_op>) {
        if flagsInHost { spillFlags() }
        a.immediate(Host.addend, UInt64(UInt(bitPattern: op)))
        unsafe a.jump(to: stubs.end)
    }

    // MARK: Jumps

    /// Goes to the target of a direct branch, `disp` from its page's start.
    mutating func emitJump(_ op: UnsafePointer<apus_op>, disp: Int32, from offset: Int32) {
        guard disp >= 0 && disp < 4096 else {
            let record = unsafe takeRecord(FarRecord.empty)
            let misses = unsafe a.farJump(record)
            unsafe farJumps.append((record, misses, op))
            return
        }
        if disp > offset {
            unsafe exits.append(Exit(place: a.jump(), op: op))
        } else {
            unsafe emitPolledJump(op)
        }
    }

    /// A loop must see events: goes out of line where something is pending.
    private mutating func emitPolledJump(_ op: UnsafePointer<apus_op>) {
        unsafe exits.append(Exit(place: emitPoll(if: 4), op: op))
        // This place is never linked: its op's exit finds the event.
        unsafe polls.append((a.jump(), op))
    }
    var polls: [(place: UnsafeMutablePointer<UInt8>, op: UnsafePointer<apus_op>)] = unsafe []
    /// Whether an event is pending: a jump that is taken where none is (4) or one is (5).
    mutating func emitPoll(if condition: UInt8) -> UnsafeMutablePointer<UInt8> {
        unsafe a.modrm(
            0, wide: false, opcode: 0x83, length: 1, reg: 7,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.pending)))
        a.byte(0)
        return unsafe a.jump(if: condition)
    }
    /// Goes where an op leads, by way of what is pending.
    mutating func emitPolled(_ op: UnsafePointer<apus_op>) {
        a.immediate(Host.addend, UInt64(UInt(bitPattern: op)))
        a.immediate(Host.address, 0)
        unsafe a.jump(to: stubs.link)
    }

    /// The next free record of a jump to another page.
    var records: UnsafeMutablePointer<UInt8>
    var farJumps:
        [(record: UnsafeMutablePointer<UInt8>, misses: [UnsafeMutablePointer<UInt8>], op: UnsafePointer<apus_op>)] =
            unsafe []

    mutating func emitPolls() {
        for unsafe far in unsafe farJumps {
            for unsafe miss in unsafe far.misses { unsafe a.land(miss) }
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: far.op)))
            unsafe a.lea(Host.address, .relative(far.record))
            unsafe a.jump(to: stubs.far)
        }
        for unsafe poll in unsafe polls {
            unsafe a.land(poll.place)
            unsafe emitPolled(poll.op)
        }
    }
}
