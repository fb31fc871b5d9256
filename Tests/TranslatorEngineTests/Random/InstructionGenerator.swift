import CEngine
import TestSupport

/// Makes random general-purpose instructions of 64-bit code by an encoder of its own. Memory operands mostly lie in the
/// data pages; R14 counts loops and is nothing's destination.
struct InstructionGenerator {
    var random: SplitMix64
    var pointers: [UInt8] { isNarrow ? [3, 5, 6, 7] : [3, 5, 6, 7, 12, 13] }
    private var values: [UInt8] { isNarrow ? [0, 1, 2] : [0, 1, 2, 8, 9, 10, 11] }
    private static let small: UInt8 = 15
    /// Code of 32 bits: eight registers, no REX, no address relative to RIP.
    let isNarrow: Bool
    private var registers: UInt64 { isNarrow ? 8 : 16 }

    /// Whether TZCNT is one, and not BSF as on processors without BMI1.
    private let hasTZCNT: Bool

    /// Whether there are AVX2, FMA, BMI1 and BMI2.
    private let hasVectors: Bool

    /// Flags that an instruction leaves undefined are defined by the next one.
    private let definesFlags: Bool

    /// The host leaves flags that the manual calls undefined as they were, as AMD's processors do, or sets them in ways of
    /// its own after divisions. Translated code does not keep them for that.
    static let hostKeepsFlags = apus_host_cpuid(0, 0).ebx == 0x6874_7541

    init(seed: UInt64, hasTZCNT: Bool, hasVectors: Bool = false, isNarrow: Bool = false, definesFlags: Bool = false) {
        self.isNarrow = isNarrow
        self.definesFlags = definesFlags
        self.hasVectors = hasVectors
        random = SplitMix64(state: seed)
        self.hasTZCNT = hasTZCNT
    }

    // MARK: Cases

    /// Code of some instructions with the registers it starts with.
    mutating func makeCase() -> UserCase {
        var item = makeState()
        item.code = sequence(count: 1 + Int(random.below(20)))
        return item
    }

    /// A loop of 64-bit code whose turns go different ways.
    mutating func makeLoop() -> UserCase {
        var item = makeState()
        var body: [UInt8] = []
        for _ in 0..<1 + random.below(4) {
            let part = plain(1 + Int(random.below(2)))
            body += plain(Int(random.below(4))) + forwardBranch(UInt8(part.count)) + part
            if random.chance(15) { body += x87Sequence() }
        }
        item.code = [0x41, 0xbe, UInt8(4 + random.below(12)), 0, 0, 0] + body  // mov r14d, turns
        let size = body.count + 9
        item.code += [0x49, 0xff, 0xce, 0x0f, 0x85] + bytes(0 &- UInt64(size), 4)  // dec r14; jnz
        return item
    }

    mutating func makeState() -> UserCase {
        var item = UserCase()
        item.isNarrow = isNarrow
        for number in 0..<Int(registers) { item.gpr[number] = isNarrow ? value() & 0xffff_ffff : value() }
        for number in pointers { item.gpr[Int(number)] = dataAddress() }
        item.gpr[4] = dataAddress() & ~7
        if !isNarrow { item.gpr[Int(Self.small)] = random.below(64) }
        item.flags = random.next() & (random.chance(85) ? 0x8d5 : 0xcd5)
        item.start = Int(random.below(64))
        return item
    }

    /// A number of some interest.
    mutating func value() -> UInt64 {
        switch random.below(8) {
        case 0: return random.below(40)
        case 1: return 0 &- random.below(40)
        case 2: return 1 << random.below(64)
        case 3: return (1 << random.below(64)) &- 1
        case 4: return random.next() & 0xffff_ffff
        case 5: return [0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][Int(random.below(9))]
        default: return random.next()
        }
    }

    mutating func dataAddress() -> UInt64 {
        // Near the border of the two pages, rarely near the region's ends.
        let place: UInt64
        switch random.below(10) {
        case 0: place = random.below(0x40)
        case 1: place = 0x2000 - random.below(0x40)
        case 2, 3: place = 0x1000 - 16 + random.below(32)
        default: place = 0x400 + random.below(0x1800)
        }
        return UserCase.dataBase + place
    }

