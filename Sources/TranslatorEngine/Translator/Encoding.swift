internal import CEngine
internal import X86

// Instructions that are re-encoded with host registers in place of the guest's.

extension BlockTranslator {
    /// What an instruction's ModRM.reg is.
    private enum Field {
        /// Part of the opcode.
        case digit(UInt8)
        case register(Operand)
    }

    /// Emits a general instruction with a ModRM byte; false, with nothing emitted, where the form is not handled.
    /// `use` and the liveness of flags decide what happens to them.
    mutating func emitGeneral(
        _ i: Instruction, _ op: UnsafePointer<apus_op>, use: FlagUse, liveBefore: Bool, liveAfter: FlagSet
    ) -> Bool {
        guard i.encoding.hasModRM, let form = form(i) else { return false }
        let (field, rm) = form
        let size = Int(rm.kind == .none ? UInt16(i.operandSize) : rm.size)
        if usesHighByte(i) { return emitHighByte(i, use: use, liveBefore: liveBefore, liveAfter: liveAfter) }
        let isMemory = rm.kind == .memory
        if isMemory && !canAddress(i) { return false }
        // A division may fault: the flags and registers before it must not be in the host's alone.
        let divides = i.mnemonic == .div || i.mnemonic == .idiv
        if divides { releaseAll() }
        // Flags that the instruction reads or keeps must be in the host's at its execution.
        let needsFlags = use.needsFlags(liveAfter)
        var target = RM.register(0)
        var isWindowed = false
        if isMemory, let place = windowed(i.memory.displacement) {
            target = place
            isWindowed = true
        } else if isMemory {
            // The check destroys the host's flags.
            protectAccess(liveBefore)
            let address = unsafe addressOperand(i, op)
            target = unsafe emitCheck(op, at: address, size: size, write: rm.access != .read)
        }
        if (!isMemory || isWindowed) && needsFlags && !flagsInHost {
            reloadFlags()
            flagsInHost = true
        }
        let isChecked = isMemory && !isWindowed
        var unpinned: Operand?
        if case .register(let operand) = field, Self.pinned(operand.register) == nil { unpinned = operand }
        if isChecked && needsFlags {
            release(Host.address)
            a.lea(Host.address, target)
            target = .base(Host.address, 0)
            reloadFlags()
        } else if isChecked, let unpinned, target.uses(Host.address), heldByAddress?.guest != unpinned.register {
            a.lea(Host.addend, target)
            target = .base(Host.addend, 0)
        }
        if isWindowed { storeHeld() }
        var storesBack: (UInt8, UInt8)?
        var digit: UInt8 = 0
        switch field {
        case .digit(let value): digit = value
        case .register(let operand):
            // Parts of a register leave the rest as it is, and the other operand may be the same.
            let reads =
                operand.access != .write || operand.size < 4 || i.mnemonic == .cmov
                || rm.kind == .general && rm.register == operand.register
            if let host = Self.pinned(operand.register) {
                digit = host
            } else if isChecked && !needsFlags {
                digit = holdByAddress(operand.register, reads: reads, writes: operand.access != .read)
            } else if isChecked {
                // The slow path knows registers in the structure only.
                if reads { loadGuest(operand.register, into: Host.addend) }
                digit = Host.addend
                if operand.access != .read { storesBack = (Host.addend, operand.register) }
            } else {
                digit = hold(operand.register, reads: reads, writes: operand.access != .read)
            }
        }
        if !isMemory {
            if divides, Self.pinned(rm.register) == nil {
                target = .state(Int(rm.register) * 8)
            } else {
                let reads = rm.access != .write || size < 4
                target = .register(
                    hold(
                        rm.register, reads: reads, writes: rm.access != .read,
                        besides: unpinned == nil || unpinned?.register == rm.register ? nil : digit))
            }
        }
        if divides && !isMemory && flagsInHost { spillFlags() }
        emitOpcode(i, digit, target, isMemory: isMemory)
        if isMemory || divides { unsafe noteSite(op) }
        if let (host, guest) = storesBack { a.store(host, .state(Int(guest) * 8)) }
        if !use.touches.isEmpty || needsFlags { flagsInHost = true }
        if isChecked { finishAccess(reloadsFlags: flagsInHost) }
        return true
    }

    private mutating func emitOpcode(_ i: Instruction, _ digit: UInt8, _ target: RM, isMemory: Bool) {
        let e = i.encoding
        let (opcode, length): (UInt32, Int)
        switch e.map {
        case .primary: (opcode, length) = (UInt32(e.opcode), 1)
        case .secondary: (opcode, length) = (0x0f00 | UInt32(e.opcode), 2)
        case .map38: (opcode, length) = (0x0f3800 | UInt32(e.opcode), 3)
        case .map3A: (opcode, length) = (0x0f3a00 | UInt32(e.opcode), 3)
        }
        let operand16 = i.prefixes.contains(.operandSize) && e.mandatoryPrefix != 0x66
        a.modrm(
            e.mandatoryPrefix, wide: i.prefixes.contains(.wide), opcode: opcode, length: length, reg: digit, rm: target,
            byteRegister: hasByteRegister(i), operand16: operand16,
            lock: i.prefixes.contains(.lock) && isMemory)
        switch e.immediateLength {
        case 1: a.byte(UInt8(truncatingIfNeeded: i.immediate))
        case 2: a.bytes(UInt8(truncatingIfNeeded: i.immediate), UInt8(truncatingIfNeeded: i.immediate >> 8))
        case 4: a.word32(Int32(truncatingIfNeeded: i.immediate))
        default: break
        }
    }

    private func hasByteRegister(_ i: Instruction) -> Bool {
        i.operands.0.kind == .general && i.operands.0.size == 1 || i.operands.1.kind == .general && i.operands.1.size == 1
    }
    private func usesHighByte(_ i: Instruction) -> Bool {
        i.operands.0.kind == .highByte || i.operands.1.kind == .highByte
    }

