internal import CEngine
internal import X86

// x87 instructions as they are (SDM volume 1, chapter 8). The host's unit keeps the guest's registers from one to the next
// (`x87_live`); where it has them, and the guest's control word masks every exception, nothing is left to look at. Else the
// interpreter executes the instruction, which loads them, and the code goes on from there.

extension BlockTranslator {
    /// `x87_live`: the host's unit has the registers, and no exception is unmasked.
    private static var ready: UInt8 { UInt8(APUS_X87_MASKED) }
    private var live: RM { unsafe .field(MemoryLayout<apus_vcpu>.offset(of: \.x87_live)) }

    /// An instruction in front of which the host's unit was not known to hold the registers.
    @safe struct X87Path {
        let op: UnsafePointer<apus_op>
        let miss: UnsafeMutablePointer<UInt8>
        /// Where the instruction ends.
        var end: UnsafeMutablePointer<UInt8>
        /// Vector registers to store before, and to load after.
        let dirty: UInt16
        var loaded: UInt16 = 0
        var reloadsFlags = false
    }

    /// Emits an instruction of the x87 unit; false, with nothing emitted, for those that concern all of its state, and
    /// where the address is none that code can compute.
    mutating func emitX87(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, use: FlagUse, liveBefore: Bool
    ) -> Bool {
        let hasMemory = i.encoding.hasModRM && i.encoding.modrm < 0xc0
        if hasMemory && (!canAddress(i) || i.memory.segment == 4 || i.memory.segment == 5) { return false }
        switch i.mnemonic {
        case .fnstenv, .fldenv, .fnsave, .frstor, .fninit, .fneni, .fndisi, .fnsetpm: return false
        case .wait: return isX87Ready
        case .fldcw: return unsafe emitControlLoad(i, op, liveBefore: liveBefore)
        default: break
        }
        let operand = i.operands.0.kind == .memory ? i.operands.0 : i.operands.1
        guard !hasMemory || operand.kind == .memory && [2, 4, 8, 10].contains(operand.size) else { return false }

        // Comparisons that set flags and moves that read them.
        let usesFlags = !use.touches.isEmpty || !use.reads.isEmpty
        let path = unsafe beginX87(op, liveBefore: liveBefore)
        if usesFlags && !flagsInHost { reloadFlags() }
        if hasMemory {
            // Numbers of 10 bytes lie within 16; those that do not are a matter of the slow path.
            let size = operand.size == 10 ? 16 : Int(operand.size)
            let (place, isChecked) = unsafe emitOperand(
                i, op, size: size, write: operand.access == .write, liveBefore: liveBefore)
            a.modrm(
                0, wide: false, opcode: UInt32(i.encoding.opcode), length: 1, reg: i.encoding.modrm >> 3 & 7, rm: place)
            unsafe noteSite(op)
            releaseAll()
            window = nil
            if !isControl(i) {
                a.lea(Host.addend, unsafe effectiveAddress(i, op), wide: is64)
                a.store(Host.addend, .state(VectorLayout.fx + Int(APUS_FX_FDP)))
                unsafe noteInstruction(i, op)
            }
            if isChecked { finishAccess(reloadsFlags: false) }
        } else {
            a.bytes(i.encoding.opcode, i.encoding.modrm)
            if usesFlags { flagsInHost = true }
            if !isControl(i) { unsafe noteInstruction(i, op) }
        }
        endX87(path, reloadsFlags: usesFlags)
        return true
    }

