internal import CEngine
internal import X86

// Instruction by instruction.

extension BlockTranslator {
    /// Emits one instruction that does not end the block.
    mutating func emit(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, isOffered: Bool, liveBefore: Bool, liveAfter: FlagSet
    ) {
        let use = FlagUse.of(i)
        if isOffered {
            switch i.category {
            case .integer, .system:
                if unsafe emitSystem(i, op, liveBefore: liveBefore) { return }
                if unsafe emitSpecial(i, op, use: use, liveBefore: liveBefore, liveAfter: liveAfter) { return }
                if unsafe emitGeneral(i, op, use: use, liveBefore: liveBefore, liveAfter: liveAfter) { return }
            case .sse where hasPlainVectors:
                if unsafe emitVectorControl(i, op, liveBefore: liveBefore) { return }
                if unsafe emitVector(i, op, use: use, liveBefore: liveBefore) { return }
            // Where they may be used, TS and EM are clear.
            case .x87 where hasPlainVectors:
                if unsafe emitX87(i, op, use: use, liveBefore: liveBefore) { return }
            case .avx where hasWideVectors:
                if unsafe emitWideVector(i, op, use: use, liveBefore: liveBefore) { return }
            case .bmi:
                if unsafe emitBitManipulation(i, op, use: use, liveBefore: liveBefore) { return }
            default: break
            }
        }
        unsafe emitInterpreted(op, liveBefore: liveBefore)
    }

    /// Instructions with a form of their own.
    private mutating func emitSpecial(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, use: FlagUse, liveBefore: Bool, liveAfter: FlagSet
    ) -> Bool {
        let x = i.operands.0
        let y = i.operands.1
        switch i.mnemonic {
        case .nop, .endbr32, .endbr64, .prefetch, .prefetchw: return true
        case .div, .idiv: return false
        case .lea: return unsafe emitLEA(i, op)
        case .mov where y.kind == .immediate && x.kind == .general && x.size >= 4:
            let value = x.size == 4 ? UInt64(UInt32(truncatingIfNeeded: i.immediate)) : UInt64(bitPattern: i.immediate)
            let host = hold(x.register, reads: false, writes: true)
            if Int64(Int32(truncatingIfNeeded: i.immediate)) == i.immediate && x.size == 8 && i.immediate < 0 {
                a.modrm(0, wide: true, opcode: 0xc7, length: 1, reg: 0, rm: .register(host))
                a.word32(Int32(truncatingIfNeeded: i.immediate))
            } else {
                a.immediate(host, value)
            }
            return true
        case .mov where !i.encoding.hasModRM: return unsafe emitDirectMove(i, op, liveBefore: liveBefore)
        case .inc where !i.encoding.hasModRM, .dec where !i.encoding.hasModRM: return emitShortIncrement(i, use: use, liveAfter: liveAfter)
        case .bswap:
            guard x.size >= 4 else { return false }
            let host = hold(x.register, reads: true, writes: true)
            var rex: UInt8 = x.size == 8 ? 0x48 : 0
            if host & 8 != 0 { rex |= 0x41 }
            if rex != 0 { a.byte(rex) }
            a.bytes(0x0f, 0xc8 | host & 7)
            return true
        case .cbw, .cwd:
            if i.operandSize == 2 { a.byte(0x66) } else if i.operandSize == 8 { a.byte(0x48) }
            a.byte(i.mnemonic == .cbw ? 0x98 : 0x99)
            return true
        case .xchg where x.kind == .general && y.kind == .general && !i.encoding.hasModRM:
            return emitExchange(x, y)
        case .clc, .stc:
            if use.needsFlags(liveAfter) && !flagsInHost { reloadFlags() }
            a.byte(i.mnemonic == .clc ? 0xf8 : 0xf9)
            flagsInHost = true
            return true
        case .push: return unsafe emitPush(i, op, liveBefore: liveBefore)
        case .pop: return unsafe emitPop(i, op, liveBefore: liveBefore)
        case .leave: return unsafe emitLeave(i, op, liveBefore: liveBefore)
        case .add, .or, .adc, .sbb, .and, .sub, .xor, .cmp, .test:
            return i.encoding.hasModRM ? false : emitAccumulator(i, use: use, liveAfter: liveAfter)
        default: return false
        }
    }

    /// AL, AX, EAX or RAX with an immediate: the guest's own bytes.
    private mutating func emitAccumulator(_ i: Instruction, use: FlagUse, liveAfter: FlagSet) -> Bool {
        guard i.encoding.map == .primary else { return false }
        if use.needsFlags(liveAfter) && !flagsInHost { reloadFlags() }
        if i.prefixes.contains(.operandSize) { a.byte(0x66) }
        if i.prefixes.contains(.wide) { a.byte(0x48) }
        a.byte(i.encoding.opcode)
        switch i.encoding.immediateLength {
        case 1: a.byte(UInt8(truncatingIfNeeded: i.immediate))
        case 2: a.bytes(UInt8(truncatingIfNeeded: i.immediate), UInt8(truncatingIfNeeded: i.immediate >> 8))
        default: a.word32(Int32(truncatingIfNeeded: i.immediate))
        }
        flagsInHost = true
        return true
    }

