import TestSupport

// Instructions of the x87 unit (SDM volume 2, appendix A.5).

extension InstructionGenerator {
    private mutating func pick<T>(_ list: [T]) -> T { list[Int(random.below(UInt64(list.count)))] }

    /// An opcode with a number in ModRM.reg, and a memory operand.
    private mutating func withMemory(_ opcode: UInt8, _ digit: UInt8) -> [UInt8] {
        var rex: UInt8 = 0
        let tail = memoryOperand(digit, &rex)
        return (rex != 0 ? [0x40 | rex] : []) + [opcode] + tail
    }

    /// What is loaded into the unit first, operations on it, and stores of what it has become: the state before and after
    /// does not count.
    mutating func x87Sequence() -> [UInt8] {
        var code: [UInt8] = [0xdb, 0xe3]  // fninit
        if random.chance(30) { code += controlLoad() }
        for _ in 0..<1 + random.below(4) {
            switch random.below(4) {
            case 0: code += [0xd9, 0xe8 + UInt8(random.below(7))]  // constants
            default:
                let (opcode, digit) = pick([(0xd9, 0), (0xdd, 0), (0xdb, 5), (0xdf, 0), (0xdb, 0), (0xdf, 5)])
                code += withMemory(UInt8(opcode), UInt8(digit))
            }
        }
        for _ in 0..<1 + random.below(8) { code += x87Instruction() }
        for _ in 0..<1 + random.below(3) {
            // Stores, most of them with a pop; integers, with truncation too; control and status words.
            let (opcode, digit) = pick([
                (0xd9, 3), (0xdd, 3), (0xdb, 7), (0xdb, 7), (0xdf, 3), (0xdb, 3), (0xdf, 7), (0xd9, 2), (0xdd, 2),
                (0xdb, 2), (0xdd, 1), (0xd9, 7), (0xdd, 7),
            ])
            code += withMemory(UInt8(opcode), UInt8(digit))
        }
        return code + (random.chance(50) ? [0xdf, 0xe0] : [])  // fnstsw ax
    }

    /// PUSH, FLDCW of it, POP: precision and rounding, seldom with an exception that is not masked.
    private mutating func controlLoad() -> [UInt8] {
        var control = 0x3f | random.below(16) << 8
        if random.chance(10) { control &= ~(1 << random.below(6)) }
        return [0x68] + bytes(control, 4) + [0xd9, 0x2c, 0x24, 0x58]
    }

    private mutating func x87Instruction() -> [UInt8] {
        let register = UInt8(random.below(4))
        switch random.below(12) {
        case 0...2:
            // Arithmetic with ST(0), with ST(i), with a pop.
            return [pick([0xd8, 0xdc, 0xde]), 0xc0 | pick([0, 1, 4, 5, 6, 7] as [UInt8]) << 3 | register]
        case 3: return [0xd9, (random.chance(50) ? 0xc0 : 0xc8) | register]  // fld, fxch
        case 4:
            // FXAM tells the sign of an empty register, which FNINIT leaves as it was.
            if random.chance(10) { return [0xd9, 0xe8 + UInt8(random.below(7)), 0xd9, 0xe5] }
            return [0xd9, pick([0xe0, 0xe1, 0xe4, 0xfa, 0xfc, 0xfd, 0xf8, 0xf5, 0xf4, 0xf6, 0xf7])]
        case 5: return [0xd9, pick([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff])]
        case 6: return [pick([0xda, 0xdb]), 0xc0 | UInt8(random.below(4)) << 3 | register]  // fcmov
        case 7: return [pick([0xdb, 0xdf]), (random.chance(50) ? 0xe8 : 0xf0) | register]  // fcomi and its kin
        case 8:
            return pick([
                [0xdd, 0xc0 | register], [0xdd, 0xd0 | register], [0xdd, 0xd8 | register], [0xdd, 0xe0 | register],
                [0xdd, 0xe8 | register], [0xd8, 0xd0 | register], [0xd8, 0xd8 | register], [0xde, 0xd9], [0xda, 0xe9],
                [0xd9, 0xd0], [0xdb, 0xe2], [0x9b],
            ])
        case 9: return random.chance(30) ? controlLoad() : instruction()
        default: return withMemory(pick([0xd8, 0xdc, 0xda, 0xde]), UInt8(random.below(8)))
        }
    }
}
