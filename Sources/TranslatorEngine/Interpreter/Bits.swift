internal import CEngine

// BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT.

/// The four operations of the bit-test family, in the order of their encodings.
private enum BitOperation {
    @inline(__always)
    static func apply16(_ kind: UInt8, _ a: UInt16, _ b: UInt16, _ f: inout UInt16) -> UInt16 {
        switch kind & 3 {
        case 0: unsafe apus_bt16(a, b, &f)
        case 1: unsafe apus_bts16(a, b, &f)
        case 2: unsafe apus_btr16(a, b, &f)
        default: unsafe apus_btc16(a, b, &f)
        }
    }
    @inline(__always)
    static func apply32(_ kind: UInt8, _ a: UInt32, _ b: UInt32, _ f: inout UInt16) -> UInt32 {
        switch kind & 3 {
        case 0: unsafe apus_bt32(a, b, &f)
        case 1: unsafe apus_bts32(a, b, &f)
        case 2: unsafe apus_btr32(a, b, &f)
        default: unsafe apus_btc32(a, b, &f)
        }
    }
    @inline(__always)
    static func apply64(_ kind: UInt8, _ a: UInt64, _ b: UInt64, _ f: inout UInt16) -> UInt64 {
        switch kind & 3 {
        case 0: unsafe apus_bt64(a, b, &f)
        case 1: unsafe apus_bts64(a, b, &f)
        case 2: unsafe apus_btr64(a, b, &f)
        default: unsafe apus_btc64(a, b, &f)
        }
    }
    @inline(__always)
    static func locked16(_ kind: UInt8, _ p: UnsafeMutableRawPointer, _ b: UInt16, _ f: inout UInt16) {
        switch kind & 3 {
        case 1: unsafe apus_lock_bts16(p, b, &f)
        case 2: unsafe apus_lock_btr16(p, b, &f)
        default: unsafe apus_lock_btc16(p, b, &f)
        }
    }
    @inline(__always)
    static func locked32(_ kind: UInt8, _ p: UnsafeMutableRawPointer, _ b: UInt32, _ f: inout UInt16) {
        switch kind & 3 {
        case 1: unsafe apus_lock_bts32(p, b, &f)
        case 2: unsafe apus_lock_btr32(p, b, &f)
        default: unsafe apus_lock_btc32(p, b, &f)
        }
    }
    @inline(__always)
    static func locked64(_ kind: UInt8, _ p: UnsafeMutableRawPointer, _ b: UInt64, _ f: inout UInt16) {
        switch kind & 3 {
        case 1: unsafe apus_lock_bts64(p, b, &f)
        case 2: unsafe apus_lock_btr64(p, b, &f)
        default: unsafe apus_lock_btc64(p, b, &f)
        }
    }
}

// `extra`: bits 0-1 the operation, bit 2 the bit offset is the immediate, bit 3 memory, bits 4-5 log2 of the size in
// bytes. With a register offset into memory the word lies anywhere around the operand (SDM volume 2, BT).

@inline(__always) private func bitRegister<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ apply: (UInt8, T, T, inout UInt16) -> T
) -> MicroOp {
    let bit: T = op.extra & 4 != 0 ? T(truncatingIfNeeded: op.imm) : cpu.read(op.src)
    var flags = cpu.arith
    let result = apply(op.extra, cpu.read(op.dst), bit, &flags)
    cpu.arith = flags
    if op.extra & 3 != 0 { cpu.write(op.dst, result) }
    return op.next
}

@inline(__always) private func bitMemory<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ apply: (UInt8, T, T, inout UInt16) -> T,
    _ locked: (UInt8, UnsafeMutableRawPointer, T, inout UInt16) -> Void
) -> MicroOp {
    attempt(cpu, op) { () throws(Leave) in
        let size = T.bitWidth / 8
        let bit: T = op.extra & 4 != 0 ? T(truncatingIfNeeded: op.imm) : cpu.read(op.src)
        var delta: Int64 = 0
        if op.extra & 4 == 0 {
            delta = (Int64(T.Signed(truncatingIfNeeded: bit)) >> Int64(T.bitWidth.trailingZeroBitCount)) * Int64(size)
        }
        let kind = op.extra & 3
        let linear = try cpu.operandAddress(op, delta: delta, size: size, write: kind != 0)
        var flags = cpu.arith
        if kind == 0 {
            let value = T(truncatingIfNeeded: try cpu.readMemory(linear, size: size, .current))
            _ = apply(kind, value, bit, &flags)
        } else {
            try cpu.probe(linear, size: size, .write, .current)
            let place = try cpu.translate(linear, .write, .current)
            cpu.noteAccess(linear, size: size, .write)
            if let host = unsafe place.host, place.writable, (linear & 0xfff) + UInt64(size) <= 4096 {
                unsafe locked(kind, host, bit, &flags)
                if place.code { cpu.noteStore(place.physical, size: size) }
            } else {
                let value = T(truncatingIfNeeded: try cpu.readMemory(linear, size: size, .current))
                let new = apply(kind, value, bit, &flags)
                try cpu.writeMemory(linear, UInt64(truncatingIfNeeded: new), size: size, .current)
            }
        }
        cpu.arith = flags
        return op.next
    }
}

