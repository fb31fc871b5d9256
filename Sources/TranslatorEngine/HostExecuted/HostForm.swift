internal import X86

/// What a stub must carry into and out of one guest instruction, and how the instruction is encoded in it.
///
/// Vector and MMX registers keep their numbers, because the ABI preserves none of them. General registers are moved
/// to registers that a function may destroy, and a memory operand becomes [rsi].
struct HostForm {
    let instruction: Instruction
    /// Memory operand: size in bytes, 0 where there is none.
    private(set) var memorySize = 0
    private(set) var storesMemory = false
    /// Bits of vector and MMX registers.
    private(set) var vectors: UInt16 = 0
    private(set) var writtenVectors: UInt16 = 0
    private(set) var mmx: UInt8 = 0
    private(set) var writtenMMX: UInt8 = 0
    /// General registers as (host, guest, is read, is written), in the order in which they are stored.
    private(set) var generals: [(host: UInt8, guest: UInt8, read: Bool, written: Bool)] = []
    private(set) var flags = false
    private(set) var floating = false
    var isVEX: Bool { instruction.prefixes.contains(.vex) }
    var isX87: Bool { instruction.category == .x87 }

    /// The host's registers for the general operands named by ModRM.reg, ModRM.rm and VEX.vvvv.
    private static let hostReg: UInt8 = 9
    private static let hostRM: UInt8 = 10
    private static let hostVVVV: UInt8 = 8

    private var map: OpcodeMap { instruction.encoding.map }
    private var opcode: UInt8 { instruction.encoding.opcode }
    private var extensionBits: UInt8 { instruction.encoding.registerExtension }

    init(_ instruction: Instruction) {
        self.instruction = instruction
        flags = usesFlags
        floating = usesMXCSR
        add(instruction.operands.0, 0)
        add(instruction.operands.1, 1)
        add(instruction.operands.2, 2)
        add(instruction.operands.3, 3)
        addImplicit()
    }

    private mutating func add(_ operand: Operand, _ position: Int) {
        let reads = operand.access != .write
        let writes = operand.access == .write || operand.access == .readWrite
        switch operand.kind {
        case .vector:
            vectors |= 1 << UInt16(operand.register & 15)
            if writes { writtenVectors |= 1 << UInt16(operand.register & 15) }
        case .mmx:
            mmx |= 1 << (operand.register & 7)
            if writes { writtenMMX |= 1 << (operand.register & 7) }
        case .memory:
            memorySize = Int(operand.size)
            storesMemory = writes
        case .general:
            // MULX names two results; where they are one register the first named, the high half, stays.
            let place = (host: hostRegister(position), guest: operand.register, read: reads, written: writes)
            generals.insert(place, at: 0)
        default: break
        }
    }

    /// Which of the three places an operand in a general register has in the encoding.
    private func hostRegister(_ position: Int) -> UInt8 {
        if instruction.category == .bmi {
            switch (map, opcode) {
            case (.map38, 0xf3): return position == 0 ? Self.hostVVVV : Self.hostRM  // BLSR, BLSMSK, BLSI
            case (.map38, 0xf2), (.map38, 0xf6):  // ANDN, MULX
                return position == 0 ? Self.hostReg : position == 1 ? Self.hostVVVV : Self.hostRM
            case (.map38, 0xf5) where instruction.mnemonic != .bzhi:  // PEXT, PDEP
                return position == 0 ? Self.hostReg : position == 1 ? Self.hostVVVV : Self.hostRM
            default:  // BZHI, BEXTR, shifts, RORX
                return position == 0 ? Self.hostReg : position == 1 ? Self.hostRM : Self.hostVVVV
            }
        }
        if instruction.mnemonic == .adcx || instruction.mnemonic == .adox {
            return position == 0 ? Self.hostReg : Self.hostRM
        }
        // One general operand beside vectors: in ModRM.reg where it is the result of a conversion or a mask.
        switch (map, opcode) {
        case (.secondary, 0x2c), (.secondary, 0x2d), (.secondary, 0x50), (.secondary, 0xc5), (.secondary, 0xd7):
            return Self.hostReg
        default: return Self.hostRM
        }
    }

