import TestSupport

// Vector instructions and those of BMI, as VEX encodes them (SDM volume 2, 2.3).

extension InstructionGenerator {
    /// An operation on vector registers: the map, the prefix as pp, the opcode, and what is special about it.
    private struct VectorForm {
        var map: UInt8
        var pp: UInt8
        var opcode: UInt8
        var hasImmediate = false
        /// Two operands: VEX.vvvv is not used.
        var isUnary = false
        /// VEX.W, and VEX.L where only one is possible.
        var wide: Bool?
        var is256: Bool?
        /// Also as SSE instruction, without VEX.
        var hasLegacy = false
    }

    private static let integerOpcodes: [UInt8] = [
        0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x74, 0x75, 0x76, 0xd4, 0xd5,
        0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe3, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee,
        0xef, 0xf4, 0xf5, 0xf6, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe,
    ]
    private static let moreOpcodes: [UInt8] = [
        0x00, 0x01, 0x02, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x28, 0x29, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
        0x40,
    ]
    private static let fusedOpcodes: [UInt8] = [
        0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
        0xaf, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,
    ]

    private mutating func pick(_ list: [UInt8]) -> UInt8 { list[Int(random.below(UInt64(list.count)))] }

    private mutating func vectorForm() -> VectorForm {
        switch random.below(9) {
        case 0...2: return VectorForm(map: 1, pp: 1, opcode: pick(Self.integerOpcodes), hasLegacy: true)
        case 3: return VectorForm(map: 2, pp: 1, opcode: pick(Self.moreOpcodes), hasLegacy: true)
        case 4: return VectorForm(map: 2, pp: 1, opcode: pick(Self.fusedOpcodes), wide: random.chance(50))
        case 5: return VectorForm(map: 2, pp: 1, opcode: pick([0x1c, 0x1d, 0x1e]), isUnary: true, hasLegacy: true)
        case 6:
            let opcode = pick([0x0f, 0x0e, 0x02])
            return VectorForm(map: 3, pp: 1, opcode: opcode, hasImmediate: true, wide: false, hasLegacy: opcode != 2)
        case 7:
            return random.chance(50)
                ? VectorForm(map: 3, pp: 1, opcode: 0x46, hasImmediate: true, wide: false, is256: true)
                : VectorForm(map: 2, pp: 1, opcode: pick([0x45, 0x46, 0x47]), wide: false)
        default:
            // Packed and scalar, single and double.
            let opcode = pick([0x51, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f])
            let isLogic = (0x54...0x57).contains(opcode)
            let pp = UInt8(random.below(isLogic ? 2 : 4))
            return VectorForm(map: 1, pp: pp, opcode: opcode, isUnary: opcode == 0x51 && pp < 2, hasLegacy: true)
        }
    }

    private func vex(
        map: UInt8, pp: UInt8, wide: Bool, is256: Bool, vvvv: UInt8, opcode: UInt8, reg: UInt8, rex: UInt8, tail: [UInt8]
    ) -> [UInt8] {
        var extended: UInt8 = reg & 8 != 0 ? 0 : 0x80
        if rex & 2 == 0 { extended |= 0x40 }
        if rex & 1 == 0 { extended |= 0x20 }
        return [0xc4, extended | map, (wide ? 0x80 : 0) | (~vvvv & 15) << 3 | (is256 ? 4 : 0) | pp, opcode] + tail
    }

    private mutating func move(_ register: UInt8, stores: Bool) -> [UInt8] {
        var rex: UInt8 = 0
        let tail = memoryOperand(register & 7, &rex)
        return vex(
            map: 1, pp: 2, wide: false, is256: true, vvvv: 0, opcode: stores ? 0x7f : 0x6f, reg: register, rex: rex,
            tail: tail)
    }

    /// Loads of some registers, operations on them, and stores of what they have become.
    mutating func vectorSequence() -> [UInt8] {
        let limit: UInt64 = isNarrow ? 8 : 16
        var registers: [UInt8] = []
        for _ in 0..<3 + random.below(3) { registers.append(UInt8(random.below(limit))) }
        var code: [UInt8] = []
        for register in registers { code += move(register, stores: false) }
        for _ in 0..<1 + random.below(6) { code += vectorInstruction(registers) }
        for register in registers where random.chance(80) { code += move(register, stores: true) }
        return code
    }