    /// AH to DH: without REX, so with the first eight registers only.
    private mutating func emitHighByte(_ i: Instruction, use: FlagUse, liveBefore: Bool, liveAfter: FlagSet) -> Bool {
        func number(_ operand: Operand) -> UInt8? {
            switch operand.kind {
            case .highByte: operand.register + 4
            case .general:
                // Byte registers 4 to 7 are the high ones without REX; RSP is elsewhere.
                operand.register < (operand.size == 1 ? 4 : 8) && operand.register != 4 ? operand.register : nil
            default: nil
            }
        }
        // A division may fault, which is the interpreter's here.
        guard i.mnemonic != .div, i.mnemonic != .idiv else { return false }
        guard let (field, rm) = form(i), let target = number(rm), !i.prefixes.contains(.wide) else { return false }
        var digit: UInt8 = 0
        switch field {
        case .digit(let value): digit = value
        case .register(let operand):
            guard let value = number(operand) else { return false }
            digit = value
        }
        let needsFlags = use.needsFlags(liveAfter)
        if needsFlags && !flagsInHost {
            reloadFlags()
            flagsInHost = true
        }
        let e = i.encoding
        let (opcode, length): (UInt32, Int) =
            e.map == .primary ? (UInt32(e.opcode), 1) : (0x0f00 | UInt32(e.opcode), 2)
        guard e.map == .primary || e.map == .secondary else { return false }
        a.modrm(
            e.mandatoryPrefix, wide: false, opcode: opcode, length: length, reg: digit, rm: .register(target),
            operand16: i.prefixes.contains(.operandSize))
        if e.immediateLength == 1 { a.byte(UInt8(truncatingIfNeeded: i.immediate)) }
        if !use.touches.isEmpty { flagsInHost = true }
        return true
    }

    /// ModRM.reg and the r/m operand of the instructions that are translated this way.
    private func form(_ i: Instruction) -> (Field, Operand)? {
        let x = i.operands.0
        let y = i.operands.1
        let digit = i.encoding.modrm >> 3 & 7
        switch (i.encoding.map, i.encoding.opcode) {
        // ARPL, and a second encoding of 80: 32-bit code alone has them.
        case (.primary, 0x63) where !is64, (.primary, 0x82): return nil
        case (.primary, 0x80...0x83), (.primary, 0xc0...0xc1), (.primary, 0xd0...0xd3), (.primary, 0xf6...0xf7),
            (.primary, 0xfe), (.primary, 0xc6...0xc7):
            return (.digit(digit), x)
        case (.primary, 0xff): return digit <= 1 ? (.digit(digit), x) : nil
        case (.secondary, 0xc7) where i.mnemonic == .cmpxchg8b || i.mnemonic == .cmpxchg16b: return (.digit(digit), x)
        case (.primary, 0x00...0x3b), (.primary, 0x84...0x8b), (.primary, 0x63), (.primary, 0x69), (.primary, 0x6b):
            break
        case (.secondary, 0x90...0x9f): return (.digit(0), x)
        case (.secondary, 0xba):
            return (.digit(digit), x)
        case (.secondary, 0xa3), (.secondary, 0xab), (.secondary, 0xb3), (.secondary, 0xbb):
            // A bit offset in a register reaches beyond an operand in memory, and R13 to R15 are in memory.
            if x.kind == .memory || Self.pinned(x.register) == nil { return nil }
        case (.secondary, 0xc0...0xc1) where x == y && Self.pinned(x.register) == nil:
            // XADD of a register with itself: the sum is written last.
            return nil
        case (.secondary, 0x40...0x4f), (.secondary, 0xa4...0xa5), (.secondary, 0xac...0xad), (.secondary, 0xaf),
            (.secondary, 0xb0...0xb1), (.secondary, 0xb6...0xb8), (.secondary, 0xbc...0xbf), (.secondary, 0xc0...0xc1),
            (.secondary, 0xc3):
            break
        case (.map38, 0xf0...0xf1): if i.prefixes.contains(.operandSize) { return nil }
        default: return nil
        }
        // Which operand is r/m: the memory one; of two registers the one that ModRM.rm names.
        if x.kind == .memory { return (.register(y), x) }
        if y.kind == .memory { return (.register(x), y) }
        let rmNumber = i.encoding.modrm & 7
        func isRM(_ operand: Operand) -> Bool {
            operand.kind == .highByte ? operand.register + 4 == rmNumber : operand.register & 7 == rmNumber
        }
        func isReg(_ operand: Operand) -> Bool {
            operand.kind == .highByte ? operand.register + 4 == digit : operand.register & 7 == digit
        }
        // Opcodes whose first operand is ModRM.reg.
        let firstIsReg: Bool
        switch (i.encoding.map, i.encoding.opcode) {
        case (.primary, 0x00...0x3b): firstIsReg = i.encoding.opcode & 2 != 0
        case (.primary, 0x8a...0x8b), (.primary, 0x63), (.primary, 0x69), (.primary, 0x6b): firstIsReg = true
        case (.primary, 0x84...0x87): firstIsReg = isReg(x) && isRM(y)
        case (.primary, _): firstIsReg = false
        case (.secondary, 0x40...0x4f), (.secondary, 0xaf), (.secondary, 0xb6...0xb8), (.secondary, 0xbc...0xbf):
            firstIsReg = true
        case (.map38, _): firstIsReg = true
        default: firstIsReg = false
        }
        guard firstIsReg ? isReg(x) && isRM(y) : isRM(x) && isReg(y) else { return nil }
        return firstIsReg ? (.register(x), y) : (.register(y), x)
    }
}
