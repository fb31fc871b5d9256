internal import CEngine
internal import X86

// SSE instructions as they are, in the host's registers. Within a block a guest's register is loaded when it is first
// needed and stored at the end, or before the interpreter executes something.

extension BlockTranslator {
    /// Loads or stores the registers of a mask from or to the structure: all of them where the block has AVX
    /// instructions, else what SSE knows of them.
    mutating func moveVectors(_ mask: UInt16, store: Bool) {
        for register in UInt8(0)..<16 where mask >> UInt16(register) & 1 != 0 {
            if hasWideVectors {
                a.vex(
                    0, map: 1, wide: false, is256: true, vvvv: 0, opcode: store ? 0x11 : 0x10, reg: register,
                    rm: .state(VectorLayout.register(register)))
                continue
            }
            a.modrm(
                0, wide: false, opcode: store ? 0x0f11 : 0x0f10, length: 2, reg: register,
                rm: .state(VectorLayout.register(register)))
        }
    }
    /// Stores what only the host's registers hold.
    mutating func spillVectors() {
        moveVectors(dirtyVectors, store: true)
        dirtyVectors = 0
    }
    /// What leaves the block's vectors to others: the structure has them, and the host's upper halves are free of what
    /// would make its SSE instructions wait.
    mutating func endVectors() {
        spillVectors()
        guard hasWideVectors && loadedVectors != 0 else { return }
        a.zeroUpperHalves()
        // What another turn of a loop needs it loads anew, whole.
        loadedVectors = 0
    }
    mutating func need(_ register: UInt8) {
        let bit: UInt16 = 1 << UInt16(register & 15)
        if loadedVectors & bit == 0 { moveVectors(bit, store: false) }
        loadedVectors |= bit
    }

    /// Emits an instruction with XMM registers; false, with nothing emitted, where the form is not handled.
    mutating func emitVector(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, use: FlagUse, liveBefore: Bool
    ) -> Bool {
        let x = i.operands.0
        let y = i.operands.1
        guard i.encoding.hasModRM, use.reads.isEmpty, use.writes == use.touches, isPlain(i) else { return false }
        let isMemory = i.encoding.modrm < 0xc0
        if isMemory && !canAddress(i) { return false }
        // Which operand is ModRM.reg, and which r/m.
        let field: Operand
        let rm: Operand
        if x.kind == .memory {
            (field, rm) = (y, x)
        } else if y.kind == .memory {
            (field, rm) = (x, y)
        } else if isShiftByImmediate(i) {
            (field, rm) = (Operand(.none), x)
        } else {
            let digit = i.encoding.modrm >> 3 & 7
            let number = i.encoding.modrm & 7
            if isStoreForm(i) {
                (field, rm) = (y, x)
            } else {
                (field, rm) = (x, y)
            }
            guard field.register & 7 == digit, rm.register & 7 == number else { return false }
        }
        for operand in [field, rm] {
            switch operand.kind {
            case .vector, .none, .memory: break
            case .general: if operand.size < 4 && operand.access != .read { return false }
            default: return false
            }
        }
        if isMemory && ![1, 2, 4, 8, 16].contains(rm.size) { return false }
        // From here on code is emitted.
        if [field, rm].contains(where: { $0.kind == .general && Self.pinned($0.register) == nil }) { releaseAll() }
        for operand in [field, rm, i.operands.2] where operand.kind == .vector {
            // What SSE writes leaves the upper half as it is.
            if operand.access != .write || operand.size < 16 || hasWideVectors { need(operand.register) }
        }
        if readsXMM0(i) { need(0) }
        var target = RM.register(rm.register)
        var isChecked = false
        if isMemory {
            (target, isChecked) = unsafe emitOperand(
                i, op, size: Int(rm.size), write: rm.access != .read, liveBefore: liveBefore)
        }
        var digit = i.encoding.modrm >> 3 & 7
        if field.kind == .vector { digit = field.register }
        if field.kind == .general { digit = takeGeneral(field, beside: &target, isMemory: isMemory) }
        if rm.kind == .general { target = .register(takeGeneral(rm, beside: &target, isMemory: false)) }
        let e = i.encoding
        let (opcode, length): (UInt32, Int)
        switch e.map {
        case .primary: (opcode, length) = (UInt32(e.opcode), 1)
        case .secondary: (opcode, length) = (0x0f00 | UInt32(e.opcode), 2)
        case .map38: (opcode, length) = (0x0f3800 | UInt32(e.opcode), 3)
        case .map3A: (opcode, length) = (0x0f3a00 | UInt32(e.opcode), 3)
        }
        a.modrm(
            e.mandatoryPrefix, wide: i.prefixes.contains(.wide), opcode: opcode, length: length, reg: digit, rm: target)
        if e.immediateLength == 1 { a.byte(UInt8(truncatingIfNeeded: i.immediate)) }
        if isMemory { unsafe noteSite(op) }
        endVector([field, rm], use, isMemory: isMemory, isChecked: isChecked)
        return true
    }