    private mutating func vectorInstruction(_ registers: [UInt8]) -> [UInt8] {
        switch random.below(14) {
        case 0: return [0xc5, 0xf8, 0x77]  // vzeroupper
        case 1:
            // vpmovmskb reg, ymm; vptest ymm, ymm; vucomisd
            let (first, second) = (pick(registers), pick(registers))
            let rex: UInt8 = second >> 3
            switch random.below(3) {
            case 0:
                let general = destination()
                return vex(
                    map: 1, pp: 1, wide: false, is256: true, vvvv: 0, opcode: 0xd7, reg: general, rex: rex,
                    tail: [0xc0 | (general & 7) << 3 | second & 7])
            case 1:
                return vex(
                    map: 2, pp: 1, wide: false, is256: true, vvvv: 0, opcode: 0x17, reg: first, rex: rex,
                    tail: [0xc0 | (first & 7) << 3 | second & 7])
            default:
                return vex(
                    map: 1, pp: 1, wide: false, is256: false, vvvv: 0, opcode: 0x2e, reg: first, rex: rex,
                    tail: [0xc0 | (first & 7) << 3 | second & 7])
            }
        case 2:
            // vmovd or vmovq to and from a general register, vcvtsi2sd from one
            let (vector, general) = (pick(registers), destination())
            let from = random.chance(50)
            let converts = from && random.chance(40)
            return vex(
                map: 1, pp: converts ? 3 : 1, wide: !isNarrow && random.chance(50), is256: false,
                vvvv: converts ? pick(registers) : 0, opcode: converts ? 0x2a : from ? 0x6e : 0x7e, reg: vector,
                rex: general >> 3, tail: [0xc0 | (vector & 7) << 3 | general & 7])
        case 3...4: return bitManipulation()
        default: break
        }
        let form = vectorForm()
        let (target, source) = (pick(registers), pick(registers))
        var rex: UInt8 = 0
        let is256 = form.is256 ?? random.chance(60)
        let isLegacy = form.hasLegacy && form.is256 == nil && random.chance(30)
        // SSE has aligned operands only.
        let tail: [UInt8]
        if !isLegacy && random.chance(40) {
            tail = memoryOperand(target & 7, &rex)
        } else {
            let second = pick(registers)
            rex = second >> 3
            tail = [0xc0 | (target & 7) << 3 | second & 7]
        }
        let immediate: [UInt8] = form.hasImmediate ? [UInt8(truncatingIfNeeded: random.next())] : []
        guard isLegacy else {
            return vex(
                map: form.map, pp: form.pp, wide: form.wide ?? false, is256: is256, vvvv: form.isUnary ? 0 : source,
                opcode: form.opcode, reg: target, rex: rex, tail: tail) + immediate
        }
        var code: [UInt8] = form.pp == 0 ? [] : [[0x66, 0xf3, 0xf2][Int(form.pp) - 1]]
        let bits = rex | (target >> 3) << 2
        if bits != 0 { code.append(0x40 | bits) }
        code += form.map == 1 ? [0x0f] : form.map == 2 ? [0x0f, 0x38] : [0x0f, 0x3a]
        return code + [form.opcode] + tail + immediate
    }

    /// An instruction of BMI1 or BMI2.
    mutating func bitManipulation() -> [UInt8] {
        let wide = !isNarrow && random.chance(50)
        var (reg, vvvv) = (destination(), destination())
        let forms: [(map: UInt8, pp: UInt8, opcode: UInt8)] = [
            (2, 0, 0xf2), (2, 0, 0xf3), (2, 0, 0xf5), (2, 3, 0xf5), (2, 2, 0xf5), (2, 3, 0xf6), (2, 0, 0xf7), (2, 1, 0xf7),
            (2, 2, 0xf7), (2, 3, 0xf7), (3, 3, 0xf0),
        ]
        let form = forms[Int(random.below(UInt64(forms.count)))]
        if form.opcode == 0xf3 { reg = 1 + UInt8(random.below(3)) }
        if form.map == 3 { vvvv = 0 }
        // R14 counts loops.
        if reg == 14 { reg = 0 }
        var rex: UInt8 = 0
        var tail: [UInt8]
        if random.chance(40) {
            tail = memoryOperand(reg & 7, &rex)
        } else {
            let second = random.chance(70) ? destination() : UInt8(random.below(isNarrow ? 8 : 16))
            rex = second >> 3
            tail = [0xc0 | (reg & 7) << 3 | second & 7]
        }
        if form.map == 3 { tail.append(UInt8(truncatingIfNeeded: random.next())) }
        return vex(
            map: form.map, pp: form.pp, wide: wide, is256: false, vvvv: vvvv, opcode: form.opcode, reg: reg, rex: rex,
            tail: tail)
    }
}
