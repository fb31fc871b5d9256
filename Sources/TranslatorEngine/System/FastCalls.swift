internal import CEngine

// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS: the fast ways into a kernel and out of it (SDM volume 3, 5.8.7).

/// Sets CS and SS to the flat segments that the fast calls imply.
private func setFlat(_ cpu: CPU, code: UInt16, stack: UInt16, level: UInt16, long: Bool) {
    cpu.setSegment(
        APUS_SEG_CS,
        apus_x86_segment(
            base: 0, limit: 0xffff_ffff, selector: code, attributes: (long ? 0xa9b : 0xc9b) | level << 5))
    cpu.setSegment(
        APUS_SEG_SS,
        apus_x86_segment(base: 0, limit: 0xffff_ffff, selector: stack, attributes: 0xc93 | level << 5))
    cpu.updateMode()
}

let syscall: apus_handler = { cpu, op in
    guard cpu.efer & EFER.sce != 0, cpu.longMode, cpu.code64 || !cpu.isIntel else {
        return cpu.fault(op, Vector.undefined)
    }
    let from64 = cpu.code64
    let star = unsafe cpu.p.pointee.s.star
    cpu.rcx = cpu.ripAfter(op)
    cpu.setGPR(11, cpu.rflags & ~Flag.rf)
    let target = unsafe from64 ? cpu.p.pointee.s.lstar : cpu.p.pointee.s.cstar
    cpu.rflags = unsafe cpu.rflags & ~(cpu.p.pointee.s.sfmask | Flag.rf)
    let selector = UInt16(truncatingIfNeeded: star >> 32) & ~3
    setFlat(cpu, code: selector, stack: selector &+ 8, level: 0, long: true)
    cpu.count(op)
    // It traps by the TF that it leaves, so that a kernel which masks TF is not stepped into.
    unsafe cpu.p.pointee.trap_armed = cpu.systemFlags & Flag.tf != 0 ? 1 : 0
    return cpu.jump(target)
}

let sysret: apus_handler = { cpu, op in
    guard cpu.efer & EFER.sce != 0, cpu.protected else { return cpu.fault(op, Vector.undefined) }
    guard cpu.cpl == 0 else { return cpu.fault(op, Vector.general, error: 0) }
    guard cpu.longMode else { return cpu.fault(op, Vector.undefined) }
    let selector = unsafe UInt16(truncatingIfNeeded: cpu.p.pointee.s.star >> 48)
    let to64 = op.extra == 8
    let target = to64 ? cpu.rcx : cpu.rcx & 0xffff_ffff
    if to64 && !isCanonical(target) {
        return cpu.fault(op, Vector.general, error: 0)
    }
    cpu.rflags = cpu.gpr(11) & 0x3c_7fd7 | 2
    setFlat(cpu, code: (to64 ? selector &+ 16 : selector) | 3, stack: (selector &+ 8) | 3, level: 3, long: to64)
    cpu.count(op)
    unsafe cpu.p.pointee.charged = nil
    if cpu.systemFlags & Flag.tf != 0 {
        // Here too the TF that it leaves counts: as if the SYSCALL had trapped.
        cpu.rip = target
        cpu.noteDebug(0x4000)
        _ = cpu.raise(Vector.debug)
        return .leave
    }
    if cpu.maskedEvents {
        cpu.rip = target
        unsafe cpu.p.pointee.status = UInt8(APUS_STATUS_STATE)
        return .leave
    }
    return cpu.jump(target)
}

let sysenter: apus_handler = { cpu, op in
    let selector = unsafe UInt16(truncatingIfNeeded: cpu.p.pointee.s.sysenter_cs)
    guard cpu.protected, selector & ~3 != 0 else { return cpu.fault(op, Vector.general, error: 0) }
    guard !cpu.longMode || cpu.isIntel else { return cpu.fault(op, Vector.undefined) }
    cpu.systemFlags &= ~(Flag.vm | Flag.if | Flag.rf)
    let long = cpu.longMode
    cpu.rsp = unsafe long ? cpu.p.pointee.s.sysenter_esp : cpu.p.pointee.s.sysenter_esp & 0xffff_ffff
    let target = unsafe long ? cpu.p.pointee.s.sysenter_eip : cpu.p.pointee.s.sysenter_eip & 0xffff_ffff
    setFlat(cpu, code: selector & ~3, stack: (selector & ~3) &+ 8, level: 0, long: long)
    return cpu.lookup(target)
}

let sysexit: apus_handler = { cpu, op in
    let selector = unsafe UInt16(truncatingIfNeeded: cpu.p.pointee.s.sysenter_cs)
    guard cpu.protected, selector & ~3 != 0, cpu.cpl == 0 else { return cpu.fault(op, Vector.general, error: 0) }
    guard !cpu.longMode || cpu.isIntel else { return cpu.fault(op, Vector.undefined) }
    let to64 = op.extra == 8
    let target = to64 ? cpu.rdx : cpu.rdx & 0xffff_ffff
    if to64 && (!isCanonical(target)
        || !isCanonical(cpu.rcx))
    {
        return cpu.fault(op, Vector.general, error: 0)
    }
    cpu.rsp = to64 ? cpu.rcx : cpu.rcx & 0xffff_ffff
    let base = selector & ~3
    setFlat(
        cpu, code: (to64 ? base &+ 32 : base &+ 16) | 3, stack: (to64 ? base &+ 40 : base &+ 24) | 3, level: 3,
        long: to64)
    return cpu.lookup(target)
}

let swapgs: apus_handler = { cpu, op in
    guard cpu.cpl == 0 else { return cpu.fault(op, Vector.general, error: 0) }
    let slot = unsafe cpu.segmentSlot(APUS_SEG_GS)
    let base = unsafe slot.pointee.base
    unsafe slot.pointee.base = cpu.p.pointee.s.kernel_gs_base
    unsafe cpu.p.pointee.s.kernel_gs_base = base
    return op.next
}
