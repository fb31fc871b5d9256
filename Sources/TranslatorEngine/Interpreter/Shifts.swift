internal import CEngine

// Bodies of shifts and rotates. A masked count of 0 changes no flag; a 32-bit destination is zero-extended all the
// same (SDM volume 2, SAL/SAR/SHL/SHR).

@inline(__always) private func mask<T: GuestInteger>(_: T.Type) -> UInt8 { T.bitWidth == 64 ? 63 : 31 }

@inline(__always)
private func shiftR<O: ShiftOperation, T: GuestInteger>(
    _: O.Type, _: T.Type, _ count: UInt8, _ cpu: CPU, _ op: MicroOp
) -> MicroOp {
    let old: T = cpu.read(op.dst)
    let count = count & mask(T.self)
    if count == 0 {
        cpu.write(op.dst, old)
        return op.next
    }
    var flags = cpu.arith
    let result = T.shift(O.self, old, count, &flags)
    cpu.arith = flags
    cpu.write(op.dst, result)
    return op.next
}

@inline(__always)
private func shiftM<O: ShiftOperation, T: GuestInteger>(
    _: O.Type, _: T.Type, _ count: UInt8, _ cpu: CPU, _ op: MicroOp
) -> MicroOp {
    let count = count & mask(T.self)
    var flags = cpu.arith
    guard cpu.modify(op, { (old: T) in count == 0 ? old : T.shift(O.self, old, count, &flags) }) else { return .leave }
    cpu.arith = flags
    return op.next
}

@inline(__always)
func shiftRI<O: ShiftOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    shiftR(O.self, T.self, UInt8(truncatingIfNeeded: op.imm), cpu, op)
}
@inline(__always)
func shiftRC<O: ShiftOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    shiftR(O.self, T.self, UInt8(truncatingIfNeeded: cpu.rcx), cpu, op)
}
@inline(__always)
func shiftMI<O: ShiftOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    shiftM(O.self, T.self, UInt8(truncatingIfNeeded: op.imm), cpu, op)
}
@inline(__always)
func shiftMC<O: ShiftOperation, T: GuestInteger>(_: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    shiftM(O.self, T.self, UInt8(truncatingIfNeeded: cpu.rcx), cpu, op)
}

// SHLD and SHRD: `extra` bit 0 = by CL, else `imm`; bit 1 = SHRD; bit 2 = memory destination.

@inline(__always)
private func double16(_ a: UInt16, _ b: UInt16, _ n: UInt8, _ right: Bool, _ f: inout UInt16) -> UInt16 {
    unsafe right ? apus_shrd16(a, b, n, &f) : apus_shld16(a, b, n, &f)
}
@inline(__always)
private func double32(_ a: UInt32, _ b: UInt32, _ n: UInt8, _ right: Bool, _ f: inout UInt16) -> UInt32 {
    unsafe right ? apus_shrd32(a, b, n, &f) : apus_shld32(a, b, n, &f)
}
@inline(__always)
private func double64(_ a: UInt64, _ b: UInt64, _ n: UInt8, _ right: Bool, _ f: inout UInt16) -> UInt64 {
    unsafe right ? apus_shrd64(a, b, n, &f) : apus_shld64(a, b, n, &f)
}

@inline(__always)
private func doubleShift<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ shift: (T, T, UInt8, Bool, inout UInt16) -> T
) -> MicroOp {
    let count = UInt8(truncatingIfNeeded: op.extra & 1 != 0 ? cpu.rcx : op.imm) & mask(T.self)
    let right = op.extra & 2 != 0
    let low: T = cpu.read(op.src)
    var flags = cpu.arith
    if op.extra & 4 != 0 {
        guard cpu.modify(op, { (old: T) in count == 0 ? old : shift(old, low, count, right, &flags) }) else {
            return .leave
        }
    } else {
        let old: T = cpu.read(op.dst)
        cpu.write(op.dst, count == 0 ? old : shift(old, low, count, right, &flags))
    }
    cpu.arith = flags
    return op.next
}

/// By operand size 16, 32, 64.
let doubleShiftHandlers: [apus_handler] = [
    { c, o in doubleShift(UInt16.self, c, o) { double16($0, $1, $2, $3, &$4) } },
    { c, o in doubleShift(UInt32.self, c, o) { double32($0, $1, $2, $3, &$4) } },
    { c, o in doubleShift(UInt64.self, c, o) { double64($0, $1, $2, $3, &$4) } },
]