    /// The host register of a vector instruction's one general operand: its own, or a free one into which what is read
    /// goes. `target`, where memory's bytes are, may move to the other.
    mutating func takeGeneral(_ operand: Operand, beside target: inout RM, isMemory: Bool) -> UInt8 {
        if let host = Self.pinned(operand.register) { return host }
        let host = isMemory ? Host.addend : Host.address
        if isMemory {
            window = nil
            release(Host.address)
            a.lea(Host.address, target)
            target = .base(Host.address, 0)
        }
        if operand.access != .write { loadGuest(operand.register, into: host) }
        return host
    }
    /// What follows a vector instruction: its results are noted, or stored where the host has no place for them.
    mutating func endVector(_ operands: [Operand], _ use: FlagUse, isMemory: Bool, isChecked: Bool) {
        for operand in operands where operand.access != .read {
            if operand.kind == .general && Self.pinned(operand.register) == nil {
                a.store(isMemory ? Host.addend : Host.address, place(operand.register))
            }
            guard operand.kind == .vector else { continue }
            let bit: UInt16 = 1 << UInt16(operand.register & 15)
            loadedVectors |= bit
            dirtyVectors |= bit
        }
        if !use.touches.isEmpty { flagsInHost = true }
        if isChecked { finishAccess(reloadsFlags: !use.touches.isEmpty) }
    }

    /// No hidden operands but XMM0, no control register, no memory of a size of its own.
    private func isPlain(_ i: Instruction) -> Bool {
        switch i.mnemonic {
        case .ldmxcsr, .stmxcsr, .maskmovdqu, .pcmpestri, .pcmpestrm, .pcmpistri, .pcmpistrm, .movq2dq, .movdq2q,
            .cvtpi2ps, .cvtpi2pd, .cvtps2pi, .cvttps2pi, .cvtpd2pi, .cvttpd2pi, .lddqu:
            return false
        default:
            for operand in [i.operands.0, i.operands.1, i.operands.2] where operand.kind == .mmx { return false }
            return i.encoding.immediateLength <= 1
        }
    }
    private func readsXMM0(_ i: Instruction) -> Bool {
        switch i.mnemonic {
        case .pblendvb, .blendvps, .blendvpd, .sha256rnds2: true
        default: false
        }
    }
    /// PSRLW and its kin with an immediate: ModRM.reg is part of the opcode.
    private func isShiftByImmediate(_ i: Instruction) -> Bool {
        i.encoding.map == .secondary && (0x71...0x73).contains(i.encoding.opcode)
    }
    /// Opcodes whose first operand is ModRM.rm.
    private func isStoreForm(_ i: Instruction) -> Bool {
        switch (i.encoding.map, i.encoding.opcode, i.encoding.mandatoryPrefix) {
        case (.secondary, 0x11, _), (.secondary, 0x13, _), (.secondary, 0x17, _), (.secondary, 0x29, _),
            (.secondary, 0x2b, _), (.secondary, 0x7f, _), (.secondary, 0xd6, 0x66), (.secondary, 0xe7, _),
            (.secondary, 0x7e, 0x66), (.map3A, 0x14...0x17, _):
            return true
        default: return false
        }
    }

    /// STMXCSR, and LDMXCSR of the control bits that translated code runs with; false for others.
    mutating func emitVectorControl(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        guard i.mnemonic == .stmxcsr || i.mnemonic == .ldmxcsr, canAddress(i) else { return false }
        let stores = i.mnemonic == .stmxcsr
        if !stores { spillVectors() }
        protectFlags(liveBefore)
        let address = unsafe emitAddress(i, op)
        let accessed = unsafe emitCheck(op, at: address, size: 4, write: stores)
        if stores {
            a.modrm(0, wide: false, opcode: 0x0fae, length: 2, reg: 3, rm: accessed)
            unsafe noteSite(op)
            finishAccess(reloadsFlags: false)
            return true
        }
        endPaths.append(slowPaths.removeLast())
        a.modrm(0, wide: false, opcode: 0x8b, length: 1, reg: Host.addend, rm: accessed)
        unsafe noteSite(op)
        a.bytes(0x45, 0x89, 0xee)  // mov r14d, r13d
        a.bytes(0x41, 0x83, 0xe6)  // and r14d, ~flags
        a.byte(UInt8(truncatingIfNeeded: ~MXCSR.flags))
        a.bytes(0x41, 0x81, 0xfe)  // cmp r14d, plain
        a.word32(Int32(MXCSR.plain))
        unsafe noteEndPath(op, a.jump(if: 5))
        let control = unsafe MemoryLayout<apus_vcpu>.offset(of: \.translated_mxcsr).unsafelyUnwrapped
        a.modrm(0, wide: false, opcode: 0x89, length: 1, reg: Host.addend, rm: .state(VectorLayout.mxcsr))
        a.modrm(0, wide: false, opcode: 0x89, length: 1, reg: Host.addend, rm: .state(control))
        a.modrm(0, wide: false, opcode: 0x0fae, length: 2, reg: 2, rm: .state(control))
        setsPlainControl = true
        return true
    }
}