    /// Looks whether the host's unit has the registers, where that is not known; the path that is taken where not.
    private mutating func beginX87(_ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Int? {
        if isX87Ready { return nil }
        protectFlags(liveBefore)
        window = nil
        a.modrm(0, wide: false, opcode: 0x80, length: 1, reg: 7, rm: live)
        a.byte(Self.ready)
        unsafe x87Paths.append(X87Path(op: op, miss: a.jump(if: 5), end: a.cursor, dirty: dirtyVectors))
        return x87Paths.count - 1
    }
    private mutating func endX87(_ path: Int?, reloadsFlags: Bool) {
        isX87Ready = true
        guard let path else { return }
        // What the path leaves in the two free registers is nobody's.
        releaseAll()
        unsafe x87Paths[path].end = a.cursor
        x87Paths[path].loaded = loadedVectors
        x87Paths[path].reloadsFlags = reloadsFlags
    }

    /// Notes the last instruction, as FNSTENV tells of it. The word before it in memory, of tags, is out of date while the
    /// host's unit holds the registers.
    private mutating func noteInstruction(_ i: Instruction, _ op: UnsafePointer<apus_op>) {
        let free = window == nil ? Host.addend : Host.address
        release(free)
        a.load(free, .state(Int(Slot.pageBase) * 8))
        a.lea(free, .base(free, Int32(unsafe op.pointee.offset)), wide: is64)
        a.store(free, .state(VectorLayout.fx + Int(APUS_FX_FIP)))
        let code = UInt32(i.encoding.opcode & 7) << 8 | UInt32(i.encoding.modrm)
        a.modrm(0, wide: false, opcode: 0xc7, length: 1, reg: 0, rm: .state(VectorLayout.fx + Int(APUS_FX_FTW)))
        a.word32(Int32(truncatingIfNeeded: code << 16))
    }
    /// Instructions that concern control and status are not noted.
    private func isControl(_ i: Instruction) -> Bool {
        switch i.mnemonic {
        case .fnstsw, .fnstcw, .fnclex: true
        default: false
        }
    }

    /// FLDCW of a word that masks every exception; another is the interpreter's.
    private mutating func emitControlLoad(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        let path = unsafe beginX87(op, liveBefore: liveBefore)
        protectFlags(liveBefore)
        let address = unsafe emitAddress(i, op)
        let accessed = unsafe emitCheck(op, at: address, size: 2, write: false)
        endPaths.append(slowPaths.removeLast())
        a.modrm(0, wide: false, opcode: 0x0fb7, length: 2, reg: Host.addend, rm: accessed)
        unsafe noteSite(op)
        let control = RM.state(VectorLayout.fx + Int(APUS_FX_FCW))
        a.bytes(0x45, 0x89, 0xee)  // mov r14d, r13d
        a.bytes(0x41, 0xf7, 0xd6)  // not r14d
        a.bytes(0x41, 0xf6, 0xc6)  // test r14b, masks
        a.byte(0x3f)
        unsafe noteEndPath(op, a.jump(if: 5))
        a.bytes(0x41, 0x81, 0xe5)  // and r13d, defined bits
        a.word32(0x1f3f)
        a.bytes(0x41, 0x83, 0xcd)  // or r13d, the bit that is always set
        a.byte(0x40)
        a.modrm(0, wide: false, opcode: 0x89, length: 1, reg: Host.addend, rm: control, operand16: true)
        a.modrm(0, wide: false, opcode: 0xd9, length: 1, reg: 5, rm: control)
        endX87(path, reloadsFlags: false)
        return true
    }

    /// Where instructions are executed before which the host's unit had not the registers. What comes next needs them: where
    /// it has them not, or an exception is unmasked, the interpreter goes on.
    mutating func emitX87Paths() {
        for path in x87Paths {
            unsafe a.land(path.miss)
            moveVectors(path.dirty, store: true)
            unsafe emitCall(path.op, stubs.step)
            a.modrm(0, wide: false, opcode: 0x80, length: 1, reg: 7, rm: live)
            a.byte(Self.ready)
            let isReady = unsafe a.jump(if: 4)
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: path.op + 1)))
            unsafe a.jump(to: stubs.end)
            unsafe a.land(isReady)
            moveVectors(path.loaded, store: false)
            if path.reloadsFlags { a.reloadFlags(by: Host.addend) }
            unsafe a.jump(to: path.end)
        }
    }
}