    private mutating func emitLEA(_ i: Instruction, _ op: UnsafePointer<apus_op>) -> Bool {
        guard canAddress(i), i.operands.0.size >= 4 else { return false }
        let guest = i.operands.0.register
        releaseAll()
        let address = unsafe effectiveAddress(i, op)
        if Self.pinned(guest) == nil { window = nil }
        let host = Self.pinned(guest) ?? Host.addend
        a.modrm(0, wide: i.operands.0.size == 8, opcode: 0x8d, length: 1, reg: host, rm: address)
        if Self.pinned(guest) == nil { a.store(host, place(guest)) }
        return true
    }

    /// AL, AX, EAX or RAX from or to an address in the instruction.
    private mutating func emitDirectMove(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        let stores = i.operands.0.kind == .memory
        let size = stores ? i.operands.0.size : i.operands.1.size
        guard stores || i.operands.1.kind == .memory, canAddress(i) else { return false }
        protectFlags(liveBefore)
        let address = unsafe emitAddress(i, op)
        let accessed = unsafe emitCheck(op, at: address, size: Int(size), write: stores)
        a.modrm(
            0, wide: size == 8, opcode: (stores ? 0x88 : 0x8a) | (size == 1 ? 0 : 1), length: 1, reg: Host.rax,
            rm: accessed, operand16: size == 2)
        unsafe noteSite(op)
        finishAccess(reloadsFlags: false)
        return true
    }

    /// INC and DEC of 32-bit code in one byte, which are REX prefixes for the host.
    private mutating func emitShortIncrement(_ i: Instruction, use: FlagUse, liveAfter: FlagSet) -> Bool {
        guard let host = Self.pinned(i.operands.0.register) else { return false }
        if use.needsFlags(liveAfter) && !flagsInHost { reloadFlags() }
        a.modrm(
            0, wide: false, opcode: 0xff, length: 1, reg: i.mnemonic == .inc ? 0 : 1, rm: .register(host),
            operand16: i.operands.0.size == 2)
        flagsInHost = true
        return true
    }

    private mutating func emitExchange(_ x: Operand, _ y: Operand) -> Bool {
        guard x.size == 8 || x.size == 4 && Self.pinned(y.register) != nil, let first = Self.pinned(x.register) else {
            return false
        }
        releaseAll()
        a.modrm(0, wide: x.size == 8, opcode: 0x87, length: 1, reg: first, rm: place(y.register))
        return true
    }

    // MARK: Stack

    /// Spills flags that the check of an access would destroy, and frees the registers that it takes.
    mutating func protectFlags(_ live: Bool) {
        releaseAll()
        if flagsInHost && live { spillFlags() }
        flagsInHost = false
    }

    /// The same before an access whose address leaves the address register to what that holds.
    mutating func protectAccess(_ live: Bool) {
        if window == nil, heldByAddress == nil, let held = heldByAddend {
            a.move(Host.address, Host.addend)
            (heldByAddress, heldByAddend) = (held, nil)
        }
        release(Host.addend)
        storeHeld()
        if flagsInHost && live { spillFlags() }
        flagsInHost = false
    }

    private mutating func emitPush(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        let x = i.operands.0
        guard i.operandSize == unit, x.kind == .general || x.kind == .immediate else { return false }
        if x.kind == .immediate && Int32(exactly: i.immediate) == nil { return false }
        if let target = windowed(-Int64(unit)) {
            if x.kind == .immediate {
                a.modrm(0, wide: is64, opcode: 0xc7, length: 1, reg: 0, rm: target)
                a.word32(Int32(truncatingIfNeeded: i.immediate))
            } else {
                let host = hold(x.register, reads: true, writes: false)
                storeHeld()
                a.store(host, target, wide: is64)
            }
            unsafe noteSite(op)
            moveStack(by: -unit)
            return true
        }
        protectAccess(liveBefore)
        let accessed = unsafe emitCheck(op, at: .base(Host.guestStack, -unit), size: Int(unit), write: true)
        if x.kind == .immediate {
            a.modrm(0, wide: is64, opcode: 0xc7, length: 1, reg: 0, rm: accessed)
            a.word32(Int32(truncatingIfNeeded: i.immediate))
        } else if let host = Self.pinned(x.register) {
            a.store(host, accessed, wide: is64)
        } else {
            a.store(holdByAddress(x.register, reads: true, writes: false), accessed)
        }
        unsafe noteSite(op)
        moveStack(by: -unit)
        finishAccess(reloadsFlags: false)
        return true
    }

