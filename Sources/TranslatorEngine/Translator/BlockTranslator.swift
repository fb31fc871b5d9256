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
    var exits: [Exit] = []
    var sideExits: [SideExit] = []
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
        promotion: Int32, countsInstructions: Bool
    ) {
        is64 = code == .bits64
        self.isSupervisor = isSupervisor
        a = assembler
        self.tier = tier
        self.cached = cached
        self.countsInstructions = countsInstructions
        executions = promotion
        unsafe self.records = records
        self.stubs = stubs
        unsafe self.ops = ops
        unsafe base = ops
    }

    /// The op of the instruction before that of a number in its superblock.
    func op(_ index: Int) -> UnsafePointer<apus_op> { unsafe base + index }
    mutating func begin(_ segment: DecodedBlock.Segment) { unsafe base = segment.header - segment.instructions.lowerBound }

    /// Bytes that the stack moves by.
    var unit: Int32 { is64 ? 8 : 4 }

    // MARK: Registers

    /// The host register of a guest register, nil for one in the structure.
    static func pinned(_ guest: UInt8) -> UInt8? { guest == 4 ? Host.guestStack : guest < 13 ? guest : nil }
    func place(_ guest: UInt8) -> RM { Self.pinned(guest).map { RM.register($0) } ?? .state(Int(guest) * 8) }
    mutating func loadGuest(_ guest: UInt8, into host: UInt8) { a.load(host, place(guest)) }

    // MARK: Memory

    /// Whether `emitAddress` can compute it.
    func canAddress(_ i: Instruction) -> Bool {
        guard i.addressSize == unit, Int32(exactly: i.memory.displacement) != nil else { return false }
        // Segments that are known to be flat: SS and DS.
        guard is64 || i.memory.segment == 2 || i.memory.segment == 3 || i.mnemonic == .lea else { return false }
        return i.memory.base != MemoryReference.instructionPointer
            || Int32(exactly: i.memory.displacement + 8192) != nil
    }

    /// The effective address as an operand, with unpinned registers loaded into the two free ones; the segment is not
    /// in it.
    mutating func effectiveAddress(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> RM {
        let m = i.memory
        var disp = Int32(truncatingIfNeeded: m.displacement)
        var base: UInt8?
        if m.base == MemoryReference.instructionPointer {
            a.load(Host.address, .state(Int(Slot.pageBase) * 8))
            base = Host.address
            disp = unsafe Int32(truncatingIfNeeded: m.displacement + Int64(op.pointee.offset) + Int64(i.length))
        } else if m.base != MemoryReference.noRegister {
            base = Self.pinned(m.base & 15)
            if base == nil {
                loadGuest(m.base & 15, into: Host.address)
                base = Host.address
            }
        }
        guard m.index != MemoryReference.noRegister else {
            return base.map { .base($0, disp) } ?? .scaled(4, 0, disp)
        }
        var index = Self.pinned(m.index & 15)
        if index == nil {
            window = nil
            loadGuest(m.index & 15, into: Host.addend)
            index = Host.addend
        }
        let shift = m.shift & 3
        return base.map { .indexed($0, index ?? 0, shift, disp) } ?? .scaled(index ?? 0, shift, disp)
    }

    /// The register of the linear address: the base's own where that is all of it, else the address register, into which
    /// it is computed.
    mutating func emitAddress(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> UInt8 {
        let address = unsafe effectiveAddress(i, op)
        let isBased = is64 && (i.memory.segment == 4 || i.memory.segment == 5)
        if case .base(let base, 0) = address, !isBased { return base }
        a.lea(Host.address, address, wide: is64)
        if isBased {
            a.modrm(
                0, wide: true, opcode: 0x03, length: 1, reg: Host.address,
                rm: .state(Int(Slot.base(i.memory.segment)) * 8))
        }
        return Host.address
    }

    /// The linear address as an operand that leaves the addend's register free: where it can be said so of the guest's
    /// registers themselves, else of the address register, into which it is computed.
    mutating func addressOperand(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> RM {
        let m = i.memory
        let (hasBase, hasIndex) = (m.base != MemoryReference.noRegister, m.index != MemoryReference.noRegister)
        let (baseGuest, indexGuest) = (m.base & 15, m.index & 15)
        let isComputed = !is64 || m.segment == 4 || m.segment == 5 || m.base == MemoryReference.instructionPointer
            || !hasBase && !hasIndex || m.displacement == Int64(Int32.min)
            || hasBase && hasIndex && baseGuest != indexGuest && Self.pinned(baseGuest) == nil
                && Self.pinned(indexGuest) == nil
        if isComputed {
            releaseAll()
            return .base(unsafe emitAddress(i, op), 0)
        }
        let disp = Int32(truncatingIfNeeded: m.displacement)
        let base = hasBase ? Self.pinned(baseGuest) ?? holdByAddress(baseGuest, reads: true, writes: false) : nil
        guard hasIndex else { return .base(base ?? 0, disp) }
        let index = Self.pinned(indexGuest) ?? holdByAddress(indexGuest, reads: true, writes: false)
        return base.map { .indexed($0, index, m.shift & 3, disp) } ?? .scaled(index, m.shift & 3, disp)
    }

    /// Checks an access at the linear address in a register.
    mutating func emitCheck(_ op: UnsafePointer<apus_op>, at address: UInt8, size: Int, write: Bool) -> RM {
        unsafe emitCheck(op, at: .base(address, 0), size: size, write: write)
    }

    /// Checks an access at a linear address, and returns where its bytes are, by the addend's register. The slow path is
    /// finished by `finishAccess`.
    mutating func emitCheck(_ op: UnsafePointer<apus_op>, at address: RM, size: Int, write: Bool) -> RM {
        var address = address
        if !is64, !address.isRegister {
            // Sums end at 4 GiB.
            release(Host.address)
            a.lea(Host.address, address, wide: false)
            address = .base(Host.address, 0)
        }
        let held = heldByAddress?.guest
        if usesCache {
            let (miss, cache) = unsafe emitCacheLookup(address, size: Int32(size))
            unsafe slowPaths.append(
                SlowPath(
                    op: op, address: address, held: held, miss: miss, misaligned: nil, size: size, write: write,
                    aligned: a.cursor, cache: cache, end: a.cursor, reloadsFlags: false, dirty: dirtyVectors))
            return behindCheck(address)
        }
        let source = loadForTable(address)
        var misaligned: UnsafeMutablePointer<UInt8>? = nil
        if size > 1 {
            a.modrm(0, wide: false, opcode: 0xf6, length: 1, reg: 0, rm: .register(source), byteRegister: true)
            a.byte(UInt8(size - 1))
            unsafe misaligned = a.jump(if: 5)
        }
        let aligned = unsafe a.cursor
        emitTableLoad(source, write: write)
        let miss = unsafe a.jump(if: 4)
        unsafe slowPaths.append(
            SlowPath(
                op: op, address: address, held: held, miss: miss, misaligned: misaligned, size: size, write: write,
                aligned: aligned, cache: nil, end: a.cursor, reloadsFlags: false, dirty: dirtyVectors))
        return behindCheck(address)
    }
    /// The register that has a linear address: its own, or the addend's.
    mutating func loadForTable(_ address: RM) -> UInt8 {
        if case .base(let register, 0) = address { return register }
        a.lea(Host.addend, address)
        return Host.addend
    }
    /// Where the bytes are whose address was checked, with what leads to the host's in the addend's register.
    private mutating func behindCheck(_ address: RM) -> RM {
        switch address {
        case .base(let base, let disp): return .indexed(base, Host.addend, 0, disp - 1)
        case .indexed(let base, let index, let shift, let disp):
            a.lea(Host.addend, .indexed(base, Host.addend, 0, 0))
            return .indexed(Host.addend, index, shift, disp - 1)
        case .scaled(let index, let shift, let disp): return .indexed(Host.addend, index, shift, disp - 1)
        default: fatalError("No address")
        }
    }
    /// Where the bytes of a memory operand are: in the window that is open, or checked by themselves, which `finishAccess`
    /// ends.
    mutating func emitOperand(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, size: Int, write: Bool, liveBefore: Bool
    ) -> (place: RM, isChecked: Bool) {
        if let place = windowed(i.memory.displacement) {
            storeHeld()
            return (place, false)
        }
        protectAccess(liveBefore)
        let address = unsafe addressOperand(i, op)
        return (unsafe emitCheck(op, at: address, size: size, write: write), true)
    }
    /// Loads the table's entry for the page of a linear address, and tests whether there is one.
    mutating func emitTableLoad(_ address: UInt8, write: Bool) {
        window = nil
        a.rotateRight(Host.addend, address, by: 8)
        a.modrm(0, wide: true, opcode: 0x23, length: 1, reg: Host.addend, rm: .indexMask)
        a.load(Host.addend, .table(Host.addend, write ? 8 : 0))
        a.bytes(0x41, 0xf6, 0xc5)  // test r13b, 1
        a.byte(1)
    }

    /// Notes that the bytes before the cursor may fault.
    mutating func noteSite(_ op: UnsafePointer<apus_op>) {
        unsafe sites.append((a.cursor, op, UInt32(dirtyVectors) | (hasWideVectors ? FaultSite.wide : 0)))
    }

    /// The instruction of the last check ends here.
    mutating func finishAccess(reloadsFlags: Bool) {
        unsafe slowPaths[slowPaths.count - 1].end = a.cursor
        slowPaths[slowPaths.count - 1].reloadsFlags = reloadsFlags
        slowPaths[slowPaths.count - 1].loaded = loadedVectors
        slowPaths[slowPaths.count - 1].heldAtEnd = heldByAddress?.guest
    }

    /// Where accesses end up that the fast way has not decided, and jumps that are not linked.
    mutating func emitSlowPaths() {
        for path in slowPaths {
            landMiss(path)
            moveVectors(path.dirty, store: true)
            unsafe emitCall(path.op, stubs.slow)
            moveVectors(path.loaded, store: false)
            if let held = path.heldAtEnd { loadGuest(held, into: Host.address) }
            if path.reloadsFlags { a.reloadFlags(by: Host.addend) }
            unsafe a.jump(to: path.end)
        }
        for exit in exits {
            unsafe a.land(exit.place)
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: exit.op)))
            unsafe a.immediate(Host.address, UInt64(UInt(bitPattern: exit.place)))
            unsafe a.jump(to: stubs.link)
        }
    }

    /// Lands an access that the fast way has not decided, with its linear address in the address register: one that is
    /// only misaligned, or whose page the table has, goes back.
    mutating func landMiss(_ path: SlowPath) {
        landMisaligned(path)
        unsafe a.land(path.miss)
        a.loadAddress(Host.address, path.address)
        if let cache = unsafe path.cache {
            unsafe emitCacheMiss(cache, write: path.write, held: path.held, resume: path.aligned)
        }
    }

    private mutating func landMisaligned(_ path: SlowPath) {
        guard let misaligned = unsafe path.misaligned else { return }
        unsafe a.land(misaligned)
        a.loadAddress(Host.addend, path.address)
        a.bytes(0x41, 0x81, 0xe5)  // and r13d, 0xfff
        a.word32(0xfff)
        a.bytes(0x41, 0x81, 0xfd)  // cmp r13d, 4096 - size
        a.word32(Int32(4096 - path.size))
        _ = loadForTable(path.address)
        let within = unsafe a.jump(if: 6)
        unsafe a.patch(within, to: path.aligned)
    }

    mutating func emitCall(_ op: UnsafePointer<apus_op>, _ stub: UnsafeMutablePointer<UInt8>) {
        a.immediate(Host.addend, UInt64(UInt(bitPattern: op)))
        unsafe a.call(stub)
    }

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
        unsafe a.modrm(
            0, wide: false, opcode: 0x83, length: 1, reg: 7,
            rm: .field(MemoryLayout<apus_vcpu>.offset(of: \.pending)))
        a.byte(0)
        unsafe exits.append(Exit(place: a.jump(if: 4), op: op))
        // This place is never linked: its op's exit finds the event.
        unsafe polls.append((a.jump(), op))
    }
    var polls: [(place: UnsafeMutablePointer<UInt8>, op: UnsafePointer<apus_op>)] = unsafe []

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
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: poll.op)))
            a.immediate(Host.address, 0)
            unsafe a.jump(to: stubs.link)
        }
    }
}
