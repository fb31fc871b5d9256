internal import CEngine

// XCHG, XADD, CMPXCHG and the bit-test family with memory. Without LOCK they are done atomically all the same: that
// is stronger than the manual asks, and simpler.

@inline(__always) private func xchgM<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ host: (UnsafeMutableRawPointer, T) -> T
) -> MicroOp {
    let new: T = cpu.read(op.src)
    var old: T = 0
    guard
        unsafe cpu.atomic(
            op, T.self, { pointer in unsafe old = host(pointer, new) },
            { value in
                old = value
                return new
            })
    else { return .leave }
    cpu.write(op.src, old)
    return op.next
}
/// XCHG with memory by size 8, 16, 32, 64.
let xchgMemory: [apus_handler] = [
    { c, o in unsafe xchgM(UInt8.self, c, o) { unsafe apus_lock_xchg8($0, $1) } },
    { c, o in unsafe xchgM(UInt16.self, c, o) { unsafe apus_lock_xchg16($0, $1) } },
    { c, o in unsafe xchgM(UInt32.self, c, o) { unsafe apus_lock_xchg32($0, $1) } },
    { c, o in unsafe xchgM(UInt64.self, c, o) { unsafe apus_lock_xchg64($0, $1) } },
]

@inline(__always) private func xaddM<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ host: (UnsafeMutableRawPointer, T, inout UInt16) -> T
) -> MicroOp {
    let addend: T = cpu.read(op.src)
    var old: T = 0
    var flags = cpu.arith
    guard
        unsafe cpu.atomic(
            op, T.self, { pointer in unsafe old = host(pointer, addend, &flags) },
            { value in
                old = value
                return T.binary(Add.self, value, addend, &flags)
            })
    else { return .leave }
    cpu.arith = flags
    cpu.write(op.src, old)
    return op.next
}
@inline(__always) private func xaddR<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let old: T = cpu.read(op.dst)
    let addend: T = cpu.read(op.src)
    var flags = cpu.arith
    let sum = T.binary(Add.self, old, addend, &flags)
    cpu.arith = flags
    cpu.write(op.src, old)
    cpu.write(op.dst, sum)
    return op.next
}
/// XADD by size: memory, then register.
let xaddHandlers: [apus_handler] = [
    { c, o in unsafe xaddM(UInt8.self, c, o) { unsafe apus_lock_xadd8($0, $1, &$2) } },
    { c, o in unsafe xaddM(UInt16.self, c, o) { unsafe apus_lock_xadd16($0, $1, &$2) } },
    { c, o in unsafe xaddM(UInt32.self, c, o) { unsafe apus_lock_xadd32($0, $1, &$2) } },
    { c, o in unsafe xaddM(UInt64.self, c, o) { unsafe apus_lock_xadd64($0, $1, &$2) } },
    { c, o in xaddR(UInt8.self, c, o) }, { c, o in xaddR(UInt16.self, c, o) },
    { c, o in xaddR(UInt32.self, c, o) }, { c, o in xaddR(UInt64.self, c, o) },
]

@inline(__always) private func cmpxchgM<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ host: (UnsafeMutableRawPointer, T, T, inout UInt16) -> T
) -> MicroOp {
    let expected: T = cpu.read(0)
    let new: T = cpu.read(op.src)
    var found = expected
    var flags = cpu.arith
    guard
        unsafe cpu.atomic(
            op, T.self, { pointer in unsafe found = host(pointer, expected, new, &flags) },
            { value in
                found = value
                _ = T.binary(Cmp.self, expected, value, &flags)
                return value == expected ? new : value
            })
    else { return .leave }
    cpu.arith = flags
    // On success the accumulator stays as it is, its upper half too.
    if flags & Flag.zero == 0 { cpu.write(0, found) }
    return op.next
}
@inline(__always) private func cmpxchgR<T: GuestInteger>(_: T.Type, _ cpu: CPU, _ op: MicroOp) -> MicroOp {
    let expected: T = cpu.read(0)
    let old: T = cpu.read(op.dst)
    var flags = cpu.arith
    _ = T.binary(Cmp.self, expected, old, &flags)
    cpu.arith = flags
    if flags & Flag.zero != 0 {
        cpu.write(op.dst, cpu.read(op.src, as: T.self))
    } else {
        // The destination stays as it is, its upper half too.
        cpu.write(0, old)
    }
    return op.next
}
/// CMPXCHG by size: memory, then register.
let cmpxchgHandlers: [apus_handler] = [
    { c, o in unsafe cmpxchgM(UInt8.self, c, o) { unsafe apus_lock_cmpxchg8($0, $1, $2, &$3) } },
    { c, o in unsafe cmpxchgM(UInt16.self, c, o) { unsafe apus_lock_cmpxchg16($0, $1, $2, &$3) } },
    { c, o in unsafe cmpxchgM(UInt32.self, c, o) { unsafe apus_lock_cmpxchg32($0, $1, $2, &$3) } },
    { c, o in unsafe cmpxchgM(UInt64.self, c, o) { unsafe apus_lock_cmpxchg64($0, $1, $2, &$3) } },
    { c, o in cmpxchgR(UInt8.self, c, o) }, { c, o in cmpxchgR(UInt16.self, c, o) },
    { c, o in cmpxchgR(UInt32.self, c, o) }, { c, o in cmpxchgR(UInt64.self, c, o) },
]