    private mutating func moveStack(by distance: Int32) {
        a.lea(Host.guestStack, .base(Host.guestStack, distance), wide: is64)
    }

    private mutating func emitPop(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        let x = i.operands.0
        guard i.operandSize == unit, x.kind == .general else { return false }
        if let target = windowed(0) {
            storeHeld()
            a.load(hold(x.register, reads: false, writes: true), target, wide: is64)
            unsafe noteSite(op)
            moveStack(by: unit)
            return true
        }
        protectAccess(liveBefore)
        let accessed = unsafe emitCheck(op, at: Host.guestStack, size: Int(unit), write: false)
        let host = Self.pinned(x.register) ?? holdByAddress(x.register, reads: false, writes: true)
        a.load(host, accessed, wide: is64)
        unsafe noteSite(op)
        if x.register != 4 { moveStack(by: unit) }
        finishAccess(reloadsFlags: false)
        return true
    }

    private mutating func emitLeave(_ i: Instruction, _ op: UnsafePointer<apus_op>, liveBefore: Bool) -> Bool {
        guard i.operandSize == unit else { return false }
        protectFlags(liveBefore)
        a.move(Host.address, Host.rbp)
        let accessed = unsafe emitCheck(op, at: Host.address, size: Int(unit), write: false)
        // The frame's address is still in the address register after the load.
        a.load(Host.rbp, accessed, wide: is64)
        unsafe noteSite(op)
        a.lea(Host.guestStack, .base(Host.address, unit), wide: is64)
        finishAccess(reloadsFlags: false)
        return true
    }

    // MARK: Ends of blocks

    /// Emits the last instruction of a block. `fall` is the pseudo-op of the way not taken.
    mutating func emitEnd(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, fall: UnsafePointer<apus_op>, liveTaken: Bool, liveFall: Bool
    ) {
        releaseAll()
        let offset = unsafe Int32(op.pointee.offset)
        let x = i.operands.0
        switch i.mnemonic {
        // What 32-bit code does with a 16-bit instruction pointer.
        case _ where !is64 && i.operandSize != 4: unsafe emitInterpretedEnd(op)
        case .jcc:
            // Flags are stored on the ways on which someone looks at them.
            let spillsTaken = flagsInHost && liveTaken
            let spillsFall = flagsInHost && liveFall
            if !flagsInHost { reloadFlags() } else if spillsTaken && spillsFall { spillFlags() }
            let disp = unsafe op.pointee.disp
            let fallDisp = unsafe fall.pointee.disp
            let condition = i.encoding.opcode & 15
            if disp >= 0 && disp < 4096 && disp > offset && (!spillsTaken || spillsFall) {
                unsafe exits.append(Exit(place: a.jump(if: condition), op: op))
            } else if !spillsTaken && !spillsFall && fallDisp > offset && fallDisp < 4096 {
                unsafe exits.append(Exit(place: a.jump(if: condition ^ 1), op: fall))
                unsafe emitJump(op, disp: disp, from: offset)
                return
            } else {
                let skip = unsafe a.jump(if: condition ^ 1)
                if spillsTaken && !spillsFall { spillFlags() }
                unsafe emitJump(op, disp: disp, from: offset)
                unsafe a.land(skip)
            }
            if spillsFall && !spillsTaken { spillFlags() }
            unsafe emitJump(fall, disp: fallDisp, from: offset)
        case .jmp where x.kind == .relative:
            if flagsInHost && liveTaken { spillFlags() }
            unsafe emitJump(op, disp: op.pointee.disp, from: offset)
        case .call where x.kind == .relative:
            if flagsInHost && liveTaken { spillFlags() }
            unsafe emitReturnAddress(op)
            unsafe emitJump(op, disp: op.pointee.disp, from: offset)
        case .jmp, .call:
            guard x.kind == .general || x.kind == .memory && canAddress(i) else { return unsafe emitInterpretedEnd(op) }
            if flagsInHost && liveTaken { spillFlags() }
            if x.kind == .memory {
                let address = unsafe emitAddress(i, op)
                // A miss must not continue in the middle: the whole instruction is the interpreter's then.
                let accessed = unsafe emitCheck(op, at: address, size: Int(unit), write: false)
                endPaths.append(slowPaths.removeLast())
                a.load(Host.address, accessed, wide: is64)
                unsafe noteSite(op)
            } else {
                loadGuest(x.register, into: Host.address)
            }
            if i.mnemonic == .call {
                // What cannot be gone to leaves the stack as it is.
                if is64 { unsafe emitCanonicalCheck(op) }
                a.store(Host.address, temporary)
                unsafe emitReturnAddress(op)
                a.load(Host.address, temporary)
            }
            unsafe emitTransfer(op, pops: false)
        case .ret:
            if flagsInHost && liveTaken { spillFlags() }
            unsafe emitPopTarget(op)
            unsafe emitTransfer(op, pops: true)
        case .syscall where is64:
            if flagsInHost { spillFlags() }
            a.immediate(Host.addend, UInt64(UInt(bitPattern: op)))
            unsafe a.jump(to: stubs.systemCall)
        case .sysret where is64 && isSupervisor && i.operandSize == 8:
            a.immediate(Host.addend, UInt64(UInt(bitPattern: op)))
            unsafe a.jump(to: stubs.systemReturn)
        default: unsafe emitInterpretedEnd(op)
        }
    }