    private mutating func addImplicit() {
        switch instruction.mnemonic {
        case .pblendvb, .blendvps, .blendvpd, .sha256rnds2: vectors |= 1
        case .pcmpestrm, .vpcmpestrm:
            addLengths()
            vectors |= 1
            writtenVectors |= 1
        case .pcmpestri, .vpcmpestri:
            addLengths()
            generals.append((host: 1, guest: 1, read: false, written: true))
        case .pcmpistrm, .vpcmpistrm:
            vectors |= 1
            writtenVectors |= 1
        case .pcmpistri, .vpcmpistri: generals.append((host: 1, guest: 1, read: false, written: true))
        case .mulx: generals.append((host: 2, guest: 2, read: true, written: false))
        default: break
        }
    }
    private mutating func addLengths() {
        generals.append((host: 0, guest: 0, read: true, written: false))
        generals.append((host: 2, guest: 2, read: true, written: false))
    }

    /// The instruction reads or writes arithmetic flags.
    private var usesFlags: Bool {
        if isX87 {
            switch instruction.mnemonic {
            case .fcomi, .fucomi, .fcomip, .fucomip: return true
            default: return instruction.featureRequired == .cmov
            }
        }
        switch map {
        case .secondary: return opcode == 0x2e || opcode == 0x2f
        case .map38:
            if instruction.category == .bmi {
                return opcode == 0xf2 || opcode == 0xf3 || instruction.mnemonic == .bzhi
                    || instruction.mnemonic == .bextr
            }
            if opcode == 0xf6 { return true }  // ADCX, ADOX
            return opcode == 0x17 || isVEX && (opcode == 0x0e || opcode == 0x0f)
        case .map3A: return opcode >= 0x60 && opcode <= 0x63
        case .primary: return false
        }
    }

    /// The instruction obeys or changes MXCSR.
    private var usesMXCSR: Bool {
        switch instruction.category {
        case .sse, .avx, .mmx: break
        default: return false
        }
        switch map {
        case .secondary:
            switch opcode {
            case 0x2a, 0x2c...0x2f, 0x51, 0x58...0x5f, 0x7c, 0x7d, 0xc2, 0xd0, 0xe6: return true
            default: return false
            }
        case .map38: return isVEX && (opcode == 0x13 || opcode >= 0x96 && opcode <= 0xbf)
        case .map3A:
            switch opcode {
            case 0x08...0x0b, 0x40, 0x41: return true
            default: return isVEX && opcode == 0x1d
            }
        case .primary: return false
        }
    }

    // MARK: Encoding

    /// REX.W or VEX.W: outside 64-bit mode a VEX.W that would widen a general operand counts for nothing.
    private var wide: Bool {
        guard isVEX else { return instruction.prefixes.contains(.wide) }
        for operand in [instruction.operands.0, instruction.operands.1, instruction.operands.2]
        where operand.kind == .general {
            return operand.size == 8
        }
        switch instruction.mnemonic {
        case .vmovd, .vpinsrd, .vpextrd: return false
        case .vcvtsi2ss, .vcvtsi2sd: return memorySize == 8
        case .vmovq where map == .secondary && (opcode == 0x6e || opcode == 0x7e) && isVEX:
            return instruction.encoding.mandatoryPrefix == 0x66
        default: return instruction.prefixes.contains(.wide)
        }
    }