    mutating func sequence(count: Int) -> [UInt8] {
        var code: [UInt8] = []
        var left = count
        while left > 0 {
            switch random.below(60) {
            case 0...1:
                // jcc or jmp over some instructions
                let body = plain(Int(random.below(3)))
                code += forwardBranch(UInt8(body.count)) + body
                left -= 2
            case 2 where !isNarrow:
                // A counted loop.
                let body = plain(1 + Int(random.below(3)))
                code += [0x41, 0xbe, UInt8(1 + random.below(4)), 0, 0, 0] + body
                let size = body.count
                code += [0x49, 0xff, 0xce]  // dec r14
                if size < 100 { code += [0x75, UInt8(bitPattern: Int8(-(size + 5)))] }
                left -= 3
            case 3:
                // call over some instructions to a function that returns here or there
                let body = plain(Int(random.below(2)))
                if random.chance(50) {
                    code += [0xe8] + bytes(UInt64(body.count), 4) + body
                } else {
                    // call f; jmp over; f: body; ret
                    let pop: [UInt8] = random.chance(30) ? [0xc2, UInt8(8 * random.below(3)), 0] : [0xc3]
                    code += [0xe8, 2, 0, 0, 0, 0xeb, UInt8(body.count + pop.count)] + body + pop
                }
                left -= 2
            case 4 where !isNarrow:
                // An indirect jump or call.
                let register = UInt8(random.below(3))
                let body = plain(Int(random.below(2)))
                let call: UInt8 = random.chance(50) ? 0xd0 : 0xe0
                code += [0x48, 0x8d, 0x05 | register << 3] + bytes(UInt64(body.count + 2), 4)
                code += [0xff, call | register] + body
                left -= 2
            case 5:
                // LOOP and JRCXZ forward
                let body = plain(Int(random.below(2)))
                code += (random.chance(30) ? [0x67] : []) + [0xe0 + UInt8(random.below(4)), UInt8(body.count)] + body
                left -= 1
            case 6:
                code += random.chance(50) ? [0xb9, UInt8(random.below(20)), 0, 0, 0] : [0xf3, 0xa4]
                left -= 1
            case 7:
                // PUSH imm; POPF: NT, AC and ID stay away; TF sometimes.
                let flags = random.next() & (random.chance(10) ? 0x10dd5 : 0x10cd5)
                code += [0x68] + bytes(flags, 4) + (random.chance(10) ? [0x66, 0x9d] : [0x9d])
                left -= 1
            case 8...9 where hasVectors:
                code += random.chance(70) ? vectorSequence() : bitManipulation()
                left -= 2
            case 10...11:
                code += x87Sequence()
                left -= 2
            default:
                code += instruction()
                left -= 1
            }
        }
        return Array(code.prefix(900))
    }

    mutating func plain(_ count: Int) -> [UInt8] {
        var code: [UInt8] = []
        for _ in 0..<count { code += instruction() }
        return code
    }

    mutating func forwardBranch(_ distance: UInt8) -> [UInt8] {
        switch random.below(5) {
        case 0: return [0xeb, distance]
        case 1: return [0xe9] + bytes(UInt64(distance), 4)
        case 2: return [0x0f, 0x80 + UInt8(random.below(16))] + bytes(UInt64(distance), 4)
        default: return [0x70 + UInt8(random.below(16)), distance]
        }
    }

    func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
    mutating func immediate(_ count: Int) -> [UInt8] { bytes(value(), count) }

    // MARK: Instructions

    /// What follows an opcode.
    private struct Form {
        var map: [UInt8] = []
        var opcode: UInt8
        /// The ModRM reg field, where it chooses the operation.
        var digit: UInt8?
        var hasModRM = true
        /// 0, 1, 2 bytes; 4 for the operand size up to 4; 8 for the full operand size.
        var immediate = 0
        var prefix: UInt8?
        var memoryOnly = false
        var registerOnly = false
        var byteSized = false
        var lockable = false
        var sizePrefix = true