/// By operand size 16, 32, 64: register, then memory.
let bitHandlers: [apus_handler] = [
    { c, o in bitRegister(UInt16.self, c, o) { BitOperation.apply16($0, $1, $2, &$3) } },
    { c, o in bitRegister(UInt32.self, c, o) { BitOperation.apply32($0, $1, $2, &$3) } },
    { c, o in bitRegister(UInt64.self, c, o) { BitOperation.apply64($0, $1, $2, &$3) } },
    { c, o in
        unsafe bitMemory(UInt16.self, c, o, { BitOperation.apply16($0, $1, $2, &$3) }, { unsafe BitOperation.locked16($0, $1, $2, &$3) })
    },
    { c, o in
        unsafe bitMemory(UInt32.self, c, o, { BitOperation.apply32($0, $1, $2, &$3) }, { unsafe BitOperation.locked32($0, $1, $2, &$3) })
    },
    { c, o in
        unsafe bitMemory(UInt64.self, c, o, { BitOperation.apply64($0, $1, $2, &$3) }, { unsafe BitOperation.locked64($0, $1, $2, &$3) })
    },
]

extension CPU {
    /// The linear address of the memory operand moved by `delta` bytes.
    func operandAddress(_ op: MicroOp, delta: Int64, size: Int, write: Bool) throws(Leave) -> UInt64 {
        if op.scale & UInt8(APUS_EA_SLOW) == 0 { return try canonical(address(op) &+ UInt64(bitPattern: delta), op, size: size) }
        var offset = leaAddress(op) &+ UInt64(bitPattern: delta)
        if op.scale & UInt8(APUS_EA_16) != 0 { offset &= 0xffff }
        if op.scale & UInt8(APUS_EA_32) != 0 { offset &= 0xffff_ffff }
        if op.scale & UInt8(APUS_EA_SEGMENTED) != 0 {
            return try linear(Int32(op.segment &- 18) / 2, offset, size: size, write: write)
        }
        return try canonical(slot(op.segment) &+ offset, op, size: size)
    }
}

@inline(__always) private func scan<T: GuestInteger>(
    _: T.Type, _ cpu: CPU, _ op: MicroOp, _ apply: (T, T, inout UInt16) -> T
) -> MicroOp {
    var source: T = 0
    if op.extra & 0x80 != 0 {
        guard cpu.load(op, &source) else { return .leave }
    } else {
        source = cpu.read(op.src)
    }
    var flags = cpu.arith
    // `extra` bit 0: BSF and BSR, which leave the destination alone where the source is 0.
    let keeps = op.extra & 1 != 0 && source == 0
    let result = apply(cpu.read(op.dst), source, &flags)
    cpu.arith = flags
    if !keeps { cpu.write(op.dst, result) }
    return op.next
}
/// By operand size 16, 32, 64.
let bsfHandlers: [apus_handler] = [
    { c, o in scan(UInt16.self, c, o) { unsafe apus_bsf16($0, $1, &$2) } },
    { c, o in scan(UInt32.self, c, o) { unsafe apus_bsf32($0, $1, &$2) } },
    { c, o in scan(UInt64.self, c, o) { unsafe apus_bsf64($0, $1, &$2) } },
]
let bsrHandlers: [apus_handler] = [
    { c, o in scan(UInt16.self, c, o) { unsafe apus_bsr16($0, $1, &$2) } },
    { c, o in scan(UInt32.self, c, o) { unsafe apus_bsr32($0, $1, &$2) } },
    { c, o in scan(UInt64.self, c, o) { unsafe apus_bsr64($0, $1, &$2) } },
]
let tzcntHandlers: [apus_handler] = [
    { c, o in scan(UInt16.self, c, o) { unsafe apus_tzcnt16($0, $1, &$2) } },
    { c, o in scan(UInt32.self, c, o) { unsafe apus_tzcnt32($0, $1, &$2) } },
    { c, o in scan(UInt64.self, c, o) { unsafe apus_tzcnt64($0, $1, &$2) } },
]
let lzcntHandlers: [apus_handler] = [
    { c, o in scan(UInt16.self, c, o) { unsafe apus_lzcnt16($0, $1, &$2) } },
    { c, o in scan(UInt32.self, c, o) { unsafe apus_lzcnt32($0, $1, &$2) } },
    { c, o in scan(UInt64.self, c, o) { unsafe apus_lzcnt64($0, $1, &$2) } },
]
let popcntHandlers: [apus_handler] = [
    { c, o in scan(UInt16.self, c, o) { unsafe apus_popcnt16($0, $1, &$2) } },
    { c, o in scan(UInt32.self, c, o) { unsafe apus_popcnt32($0, $1, &$2) } },
    { c, o in scan(UInt64.self, c, o) { unsafe apus_popcnt64($0, $1, &$2) } },
]

/// CRC32 r, r/m: `extra` bits 0-1 log2 of the source's size, bit 7 memory, bit 6 a 64-bit destination.
let crc32: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = 1 << Int(op.extra & 3)
        let source =
            op.extra & 0x80 != 0 ? try cpu.operandRead(op, size: size) : cpu.readRegister(op.src, size: size)
        let old = cpu.read(op.dst, as: UInt32.self)
        let result: UInt32
        switch size {
        case 1: result = apus_crc32_8(old, UInt8(truncatingIfNeeded: source))
        case 2: result = apus_crc32_16(old, UInt16(truncatingIfNeeded: source))
        case 4: result = apus_crc32_32(old, UInt32(truncatingIfNeeded: source))
        default: result = UInt32(truncatingIfNeeded: apus_crc32_64(UInt64(old), source))
        }
        cpu.write(op.dst, result)
        return op.next
    }
}
