internal import CEngine
internal import X86

// Instructions of system software that translated code executes without the interpreter: the interrupt flag, access to
// user pages, the GS bases, time, and flags on the stack. What is privileged only at level 0, which a block's mode says.
// What else such an instruction may do (an interrupt that it lets in, a trap, a flag that changes more) is looked for
// first, and is the interpreter's, out of line.

extension BlockTranslator {
    /// Emits one of these instructions; false, with nothing emitted, for others.
    mutating func emitSystem(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        switch i.mnemonic {
        case .lfence, .mfence, .sfence: emitFence(i.mnemonic)
        case .rdtsc where !countsInstructions, .rdtscp where !countsInstructions: unsafe emitTime(i, op, liveBefore: liveBefore)
        case .push where i.operands.0.kind == .memory: return unsafe emitPushMemory(i, op, liveBefore: liveBefore)
        case .pushf where is64 && i.operandSize == 8: unsafe emitPushFlags(op)
        case .popf where is64 && i.operandSize == 8 && isSupervisor: unsafe emitPopFlags(op, liveBefore: liveBefore)
        case .cli where isSupervisor:
            protectFlags(liveBefore)
            changeByte(.and, RFlagsByte.interrupt.place, ~RFlagsByte.interrupt.bits)
        case .sti where isSupervisor: unsafe emitEnableInterrupts(op, liveBefore: liveBefore)
        case .stac where isSupervisor, .clac where isSupervisor:
            emitUserAccess(i.mnemonic == .stac, liveBefore: liveBefore)
        case .swapgs where isSupervisor:
            releaseAll()
            window = nil
            let base = RM.state(Int(Slot.base(5)) * 8)
            let kernel = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.kernel_gs_base))
            a.load(Host.addend, base)
            a.load(Host.address, kernel)
            a.store(Host.address, base)
            a.store(Host.addend, kernel)
        default: return false
        }
        return true
    }

    private mutating func emitFence(_ mnemonic: Mnemonic) {
        a.bytes(0x0f, 0xae, mnemonic == .lfence ? 0xe8 : mnemonic == .mfence ? 0xf0 : 0xf8)
    }

    // MARK: Flags

    /// A byte of RFLAGS in the structure, and bits of it.
    private enum RFlagsByte {
        case interrupt, access

        var bits: UInt8 { self == .interrupt ? 0x02 : 0x04 }
        var place: RM {
            let offset = unsafe MemoryLayout<apus_vcpu>.offset(of: \.s.rflags).unsafelyUnwrapped
            return .state(offset + (self == .interrupt ? 1 : 2))
        }
    }

    /// The digit of an operation with a byte, in opcode 80.
    private enum ByteOperation: UInt8 {
        case or = 1
        case and = 4
    }
    private mutating func changeByte(_ operation: ByteOperation, _ place: RM, _ value: UInt8) {
        a.modrm(0, wide: false, opcode: 0x80, length: 1, reg: operation.rawValue, rm: place)
        a.byte(value)
    }

    /// STI: where something waits the interpreter lets it in, one instruction later.
    private mutating func emitEnableInterrupts(_ op: UnsafePointer<apus_op>, liveBefore: Bool) {
        protectFlags(liveBefore)
        let waits = unsafe emitWaitingTest()
        changeByte(.or, RFlagsByte.interrupt.place, RFlagsByte.interrupt.bits)
        unsafe finishStep(op, [waits])
    }
    /// Jumps where an event waits that IF masked, or a new one. The addend's register is lost.
    private mutating func emitWaitingTest() -> UnsafeMutablePointer<UInt8> {
        window = nil
        let masked = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.masked_events))
        let pending = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.pending))
        a.modrm(0, wide: false, opcode: 0x0fb6, length: 2, reg: Host.addend, rm: masked)
        a.modrm(0, wide: false, opcode: 0x0b, length: 1, reg: Host.addend, rm: pending)
        return unsafe a.jump(if: 5)
    }

    /// STAC and CLAC: another table.
    private mutating func emitUserAccess(_ allows: Bool, liveBefore: Bool) {
        protectFlags(liveBefore)
        window = nil
        let access = RFlagsByte.access
        changeByte(allows ? .or : .and, access.place, allows ? access.bits : ~access.bits)
        a.chooseTable(allows ? 2 : 0, by: Host.addend)
    }

    private mutating func emitPushFlags(_ op: UnsafePointer<apus_op>) {
        protectFlags(true)
        window = nil
        a.wholeFlags(Host.addend, by: Host.address)
        a.store(Host.addend, temporary)
        unsafe emitPushTemporary(op)
        finishAccess(reloadsFlags: false)
    }

    /// POPF of code that changes nothing but IF, DF and the arithmetic flags.
    private mutating func emitPopFlags(_ op: UnsafePointer<apus_op>, liveBefore: Bool) {
        protectFlags(liveBefore)
        window = nil
        let flags = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.rflags))
        let accessed = unsafe emitCheck(op, at: Host.guestStack, size: 8, write: false)
        a.load(Host.address, accessed)
        unsafe noteSite(op)
        a.move(Host.addend, Host.address)
        a.modrm(0, wide: true, opcode: 0x33, length: 1, reg: Host.addend, rm: flags)
        a.operate(.test, Host.addend, Int32(Flag.tf | Flag.iopl | Flag.nt | Flag.ac | Flag.id))
        let changesMore = unsafe a.jump(if: 5)
        a.operate(.test, Host.address, Int32(Flag.if))
        let staysMasked = unsafe a.jump(if: 4)
        let waits = unsafe emitWaitingTest()
        unsafe a.land(staysMasked)
        a.store(Host.address, temporary)
        a.load(Host.addend, flags)
        a.operate(.and, Host.addend, ~Int32(Flag.if | Flag.df | Flag.rf), wide: true)
        a.operate(.and, Host.address, Int32(Flag.if | Flag.df))
        a.modrm(0, wide: true, opcode: 0x0b, length: 1, reg: Host.addend, rm: .register(Host.address))
        a.store(Host.addend, flags)
        a.load(Host.address, temporary)
        a.keepArithmetic(of: Host.address, by: Host.addend)
        a.lea(Host.guestStack, .base(Host.guestStack, 8))
        finishAccess(reloadsFlags: false)
        unsafe finishStep(op, [changesMore, waits])
    }

    // MARK: Stack

    var temporary: RM { unsafe .field(MemoryLayout<apus_vcpu>.offset(of: \.temporary)) }

    /// PUSH of a value in memory: two accesses, of which either's miss gives the whole instruction to the interpreter.
    private mutating func emitPushMemory(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        guard is64, i.operandSize == 8, canAddress(i) else { return false }
        protectFlags(liveBefore)
        window = nil
        let address = unsafe emitAddress(i, op)
        let first = slowPaths.count
        let accessed = unsafe emitCheck(op, at: address, size: 8, write: false)
        a.load(Host.address, accessed)
        unsafe noteSite(op)
        a.store(Host.address, temporary)
        unsafe emitPushTemporary(op)
        finishAccess(reloadsFlags: false)
        unsafe slowPaths[first].end = a.cursor
        slowPaths[first].loaded = loadedVectors
        return true
    }
    /// Pushes what the structure keeps for a moment.
    private mutating func emitPushTemporary(_ op: UnsafePointer<apus_op>) {
        a.lea(Host.address, .base(Host.guestStack, -8))
        let place = unsafe emitCheck(op, at: Host.address, size: 8, write: true)
        a.lea(Host.address, place)
        a.load(Host.addend, temporary)
        a.store(Host.addend, .base(Host.address, 0))
        unsafe noteSite(op)
        a.lea(Host.guestStack, .base(Host.guestStack, -8))
    }

    // MARK: Time

    private mutating func emitTime(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) {
        protectFlags(liveBefore)
        var forbidden: [UnsafeMutablePointer<UInt8>] = unsafe []
        if !isSupervisor {
            let control = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.cr4))
            a.modrm(0, wide: false, opcode: 0xf6, length: 1, reg: 0, rm: control)
            a.byte(UInt8(CR4.tsd))
            unsafe forbidden.append(a.jump(if: 5))
        }
        if i.mnemonic == .rdtscp { a.bytes(0x0f, 0x01, 0xf9) } else { a.bytes(0x0f, 0x31) }
        a.bytes(0x48, 0xc1, 0xe2)  // shl rdx, 32
        a.byte(32)
        a.modrm(0, wide: true, opcode: 0x0b, length: 1, reg: Host.rax, rm: .register(Host.rdx))
        let offset = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.tsc_offset))
        a.modrm(0, wide: true, opcode: 0x03, length: 1, reg: Host.rax, rm: offset)
        a.move(Host.rdx, Host.rax)
        a.bytes(0x48, 0xc1, 0xea)  // shr rdx, 32
        a.byte(32)
        a.load(Host.rax, .register(Host.rax), wide: false)
        if i.mnemonic == .rdtscp {
            let identifier = unsafe RM.field(MemoryLayout<apus_vcpu>.offset(of: \.s.tsc_aux))
            a.load(Host.rcx, identifier, wide: false)
        }
        unsafe finishStep(op, forbidden)
    }

    // MARK: Out of line

    /// An instruction that the interpreter executes in some cases.
    @safe struct StepPath {
        let op: UnsafePointer<apus_op>
        let places: [UnsafeMutablePointer<UInt8>]
        /// Where the instruction ends.
        let end: UnsafeMutablePointer<UInt8>
        let dirty: UInt16
        let loaded: UInt16
    }

    /// The instruction ends here; its jumps at `places` go to the interpreter.
    private mutating func finishStep(_ op: UnsafePointer<apus_op>, _ places: [UnsafeMutablePointer<UInt8>]) {
        guard unsafe !places.isEmpty else { return }
        unsafe stepPaths.append(
            StepPath(op: op, places: places, end: a.cursor, dirty: dirtyVectors, loaded: loadedVectors))
    }
    mutating func emitStepPaths() {
        for path in stepPaths {
            for unsafe place in unsafe path.places { unsafe a.land(place) }
            moveVectors(path.dirty, store: true)
            unsafe emitCall(path.op, stubs.step)
            moveVectors(path.loaded, store: false)
            unsafe a.jump(to: path.end)
        }
    }
}
