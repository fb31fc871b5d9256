internal import CEngine
internal import X86

// General-purpose instructions without transfers of control.

extension Lowering {
    /// Nil where the mnemonic is none of these.
    func lowerInteger(_ i: Instruction, _ op: inout apus_op) -> Continuation? {
        let a = i.operands.0
        let b = i.operands.1
        if let handlers = binaryHandlers(i.mnemonic) {
            guard a.size <= 8 else { return nil }
            return binary(handlers, i, a, b, &op)
        }
        if let handlers = shiftHandlers(i.mnemonic) { return shift(handlers, i, a, b, &op) }
        if let handlers = unaryHandlers(i.mnemonic) { return unary(handlers, i, a, &op) }
        op.imm = UInt64(bitPattern: i.immediate)
        if op.scale & UInt8(APUS_EA_WIDE) != 0 { op.imm = UInt64(bitPattern: i.memory.displacement) }
        switch i.mnemonic {
        case .mov, .movnti: return move(a, b, &op)
        case .movzx: extend(movZeroRegister, movZeroMemory, a, b, &op)
        case .movsx, .movsxd: extend(movSignRegister, movSignMemory, a, b, &op)
        case .lea:
            op.dst = register(a)
            op.segment = Slot.zero
            op.handler = a.size == 8 ? lea64 : a.size == 4 ? lea32 : lea16
        case .xchg: exchange(a, b, &op)
        case .xadd: memoryOrRegister(xaddHandlers, a, b, &op)
        case .cmpxchg: memoryOrRegister(cmpxchgHandlers, a, b, &op)
        case .cmpxchg8b: op.handler = cmpxchg8b
        case .cmpxchg16b: op.handler = cmpxchg16b
        case .cmov:
            op.dst = register(a)
            op.extra = i.encoding.opcode & 15
            if b.kind != .memory { op.src = register(b) }
            op.handler = cmovHandlers[log2(a.size) - 1 + (b.kind == .memory ? 3 : 0)]
        case .set:
            op.extra = i.encoding.opcode & 15
            op.dst = register(a)
            op.handler = a.kind == .memory ? setccMemory : setccRegister
        case .bswap:
            op.dst = register(a)
            op.handler = bswapHandlers[log2(a.size) - 1]
        case .movbe:
            let stores = a.kind == .memory
            op.dst = register(a)
            op.src = register(b)
            op.handler = movbeHandlers[log2(a.kind == .memory ? b.size : a.size) - 1 + (stores ? 3 : 0)]
        case .cbw: op.handler = cbwHandlers[log2(i.operandSize) - 1]
        case .cwd: op.handler = cwdHandlers[log2(i.operandSize) - 1]
        case .mul, .div, .idiv, .imul: return multiply(i, a, b, &op)
        case .shld, .shrd: doubleShift(i, a, b, &op)
        case .bt, .bts, .btr, .btc: bitTest(i, a, b, &op)
        case .bsf, .bsr, .tzcnt, .lzcnt, .popcnt: scan(i, a, b, &op)
        case .crc32:
            op.dst = register(a)
            op.src = register(b)
            op.extra = UInt8(log2(b.size)) | (b.kind == .memory ? 0x80 : 0)
            op.handler = crc32
        case .lahf: op.handler = lahf
        case .sahf: op.handler = sahf
        case .clc: op.handler = clc
        case .stc: op.handler = stc
        case .cmc: op.handler = cmc
        case .cld: op.handler = cld
        case .std: op.handler = std
        case .salc: op.handler = salc
        case .xlat:
            op.extra = UInt8(log2(i.addressSize))
            setStringSegment(i, &op)
            op.handler = xlat
        case .bound:
            op.src = register(a)
            op.extra = UInt8(a.size)
            op.handler = bound
        case .daa, .das:
            op.extra = i.mnemonic == .das ? 1 : 0
            op.handler = decimalAdjust
        case .aaa, .aas:
            op.extra = i.mnemonic == .aas ? 1 : 0
            op.handler = asciiAdjust
        case .aam: op.handler = aam
        case .aad: op.handler = aad
        case .nop, .endbr32, .endbr64, .prefetch, .prefetchw: op.handler = noOperation
        case .push, .pop, .pusha, .popa, .pushf, .popf, .enter, .leave: return stack(i, a, &op)
        default: return nil
        }
        return .next
    }

