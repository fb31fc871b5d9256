// Loops that walk over memory by registers which they move on, over the border of pages and now and then out of the data.
extension InstructionGenerator {
    /// A loop of 64-bit code with several accesses by each of two bases.
    mutating func makeWalk() -> UserCase {
        var item = makeState()
        let bases: [UInt8] = random.chance(50) ? [3, 6] : [7, 8]
        for base in bases { item.gpr[Int(base)] = dataAddress() }
        var body: [UInt8] = []
        for base in bases {
            for _ in 0..<1 + random.below(4) {
                let access = walkingAccess(base)
                if random.chance(20) { body += forwardBranch(UInt8(access.count)) }
                body += access
                if random.chance(30) { body += betweenAccesses() }
            }
            if random.chance(85) { body += walkingStep(base) }
        }
        if random.chance(40) { body += betweenAccesses() }
        let turns = random.chance(70) ? 4 + random.below(12) : 16 + random.below(100)
        // Vector registers have no values of the case's: movq xmm, rcx
        for register in UInt8(0)..<10 {
            item.code += [0x66, 0x48 | (register >> 3) << 2, 0x0f, 0x6e, 0xc1 | (register & 7) << 3]
        }
        item.code += [0x41, 0xbe, UInt8(turns), 0, 0, 0] + body  // mov r14d, turns
        let size = body.count + 9
        item.code += [0x49, 0xff, 0xce, 0x0f, 0x85] + bytes(0 &- UInt64(size), 4)  // dec r14; jnz
        return item
    }

    /// A register that is neither a base, nor RSP, nor the counter: R13 and R15 as often as all others together.
    private mutating func walkingRegister() -> UInt8 { [0, 1, 2, 5, 9, 10, 13, 13, 15, 15][Int(random.below(10))] }

    private mutating func walkingAccess(_ base: UInt8) -> [UInt8] {
        let disp = UInt8(truncatingIfNeeded: Int(random.below(96)) - 48)
        let isVector = random.chance(40)
        let register = isVector ? UInt8(random.below(10)) : walkingRegister()
        let rex = 0x40 | (register >> 3) << 2 | base >> 3
        let place: [UInt8] = [0x40 | (register & 7) << 3 | base & 7, disp]
        if isVector { return [rex, 0x0f, random.chance(50) ? 0x10 : 0x11] + place }  // movups
        // mov, add and xor of 32 or 64 bits, either way
        let opcode: UInt8 = [0x8b, 0x8b, 0x89, 0x89, 0x01, 0x03, 0x33][Int(random.below(7))]
        return [rex | (random.chance(60) ? 8 : 0), opcode] + place
    }

    private mutating func betweenAccesses() -> [UInt8] {
        let (first, second) = (walkingRegister(), walkingRegister())
        let direct = 0xc0 | (second & 7) << 3 | first & 7
        switch random.below(4) {
        // add, or lea first, [second + 5]
        case 0: return [0x48 | (second >> 3) << 2 | first >> 3, 0x01, direct]
        case 1: return [0x48 | (first >> 3) << 2 | second >> 3, 0x8d, 0x40 | (first & 7) << 3 | second & 7, 5]
        // paddd, pxor
        case 2: return [0x66, 0x0f, 0xfe, 0xc0 | UInt8(random.below(64))]
        default: return [0x66, 0x0f, 0xef, 0xc0 | UInt8(random.below(64))]
        }
    }

    /// add base, step
    private mutating func walkingStep(_ base: UInt8) -> [UInt8] {
        let step = [1, 4, 8, 8, 16, 16, 32, 64, 100, -1, -8, -16, -64][Int(random.below(13))]
        return [0x48 | base >> 3, 0x83, 0xc0 | base & 7, UInt8(truncatingIfNeeded: step)]
    }
}