        /// Multiplication, division, and what looks at bits.
        var leavesFlagsUndefined: Bool {
            if map.isEmpty { return opcode & 0xfe == 0xf6 && (digit ?? 0) >= 4 || opcode == 0x69 || opcode == 0x6b }
            return map == [0x0f] && [0xa3, 0xab, 0xb3, 0xba, 0xbb, 0xbc, 0xbd, 0xaf].contains(opcode)
        }
    }

    private mutating func form() -> Form {
        let low = UInt8(random.below(2))
        let byte = low == 0
        switch random.below(46) {
        case 0...5:
            let operation = UInt8(random.below(8)) << 3
            switch random.below(3) {
            case 0: return Form(opcode: operation | low, byteSized: byte, lockable: operation != 0x38)
            case 1: return Form(opcode: operation | 2 | low, byteSized: byte)
            default: return Form(opcode: operation | 4 | low, hasModRM: false, immediate: byte ? 1 : 4, byteSized: byte)
            }
        case 6...8:
            let digit = UInt8(random.below(8))
            switch random.below(3) {
            case 0: return Form(opcode: 0x80, digit: digit, immediate: 1, byteSized: true, lockable: digit != 7)
            case 1: return Form(opcode: 0x81, digit: digit, immediate: 4, lockable: digit != 7)
            default: return Form(opcode: 0x83, digit: digit, immediate: 1, lockable: digit != 7)
            }
        case 9: return Form(opcode: 0x84 | low, byteSized: byte)
        case 10: return Form(opcode: 0x86 | low, byteSized: byte, lockable: true)
        case 11: return Form(opcode: 0x88 | low, byteSized: byte)
        case 12: return Form(opcode: 0x8a | low, byteSized: byte)
        case 13: return Form(opcode: 0x8d, memoryOnly: true)
        case 14: return Form(opcode: [0x98, 0x99][Int(low)], hasModRM: false)
        case 15: return Form(opcode: [0x9e, 0x9f, 0xf5, 0xf8, 0xf9, 0x90][Int(random.below(6))], hasModRM: false)
        case 16: return Form(opcode: 0xa8 | low, hasModRM: false, immediate: byte ? 1 : 4, byteSized: byte)
        case 17:
            return random.chance(50)
                ? Form(opcode: 0xb0 | destination() & 7, hasModRM: false, immediate: 1, byteSized: true)
                : Form(opcode: 0xb8 | destination() & 7, hasModRM: false, immediate: 8)
        case 18...20:
            let digit = UInt8(random.below(8))
            switch random.below(3) {
            case 0: return Form(opcode: 0xc0 | low, digit: digit, immediate: 1, byteSized: byte)
            case 1: return Form(opcode: 0xd0 | low, digit: digit, byteSized: byte)
            default: return Form(opcode: 0xd2 | low, digit: digit, byteSized: byte)
            }
        case 21: return Form(opcode: 0xc6 | low, digit: 0, immediate: byte ? 1 : 4, byteSized: byte)
        case 22:
            return low == 0
                ? Form(opcode: 0xf6, digit: UInt8(random.below(2)), immediate: 1, byteSized: true)
                : Form(opcode: 0xf7, digit: UInt8(random.below(2)), immediate: 4)
        case 23: return Form(opcode: 0xf6 | low, digit: 2 + UInt8(random.below(2)), byteSized: byte, lockable: true)
        case 24...25: return Form(opcode: 0xf6 | low, digit: 4 + UInt8(random.below(4)), byteSized: byte)
        case 26: return Form(opcode: 0xfe | low, digit: UInt8(random.below(2)), byteSized: byte, lockable: true)
        case 27: return Form(opcode: [0x63, 0x69, 0x6b][Int(random.below(3))])
        case 28: return Form(map: [0x0f], opcode: 0x40 | UInt8(random.below(16)))
        case 29: return Form(map: [0x0f], opcode: 0x90 | UInt8(random.below(16)), byteSized: true)
        case 30:
            return Form(map: [0x0f], opcode: [0xa3, 0xab, 0xb3, 0xbb][Int(random.below(4))], registerOnly: random.chance(60))
        case 31:
            let digit = 4 + UInt8(random.below(4))
            return Form(map: [0x0f], opcode: 0xba, digit: digit, immediate: 1, lockable: digit != 4)
        case 32:
            return random.chance(50)
                ? Form(map: [0x0f], opcode: low == 0 ? 0xa4 : 0xac, immediate: 1)
                : Form(map: [0x0f], opcode: low == 0 ? 0xa5 : 0xad)
        case 33: return Form(map: [0x0f], opcode: 0xaf)
        case 34: return Form(map: [0x0f], opcode: 0xb0 | low, byteSized: byte, lockable: true)
        case 35: return Form(map: [0x0f], opcode: 0xc0 | low, byteSized: byte, lockable: true)
        case 36: return Form(map: [0x0f], opcode: [0xb6, 0xb7, 0xbe, 0xbf][Int(random.below(4))])
        case 37: return Form(map: [0x0f], opcode: [0xbc, 0xbd][Int(low)], prefix: (low == 1 || hasTZCNT) && random.chance(50) ? 0xf3 : nil)
        case 38: return Form(map: [0x0f], opcode: 0xb8, prefix: 0xf3)
        case 39: return Form(map: [0x0f], opcode: 0xc7, digit: 1, memoryOnly: true, lockable: true, sizePrefix: false)
        case 40: return Form(map: [0x0f], opcode: 0xc8 | destination() & 7, hasModRM: false, sizePrefix: false)
        case 41: return Form(map: [0x0f, 0x38], opcode: 0xf0 | low, memoryOnly: true)
        case 42: return Form(map: [0x0f, 0x38], opcode: 0xf0 | low, prefix: 0xf2, byteSized: byte)
        case 43: return Form(map: [0x0f], opcode: [0xc3, 0x1f, 0x18, 0x0d][Int(random.below(4))], memoryOnly: true, sizePrefix: false)
        case 44: return Form(opcode: 0x90 | destination() & 7, hasModRM: false)
        default: return Form(opcode: [0xd7, 0xfc, 0xfd, 0xfc][Int(random.below(4))], hasModRM: false, sizePrefix: false)
        }
    }

