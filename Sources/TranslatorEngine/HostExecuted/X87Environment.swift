internal import CEngine
internal import X86

// FNSTENV, FLDENV, FNSAVE and FRSTOR: the environment in its four formats (SDM volume 1, 8.1.10, figures 8-9 to 8-12).
// Selectors of the last instruction and operand are 0, as on processors that no longer keep them.

/// How the environment is laid out: words of 2 or 4 bytes, pointers as offsets or as real mode's linear addresses.
private struct EnvironmentFormat {
    let wide: Bool
    let real: Bool
    var count: Int { wide ? 28 : 14 }
}

extension CPU {
    private var fip: UInt64 { unsafe fx.load(fromByteOffset: Int(APUS_FX_FIP), as: UInt64.self) }
    private var fdp: UInt64 { unsafe fx.load(fromByteOffset: Int(APUS_FX_FDP), as: UInt64.self) }
    private var fop: UInt16 { unsafe fx.load(fromByteOffset: Int(APUS_FX_FOP), as: UInt16.self) }

    /// The tag word with two bits a register, from the abridged one and the registers' contents.
    var fullTag: UInt16 {
        var tag: UInt16 = 0
        for physical in 0..<8 {
            var kind: UInt16 = 3
            if ftw >> UInt8(physical) & 1 != 0 {
                let value = vector(VectorLayout.stack + 16 * ((physical &- x87Top) & 7))
                let exponent = value.y & 0x7fff
                if exponent == 0 && value.x == 0 {
                    kind = 1
                } else {
                    kind = exponent == 0 || exponent == 0x7fff || value.x >> 63 == 0 ? 2 : 0
                }
            }
            tag |= kind << UInt16(2 * physical)
        }
        return tag
    }

    /// The seven words of the environment.
    private func environment(_ format: EnvironmentFormat) -> [UInt32] {
        let ones: UInt32 = 0xffff_0000
        let ip = UInt32(truncatingIfNeeded: fip)
        let dp = UInt32(truncatingIfNeeded: fdp)
        let code = UInt32(fop & 0x7ff)
        let head = [UInt32(fcw) | ones, UInt32(fsw) | ones, UInt32(fullTag) | ones]
        if format.real {
            if format.wide {
                return head + [ip & 0xffff | ones, (ip >> 16) << 12 | code, dp & 0xffff | ones, (dp >> 16) << 12]
            }
            return head + [ip, (ip >> 4) & 0xf000 | code, dp, (dp >> 4) & 0xf000]
        }
        return head + [ip, format.wide ? code << 16 : 0, dp, ones]
    }

    fileprivate func storeEnvironment(_ format: EnvironmentFormat, _ target: UnsafeMutableRawPointer) {
        let size = format.wide ? 4 : 2
        for (index, word) in environment(format).enumerated() {
            for byte in 0..<size {
                unsafe target.storeBytes(
                    of: UInt8(truncatingIfNeeded: word >> UInt32(8 * byte)), toByteOffset: index * size + byte,
                    as: UInt8.self)
            }
        }
    }

    fileprivate func loadEnvironment(_ format: EnvironmentFormat, _ source: UnsafeMutableRawPointer) {
        let size = format.wide ? 4 : 2
        func word(_ index: Int) -> UInt32 {
            unsafe format.wide
                ? source.loadUnaligned(fromByteOffset: index * size, as: UInt32.self)
                : UInt32(source.loadUnaligned(fromByteOffset: index * size, as: UInt16.self))
        }
        let status = UInt16(truncatingIfNeeded: word(1))
        let tag = UInt16(truncatingIfNeeded: word(2))
        setX87Top(Int(status >> 11) & 7)
        fsw = status
        var abridged: UInt8 = 0
        for physical in 0..<8 where tag >> UInt16(2 * physical) & 3 != 3 { abridged |= 1 << UInt8(physical) }
        ftw = abridged
        var ip = UInt64(word(3))
        var dp = UInt64(word(5))
        var code = UInt16(truncatingIfNeeded: format.real ? word(4) : format.wide ? word(4) >> 16 : 0)
        code &= 0x7ff
        if format.real {
            ip = ip & 0xffff | UInt64(word(4) & ~0xfff) << 4
            dp = dp & 0xffff | UInt64(word(6) & ~0xfff) << 4
        }
        unsafe fx.storeBytes(of: code, toByteOffset: Int(APUS_FX_FOP), as: UInt16.self)
        unsafe fx.storeBytes(of: ip & 0xffff_ffff, toByteOffset: Int(APUS_FX_FIP), as: UInt64.self)
        unsafe fx.storeBytes(of: dp & 0xffff_ffff, toByteOffset: Int(APUS_FX_FDP), as: UInt64.self)
        setFCW(UInt16(truncatingIfNeeded: word(0)))
    }

    fileprivate var realFormat: Bool { paragraphs }
}

/// `extra`: bit 0 32-bit words, bit 1 with the registers.
private func format(_ cpu: CPU, _ op: MicroOp) -> EnvironmentFormat {
    EnvironmentFormat(wide: op.extra & 1 != 0, real: cpu.realFormat)
}

let storeX87Environment: apus_handler = { cpu, op in
    if cpu.blocked(Blocked.x87) { return cpu.vectorFault(op, Blocked.x87) }
    return attempt(cpu, op) { () throws(Leave) in
        cpu.saveX87()
        let format = format(cpu, op)
        let whole = op.extra & 2 != 0
        let count = format.count + (whole ? 80 : 0)
        let linear = try cpu.operandAddress(op, size: count, write: true)
        unsafe cpu.storeEnvironment(format, cpu.scratch)
        if whole {
            for index in 0..<8 {
                unsafe (cpu.scratch + format.count + 10 * index).copyMemory(
                    from: cpu.bytes + VectorLayout.stack + 16 * index, byteCount: 10)
            }
        }
        unsafe try cpu.copyOut(linear, cpu.scratch, count)
        if whole {
            cpu.initializeX87()
        } else {
            // FNSTENV masks all exceptions.
            cpu.fcw |= 0x3f
            cpu.summarizeX87()
        }
        return op.next
    }
}

let loadX87Environment: apus_handler = { cpu, op in
    if cpu.blocked(Blocked.x87) { return cpu.vectorFault(op, Blocked.x87) }
    if cpu.x87Pending { return cpu.x87Fault(op) }
    return attempt(cpu, op) { () throws(Leave) in
        cpu.saveX87()
        let format = format(cpu, op)
        let whole = op.extra & 2 != 0
        let count = format.count + (whole ? 80 : 0)
        let linear = try cpu.operandAddress(op, size: count, write: false)
        unsafe try cpu.copyIn(cpu.scratch, linear, count)
        unsafe cpu.loadEnvironment(format, cpu.scratch)
        if whole {
            for index in 0..<8 {
                unsafe (cpu.bytes + VectorLayout.stack + 16 * index).copyMemory(
                    from: cpu.scratch + format.count + 10 * index, byteCount: 10)
            }
        }
        return op.next
    }
}
