internal import CEngine

// PUSH, POP and their kin in 64-bit mode with 8-byte operands; other sizes and modes in `LegacyStack`.

@inline(__always) private func push(_ cpu: CPU, _ op: MicroOp, _ value: UInt64) -> MicroOp {
    let stack = cpu.rsp &- 8
    guard cpu.storeLinear(stack, value, op) else { return .leave }
    cpu.rsp = stack
    return op.next
}

let pushRegister: apus_handler = { cpu, op in push(cpu, op, cpu.read(op.src)) }
let pushImmediate: apus_handler = { cpu, op in push(cpu, op, op.imm) }
let pushMemory: apus_handler = { cpu, op in
    var value: UInt64 = 0
    guard cpu.load(op, &value) else { return .leave }
    return push(cpu, op, value)
}
let popRegister: apus_handler = { cpu, op in
    var value: UInt64 = 0
    let stack = cpu.rsp
    guard cpu.loadLinear(stack, &value, op) else { return .leave }
    cpu.rsp = stack &+ 8
    cpu.write(op.dst, value)
    return op.next
}
let popMemory: apus_handler = { cpu, op in
    var value: UInt64 = 0
    let stack = cpu.rsp
    guard cpu.loadLinear(stack, &value, op) else { return .leave }
    // The address is computed with rSP already incremented (SDM volume 2, POP).
    cpu.rsp = stack &+ 8
    if cpu.store(op, value) { return op.next }
    cpu.rsp = stack
    return .leave
}
let leave64: apus_handler = { cpu, op in
    var value: UInt64 = 0
    let frame = cpu.rbp
    guard cpu.loadLinear(frame, &value, op) else { return .leave }
    cpu.rsp = frame &+ 8
    cpu.rbp = value
    return op.next
}
let pushFlags64: apus_handler = { cpu, op in push(cpu, op, cpu.rflags & ~(Flag.rf | Flag.vm)) }

/// POPF of any size, `extra` bytes.
let popFlags: apus_handler = { cpu, op in
    cpu.rip = cpu.ripOf(op)
    do throws(Leave) {
        if cpu.rflags & Flag.vm != 0 && cpu.systemFlags & Flag.iopl != Flag.iopl {
            throw cpu.raise(Vector.general, error: 0)
        }
        let value = try cpu.pop(size: Int(op.extra))
        cpu.setFlagsFromGuest(value, size: Int(op.extra))
    } catch { return .leave }
    return cpu.afterFlagWrite(op)
}

extension CPU {
    /// Writes RFLAGS as POPF and IRET do at the current privilege (SDM volume 2, POPF).
    func setFlagsFromGuest(_ value: UInt64, size: Int, fromIRET: Bool = false) {
        var mask: UInt64 = Flag.arithmetic | Flag.tf | Flag.df | Flag.nt
        if size >= 4 { mask |= Flag.ac | Flag.id }
        if fromIRET && size >= 4 { mask |= Flag.rf }
        let old = rflags
        if cpl == 0 {
            mask |= Flag.iopl
            if fromIRET && size >= 4 { mask |= Flag.vif | Flag.vip }
        }
        if UInt64(cpl) <= (old & Flag.iopl) >> 12 { mask |= Flag.if }
        var new = (old & ~mask) | (value & mask)
        if !fromIRET { new &= ~Flag.rf }
        rflags = new
        if (old ^ new) & Flag.ac != 0 { updateMemoryMode() }
    }

    /// Goes on after an instruction that may have set IF or TF: events that waited are looked at.
    @inline(__always) func afterFlagWrite(_ op: MicroOp) -> MicroOp {
        if systemFlags & Flag.tf != 0 || maskedEvents { return stateChanged(after: op) }
        return op.next
    }
}
