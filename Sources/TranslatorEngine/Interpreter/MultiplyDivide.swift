internal import CEngine

// MUL, IMUL, DIV, IDIV. `extra` bit 7: the operand is memory. A quotient that does not fit raises #DE before the host
// could.

@inline(__always)
private func operand<T: GuestInteger>(_ cpu: CPU, _ op: MicroOp, _ value: inout T) -> Bool {
    if op.extra & 0x80 != 0 { return cpu.load(op, &value) }
    value = cpu.read(op.src)
    return true
}

@inline(__always)
private func multiply8(_ cpu: CPU, _ op: MicroOp, signed: Bool) -> MicroOp {
    var b: UInt8 = 0
    guard operand(cpu, op, &b) else { return .leave }
    var flags = cpu.arith
    let a = UInt8(truncatingIfNeeded: cpu.rax)
    cpu.write(0, unsafe signed ? apus_imul_wide8(a, b, &flags) : apus_mul_wide8(a, b, &flags))
    cpu.arith = flags
    return op.next
}

@inline(__always)
private func multiply<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ body: (T, T, inout T, inout UInt16) -> T
) -> MicroOp {
    var b: T = 0
    guard operand(cpu, op, &b) else { return .leave }
    var flags = cpu.arith
    var high: T = 0
    let low = body(cpu.read(0), b, &high, &flags)
    cpu.write(0, low)
    cpu.write(16, high)
    cpu.arith = flags
    return op.next
}

/// MUL by size 8, 16, 32, 64.
let mulHandlers: [apus_handler] = [
    { c, o in multiply8(c, o, signed: false) },
    { c, o in multiply(UInt16.self, c, o) { unsafe apus_mul_wide16($0, $1, &$2, &$3) } },
    { c, o in multiply(UInt32.self, c, o) { unsafe apus_mul_wide32($0, $1, &$2, &$3) } },
    { c, o in multiply(UInt64.self, c, o) { unsafe apus_mul_wide64($0, $1, &$2, &$3) } },
]
/// One-operand IMUL by size 8, 16, 32, 64.
let imulWideHandlers: [apus_handler] = [
    { c, o in multiply8(c, o, signed: true) },
    { c, o in multiply(UInt16.self, c, o) { unsafe apus_imul_wide16($0, $1, &$2, &$3) } },
    { c, o in multiply(UInt32.self, c, o) { unsafe apus_imul_wide32($0, $1, &$2, &$3) } },
    { c, o in multiply(UInt64.self, c, o) { unsafe apus_imul_wide64($0, $1, &$2, &$3) } },
]

@inline(__always)
private func imul2<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ body: (T, T, inout UInt16) -> T
) -> MicroOp {
    var source: T = 0
    guard operand(cpu, op, &source) else { return .leave }
    var flags = cpu.arith
    // Three-operand form: `extra` bit 0, the factor is the immediate.
    let other: T = op.extra & 1 != 0 ? T(truncatingIfNeeded: op.imm) : cpu.read(op.dst)
    let result = body(other, source, &flags)
    cpu.arith = flags
    cpu.write(op.dst, result)
    return op.next
}
/// Two- and three-operand IMUL by size 16, 32, 64.
let imulHandlers: [apus_handler] = [
    { c, o in imul2(UInt16.self, c, o) { unsafe apus_imul16($0, $1, &$2) } },
    { c, o in imul2(UInt32.self, c, o) { unsafe apus_imul32($0, $1, &$2) } },
    { c, o in imul2(UInt64.self, c, o) { unsafe apus_imul64($0, $1, &$2) } },
]