    /// Appends the instruction with its registers renamed.
    func encode(into code: inout StubAssembler) {
        let encoding = instruction.encoding
        let hasMemory = memorySize != 0
        var reg = encoding.modrm >> 3 & 7
        var regHigh = extensionBits & 4 != 0
        var rm = encoding.modrm & 7
        var rmHigh = extensionBits & 1 != 0
        var vvvv = encoding.vvvv
        for general in generals {
            switch general.host {
            case Self.hostReg: (reg, regHigh) = (Self.hostReg & 7, true)
            case Self.hostRM: (rm, rmHigh) = (Self.hostRM & 7, true)
            case Self.hostVVVV: vvvv = Self.hostVVVV
            default: break
            }
        }
        if hasMemory { (rm, rmHigh) = (6, false) }  // [rsi]
        let modrm = (hasMemory ? 0 : 0xc0) | reg << 3 | rm
        if isX87 {
            code.emit(encoding.opcode, modrm)
            return
        }
        if isVEX {
            let pp: UInt8 =
                switch encoding.mandatoryPrefix {
                case 0x66: 1
                case 0xf3: 2
                case 0xf2: 3
                default: 0
                }
            code.emit(0xc4, (regHigh ? 0 : 0x80) | 0x40 | (rmHigh ? 0 : 0x20) | encoding.map.rawValue)
            code.byte((wide ? 0x80 : 0) | (vvvv ^ 15) << 3 | (encoding.vectorLength256 ? 4 : 0) | pp)
        } else {
            if encoding.mandatoryPrefix != 0 { code.byte(encoding.mandatoryPrefix) }
            let rex: UInt8 = (wide ? 8 : 0) | (regHigh ? 4 : 0) | (rmHigh ? 1 : 0)
            if rex != 0 { code.byte(0x40 | rex) }
            code.byte(0x0f)
            if map == .map38 { code.byte(0x38) }
            if map == .map3A { code.byte(0x3a) }
        }
        code.byte(encoding.opcode)
        if encoding.hasModRM { code.byte(modrm) }
        if encoding.immediateLength > 0 {
            var immediate = UInt8(truncatingIfNeeded: instruction.immediate)
            if instruction.operands.3.kind == .vector {
                immediate = immediate & 15 | instruction.operands.3.register << 4
            }
            code.byte(immediate)
        }
    }

    /// The stub: a function of the processor and the operand's address that returns 0, or the MXCSR flags of an
    /// exception that the guest does not mask; then nothing is written. Of an x87 instruction it returns the status
    /// word; the host's unit holds the guest's registers.
    func assemble() -> [UInt8] {
        var code = StubAssembler()
        let usesVectors = vectors != 0 || instruction.category == .avx
        var constant: Int?
        if floating { code.enterMXCSR() }
        if flags { code.loadFlags() }
        for general in generals where general.read {
            code.moveGeneral(host: general.host, guest: general.guest, store: false)
        }
        for register in 0..<16 as Range<UInt8> where vectors >> UInt16(register) & 1 != 0 {
            if isVEX { code.moveYMM(register, store: false) } else { code.moveXMM(register, store: false) }
        }
        for register in 0..<8 as Range<UInt8> where mmx >> register & 1 != 0 { code.moveMMX(register, store: false) }

        encode(into: &code)

        var fail: Int?
        if flags { code.captureFlags() }
        if floating {
            if flags { code.keepCapturedFlags() }
            let exit = code.leaveMXCSR()
            (fail, constant) = (exit.fail, exit.constant)
            if flags { code.storeKeptFlags() }
        } else if flags {
            code.storeCapturedFlags()
        }
        for general in generals where general.written {
            code.moveGeneral(host: general.host, guest: general.guest, store: true)
        }
        for register in 0..<16 as Range<UInt8> where writtenVectors >> UInt16(register) & 1 != 0 {
            if isVEX { code.moveYMM(register, store: true) } else { code.moveXMM(register, store: true) }
        }
        for register in 0..<8 as Range<UInt8> where writtenMMX >> register & 1 != 0 {
            code.moveMMX(register, store: true)
        }
        if isX87 {
            code.returnX87Status()
            return code.bytes
        }
        finish(&code, usesVectors: usesVectors)
        code.returnZero()
        if let fail {
            code.land(fail)
            finish(&code, usesVectors: usesVectors)
            code.byte(0xc3)
        }
        if let constant { code.placeHostMXCSR(for: constant) }
        return code.bytes
    }

    private func finish(_ code: inout StubAssembler, usesVectors: Bool) {
        if mmx != 0 { code.emit(0x0f, 0x77) }  // emms
        if isVEX && usesVectors { code.emit(0xc5, 0xf8, 0x77) }  // vzeroupper
    }
}