let cmpxchg8b: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        var low = UInt32(truncatingIfNeeded: cpu.rax)
        var high = UInt32(truncatingIfNeeded: cpu.rdx)
        let newLow = UInt32(truncatingIfNeeded: cpu.rbx)
        let newHigh = UInt32(truncatingIfNeeded: cpu.rcx)
        guard let place = cpu.atomicPlace(op, size: 8) else { throw Leave() }
        let equal: Bool
        if let host = unsafe place.host, place.writable {
            equal = unsafe apus_lock_cmpxchg8b(host, &low, &high, newLow, newHigh)
            if place.code { cpu.noteStore(place.physical, size: 8) }
        } else {
            let old = try cpu.operandRead(op, size: 8)
            equal = old == UInt64(high) << 32 | UInt64(low)
            try cpu.operandWrite(op, equal ? UInt64(newHigh) << 32 | UInt64(newLow) : old, size: 8)
            low = UInt32(truncatingIfNeeded: old)
            high = UInt32(truncatingIfNeeded: old >> 32)
        }
        if !equal {
            cpu.write(0, low)
            cpu.write(16, high)
        }
        cpu.arith = cpu.arith & ~Flag.zero | (equal ? Flag.zero : 0)
        return op.next
    }
}

let cmpxchg16b: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        // Alignment comes before what the address may be.
        guard !cpu.code64 || (cpu.leaAddress(op) &+ cpu.slot(op.segment)) & 15 == 0 else {
            throw cpu.raise(Vector.general, error: 0)
        }
        let linear = try cpu.operandAddress(op, size: 16, write: true)
        let place = try cpu.translate(linear, .write, .current)
        cpu.noteAccess(linear, size: 16, .write)
        var low = cpu.rax
        var high = cpu.rdx
        guard let host = unsafe place.host, place.writable else { throw cpu.raise(Vector.general, error: 0) }
        let equal = unsafe apus_lock_cmpxchg16b(host, &low, &high, cpu.rbx, cpu.rcx)
        if place.code { cpu.noteStore(place.physical, size: 16) }
        if !equal {
            cpu.rax = low
            cpu.rdx = high
        }
        cpu.arith = cpu.arith & ~Flag.zero | (equal ? Flag.zero : 0)
        return op.next
    }
}

// INC, DEC, NEG, NOT with LOCK.

@inline(__always) private func lockedUnary<O: UnaryOperation, T: GuestInteger>(
    _: O.Type, _: T.Type, _ cpu: CPU, _ op: MicroOp, _ host: (UnsafeMutableRawPointer, inout UInt16) -> Void
) -> MicroOp {
    var flags = cpu.arith
    guard
        unsafe cpu.atomic(
            op, T.self, { pointer in unsafe host(pointer, &flags) }, { old in T.unary(O.self, old, &flags) })
    else { return .leave }
    cpu.arith = flags
    return op.next
}
let lockedInc: [apus_handler] = [
    { c, o in unsafe lockedUnary(Inc.self, UInt8.self, c, o) { unsafe apus_lock_inc8($0, &$1) } },
    { c, o in unsafe lockedUnary(Inc.self, UInt16.self, c, o) { unsafe apus_lock_inc16($0, &$1) } },
    { c, o in unsafe lockedUnary(Inc.self, UInt32.self, c, o) { unsafe apus_lock_inc32($0, &$1) } },
    { c, o in unsafe lockedUnary(Inc.self, UInt64.self, c, o) { unsafe apus_lock_inc64($0, &$1) } },
]
let lockedDec: [apus_handler] = [
    { c, o in unsafe lockedUnary(Dec.self, UInt8.self, c, o) { unsafe apus_lock_dec8($0, &$1) } },
    { c, o in unsafe lockedUnary(Dec.self, UInt16.self, c, o) { unsafe apus_lock_dec16($0, &$1) } },
    { c, o in unsafe lockedUnary(Dec.self, UInt32.self, c, o) { unsafe apus_lock_dec32($0, &$1) } },
    { c, o in unsafe lockedUnary(Dec.self, UInt64.self, c, o) { unsafe apus_lock_dec64($0, &$1) } },
]
let lockedNeg: [apus_handler] = [
    { c, o in unsafe lockedUnary(Neg.self, UInt8.self, c, o) { unsafe apus_lock_neg8($0, &$1) } },
    { c, o in unsafe lockedUnary(Neg.self, UInt16.self, c, o) { unsafe apus_lock_neg16($0, &$1) } },
    { c, o in unsafe lockedUnary(Neg.self, UInt32.self, c, o) { unsafe apus_lock_neg32($0, &$1) } },
    { c, o in unsafe lockedUnary(Neg.self, UInt64.self, c, o) { unsafe apus_lock_neg64($0, &$1) } },
]
let lockedNot: [apus_handler] = [
    { c, o in unsafe lockedUnary(Not.self, UInt8.self, c, o) { p, _ in unsafe apus_lock_not8(p) } },
    { c, o in unsafe lockedUnary(Not.self, UInt16.self, c, o) { p, _ in unsafe apus_lock_not16(p) } },
    { c, o in unsafe lockedUnary(Not.self, UInt32.self, c, o) { p, _ in unsafe apus_lock_not32(p) } },
    { c, o in unsafe lockedUnary(Not.self, UInt64.self, c, o) { p, _ in unsafe apus_lock_not64(p) } },
]
