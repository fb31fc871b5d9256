package import CEngine
package import X86

/// Lowers an instruction that the host executes itself: x87, MMX, SSE, AVX, bit manipulation, and what belongs to
/// their state. The effective address, offset and length of `op` are already filled.
///
/// Returns false for any other instruction, and for one that the host lacks.
package func lowerHostExecuted(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
    switch instruction.category {
    case .integer where instruction.mnemonic != .adcx && instruction.mnemonic != .adox:
        return lowerCacheControl(instruction, into: &op)
    case .system:
        guard let handler = stateAreaHandler(instruction.mnemonic) else { return false }
        op.handler = handler
        op.extra = instruction.prefixes.contains(.wide) ? 1 : 0
        return true
    default: break
    }
    if let handler = vectorControlHandler(instruction) {
        op.handler = handler
        return true
    }
    guard code.offers(instruction.featureRequired) else { return false }
    switch instruction.category {
    case .x87: return lowerX87(instruction, into: &op, code)
    case .sse:
        if instruction.mnemonic == .maskmovdqu {
            lowerMaskedByteStore(instruction, into: &op)
            return true
        }
        return lowerVectorMove(instruction, into: &op) || lowerStub(instruction, into: &op, code)
    case .mmx:
        if instruction.mnemonic == .maskmovq {
            lowerMaskedByteStore(instruction, into: &op)
            return true
        }
        return lowerStub(instruction, into: &op, code)
    case .avx:
        guard code.offers(.avx) else { return false }
        return lowerAVX(instruction, into: &op, code)
    default: return lowerStub(instruction, into: &op, code)
    }
}

private func lowerX87(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
    // 32-bit words unless the operand size is 16 bits; bit 1 with the registers.
    op.extra = instruction.operandSize == 2 ? 0 : 1
    switch instruction.mnemonic {
    case .fnstenv: op.handler = storeX87Environment
    case .fldenv: op.handler = loadX87Environment
    case .fnsave:
        op.extra |= 2
        op.handler = storeX87Environment
    case .frstor:
        op.extra |= 2
        op.handler = loadX87Environment
    default: return lowerStub(instruction, into: &op, code)
    }
    return true
}

private func lowerAVX(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
    switch instruction.mnemonic {
    case .vpgatherdd, .vpgatherdq, .vpgatherqd, .vpgatherqq, .vgatherdps, .vgatherdpd, .vgatherqps, .vgatherqpd:
        lowerGather(instruction, into: &op)
        return true
    case .vmaskmovdqu:
        lowerMaskedByteStore(instruction, into: &op)
        return true
    case .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq:
        guard lowerStub(instruction, into: &op, code) else { return false }
        if op.imm != 0 { makeMasked(instruction, &op) }
        return true
    default:
        return lowerVEXMove(instruction, into: &op) || lowerStub(instruction, into: &op, code)
    }
}

/// Makes the stub of an instruction and chooses its handler.
private func lowerStub(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
    let form = HostForm(instruction)
    op.src = UInt16(max(form.memorySize, 1) - 1)
    op.dst = instruction.alignedMemory ? op.src : 0
    let kind: Int
    switch instruction.category {
    case .x87:
        kind = 3
        op.extra = Blocked.x87
        // The last opcode as FNSTENV stores it.
        op.dst = UInt16(instruction.encoding.opcode & 7) << 8 | UInt16(instruction.encoding.modrm)
    case .mmx:
        // From an operand in memory CVTPI2PS and CVTPI2PD do not touch the MMX registers.
        kind = form.mmx != 0 ? 2 : 1
        op.extra = form.vectors != 0 ? Blocked.sse : Blocked.mmx
    case .sse:
        kind = form.floating ? 1 : 0
        op.extra = Blocked.sse
    case .avx:
        kind = form.floating ? 1 : 0
        op.extra = Blocked.avx
    default:
        kind = 0
        op.extra = 0
    }
    let access = form.memorySize == 0 ? 0 : form.storesMemory ? 2 : 1
    let address = code.stub(form.assemble())
    op.imm = UInt64(address)
    op.handler = address == 0 ? noRoomForStub : stubHandlers[kind * 3 + access]
    return true
}
