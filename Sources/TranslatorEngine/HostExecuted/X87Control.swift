internal import CEngine
internal import X86

// x87 instructions that only concern control, status and tags, and EMMS (SDM volume 2). Those named FN... do not wait
// for pending exceptions.

@inline(__always) private func x87(_ cpu: CPU, _ op: MicroOp, _ body: () -> MicroOp) -> MicroOp {
    cpu.blocked(Blocked.x87) ? cpu.vectorFault(op, Blocked.x87) : body()
}

private let fwait: apus_handler = { cpu, op in
    let both = CR0.mp | CR0.ts
    if cpu.cr0 & both == both { return cpu.fault(op, Vector.deviceNotAvailable) }
    return cpu.x87Pending ? cpu.x87Fault(op) : op.next
}
private let fnnop: apus_handler = { cpu, op in x87(cpu, op) { op.next } }
private let fninit: apus_handler = { cpu, op in
    x87(cpu, op) {
        cpu.saveX87()
        cpu.initializeX87()
        return op.next
    }
}
private let fnclex: apus_handler = { cpu, op in
    x87(cpu, op) {
        if cpu.x87Live { apus_x87_clear() } else { cpu.fsw &= 0x7f00 }
        return op.next
    }
}
private let fnstswAX: apus_handler = { cpu, op in
    x87(cpu, op) {
        cpu.write(0, cpu.status)
        return op.next
    }
}
private let fnstsw: apus_handler = { cpu, op in x87(cpu, op) { cpu.store(op, cpu.status) ? op.next : .leave } }
private let fnstcw: apus_handler = { cpu, op in x87(cpu, op) { cpu.store(op, cpu.fcw) ? op.next : .leave } }
private let fldcw: apus_handler = { cpu, op in
    x87(cpu, op) {
        if cpu.x87Pending { return cpu.x87Fault(op) }
        var value: UInt16 = 0
        guard cpu.load(op, &value) else { return .leave }
        if cpu.x87Live && apus_x87_status() & ~value & 0x3f == 0 {
            cpu.fcw = value & 0x1f3f | 0x40
            apus_x87_set_control(value)
            cpu.noteX87Live()
        } else {
            cpu.saveX87()
            cpu.setFCW(value)
        }
        return op.next
    }
}
private let emms: apus_handler = { cpu, op in
    if cpu.blocked(Blocked.mmx) { return cpu.vectorFault(op, Blocked.mmx) }
    if cpu.x87Pending { return cpu.x87Fault(op) }
    cpu.enterMMX()
    cpu.ftw = 0
    return op.next
}

extension CPU {
    @inline(__always) fileprivate var x87Live: Bool { unsafe p.pointee.x87_live != 0 }
    /// The status word, wherever it is.
    @inline(__always) fileprivate var status: UInt16 { x87Live ? apus_x87_status() : fsw }
}

// MXCSR (SDM volume 1, 10.2.3)

@inline(__always) private func loadMXCSR(_ cpu: CPU, _ op: MicroOp, _ reasons: UInt8) -> MicroOp {
    if cpu.blocked(reasons) { return cpu.vectorFault(op, reasons) }
    var value: UInt32 = 0
    guard cpu.load(op, &value) else { return .leave }
    guard value & ~0xffff == 0 else { return cpu.fault(op, Vector.general, error: 0) }
    cpu.mxcsr = value
    return op.next
}
@inline(__always) private func storeMXCSR(_ cpu: CPU, _ op: MicroOp, _ reasons: UInt8) -> MicroOp {
    if cpu.blocked(reasons) { return cpu.vectorFault(op, reasons) }
    return cpu.store(op, cpu.mxcsr) ? op.next : .leave
}
private let ldmxcsr: apus_handler = { c, o in loadMXCSR(c, o, Blocked.sse) }
private let stmxcsr: apus_handler = { c, o in storeMXCSR(c, o, Blocked.sse) }
private let vldmxcsr: apus_handler = { c, o in loadMXCSR(c, o, Blocked.avx) }
private let vstmxcsr: apus_handler = { c, o in storeMXCSR(c, o, Blocked.avx) }

// VZEROUPPER and VZEROALL; outside 64-bit mode for eight registers.

@inline(__always) private func zero(_ cpu: CPU, _ op: MicroOp, all: Bool) -> MicroOp {
    if cpu.blocked(Blocked.avx) { return cpu.vectorFault(op, Blocked.avx) }
    for register in 0..<(cpu.code64 ? 16 : 8) as Range<UInt8> {
        if all { cpu.setVector(VectorLayout.register(register), SIMD2()) }
        cpu.setVector(VectorLayout.register(register) + 16, SIMD2())
    }
    return op.next
}
private let vzeroupper: apus_handler = { c, o in zero(c, o, all: false) }
private let vzeroall: apus_handler = { c, o in zero(c, o, all: true) }

/// The handler of a control instruction, nil for others.
func vectorControlHandler(_ instruction: Instruction) -> apus_handler? {
    switch instruction.mnemonic {
    case .wait: fwait
    case .fninit: fninit
    case .fnclex: fnclex
    case .fneni, .fndisi, .fnsetpm: fnnop
    case .fnstsw: instruction.operands.0.kind == .memory ? fnstsw : fnstswAX
    case .fnstcw: fnstcw
    case .fldcw: fldcw
    case .emms: emms
    case .ldmxcsr: ldmxcsr
    case .stmxcsr: stmxcsr
    case .vldmxcsr: vldmxcsr
    case .vstmxcsr: vstmxcsr
    case .vzeroupper: vzeroupper
    case .vzeroall: vzeroall
    default: nil
    }
}
