internal import CEngine
internal import X86

// Instructions of system software that are no transfers of control: flags, control and debug registers, time, and the
// processor's identity.

let hlt: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        unsafe cpu.p.pointee.s.halted = 1
        return cpu.stateChanged(after: op)
    }
}

extension CPU {
    /// CLI and STI are allowed up to IOPL (SDM volume 2, CLI).
    fileprivate func requireIOPL() throws(Leave) {
        if protected && UInt64(cpl) > (systemFlags & Flag.iopl) >> 12 { throw raise(Vector.general, error: 0) }
    }
}

let cli: apus_handler = { cpu, op in
    if cpu.cpl == 0 {
        cpu.systemFlags &= ~Flag.if
        return op.next
    }
    return attempt(cpu, op) { () throws(Leave) in
        try cpu.requireIOPL()
        cpu.systemFlags &= ~Flag.if
        return op.next
    }
}
let sti: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requireIOPL()
        guard cpu.systemFlags & Flag.if == 0 else { return op.next }
        cpu.systemFlags |= Flag.if
        guard cpu.maskedEvents || cpu.pending != 0 else { return op.next }
        // One more instruction runs before an interrupt is taken.
        unsafe cpu.p.pointee.s.interrupt_shadow = InterruptShadow.interrupts
        return cpu.stateChanged(after: op)
    }
}
let clts: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        unsafe cpu.p.pointee.s.cr0 &= ~CR0.ts
        cpu.updateMode()
        return op.next
    }
}

/// STAC and CLAC: `extra` 1 sets AC.
let setAccess: apus_handler = { cpu, op in
    guard cpu.cpl == 0 else { return cpu.fault(op, Vector.undefined) }
    if op.extra != 0 { cpu.systemFlags |= Flag.ac } else { cpu.systemFlags &= ~Flag.ac }
    cpu.updateMemoryMode()
    return op.next
}

/// MOV from CRn: register `dst`, control register `extra`. 32-bit code writes 32 bits.
let moveFromControl: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        let value = try cpu.readControl(Int(op.extra))
        cpu.writeRegister(op.dst, value, size: cpu.code64 ? 8 : 4)
        return op.next
    }
}
let moveToControl: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        try cpu.writeControl(Int(op.extra), cpu.readRegister(op.src, size: cpu.code64 ? 8 : 4))
        return cpu.stateChanged(after: op)
    }
}
let moveFromDebug: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        let value = try cpu.readDebug(Int(op.extra))
        cpu.writeRegister(op.dst, value, size: cpu.code64 ? 8 : 4)
        return op.next
    }
}
let moveToDebug: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        try cpu.writeDebug(Int(op.extra), cpu.readRegister(op.src, size: cpu.code64 ? 8 : 4))
        return cpu.stateChanged(after: op)
    }
}
/// SMSW to a register of `extra` bytes; to memory where `extra` is 0.
let smsw: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        if cpu.cpl != 0 && cpu.cr4 & CR4.umip != 0 { throw cpu.raise(Vector.general, error: 0) }
        if op.extra == 0 {
            try cpu.operandWrite(op, cpu.cr0 & 0xffff, size: 2)
        } else {
            cpu.writeRegister(op.dst, cpu.cr0, size: Int(op.extra))
        }
        return op.next
    }
}
/// LMSW from a register, or from memory where `extra` is not 0. It cannot clear PE.
let lmsw: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        let value = op.extra != 0 ? try cpu.operandRead(op, size: 2) : cpu.readRegister(op.src, size: 2)
        try cpu.setCR0(cpu.cr0 & ~0xe | value & 0xf)
        return cpu.stateChanged(after: op)
    }
}
let invlpg: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        cpu.invalidatePage(cpu.leaAddress(op) &+ cpu.slot(op.segment))
        return cpu.stateChanged(after: op)
    }
}
/// INVPCID (SDM volume 2): nothing of address spaces other than the current one is kept.
let invpcid: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        let type: UInt64 = cpu.code64 ? cpu.read(op.dst) : cpu.read(op.dst) & 0xffff_ffff
        let place = try cpu.operandAddress(op, size: 16, write: false)
        let identifier = try cpu.readMemory(cpu.wrapped(place), size: 8, .current)
        let linear = try cpu.readMemory(cpu.wrapped(place &+ 8), size: 8, .current)
        let current = unsafe cpu.cr4 & CR4.pcide == 0 ? 0 : cpu.p.pointee.s.cr3 & 0xfff
        let isWrong = identifier >> 12 != 0 || type < 2 && cpu.cr4 & CR4.pcide == 0 && identifier != 0
        guard type < 4, type > 1 || !isWrong, type != 0 || isCanonical(linear) else {
            throw cpu.raise(Vector.general, error: 0)
        }
        switch type {
        case 0: if identifier == current { cpu.invalidatePage(linear) }
        case 1: if identifier == current { cpu.flushLocalTranslations() }
        case 2: cpu.flushTLB()
        default: cpu.flushLocalTranslations()
        }
        return cpu.stateChanged(after: op)
    }
}
/// INVD, WBINVD, WBNOINVD: there is no cache to write back.
let cacheControl: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        return op.next
    }
}