/// DIV by size 8, 16, 32, 64.
let divHandlers: [apus_handler] = [
    { cpu, op in
        var divisor: UInt8 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = UInt16(truncatingIfNeeded: cpu.rax)
        guard divisor != 0, dividend / UInt16(divisor) <= 0xff else { return cpu.fault(op, Vector.divide) }
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: UInt16(divisor))
        cpu.write(0, quotient | remainder << 8)
        return op.next
    },
    { cpu, op in
        var divisor: UInt16 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = UInt32(cpu.read(16, as: UInt16.self)) << 16 | UInt32(cpu.read(0, as: UInt16.self))
        guard divisor != 0, dividend / UInt32(divisor) <= 0xffff else { return cpu.fault(op, Vector.divide) }
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: UInt32(divisor))
        cpu.write(0, UInt16(truncatingIfNeeded: quotient))
        cpu.write(16, UInt16(truncatingIfNeeded: remainder))
        return op.next
    },
    { cpu, op in
        var divisor: UInt32 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = UInt64(cpu.read(16, as: UInt32.self)) << 32 | UInt64(cpu.read(0, as: UInt32.self))
        guard divisor != 0, dividend / UInt64(divisor) <= 0xffff_ffff else { return cpu.fault(op, Vector.divide) }
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: UInt64(divisor))
        cpu.write(0, UInt32(truncatingIfNeeded: quotient))
        cpu.write(16, UInt32(truncatingIfNeeded: remainder))
        return op.next
    },
    { cpu, op in
        var divisor: UInt64 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        guard cpu.rdx < divisor else { return cpu.fault(op, Vector.divide) }
        var remainder: UInt64 = 0
        cpu.rax = unsafe apus_div64(cpu.rdx, cpu.rax, divisor, &remainder)
        cpu.rdx = remainder
        return op.next
    },
]

/// The quotient and remainder of a signed division, nil where there is none that fits.
@inline(__always)
private func signedDivide<W: FixedWidthInteger & SignedInteger>(_ dividend: W, _ divisor: W, _ bits: Int) -> (W, W)? {
    if divisor == 0 { return nil }
    let (quotient, overflow) = dividend.dividedReportingOverflow(by: divisor)
    if overflow { return nil }
    let limit: W = 1 << W(bits - 1)
    guard quotient >= -limit, quotient < limit else { return nil }
    return (quotient, dividend &- quotient &* divisor)
}

/// IDIV by size 8, 16, 32, 64.
let idivHandlers: [apus_handler] = [
    { cpu, op in
        var divisor: UInt8 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = Int16(bitPattern: cpu.read(0, as: UInt16.self))
        guard let (quotient, remainder) = signedDivide(dividend, Int16(Int8(bitPattern: divisor)), 8) else {
            return cpu.fault(op, Vector.divide)
        }
        cpu.write(0, UInt16(truncatingIfNeeded: quotient & 0xff) | UInt16(truncatingIfNeeded: remainder) << 8)
        return op.next
    },
    { cpu, op in
        var divisor: UInt16 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = Int32(truncatingIfNeeded: UInt32(cpu.read(16, as: UInt16.self)) << 16 | UInt32(cpu.read(0, as: UInt16.self)))
        guard let (quotient, remainder) = signedDivide(dividend, Int32(Int16(bitPattern: divisor)), 16) else {
            return cpu.fault(op, Vector.divide)
        }
        cpu.write(0, UInt16(truncatingIfNeeded: quotient))
        cpu.write(16, UInt16(truncatingIfNeeded: remainder))
        return op.next
    },
    { cpu, op in
        var divisor: UInt32 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = Int64(bitPattern: UInt64(cpu.read(16, as: UInt32.self)) << 32 | UInt64(cpu.read(0, as: UInt32.self)))
        guard let (quotient, remainder) = signedDivide(dividend, Int64(Int32(bitPattern: divisor)), 32) else {
            return cpu.fault(op, Vector.divide)
        }
        cpu.write(0, UInt32(truncatingIfNeeded: quotient))
        cpu.write(16, UInt32(truncatingIfNeeded: remainder))
        return op.next
    },
    { cpu, op in
        var divisor: UInt64 = 0
        guard operand(cpu, op, &divisor) else { return .leave }
        let dividend = Int128(truncatingIfNeeded: UInt128(cpu.rdx) << 64 | UInt128(cpu.rax))
        guard let (quotient, remainder) = signedDivide(dividend, Int128(Int64(bitPattern: divisor)), 64) else {
            return cpu.fault(op, Vector.divide)
        }
        cpu.rax = UInt64(truncatingIfNeeded: quotient)
        cpu.rdx = UInt64(truncatingIfNeeded: remainder)
        return op.next
    },
]
