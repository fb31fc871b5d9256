internal import CEngine

// Flag instructions, decimal arithmetic, and what else belongs nowhere.

let lahf: apus_handler = { cpu, op in
    cpu.write(1, UInt8(truncatingIfNeeded: (cpu.arith >> 8) & 0xd5 | 2))
    return op.next
}
let sahf: apus_handler = { cpu, op in
    let ah: UInt8 = cpu.read(1)
    cpu.arith = UInt16(ah & 0xd5) << 8 | cpu.arith & Flag.overflow
    return op.next
}
let clc: apus_handler = { cpu, op in
    cpu.arith &= ~Flag.carry
    return op.next
}
let stc: apus_handler = { cpu, op in
    cpu.arith |= Flag.carry
    return op.next
}
let cmc: apus_handler = { cpu, op in
    cpu.arith ^= Flag.carry
    return op.next
}
let cld: apus_handler = { cpu, op in
    cpu.systemFlags &= ~Flag.df
    return op.next
}
let std: apus_handler = { cpu, op in
    cpu.systemFlags |= Flag.df
    return op.next
}
let salc: apus_handler = { cpu, op in
    cpu.write(0, cpu.arith & Flag.carry != 0 ? 0xff as UInt8 : 0)
    return op.next
}
/// XLAT: `extra` log2 of the address size, `segment` the table's.
let xlat: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let mask: UInt64 = op.extra == 3 ? .max : op.extra == 2 ? 0xffff_ffff : 0xffff
        let offset = (cpu.rbx &+ (cpu.rax & 0xff)) & mask
        let address =
            cpu.code64
            ? cpu.slot(op.segment) &+ offset
            : try cpu.linear(Int32(op.segment &- 18) / 2, offset, size: 1, write: false)
        cpu.write(0, UInt8(truncatingIfNeeded: try cpu.readMemory(address, size: 1, .current)))
        return op.next
    }
}
/// BOUND of `extra` bytes.
let bound: apus_handler = { cpu, op in
    attempt(cpu, op) { () throws(Leave) in
        let size = Int(op.extra)
        let shift = UInt64(64 - size * 8)
        func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value << shift) >> Int64(shift) }
        let address = try cpu.operandAddress(op, size: size * 2, write: false)
        let low = signed(try cpu.readMemory(address, size: size, .current))
        let index = signed(cpu.readRegister(op.src, size: size))
        // The upper bound is read only where the lower one holds.
        guard index >= low else { throw cpu.raise(Vector.bound) }
        let high = signed(try cpu.readMemory(cpu.wrapped(address &+ UInt64(size)), size: size, .current))
        guard index <= high else { throw cpu.raise(Vector.bound) }
        return op.next
    }
}

extension CPU {
    /// Sets SF, ZF and PF by a byte, CF and AF as told, clears OF.
    fileprivate func setDecimalFlags(_ value: UInt8, carry: Bool, adjust: Bool) {
        var flags: UInt16 = 0
        _ = unsafe apus_test8(value, value, &flags)
        flags &= Flag.sign | Flag.zero | Flag.parity
        arith = flags | (carry ? Flag.carry : 0) | (adjust ? Flag.adjust : 0)
    }
    fileprivate var al: UInt8 { read(0) }
}

/// DAA and DAS (`extra` 1).
let decimalAdjust: apus_handler = { cpu, op in
    let old = cpu.al
    let oldCarry = cpu.arith & Flag.carry != 0
    var value = old
    var carry = false
    var adjust = false
    if old & 15 > 9 || cpu.arith & Flag.adjust != 0 {
        carry = op.extra != 0 ? oldCarry || old < 6 : oldCarry || old > 0xf9
        value = op.extra != 0 ? value &- 6 : value &+ 6
        adjust = true
    }
    if old > 0x99 || oldCarry {
        value = op.extra != 0 ? value &- 0x60 : value &+ 0x60
        carry = true
    } else if op.extra == 0 {
        carry = false
    }
    cpu.write(0, value)
    cpu.setDecimalFlags(value, carry: carry, adjust: adjust)
    return op.next
}
/// AAA and AAS (`extra` 1).
let asciiAdjust: apus_handler = { cpu, op in
    let adjusts = cpu.al & 15 > 9 || cpu.arith & Flag.adjust != 0
    if adjusts {
        let ax: UInt16 = cpu.read(0)
        cpu.write(0, op.extra != 0 ? (ax &- 6) &- 0x100 : ax &+ 0x106)
    }
    let value = cpu.al & 15
    cpu.write(0, value)
    cpu.setDecimalFlags(value, carry: adjusts, adjust: adjusts)
    return op.next
}
/// AAM with the base in `imm`.
let aam: apus_handler = { cpu, op in
    let base = UInt8(truncatingIfNeeded: op.imm)
    guard base != 0 else { return cpu.fault(op, Vector.divide) }
    let (high, low) = cpu.al.quotientAndRemainder(dividingBy: base)
    cpu.write(0, UInt16(high) << 8 | UInt16(low))
    cpu.setDecimalFlags(low, carry: false, adjust: false)
    return op.next
}
let aad: apus_handler = { cpu, op in
    let ah: UInt8 = cpu.read(1)
    // The flags that the manual leaves undefined are the addition's, as processors have it.
    var flags = cpu.arith
    let value = unsafe apus_add8(cpu.al, ah &* UInt8(truncatingIfNeeded: op.imm), &flags)
    cpu.write(0, UInt16(value))
    cpu.arith = flags
    return op.next
}