/// RDTSC; with `extra` 1 RDTSCP.
let rdtsc: apus_handler = { cpu, op in
    if cpu.cr4 & CR4.tsd != 0 && cpu.cpl != 0 { return cpu.fault(op, Vector.general, error: 0) }
    let value = cpu.timeStampCounter
    cpu.rax = value & 0xffff_ffff
    cpu.rdx = value >> 32
    if op.extra != 0 { cpu.rcx = unsafe cpu.p.pointee.s.tsc_aux & 0xffff_ffff }
    return op.next
}
/// RDPMC: no counters are offered.
let rdpmc: apus_handler = { cpu, op in cpu.fault(op, Vector.general, error: 0) }
/// RDPID to `dst`.
let rdpid: apus_handler = { cpu, op in
    cpu.write(op.dst, unsafe cpu.p.pointee.s.tsc_aux & 0xffff_ffff)
    return op.next
}
/// RDRAND and RDSEED (`extra` bit 3) of `extra` bits 0-2 log2 bytes.
let random: apus_handler = { cpu, op in
    var value: UInt64 = 0
    let ready: Bool
    if let own = cpu.owner.random {
        let next = own()
        (value, ready) = (next ?? 0, next != nil)
    } else {
        ready = unsafe op.extra & 8 != 0 ? apus_rdseed64(&value) : apus_rdrand64(&value)
    }
    cpu.writeRegister(op.dst, ready ? value : 0, size: 1 << Int(op.extra & 7))
    cpu.arith = ready ? Flag.carry : 0
    return op.next
}

extension CPU {
    /// The guest's time-stamp counter.
    var timeStampCounter: UInt64 {
        let counter = countsInstructions ? owner.now() : apus_rdtsc()
        return unsafe counter &+ p.pointee.s.tsc_offset
    }
}

let cpuidInstruction: apus_handler = { cpu, op in
    let owner = cpu.owner
    let result = owner.model.cpuid(
        leaf: UInt32(truncatingIfNeeded: cpu.rax), subleaf: UInt32(truncatingIfNeeded: cpu.rcx),
        state: owner.cpuidState)
    cpu.rax = UInt64(result.eax)
    cpu.rbx = UInt64(result.ebx)
    cpu.rcx = UInt64(result.ecx)
    cpu.rdx = UInt64(result.edx)
    return op.next
}
let rdmsr: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        guard let value = cpu.owner.readMSR(UInt32(truncatingIfNeeded: cpu.rcx)) else {
            cpu.traceGuestError("read of MSR", cpu.rcx)
            throw cpu.raise(Vector.general, error: 0)
        }
        cpu.rax = value & 0xffff_ffff
        cpu.rdx = value >> 32
        return op.next
    }
}
let wrmsr: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        try cpu.requirePrivilege()
        let value = cpu.rdx << 32 | cpu.rax & 0xffff_ffff
        guard try cpu.owner.writeMSR(UInt32(truncatingIfNeeded: cpu.rcx), value) else {
            cpu.traceGuestError("write of MSR", cpu.rcx)
            throw cpu.raise(Vector.general, error: 0)
        }
        return cpu.stateChanged(after: op)
    }
}
let xgetbv: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        guard cpu.cr4 & CR4.osxsave != 0 else { throw cpu.raise(Vector.undefined) }
        guard cpu.rcx & 0xffff_ffff == 0 else { throw cpu.raise(Vector.general, error: 0) }
        cpu.rax = cpu.xcr0 & 0xffff_ffff
        cpu.rdx = cpu.xcr0 >> 32
        return op.next
    }
}
let xsetbv: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        guard cpu.cr4 & CR4.osxsave != 0 else { throw cpu.raise(Vector.undefined) }
        try cpu.requirePrivilege()
        guard cpu.rcx & 0xffff_ffff == 0 else { throw cpu.raise(Vector.general, error: 0) }
        try cpu.setXCR0(cpu.rdx << 32 | cpu.rax & 0xffff_ffff)
        return cpu.stateChanged(after: op)
    }
}

/// RDFSBASE and RDGSBASE: segment `extra`, size in `imm`.
let readBase: apus_handler = { cpu, op in
    guard cpu.cr4 & CR4.fsgsbase != 0 else { return cpu.fault(op, Vector.undefined) }
    cpu.writeRegister(op.dst, cpu.segment(Int32(op.extra)).base, size: Int(op.imm))
    return op.next
}
let writeBase: apus_handler = { cpu, op in
    guard cpu.cr4 & CR4.fsgsbase != 0 else { return cpu.fault(op, Vector.undefined) }
    let value = cpu.readRegister(op.src, size: Int(op.imm))
    guard isCanonical(value) else { return cpu.fault(op, Vector.general, error: 0) }
    unsafe cpu.segmentSlot(Int32(op.extra)).pointee.base = value
    return op.next
}

/// PAUSE: gives the host's processor away now and then, so that a lock's holder runs also where processors are few.
let pauseInstruction: apus_handler = { cpu, op in
    cpu.owner.pause()
    return op.next
}
let noOperation: apus_handler = { cpu, op in op.next }
let undefinedInstruction: apus_handler = { cpu, op in cpu.fault(op, Vector.undefined) }
/// An instruction of more than 15 bytes.
let overlongInstruction: apus_handler = { cpu, op in cpu.fault(op, Vector.general, error: 0) }
