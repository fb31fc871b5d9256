package import CEngine
package import X86

/// Lowers an instruction that the host executes itself: x87, MMX, SSE, AVX, bit manipulation, and what belongs to
/// their state. The effective address, offset and length of `op` are already filled.
///
/// Returns false for any other instruction, and for one that the host lacks.
package func lowerHostExecuted(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
    switch instruction.category {
    case .x87, .mmx, .sse, .avx, .bmi: break
    default:
        guard instruction.mnemonic == .adcx || instruction.mnemonic == .adox else { return false }
    }
    switch instruction.mnemonic {
    case .maskmovq, .maskmovdqu, .vmaskmovdqu, .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq, .emms, .ldmxcsr, .stmxcsr, .vldmxcsr,
        .vstmxcsr, .vzeroupper, .vzeroall, .wait, .fninit, .fnclex, .fnstsw, .fnstcw, .fldcw, .fneni, .fndisi, .fnsetpm: return false
    default: break
    }
    guard code.offers(instruction.featureRequired) else { return false }
    return lowerStub(instruction, into: &op, code)
}

/// Makes the stub of an instruction and chooses its handler.
private func lowerStub(_ instruction: Instruction, into op: inout apus_op, _ code: HostCode) -> Bool {
    let form = HostForm(instruction)
    let kind: Int
    switch instruction.category {
    case .x87:
        kind = 3
        op.extra = Blocked.x87
    case .mmx:
        // From an operand in memory CVTPI2PS and CVTPI2PD do not touch the MMX registers.
        kind = form.mmx != 0 ? 2 : 1
        op.extra = form.vectors != 0 ? Blocked.sse : Blocked.mmx
    case .sse:
        kind = form.floating ? 1 : 0
        op.extra = Blocked.sse
    case .avx:
        switch instruction.mnemonic {
    case .maskmovq, .maskmovdqu, .vmaskmovdqu, .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq, .emms, .ldmxcsr, .stmxcsr, .vldmxcsr,
        .vstmxcsr, .vzeroupper, .vzeroall, .wait, .fninit, .fnclex, .fnstsw, .fnstcw, .fldcw, .fneni, .fndisi, .fnsetpm: return false
    default: break
    }
    guard code.offers(.avx) else { return false }
        kind = form.floating ? 1 : 0
        op.extra = Blocked.avx
    default:
        kind = 0
        op.extra = 0
    }
    let access = form.memorySize == 0 ? 0 : form.storesMemory ? 2 : 1
    op.src = UInt16(max(form.memorySize, 1) - 1)
    op.dst = instruction.alignedMemory ? op.src : 0
    let address = code.stub(form.assemble())
    op.imm = UInt64(address)
    op.handler = address == 0 ? noRoomForStub : stubHandlers[kind * 3 + access]
    return true
}
