internal import CEngine

// Near transfers of 64-bit mode. A block ends in one of these; `dst` holds the number of instructions of its block.
// Branches within the page are linked block to block; the rest go through the jump cache. Both look at `pending`
// first, so that a loop can always be interrupted.

extension CPU {
    @inline(__always) func count(_ op: MicroOp) { unsafe p.pointee.instructions &+= UInt64(op.dst) }

    /// Goes to an address by the jump cache.
    @inline(__always) func jump(_ target: UInt64) -> MicroOp {
        let e = unsafe p.pointee.jumps + Int((target ^ (target >> 12)) & UInt64(APUS_JUMP_SIZE - 1))
        if unsafe pending == 0 && e.pointee.rip == target && e.pointee.key == p.pointee.jump_key {
            unsafe pageBase = e.pointee.page_base
            return unsafe e.pointee.op
        }
        return lookup(target)
    }

    /// Goes to the linked target of a direct branch within the page, or finds and links it.
    @inline(__always) func follow(_ op: MicroOp) -> MicroOp {
        let target = op.linked
        if pending == 0 && !target.isLeave { return target }
        return findAndLink(op)
    }

    @inline(never) func findAndLink(_ op: MicroOp) -> MicroOp {
        unsafe p.pointee.link_from = op.op
        return lookup((pageBase &+ UInt64(bitPattern: Int64(op.disp))) & ripMask)
    }
}

/// JMP rel within the page, and the end of a block that was cut.
let jumpLinked: apus_handler = { cpu, op in
    cpu.count(op)
    return cpu.follow(op)
}
/// The end of a block after an instruction that may have changed MXCSR.
let controlCut: apus_handler = { cpu, op in
    cpu.count(op)
    let next = (cpu.pageBase &+ UInt64(bitPattern: Int64(op.disp))) & cpu.ripMask
    guard unsafe cpu.p.pointee.mode_changed == 0 else {
        unsafe cpu.p.pointee.mode_changed = 0
        return cpu.lookup(next)
    }
    return cpu.jump(next)
}
/// What follows a conditional branch that is not taken; the count was added there.
let fallThrough: apus_handler = { cpu, op in cpu.follow(op) }

/// JMP rel to another page.
let jumpFarPage: apus_handler = { cpu, op in
    cpu.count(op)
    return cpu.jump((cpu.pageBase &+ UInt64(bitPattern: Int64(op.disp))) & cpu.ripMask)
}

@inline(__always) private func jcc(_ code: UInt8, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    cpu.count(op)
    return cpu.follow(cpu.condition(code) ? op : op.next)
}
@inline(__always) private func jccFarPage(_ code: UInt8, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    cpu.count(op)
    if cpu.condition(code) { return cpu.jump((cpu.pageBase &+ UInt64(bitPattern: Int64(op.disp))) & cpu.ripMask) }
    return op.next
}

/// Jcc by condition code, target in the page; then the same to other pages.
let jccHandlers: [apus_handler] = [
    { c, o in jcc(0, c, o) }, { c, o in jcc(1, c, o) }, { c, o in jcc(2, c, o) }, { c, o in jcc(3, c, o) },
    { c, o in jcc(4, c, o) }, { c, o in jcc(5, c, o) }, { c, o in jcc(6, c, o) }, { c, o in jcc(7, c, o) },
    { c, o in jcc(8, c, o) }, { c, o in jcc(9, c, o) }, { c, o in jcc(10, c, o) }, { c, o in jcc(11, c, o) },
    { c, o in jcc(12, c, o) }, { c, o in jcc(13, c, o) }, { c, o in jcc(14, c, o) }, { c, o in jcc(15, c, o) },
    { c, o in jccFarPage(0, c, o) }, { c, o in jccFarPage(1, c, o) }, { c, o in jccFarPage(2, c, o) },
    { c, o in jccFarPage(3, c, o) }, { c, o in jccFarPage(4, c, o) }, { c, o in jccFarPage(5, c, o) },
    { c, o in jccFarPage(6, c, o) }, { c, o in jccFarPage(7, c, o) }, { c, o in jccFarPage(8, c, o) },
    { c, o in jccFarPage(9, c, o) }, { c, o in jccFarPage(10, c, o) }, { c, o in jccFarPage(11, c, o) },
    { c, o in jccFarPage(12, c, o) }, { c, o in jccFarPage(13, c, o) }, { c, o in jccFarPage(14, c, o) },
    { c, o in jccFarPage(15, c, o) },
]