    private func binaryHandlers(_ mnemonic: Mnemonic) -> [apus_handler]? {
        switch mnemonic {
        case .add: addHandlers
        case .or: orHandlers
        case .adc: adcHandlers
        case .sbb: sbbHandlers
        case .and: andHandlers
        case .sub: subHandlers
        case .xor: xorHandlers
        case .cmp: cmpHandlers
        case .test: testHandlers
        default: nil
        }
    }
    private func shiftHandlers(_ mnemonic: Mnemonic) -> [apus_handler]? {
        switch mnemonic {
        case .rol: rolHandlers
        case .ror: rorHandlers
        case .rcl: rclHandlers
        case .rcr: rcrHandlers
        case .shl: shlHandlers
        case .shr: shrHandlers
        case .sar: sarHandlers
        default: nil
        }
    }
    /// Register, memory and locked forms.
    private func unaryHandlers(_ mnemonic: Mnemonic) -> ([apus_handler], [apus_handler], [apus_handler])? {
        switch mnemonic {
        case .inc: (incRegister, incMemory, lockedInc)
        case .dec: (decRegister, decMemory, lockedDec)
        case .neg: (negRegister, negMemory, lockedNeg)
        case .not: (notRegister, notMemory, lockedNot)
        default: nil
        }
    }

    private func binary(
        _ handlers: [apus_handler], _ i: Instruction, _ a: Operand, _ b: Operand, _ op: inout apus_op
    ) -> Continuation {
        let locked = i.prefixes.contains(.lock)
        op.imm = UInt64(bitPattern: i.immediate)
        let form: BinaryForm
        if a.kind == .memory {
            if b.kind == .immediate { form = locked ? .lockedMemoryImmediate : .memoryImmediate } else {
                op.src = register(b)
                form = locked ? .lockedMemoryRegister : .memoryRegister
            }
        } else {
            op.dst = register(a)
            switch b.kind {
            case .memory: form = .registerMemory
            case .immediate: form = .registerImmediate
            default:
                op.src = register(b)
                form = .registerRegister
            }
        }
        op.handler = handlers[form.rawValue * 4 + log2(a.size)]
        return .next
    }

    private func shift(
        _ handlers: [apus_handler], _ i: Instruction, _ a: Operand, _ b: Operand, _ op: inout apus_op
    ) -> Continuation {
        op.imm = b.kind == .one ? 1 : UInt64(bitPattern: i.immediate)
        op.dst = register(a)
        let byCL = b.kind == .general
        let form = (a.kind == .memory ? 2 : 0) + (byCL ? 1 : 0)
        op.handler = handlers[form * 4 + log2(a.size)]
        return .next
    }

    private func unary(
        _ handlers: ([apus_handler], [apus_handler], [apus_handler]), _ i: Instruction, _ a: Operand,
        _ op: inout apus_op
    ) -> Continuation {
        op.dst = register(a)
        let size = log2(a.size)
        op.handler =
            a.kind != .memory
            ? handlers.0[size] : i.prefixes.contains(.lock) ? handlers.2[size] : handlers.1[size]
        return .next
    }

    private func extend(
        _ fromRegister: [apus_handler], _ fromMemory: [apus_handler], _ a: Operand, _ b: Operand, _ op: inout apus_op
    ) {
        op.dst = register(a)
        let index = log2(b.size) * 3 + log2(a.size) - 1
        if b.kind == .memory {
            op.handler = fromMemory[index]
        } else {
            op.src = register(b)
            op.handler = fromRegister[index]
        }
    }

    private func exchange(_ a: Operand, _ b: Operand, _ op: inout apus_op) {
        let size = log2(a.size)
        if a.kind == .memory || b.kind == .memory {
            op.src = register(a.kind == .memory ? b : a)
            op.handler = xchgMemory[size]
        } else {
            op.dst = register(a)
            op.src = register(b)
            op.handler = xchgRegisterRegister[size]
        }
    }

    private func memoryOrRegister(_ handlers: [apus_handler], _ a: Operand, _ b: Operand, _ op: inout apus_op) {
        op.dst = register(a)
        op.src = register(b)
        op.handler = handlers[log2(a.size) + (a.kind == .memory ? 0 : 4)]
    }

