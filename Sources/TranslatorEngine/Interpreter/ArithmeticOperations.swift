internal import CEngine

// The arithmetic of the instruction set, by the host's own instructions (`alu.h`), as types that generic handlers are
// specialised for. A comparison is an operation whose result is not written.

/// Two operands in, one result and all arithmetic flags out.
protocol BinaryOperation {
    static var writesResult: Bool { get }
    static func apply8(_ a: UInt8, _ b: UInt8, _ flags: inout UInt16) -> UInt8
    static func apply16(_ a: UInt16, _ b: UInt16, _ flags: inout UInt16) -> UInt16
    static func apply32(_ a: UInt32, _ b: UInt32, _ flags: inout UInt16) -> UInt32
    static func apply64(_ a: UInt64, _ b: UInt64, _ flags: inout UInt16) -> UInt64
    static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ flags: inout UInt16)
    static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ flags: inout UInt16)
    static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ flags: inout UInt16)
    static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ flags: inout UInt16)
}

extension BinaryOperation {
    static var writesResult: Bool { true }
    // Operations that the manual allows no LOCK prefix for; the decoder never lets them come here.
    static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ flags: inout UInt16) {}
    static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ flags: inout UInt16) {}
    static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ flags: inout UInt16) {}
    static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ flags: inout UInt16) {}
}

enum Add: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_add8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_add16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_add32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_add64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_add8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_add16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_add32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_add64(p, b, &f) }
}

enum Or: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_or8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_or16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_or32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_or64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_or8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_or16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_or32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_or64(p, b, &f) }
}

enum Adc: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_adc8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_adc16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_adc32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_adc64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_adc8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_adc16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_adc32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_adc64(p, b, &f) }
}

enum Sbb: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_sbb8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_sbb16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_sbb32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_sbb64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_sbb8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_sbb16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_sbb32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_sbb64(p, b, &f) }
}

enum And: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_and8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_and16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_and32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_and64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_and8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_and16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_and32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_and64(p, b, &f) }
}

enum Sub: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_sub8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_sub16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_sub32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_sub64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_sub8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_sub16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_sub32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_sub64(p, b, &f) }
}

enum Xor: BinaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_xor8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_xor16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_xor32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_xor64(a, b, &f) }
    @inline(__always) static func locked8(_ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe apus_lock_xor8(p, b, &f) }
    @inline(__always) static func locked16(_ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe apus_lock_xor16(p, b, &f) }
    @inline(__always) static func locked32(_ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe apus_lock_xor32(p, b, &f) }
    @inline(__always) static func locked64(_ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe apus_lock_xor64(p, b, &f) }
}

enum Cmp: BinaryOperation {
    @inline(__always) static var writesResult: Bool { false }
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_cmp8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_cmp16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_cmp32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_cmp64(a, b, &f) }
}

enum Test: BinaryOperation {
    @inline(__always) static var writesResult: Bool { false }
    @inline(__always) static func apply8(_ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_test8(a, b, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_test16(a, b, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_test32(a, b, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_test64(a, b, &f) }
}

/// One operand in, one result out; flags but CF as the manual says.
protocol UnaryOperation {
    static func apply8(_ a: UInt8, _ flags: inout UInt16) -> UInt8
    static func apply16(_ a: UInt16, _ flags: inout UInt16) -> UInt16
    static func apply32(_ a: UInt32, _ flags: inout UInt16) -> UInt32
    static func apply64(_ a: UInt64, _ flags: inout UInt16) -> UInt64
}

enum Inc: UnaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_inc8(a, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_inc16(a, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_inc32(a, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_inc64(a, &f) }
}

enum Dec: UnaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_dec8(a, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_dec16(a, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_dec32(a, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_dec64(a, &f) }
}

enum Neg: UnaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_neg8(a, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ f: inout UInt16) -> UInt16 { unsafe apus_neg16(a, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ f: inout UInt16) -> UInt32 { unsafe apus_neg32(a, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ f: inout UInt16) -> UInt64 { unsafe apus_neg64(a, &f) }
}

enum Not: UnaryOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ f: inout UInt16) -> UInt8 { ~a }
    @inline(__always) static func apply16(_ a: UInt16, _ f: inout UInt16) -> UInt16 { ~a }
    @inline(__always) static func apply32(_ a: UInt32, _ f: inout UInt16) -> UInt32 { ~a }
    @inline(__always) static func apply64(_ a: UInt64, _ f: inout UInt16) -> UInt64 { ~a }
}

/// A shift or rotation by a count of 1 or more.
protocol ShiftOperation {
    static func apply8(_ a: UInt8, _ count: UInt8, _ flags: inout UInt16) -> UInt8
    static func apply16(_ a: UInt16, _ count: UInt8, _ flags: inout UInt16) -> UInt16
    static func apply32(_ a: UInt32, _ count: UInt8, _ flags: inout UInt16) -> UInt32
    static func apply64(_ a: UInt64, _ count: UInt8, _ flags: inout UInt16) -> UInt64
}

enum Rol: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_rol8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_rol16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_rol32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_rol64(a, c, &f) }
}

enum Ror: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_ror8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_ror16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_ror32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_ror64(a, c, &f) }
}

