import Testing
import TranslatorEngine
import X86

/// Random encodings of everything that the host executes, each run by its handler and natively from the same random
/// state, and all of the state compared.
struct RandomInstructionTests {
    private static let guestMemory: UInt64 = 0x2100
    private static let memoryCount = 192

    /// Instructions whose operands or results are addresses, or that fault on random data: they have tests of their own.
    private static func excluded(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .fldenv, .fnstenv, .frstor, .fnsave, .ldmxcsr, .vldmxcsr, .fxsave, .fxrstor, .xsave, .xrstor, .xsavec,
            .xsaveopt, .xsaves, .xrstors, .vpgatherdd, .vpgatherdq, .vpgatherqd, .vpgatherqq, .vgatherdps, .vgatherdpd, .vgatherqps,
            .vgatherqpd:
            return true
        default: break
        }
        let hasMemory = instruction.encoding.hasModRM && instruction.encoding.modrm < 0xc0
        if hasMemory {
            let memory = instruction.memory
            if memory.base != 6 || memory.index != MemoryReference.noRegister || memory.displacement != 0 { return true }
        }
        for operand in [
            instruction.operands.0, instruction.operands.1, instruction.operands.2, instruction.operands.3,
        ] where operand.kind == .general {
            if operand.register == 4 || operand.register == 7 || hasMemory && operand.register == 6 { return true }
        }
        return false
    }

    private static func randomBytes(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        var modrm = UInt8(truncatingIfNeeded: random.next())
        let memory = modrm < 0x70
        modrm = memory ? modrm & 0x38 | 6 : modrm | 0xc0
        let opcode = UInt8(truncatingIfNeeded: random.next())
        let map = random.below(11)
        if map < 2 {
            bytes = [0xd8 | opcode & 7, modrm]
        } else if map < 7 {
            bytes = [[], [0x66], [0xf3], [0xf2]][Int(random.below(4))]
            if random.chance(50) { bytes.append(0x40 | UInt8(random.below(16)) & (memory ? 0xe : 0xf)) }
            bytes.append(0x0f)
            if map == 5 { bytes.append(0x38) }
            if map == 6 { bytes.append(0x3a) }
            bytes += [opcode, modrm]
        } else {
            var second = UInt8(truncatingIfNeeded: random.next()) & 0xe0 | UInt8(1 + random.below(3))
            if memory { second |= 0x60 }
            var third = UInt8(truncatingIfNeeded: random.next())
            if random.chance(40) { third |= 0x78 }
            bytes = [0xc4, second, third, opcode, modrm]
        }
        for _ in 0..<6 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return bytes
    }

    /// Puts the same random state into both.
    private static func randomize(
        _ random: inout SeededGenerator, _ guest: TestProcessor, _ native: NativeProcessor, unmaskX87: Bool
    ) {
        for register in 0..<16 {
            for lane in 0..<4 {
                let value = random.lane()
                guest.setLane(register, lane, value)
                native.setLane(register, lane, value)
            }
            let value = random.chance(30) ? random.below(40) : random.next()
            guest[gpr: register] = value
            native.setGPR(register, value)
        }
        let flags = random.next() & 0x8d5
        guest.flagBits = flags
        native.setFlags(flags)
        let masks: UInt16 = unmaskX87 ? UInt16(random.below(64)) : 0x3f
        let fcw = UInt16(random.below(16)) << 8 | 0x40 | masks
        let fsw = UInt16(truncatingIfNeeded: random.next()) & 0x7f40 | UInt16(random.below(64)) & masks
        let ftw = random.chance(50) ? 0xff : UInt8(truncatingIfNeeded: random.next())
        let mxcsr = UInt32(truncatingIfNeeded: random.next()) & 0xe07f | 0x1f80
        for value in [(fcw, 0), (fsw, 2), (UInt16(ftw), 4)] {
            guest.setFX(value.0, at: value.1)
            native.setFX(value.0, at: value.1)
        }
        guest.setFX(mxcsr, at: 24)
        native.setFX(mxcsr, at: 24)
        for index in 0..<8 {
            let (significand, exponent) = random.extended()
            guest.setFX(significand, at: 32 + 16 * index)
            guest.setFX(UInt64(exponent), at: 40 + 16 * index)
            native.setFX(significand, at: 32 + 16 * index)
            native.setFX(UInt64(exponent), at: 40 + 16 * index)
        }
        for index in stride(from: 0, to: memoryCount, by: 8) {
            let value = random.lane()
            for byte in 0..<8 {
                let part = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))
                unsafe guest.ram[Int(guestMemory) + index + byte] = part
                native.setMemory(index + byte, part)
            }
        }
    }

    /// What differs, in words.
    private static func differences(
        _ guest: TestProcessor, _ native: NativeProcessor, skipping: Set<Int>
    ) -> [String] {
        var found: [String] = []
        func compare<T: FixedWidthInteger>(_ name: String, _ a: T, _ b: T) {
            if a != b { found.append("\(name) is \(String(a, radix: 16)), natively \(String(b, radix: 16))") }
        }
        for register in 0..<16 {
            for lane in 0..<4 {
                compare("ymm\(register)[\(lane)]", guest.lane(register, lane), native.lane(register, lane))
            }
            if register != 4 && !skipping.contains(register) {
                compare("r\(register)", guest[gpr: register], native.gpr(register))
            }
        }
        compare("flags", guest.flagBits, native.flags)
        compare("FCW", guest.fx(UInt16.self, at: 0), native.fx(UInt16.self, at: 0))
        compare("FSW", guest.fx(UInt16.self, at: 2), native.fx(UInt16.self, at: 2))
        compare("FTW", guest.fx(UInt8.self, at: 4), native.fx(UInt8.self, at: 4))
        compare("MXCSR", guest.fx(UInt32.self, at: 24), native.fx(UInt32.self, at: 24))
        for index in 0..<8 {
            let place = 32 + 16 * index
            compare("st\(index)", guest.fx(UInt64.self, at: place), native.fx(UInt64.self, at: place))
            compare("st\(index)e", guest.fx(UInt16.self, at: place + 8), native.fx(UInt16.self, at: place + 8))
        }
        for index in 0..<memoryCount {
            let byte = unsafe guest.ram[Int(guestMemory) + index]
            compare("memory[\(index)]", byte, native.memory(index))
        }
        return found
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func everyInstructionDoesWhatTheHostDoes(seed: UInt64) throws {
        let code = try HostCode(capacity: 16 << 20)
        let guest = TestProcessor(code: code)
        let native = try NativeProcessor()
        var random = SeededGenerator(seed: seed)
        var run = 0
        var mnemonics: Set<Mnemonic> = []
        var failures: [Mnemonic: Int] = [:]
        while run < 25_000 {
            let bytes = Self.randomBytes(&random)
            guard let instruction = guest.lower(bytes), !Self.excluded(instruction) else { continue }
            run += 1
            mnemonics.insert(instruction.mnemonic)
            let unmasked = instruction.category == .x87 && random.chance(30)
            Self.randomize(&random, guest, native, unmaskX87: unmasked)
            let aligned = instruction.alignedMemory || instruction.category == .avx
            let offset = aligned ? 32 * random.below(2) : random.below(64)
            // RSI is the operand of memory forms, RDI that of the masked moves.
            if instruction.encoding.modrm < 0xc0 {
                guest[gpr: 6] = Self.guestMemory + offset
                native.setGPR(6, native.memoryAddress + offset)
            }
            guest[gpr: 7] = Self.guestMemory + offset
            native.setGPR(7, native.memoryAddress + offset)
            let outcome = guest.run()
            native.run(Array(bytes.prefix(Int(instruction.length))))
            let found = outcome == .done ? Self.differences(guest, native, skipping: instruction.encoding.modrm < 0xc0 ? [6, 7] : [7]) : ["\(outcome)"]
            if !found.isEmpty {
                failures[instruction.mnemonic, default: 0] += 1
                if failures[instruction.mnemonic] == 1 {
                    let text = bytes.prefix(Int(instruction.length)).map { String($0, radix: 16) }.joined(separator: " ")
                    Issue.record("\(instruction.mnemonic) (\(text)): \(found.prefix(6).joined(separator: "; "))")
                }
            }
        }
        #expect(mnemonics.count > 500)
    }
}
