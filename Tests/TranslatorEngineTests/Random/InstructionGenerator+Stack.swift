import TestSupport

// Stack, string and 32-bit instructions.
extension InstructionGenerator {
    mutating func stackInstruction() -> [UInt8] {
        let word: [UInt8] = random.chance(15) ? [0x66] : []
        let high: [UInt8] = !isNarrow && random.chance(30) ? [0x41] : []
        switch random.below(10) {
        case 0...1: return word + high + [0x50 | UInt8(random.below(8))]
        case 2...3: return word + high + [0x58 | UInt8(random.below(4))]
        case 4: return word + [0x6a] + immediate(1)
        case 5: return word + [0x68] + immediate(word.isEmpty ? 4 : 2)
        case 6: return word + [0x9c]
        case 7:
            var rex: UInt8 = 0
            let push = random.chance(50)
            let operand = memoryOperand(push ? 6 : 0, &rex)
            return word + (isNarrow ? [] : [0x40 | rex]) + [push ? 0xff : 0x8f] + operand
        case 8: return word + [0xc8, UInt8(random.below(64)), 0, UInt8(random.chance(50) ? 0 : random.below(40))]
        default: return word + [0xc9]
        }
    }

    mutating func stringInstruction() -> [UInt8] {
        var code: [UInt8] = []
        // Processors treat the upper halves of the registers oddly where a 32-bit counter is zero, or the first element
        // faults: they have none, and the counter is not zero.
        let narrow = random.chance(5)
        if narrow || random.chance(60) { code += [0xb9, UInt8(random.below(12)) + (narrow ? 1 : 0), 0, 0, 0] }
        if random.chance(10) { code.append(0xfd) }
        if narrow && !isNarrow { code += [0x89, 0xf6, 0x89, 0xff, 0x67] }  // mov esi, esi; mov edi, edi
        switch random.below(4) {
        case 0: code.append(0xf3)
        case 1: code.append(0xf2)
        case 2: code.append(0xf3)
        default: break
        }
        switch random.below(4) {
        case 0: code.append(0x66)
        case 1: if !isNarrow { code.append(0x48) }
        default: break
        }
        code.append([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf][Int(random.below(10))])
        return code
    }

    mutating func offsetMove() -> [UInt8] {
        let opcode = 0xa0 + UInt8(random.below(4))
        if isNarrow { return (random.chance(20) ? [0x66] : []) + [opcode] + bytes(dataAddress(), 4) }
        let narrow = random.chance(30)
        let rex: [UInt8] = random.chance(30) ? [0x48] : random.chance(20) ? [0x66] : []
        if narrow { return [0x67] + rex + [opcode] + bytes(dataAddress(), 4) }
        return rex + [opcode] + bytes(dataAddress(), 8)
    }

    // MARK: 32-bit code

    mutating func narrowOperand(_ reg: UInt8) -> [UInt8] {
        let field = reg << 3
        let base = random.chance(95) ? pointers[Int(random.below(4))] : UInt8(random.below(8))
        switch random.below(8) {
        case 0: return [field | 5] + bytes(dataAddress(), 4)
        case 1: return [field | 4, 0x25] + bytes(dataAddress(), 4)
        case 2:
            // Base and any index: mostly elsewhere.
            return [0x44 | field, UInt8(random.below(256)) & 0xf8 | base, UInt8(random.below(64))]
        case 3: return [0x84 | field, 0x20 | base] + bytes(0 &- random.below(64), 4)
        default: return [0x40 | field | base] + (base == 4 ? [0x24] : []) + [UInt8(bitPattern: Int8(random.below(64)) - 32)]
        }
    }

    /// 16-bit addressing: below 64 KiB, where nothing is.
    mutating func shortOperand(_ reg: UInt8) -> [UInt8] {
        let field = reg << 3 | UInt8(random.below(8))
        switch random.below(3) {
        case 0: return [0x40 | field] + immediate(1)
        case 1: return [0x80 | field] + immediate(2)
        default: return field & 7 == 6 ? [field] + immediate(2) : [field]
        }
    }

    /// What 64-bit code does not have. The flags that they leave undefined are defined by what follows.
    mutating func narrowInstruction() -> [UInt8] {
        let carry: [UInt8] = [0x0f, 0x92, 0xc1, 0x85, 0xc0]  // setb cl; test eax, eax
        let word: [UInt8] = random.chance(20) ? [0x66] : []
        switch random.below(12) {
        case 0: return [0x27] + carry
        case 1: return [0x2f] + carry
        case 2: return [0x37] + carry
        case 3: return [0x3f] + carry
        case 4: return [0xd4, random.chance(50) ? 10 : UInt8(random.below(20)), 0x85, 0xc0]
        case 5: return [0xd5, UInt8(truncatingIfNeeded: random.next()), 0x85, 0xc0]
        case 6: return [0xd6]
        case 7: return word + [0x60]
        case 8: return word + [0x61]
        case 9: return word + [0x40 | UInt8(random.below(2)) << 3 | destination()]
        case 10: return [0xce]
        default: return word + [0x62] + narrowOperand(UInt8(random.below(3)))
        }
    }
}