    private func multiply(_ i: Instruction, _ a: Operand, _ b: Operand, _ op: inout apus_op) -> Continuation {
        if i.mnemonic == .imul && b.kind != .none {
            op.dst = register(a)
            op.src = register(b)
            if b.kind == .memory { op.extra |= 0x80 }
            if i.operands.2.kind == .immediate { op.extra |= 1 }
            op.handler = imulHandlers[log2(a.size) - 1]
            return .next
        }
        // The accumulator may be named as the first operand.
        op.src = register(a)
        if a.kind == .memory { op.extra |= 0x80 }
        let size = log2(a.size)
        switch i.mnemonic {
        case .mul: op.handler = mulHandlers[size]
        case .imul: op.handler = imulWideHandlers[size]
        case .div: op.handler = divHandlers[size]
        default: op.handler = idivHandlers[size]
        }
        return .next
    }

    private func doubleShift(_ i: Instruction, _ a: Operand, _ b: Operand, _ op: inout apus_op) {
        op.dst = register(a)
        op.src = register(b)
        op.extra =
            (i.operands.2.kind == .immediate ? 0 : 1) | (i.mnemonic == .shrd ? 2 : 0) | (a.kind == .memory ? 4 : 0)
        op.handler = doubleShiftHandlers[log2(a.size) - 1]
    }

    private func bitTest(_ i: Instruction, _ a: Operand, _ b: Operand, _ op: inout apus_op) {
        op.dst = register(a)
        op.src = register(b)
        switch i.mnemonic {
        case .bts: op.extra = 1
        case .btr: op.extra = 2
        case .btc: op.extra = 3
        default: op.extra = 0
        }
        if b.kind == .immediate { op.extra |= 4 }
        let size = log2(a.size)
        op.extra |= UInt8(size) << 4
        op.handler = bitHandlers[size - 1 + (a.kind == .memory ? 3 : 0)]
    }

    private func scan(_ i: Instruction, _ a: Operand, _ b: Operand, _ op: inout apus_op) {
        op.dst = register(a)
        op.src = register(b)
        op.extra = b.kind == .memory ? 0x80 : 0
        let size = log2(a.size) - 1
        switch i.mnemonic {
        case .bsf:
            op.extra |= 1
            op.handler = bsfHandlers[size]
        case .bsr:
            op.extra |= 1
            op.handler = bsrHandlers[size]
        case .tzcnt: op.handler = tzcntHandlers[size]
        case .lzcnt: op.handler = lzcntHandlers[size]
        default: op.handler = popcntHandlers[size]
        }
    }

    /// MOV in all its forms.
    private func move(_ a: Operand, _ b: Operand, _ op: inout apus_op) -> Continuation {
        switch (a.kind, b.kind) {
        case (.segment, _):
            op.extra = a.register & 7 | (b.kind == .memory ? 0x80 : 0)
            op.src = register(b)
            op.handler = moveToSegment
            return a.register == 2 && !is64 ? .cut : .next
        case (_, .segment):
            op.extra = b.register & 7 | (a.kind == .memory ? 0x80 : 0)
            op.dst = register(a)
            op.imm = UInt64(a.size)
            op.handler = moveFromSegment
        case (.control, _):
            op.extra = a.register
            op.src = register(b)
            op.handler = moveToControl
            return .cut
        case (_, .control):
            op.extra = b.register
            op.dst = register(a)
            op.handler = moveFromControl
        case (.debug, _):
            op.extra = a.register
            op.src = register(b)
            op.handler = moveToDebug
            return .cut
        case (_, .debug):
            op.extra = b.register
            op.dst = register(a)
            op.handler = moveFromDebug
        case (.memory, .immediate): op.handler = movMemoryImmediate[log2(a.size)]
        case (.memory, _):
            op.src = register(b)
            op.handler = movMemoryRegister[log2(a.size)]
        case (_, .memory):
            op.dst = register(a)
            op.handler = movRegisterMemory[log2(a.size)]
        case (_, .immediate):
            op.dst = register(a)
            op.handler = movRegisterImmediate[log2(a.size)]
        default:
            op.dst = register(a)
            op.src = register(b)
            op.handler = movRegisterRegister[log2(a.size)]
        }
        return .next
    }
}

