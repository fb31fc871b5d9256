internal import CEngine

// Bodies of moves, extensions, and one-operand arithmetic.

@inline(__always) func movRR<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let value: T = cpu.read(op.src)
    cpu.write(op.dst, value)
    return op.next
}
@inline(__always) func movRI<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    cpu.write(op.dst, T(truncatingIfNeeded: op.imm))
    return op.next
}
@inline(__always) func movRM<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var value: T = 0
    guard cpu.load(op, &value) else { return .leave }
    cpu.write(op.dst, value)
    return op.next
}
@inline(__always) func movMR<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let value: T = cpu.read(op.src)
    return cpu.store(op, value) ? op.next : .leave
}
@inline(__always) func movMI<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    cpu.store(op, T(truncatingIfNeeded: op.imm)) ? op.next : .leave
}

@inline(__always)
func movZeroR<D: GuestInteger, S: GuestInteger>(_: D.Type, _: S.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let value: S = cpu.read(op.src)
    cpu.write(op.dst, D(truncatingIfNeeded: value))
    return op.next
}
@inline(__always)
func movZeroM<D: GuestInteger, S: GuestInteger>(_: D.Type, _: S.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var value: S = 0
    guard cpu.load(op, &value) else { return .leave }
    cpu.write(op.dst, D(truncatingIfNeeded: value))
    return op.next
}
@inline(__always)
func movSignR<D: GuestInteger, S: GuestInteger>(_: D.Type, _: S.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let value: S = cpu.read(op.src)
    cpu.write(op.dst, D(truncatingIfNeeded: S.Signed(truncatingIfNeeded: value)))
    return op.next
}
@inline(__always)
func movSignM<D: GuestInteger, S: GuestInteger>(_: D.Type, _: S.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var value: S = 0
    guard cpu.load(op, &value) else { return .leave }
    cpu.write(op.dst, D(truncatingIfNeeded: S.Signed(truncatingIfNeeded: value)))
    return op.next
}

@inline(__always)
func unaryR<O: UnaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var flags = cpu.arith
    let result = T.unary(O.self, cpu.read(op.dst), &flags)
    cpu.arith = flags
    cpu.write(op.dst, result)
    return op.next
}
@inline(__always)
func unaryM<O: UnaryOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var flags = cpu.arith
    guard cpu.modify(op, { (old: T) in T.unary(O.self, old, &flags) }) else { return .leave }
    cpu.arith = flags
    return op.next
}

@inline(__always) func xchgRR<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let a: T = cpu.read(op.dst)
    let b: T = cpu.read(op.src)
    cpu.write(op.dst, b)
    cpu.write(op.src, a)
    return op.next
}

/// LEA with a 64-bit result; smaller results are cut by `lea32` and `lea16`.
let lea64: apus_handler = { cpu, op in
    cpu.write(op.dst, cpu.leaAddress(op))
    return op.next
}
let lea32: apus_handler = { cpu, op in
    cpu.write(op.dst, UInt32(truncatingIfNeeded: cpu.leaAddress(op)))
    return op.next
}
let lea16: apus_handler = { cpu, op in
    cpu.write(op.dst, UInt16(truncatingIfNeeded: cpu.leaAddress(op)))
    return op.next
}

extension CPU {
    /// The effective address without its segment (the lowering names none for LEA), cut to the address size.
    @inline(__always) func leaAddress(_ op: MicroOp) -> UInt64 {
        var full =
            UInt64(bitPattern: Int64(op.disp)) &+ slot(op.base) &+ (slot(op.index) << UInt64(op.scale & 3))
        if op.scale & UInt8(APUS_EA_WIDE) != 0 { full = op.imm }
        if op.scale & UInt8(APUS_EA_NEXT) != 0 { full &+= UInt64(op.offset) &+ UInt64(op.length) }
        if op.scale & UInt8(APUS_EA_16) != 0 { return full & 0xffff }
        if op.scale & UInt8(APUS_EA_32) != 0 { return full & 0xffff_ffff }
        return full
    }
}

let setccRegister: apus_handler = { cpu, op in
    cpu.write(op.dst, cpu.condition(op.extra) ? 1 as UInt8 : 0)
    return op.next
}
let setccMemory: apus_handler = { cpu, op in
    cpu.store(op, cpu.condition(op.extra) ? 1 as UInt8 : 0) ? op.next : .leave
}

@inline(__always) private func cmov<T: GuestInteger>(_ value: T, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    // A 32-bit CMOV clears the upper half also when nothing moves.
    let old: T = cpu.read(op.dst)
    cpu.write(op.dst, cpu.condition(op.extra) ? value : old)
    return op.next
}
@inline(__always) private func cmovM<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var value: T = 0
    guard cpu.load(op, &value) else { return .leave }
    return cmov(value, cpu, op)
}
/// By operand size 16, 32, 64: register, then memory.
let cmovHandlers: [apus_handler] = [
    { c, o in cmov(c.read(o.src, as: UInt16.self), c, o) },
    { c, o in cmov(c.read(o.src, as: UInt32.self), c, o) },
    { c, o in cmov(c.read(o.src, as: UInt64.self), c, o) },
    { c, o in cmovM(UInt16.self, c, o) },
    { c, o in cmovM(UInt32.self, c, o) },
    { c, o in cmovM(UInt64.self, c, o) },
]

/// BSWAP of 32 and 64 bits (16 is undefined; zero, as processors give).
let bswapHandlers: [apus_handler] = [
    { c, o in
        c.write(o.dst, 0 as UInt16)
        return o.next
    },
    { c, o in
        c.write(o.dst, c.read(o.dst, as: UInt32.self).byteSwapped)
        return o.next
    },
    { c, o in
        c.write(o.dst, c.read(o.dst, as: UInt64.self).byteSwapped)
        return o.next
    },
]

@inline(__always) private func movbeLoad<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    var value: T = 0
    guard cpu.load(op, &value) else { return .leave }
    cpu.write(op.dst, value.byteSwapped)
    return op.next
}
@inline(__always) private func movbeStore<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let value: T = cpu.read(op.src)
    return cpu.store(op, value.byteSwapped) ? op.next : .leave
}
/// By operand size 16, 32, 64: loads, then stores.
let movbeHandlers: [apus_handler] = [
    { c, o in movbeLoad(UInt16.self, c, o) },
    { c, o in movbeLoad(UInt32.self, c, o) },
    { c, o in movbeLoad(UInt64.self, c, o) },
    { c, o in movbeStore(UInt16.self, c, o) },
    { c, o in movbeStore(UInt32.self, c, o) },
    { c, o in movbeStore(UInt64.self, c, o) },
]

/// CBW, CWDE, CDQE.
let cbwHandlers: [apus_handler] = [
    { c, o in
        c.write(0, UInt16(bitPattern: Int16(Int8(truncatingIfNeeded: c.rax))))
        return o.next
    },
    { c, o in
        c.write(0, UInt32(bitPattern: Int32(Int16(truncatingIfNeeded: c.rax))))
        return o.next
    },
    { c, o in
        c.rax = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: c.rax)))
        return o.next
    },
]
/// CWD, CDQ, CQO.
let cwdHandlers: [apus_handler] = [
    { c, o in
        c.write(16, UInt16(bitPattern: Int16(truncatingIfNeeded: c.rax) >> 15))
        return o.next
    },
    { c, o in
        c.write(16, UInt32(bitPattern: Int32(truncatingIfNeeded: c.rax) >> 31))
        return o.next
    },
    { c, o in
        c.rdx = UInt64(bitPattern: Int64(bitPattern: c.rax) >> 63)
        return o.next
    },
]