enum Rcl: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_rcl8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_rcl16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_rcl32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_rcl64(a, c, &f) }
}

enum Rcr: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_rcr8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_rcr16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_rcr32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_rcr64(a, c, &f) }
}

enum Shl: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_shl8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_shl16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_shl32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_shl64(a, c, &f) }
}

enum Shr: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_shr8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_shr16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_shr32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_shr64(a, c, &f) }
}

enum Sar: ShiftOperation {
    @inline(__always) static func apply8(_ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { unsafe apus_sar8(a, c, &f) }
    @inline(__always) static func apply16(_ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { unsafe apus_sar16(a, c, &f) }
    @inline(__always) static func apply32(_ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { unsafe apus_sar32(a, c, &f) }
    @inline(__always) static func apply64(_ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { unsafe apus_sar64(a, c, &f) }
}

extension UInt8: GuestInteger {
    typealias Signed = Int8
    @inline(__always) static func hostLoad(_ p: UnsafeRawPointer) -> UInt8 { unsafe apus_load8(p) }
    @inline(__always) static func hostStore(_ p: UnsafeMutableRawPointer, _ v: UInt8) { unsafe apus_store8(p, v) }
    @inline(__always) static func binary<O: BinaryOperation>(_: O.Type, _ a: UInt8, _ b: UInt8, _ f: inout UInt16) -> UInt8 { O.apply8(a, b, &f) }
    @inline(__always) static func unary<O: UnaryOperation>(_: O.Type, _ a: UInt8, _ f: inout UInt16) -> UInt8 { O.apply8(a, &f) }
    @inline(__always) static func shift<O: ShiftOperation>(_: O.Type, _ a: UInt8, _ c: UInt8, _ f: inout UInt16) -> UInt8 { O.apply8(a, c, &f) }
    @inline(__always) static func locked<O: BinaryOperation>(_: O.Type, _ p: UnsafeMutableRawPointer, _ b: UInt8, _ f: inout UInt16) { unsafe O.locked8(p, b, &f) }
}

extension UInt16: GuestInteger {
    typealias Signed = Int16
    @inline(__always) static func hostLoad(_ p: UnsafeRawPointer) -> UInt16 { unsafe apus_load16(p) }
    @inline(__always) static func hostStore(_ p: UnsafeMutableRawPointer, _ v: UInt16) { unsafe apus_store16(p, v) }
    @inline(__always) static func binary<O: BinaryOperation>(_: O.Type, _ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 { O.apply16(a, b, &f) }
    @inline(__always) static func unary<O: UnaryOperation>(_: O.Type, _ a: UInt16, _ f: inout UInt16) -> UInt16 { O.apply16(a, &f) }
    @inline(__always) static func shift<O: ShiftOperation>(_: O.Type, _ a: UInt16, _ c: UInt8, _ f: inout UInt16) -> UInt16 { O.apply16(a, c, &f) }
    @inline(__always) static func locked<O: BinaryOperation>(_: O.Type, _ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) { unsafe O.locked16(p, b, &f) }
}

extension UInt32: GuestInteger {
    typealias Signed = Int32
    @inline(__always) static func hostLoad(_ p: UnsafeRawPointer) -> UInt32 { unsafe apus_load32(p) }
    @inline(__always) static func hostStore(_ p: UnsafeMutableRawPointer, _ v: UInt32) { unsafe apus_store32(p, v) }
    @inline(__always) static func binary<O: BinaryOperation>(_: O.Type, _ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 { O.apply32(a, b, &f) }
    @inline(__always) static func unary<O: UnaryOperation>(_: O.Type, _ a: UInt32, _ f: inout UInt16) -> UInt32 { O.apply32(a, &f) }
    @inline(__always) static func shift<O: ShiftOperation>(_: O.Type, _ a: UInt32, _ c: UInt8, _ f: inout UInt16) -> UInt32 { O.apply32(a, c, &f) }
    @inline(__always) static func locked<O: BinaryOperation>(_: O.Type, _ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) { unsafe O.locked32(p, b, &f) }
}

extension UInt64: GuestInteger {
    typealias Signed = Int64
    @inline(__always) static func hostLoad(_ p: UnsafeRawPointer) -> UInt64 { unsafe apus_load64(p) }
    @inline(__always) static func hostStore(_ p: UnsafeMutableRawPointer, _ v: UInt64) { unsafe apus_store64(p, v) }
    @inline(__always) static func binary<O: BinaryOperation>(_: O.Type, _ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 { O.apply64(a, b, &f) }
    @inline(__always) static func unary<O: UnaryOperation>(_: O.Type, _ a: UInt64, _ f: inout UInt16) -> UInt64 { O.apply64(a, &f) }
    @inline(__always) static func shift<O: ShiftOperation>(_: O.Type, _ a: UInt64, _ c: UInt8, _ f: inout UInt16) -> UInt64 { O.apply64(a, c, &f) }
    @inline(__always) static func locked<O: BinaryOperation>(_: O.Type, _ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) { unsafe O.locked64(p, b, &f) }
}