    mutating func destination() -> UInt8 {
        if random.chance(96) { return values[Int(random.below(UInt64(values.count)))] }
        let any = UInt8(random.below(registers))
        return any == 14 ? 0 : any
    }

    mutating func instruction() -> [UInt8] {
        switch random.below(40) {
        case 0...2: return stackInstruction()
        case 3...5: return stringInstruction()
        case 6: return offsetMove()
        case 7 where isNarrow, 8 where isNarrow, 9 where isNarrow: return narrowInstruction()
        default: break
        }
        let form = form()
        var prefixes: [UInt8] = []
        let word = form.sizePrefix && !form.byteSized && random.chance(25)
        if word { prefixes.append(0x66) }
        if random.chance(3) { prefixes.append([0x26, 0x2e, 0x36, 0x3e][Int(random.below(4))]) }
        if let prefix = form.prefix { prefixes.append(prefix) }
        // CRC32 and POPCNT take 66 before their mandatory prefix; any order is allowed.
        if prefixes.count > 1 && random.chance(50) { prefixes.reverse() }
        var rex: UInt8 = 0
        var hasREX = !isNarrow && random.chance(55)
        var tail: [UInt8] = []
        let wide = !isNarrow && !form.byteSized && random.chance(50)
        if wide {
            rex |= 8
            hasREX = true
        }
        if form.hasModRM {
            var reg = form.digit ?? (random.chance(90) ? destination() : UInt8(random.below(registers)))
            if form.digit == nil && reg == 14 { reg = 15 }
            let memory = form.memoryOnly || (!form.registerOnly && random.chance(50))
            if memory {
                if form.lockable && random.chance(20) { prefixes.insert(0xf0, at: 0) }
                let shortAddress = random.chance(5)
                if shortAddress { prefixes.insert(0x67, at: 0) }
                if reg >= 8 {
                    rex |= 4
                    hasREX = true
                }
                tail = isNarrow && shortAddress ? shortOperand(reg & 7) : memoryOperand(reg & 7, &rex)
            } else {
                var rm = form.digit == nil && random.chance(20) ? UInt8(random.below(registers)) : destination()
                if rm == 14 { rm = 2 }
                if form.byteSized && !hasREX && random.chance(30) { rm = 4 + UInt8(random.below(4)) }
                if rm >= 8 { rex |= 1 }
                if reg >= 8 { rex |= 4 }
                tail = [0xc0 | (reg & 7) << 3 | rm & 7]
            }
        } else if hasREX {
            // Extended registers but R14 and R12, R13.
            if form.opcode & 7 < 4 { rex |= UInt8(random.below(2)) }
        }
        if rex != 0 { hasREX = true }
        var code = prefixes
        if hasREX { code.append(0x40 | rex) }
        code += form.map + [form.opcode] + tail
        code += immediate(immediateCount(form, word: word, wide: wide))
        // OF is undefined after counts above 1, and the processor's own forms differ in it.
        if form.map.isEmpty && (form.opcode & 0xfe == 0xc0 || form.opcode & 0xfe == 0xd2) { code += [0x85, 0xc0] }
        if form.map == [0x0f] && form.opcode & 0xf6 == 0xa4 { code += [0x85, 0xc0] }
        if definesFlags && form.leavesFlagsUndefined { code += [0x85, 0xc0] }
        return code
    }