    /// Pops what a RET goes to into the address register. A miss gives the whole instruction to the interpreter.
    mutating func emitPopTarget(_ op: UnsafePointer<apus_op>) {
        if let target = windowed(0) {
            a.load(Host.address, target, wide: is64)
        } else {
            let accessed = unsafe emitCheck(op, at: Host.guestStack, size: Int(unit), write: false)
            endPaths.append(slowPaths.removeLast())
            a.load(Host.address, accessed, wide: is64)
        }
        unsafe noteSite(op)
        moveStack(by: unsafe unit + Int32(truncatingIfNeeded: op.pointee.imm & 0xffff))
    }

    /// Pushes the address after a call. A miss gives the whole call to the interpreter.
    mutating func emitReturnAddress(_ op: UnsafePointer<apus_op>) {
        if let target = windowed(-Int64(unit)) {
            a.load(Host.address, .state(Int(Slot.pageBase) * 8))
            a.lea(Host.address, .base(Host.address, unsafe Int32(op.pointee.offset) + Int32(op.pointee.length)))
            a.store(Host.address, target, wide: is64)
            unsafe noteSite(op)
            moveStack(by: -unit)
            return
        }
        a.lea(Host.address, .base(Host.guestStack, -unit), wide: is64)
        let accessed = unsafe emitCheck(op, at: Host.address, size: Int(unit), write: true)
        endPaths.append(slowPaths.removeLast())
        a.lea(Host.addend, accessed)
        a.load(Host.address, .state(Int(Slot.pageBase) * 8))
        a.lea(Host.address, .base(Host.address, unsafe Int32(op.pointee.offset) + Int32(op.pointee.length)))
        a.store(Host.address, .base(Host.addend, 0), wide: is64)
        unsafe noteSite(op)
        moveStack(by: -unit)
    }

    /// Out-of-line ends for block-ending instructions whose access missed.
    /// Goes to the target in the address register.
    mutating func emitTransfer(_ op: UnsafePointer<apus_op>, pops: Bool) {
        unsafe transfers.append((a.indirectJump(), UInt64(UInt(bitPattern: op)) | (pops ? TransferMiss.pops : 0)))
    }
    /// Has the interpreter execute the op where the address register has no canonical address.
    private mutating func emitCanonicalCheck(_ op: UnsafePointer<apus_op>) {
        a.move(Host.addend, Host.address)
        a.bytes(0x49, 0xc1, 0xfd)  // sar r13, 47
        a.byte(47)
        a.bytes(0x49, 0xff, 0xc5)  // inc r13
        a.bytes(0x49, 0x83, 0xfd)  // cmp r13, 1
        a.byte(1)
        unsafe noteEndPath(op, a.jump(if: 7))
    }
    /// Has the interpreter execute the op where a jump leads, and go on from there.
    mutating func noteEndPath(_ op: UnsafePointer<apus_op>, _ place: UnsafeMutablePointer<UInt8>) {
        unsafe endPaths.append(
            SlowPath(
                op: op, address: .base(Host.address, 0), held: nil, miss: place, misaligned: nil, size: 8, write: false,
                aligned: a.cursor, cache: nil, end: a.cursor, reloadsFlags: false, dirty: 0))
    }

    mutating func emitEndPaths() {
        for unsafe transfer in unsafe transfers {
            for unsafe miss in unsafe transfer.misses { unsafe a.land(miss) }
            unsafe a.immediate(Host.addend, transfer.word)
            unsafe a.jump(to: stubs.transfer)
        }
        for path in endPaths {
            landMiss(path)
            unsafe a.immediate(Host.addend, UInt64(UInt(bitPattern: path.op)))
            unsafe a.jump(to: stubs.end)
        }
    }
}

/// Low bits of an op's address, where the target of its jump is looked for.
enum TransferMiss {
    /// The target was popped from the stack.
    static let pops: UInt64 = 1
    static let mask: UInt64 = 31
}