// CALL and RET of 64-bit mode. A target that paging cannot reach is the fault of the instruction that goes there.

@inline(__always) private func pushReturn(_ cpu: CPU, _ op: MicroOp) -> Bool {
    let stack = cpu.rsp &- 8
    guard cpu.storeLinear(stack, cpu.pageBase &+ UInt64(op.offset) &+ UInt64(op.length), op) else { return false }
    cpu.rsp = stack
    return true
}

let callLinked: apus_handler = { cpu, op in
    guard pushReturn(cpu, op) else { return .leave }
    cpu.count(op)
    return cpu.follow(op)
}
let callFarPage: apus_handler = { cpu, op in
    guard pushReturn(cpu, op) else { return .leave }
    cpu.count(op)
    return cpu.jump(cpu.pageBase &+ UInt64(bitPattern: Int64(op.disp)))
}
let callRegister: apus_handler = { cpu, op in
    let target: UInt64 = cpu.read(op.src)
    guard isCanonical(target) else { return cpu.fault(op, Vector.general, error: 0) }
    guard pushReturn(cpu, op) else { return .leave }
    cpu.count(op)
    return cpu.jump(target)
}
let callMemory: apus_handler = { cpu, op in
    var target: UInt64 = 0
    guard cpu.load(op, &target) else { return .leave }
    guard isCanonical(target) else { return cpu.fault(op, Vector.general, error: 0) }
    guard pushReturn(cpu, op) else { return .leave }
    cpu.count(op)
    return cpu.jump(target)
}
let jumpRegister: apus_handler = { cpu, op in
    let target: UInt64 = cpu.read(op.src)
    guard isCanonical(target) else { return cpu.fault(op, Vector.general, error: 0) }
    cpu.count(op)
    return cpu.jump(target)
}
let jumpMemory: apus_handler = { cpu, op in
    var target: UInt64 = 0
    guard cpu.load(op, &target) else { return .leave }
    guard isCanonical(target) else { return cpu.fault(op, Vector.general, error: 0) }
    cpu.count(op)
    return cpu.jump(target)
}
/// RET, with the bytes to release in `imm`.
let ret: apus_handler = { cpu, op in
    var target: UInt64 = 0
    let stack = cpu.rsp
    guard cpu.loadLinear(stack, &target, op) else { return .leave }
    guard isCanonical(target) else { return cpu.fault(op, Vector.general, error: 0) }
    cpu.rsp = stack &+ 8 &+ op.imm
    cpu.count(op)
    return cpu.jump(target)
}

// LOOP and JRCXZ, rare: `imm` holds the target, so that no link is needed; `extra` bits 0-1: LOOPNE, LOOPE, LOOP,
// JCXZ; bits 4-7 the size of the counter.
let loopAny: apus_handler = { cpu, op in
    let size = op.extra >> 4
    let mask: UInt64 = size == 8 ? .max : size == 4 ? 0xffff_ffff : 0xffff
    cpu.count(op)
    let taken: Bool
    if op.extra & 3 == 3 {
        taken = cpu.rcx & mask == 0
    } else {
        let counter = (cpu.rcx &- 1) & mask
        if size == 2 { cpu.write(8, UInt16(truncatingIfNeeded: counter)) } else { cpu.rcx = counter }
        let zero = cpu.arith & Flag.zero != 0
        taken = counter != 0 && (op.extra & 3 == 2 || zero == (op.extra & 3 == 1))
    }
    guard taken else { return op.next }
    let target = cpu.ripAfter(op) &+ op.imm
    return cpu.jump(op.src == 2 ? target & 0xffff : target & cpu.ripMask)
}