    private func immediateCount(_ form: Form, word: Bool, wide: Bool) -> Int {
        var count = form.immediate
        if form.map.isEmpty && form.opcode == 0x69 { count = 4 }
        if form.map.isEmpty && form.opcode == 0x6b { count = 1 }
        if count == 8 { return wide ? 8 : word ? 2 : 4 }
        if count == 4 { return word && !wide ? 2 : 4 }
        return count
    }

    /// ModRM, SIB and displacement of a memory operand; sets REX bits.
    mutating func memoryOperand(_ reg: UInt8, _ rex: inout UInt8) -> [UInt8] {
        if isNarrow { return narrowOperand(reg) }
        let field = reg << 3
        switch random.below(10) {
        case 0:
            // RIP-relative: near enough, whatever the instruction's own place in its page.
            let distance = dataAddress() &- UserCase.codeBase &- random.below(64)
            return [field | 5] + bytes(distance, 4)
        case 1:
            // Absolute, by a SIB byte without base and index.
            return [field | 4, 0x25] + bytes(dataAddress(), 4)
        case 2...4:
            // Base and index, sometimes any registers.
            let base = random.chance(95) ? pointers[Int(random.below(6))] : UInt8(random.below(16))
            let index = random.chance(90) ? Self.small : UInt8(random.below(16))
            if base >= 8 { rex |= 1 }
            if index >= 8 { rex |= 2 }
            let sib = UInt8(random.below(4)) << 6 | (index & 7) << 3 | base & 7
            if random.chance(50) { return [0x44 | field, sib, UInt8(random.below(64))] }
            return [0x84 | field, sib] + bytes(0 &- random.below(64), 4)
        case 5:
            // An index alone, with the data's address as displacement.
            rex |= 2
            return [field | 4, UInt8(random.below(4)) << 6 | 7 << 3 | 5] + bytes(dataAddress(), 4)
        default:
            let base = random.chance(95) ? pointers[Int(random.below(6))] : UInt8(random.below(16))
            if base >= 8 { rex |= 1 }
            let needsSIB: [UInt8] = base & 7 == 4 ? [0x24] : []
            if base & 7 != 5 && random.chance(40) { return [field | base & 7] + needsSIB }
            return [0x40 | field | base & 7] + needsSIB + [UInt8(bitPattern: Int8(random.below(64)) - 32)]
        }
    }
}
