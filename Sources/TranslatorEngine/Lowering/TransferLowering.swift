internal import CEngine
internal import X86

// Transfers of control. 64-bit code, and 32-bit code whose segments are flat, go block to block; the rest takes the
// general way.

extension Lowering {
    func lowerTransfer(_ i: Instruction, _ op: inout apus_op) -> Continuation? {
        let a = i.operands.0
        let size = UInt8(truncatingIfNeeded: i.operandSize)
        op.imm = UInt64(bitPattern: i.immediate)
        switch i.mnemonic {
        case .jcc: return conditional(i, &op)
        case .jmp, .call:
            let call = i.mnemonic == .call
            if a.kind == .relative {
                if is64 {
                    branch(i, near: call ? callLinked : jumpLinked, far: call ? callFarPage : jumpFarPage, &op)
                } else if isFlat && size == 4 {
                    branch(i, near: call ? callLinkedFlat : jumpLinked, far: call ? callFarPageFlat : jumpFarPage, &op)
                } else {
                    op.extra = size
                    op.handler = call ? callRelative : jumpRelative
                }
                return .ends
            }
            if is64 {
                op.src = register(a)
                if a.kind == .memory {
                    op.handler = call ? callMemory : jumpMemory
                } else {
                    op.handler = call ? callRegister : jumpRegister
                }
            } else {
                op.src = register(a)
                op.extra = size
                op.imm = a.kind == .memory ? 1 : 0
                op.handler = call ? callAny : jumpAny
            }
            return .ends
        case .ret:
            op.imm &= 0xffff
            op.extra = size
            op.handler = is64 ? TranslatorEngine.ret : retAny
            return .ends
        case .loop, .loope, .loopne, .jcxz:
            let kind: UInt8 = i.mnemonic == .loopne ? 0 : i.mnemonic == .loope ? 1 : i.mnemonic == .loop ? 2 : 3
            op.extra = kind | i.addressSize << 4
            op.src = is64 ? 8 : UInt16(size)
            op.handler = loopAny
            return .conditional
        case .jmpFar, .callFar:
            op.extra = size | (i.mnemonic == .callFar ? 0x80 : 0) | (a.kind == .memory ? 0x40 : 0)
            op.src = i.immediate2
            if size == 2 { op.imm &= 0xffff } else if size == 4 { op.imm &= 0xffff_ffff }
            op.handler = farTransfer
            return .ends
        case .retFar:
            op.imm &= 0xffff
            op.extra = size
            op.handler = farReturn
            return .ends
        case .iret:
            op.extra = size
            op.handler = interruptReturn
            return .ends
        case .int:
            op.handler = softwareInterrupt
            return .ends
        case .int3:
            op.handler = breakpointInstruction
            return .ends
        case .into:
            op.handler = overflowInstruction
            return .cut
        case .icebp:
            op.handler = icebp
            return .ends
        case .syscall:
            op.handler = TranslatorEngine.syscall
            return .ends
        case .sysret:
            op.extra = size
            op.handler = sysret
            return .ends
        case .sysenter:
            op.handler = sysenter
            return .ends
        case .sysexit:
            op.extra = size
            op.handler = sysexit
            return .ends
        default: return nil
        }
    }

    /// Target relative to the page's start, and whether it lies in the page.
    private func branch(_ i: Instruction, near: apus_handler, far: apus_handler, _ op: inout apus_op) {
        let target = Int64(op.offset) + Int64(op.length) + i.immediate
        op.imm = 0
        op.disp = Int32(truncatingIfNeeded: target)
        // A page-crossing instruction executes alone, outside its page's blocks: it must not link.
        let inPage = target >= 0 && target < 4096 && Int(op.offset) + Int(op.length) <= 4096
        op.handler = inPage ? near : far
    }

    private func conditional(_ i: Instruction, _ op: inout apus_op) -> Continuation {
        let code = i.encoding.opcode & 15
        if is64 || isFlat && i.operandSize == 4 {
            branch(i, near: jccHandlers[Int(code)], far: jccHandlers[Int(code) + 16], &op)
        } else {
            op.src = UInt16(code)
            op.extra = i.operandSize
            op.handler = jccRelative
        }
        return .conditional
    }

    /// The pseudo-op after a conditional branch: goes on at `offset` of the page.
    func makeFallThrough(offset: Int, into op: inout apus_op) {
        op = blank(offset: offset, length: 0)
        op.disp = Int32(offset)
        op.handler = offset < 4096 ? fallThrough : jumpFarPage
    }

    /// The end of a block that was cut: counts `count` instructions and goes on.
    func makeCut(offset: Int, count: Int, into op: inout apus_op) {
        op = blank(offset: offset, length: 0)
        op.disp = Int32(offset)
        op.dst = UInt16(count)
        op.handler = offset < 4096 ? jumpLinked : jumpFarPage
    }

    /// The same after an instruction that may have changed MXCSR.
    func makeControlCut(offset: Int, count: Int, into op: inout apus_op) {
        makeCut(offset: offset, count: count, into: &op)
        op.handler = controlCut
    }

    func setStringSegment(_ i: Instruction, _ op: inout apus_op) {
        if is64 {
            op.segment = i.memory.segment == 4 || i.memory.segment == 5 ? Slot.base(i.memory.segment) : Slot.zero
        } else {
            op.segment = Slot.base(min(i.memory.segment, 5))
        }
    }

    func lowerString(_ i: Instruction, _ op: inout apus_op) -> Continuation? {
        let handler: apus_handler
        switch i.mnemonic {
        case .movs: handler = movsAny
        case .cmps: handler = cmpsAny
        case .scas: handler = scasAny
        case .lods: handler = lodsAny
        case .stos: handler = stosAny
        case .ins: handler = insAny
        case .outs: handler = outsAny
        default: return nil
        }
        op.handler = handler
        op.extra = UInt8(log2(i.operandSize)) | UInt8(log2(i.addressSize)) << 4
        if i.prefixes.contains(.rep) { op.extra |= 4 } else if i.prefixes.contains(.repne) { op.extra |= 8 }
        setStringSegment(i, &op)
        return .next
    }

    /// PUSH, POP and their kin.
    func stack(_ i: Instruction, _ a: Operand, _ op: inout apus_op) -> Continuation {
        let size = i.operandSize
        let fast = is64 && size == 8
        op.extra = size
        op.imm = UInt64(bitPattern: i.immediate)
        switch i.mnemonic {
        case .push:
            if a.kind == .segment {
                op.extra = a.register & 7
                op.imm = UInt64(size)
                op.handler = pushSegment
            } else if a.kind == .immediate {
                op.handler = fast ? pushImmediate : pushAnyImmediate
            } else if a.kind == .memory {
                op.handler = fast ? pushMemory : pushAnyMemory
            } else {
                op.src = register(a)
                op.handler = fast ? pushRegister : pushAny
            }
        case .pop:
            if a.kind == .segment {
                op.extra = a.register & 7
                op.imm = UInt64(size)
                op.handler = popSegment
                return a.register == 2 && !is64 ? .cut : .next
            } else if a.kind == .memory {
                op.handler = fast ? popMemory : popAnyMemory
            } else {
                op.dst = register(a)
                op.handler = fast ? popRegister : popAny
            }
        case .pushf: op.handler = fast ? pushFlags64 : pushFlagsAny
        case .popf: op.handler = popFlags
        case .pusha: op.handler = pushAll
        case .popa: op.handler = popAll
        case .enter:
            op.imm &= 0xffff
            op.src = i.immediate2
            op.handler = enter
        default: op.handler = fast ? leave64 : leaveAny
        }
        return .next
    }
}
