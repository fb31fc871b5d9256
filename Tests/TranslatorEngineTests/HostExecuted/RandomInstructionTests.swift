import CEngine
import Glibc
import TestSupport
import Testing
import TranslatorEngine
import X86

/// Random encodings of everything that the host executes, each run by its handler and natively from the same random
/// state, and all of the state compared.
struct RandomInstructionTests {
    /// Where the operand area begins: within a page, or so that it crosses one.
    private static let guestMemories: [UInt64] = [0x2100, 0x2fc0]
    private static let memoryCount = 192

    /// Instructions whose operands or results are addresses, or that fault on random data: they have tests of their own.
    private static func excluded(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .fldenv, .fnstenv, .frstor, .fnsave, .ldmxcsr, .vldmxcsr, .fxsave, .fxrstor, .xsave, .xrstor, .xsavec,
            .xsaveopt, .xsaves, .xrstors, .vpgatherdd, .vpgatherdq, .vpgatherqd, .vpgatherqq, .vgatherdps, .vgatherdpd,
            .vgatherqps,
            .vgatherqpd:
            return true
        default: break
        }
        let hasMemory = instruction.encoding.hasModRM && instruction.encoding.modrm < 0xc0
        if hasMemory {
            let memory = instruction.memory
            let plain = memory.index == MemoryReference.noRegister && memory.displacement == 0
            if memory.base != 6 || !plain { return true }
        }
        for operand in [
            instruction.operands.0, instruction.operands.1, instruction.operands.2, instruction.operands.3,
        ] where operand.kind == .general {
            if operand.register == 4 || operand.register == 7 || hasMemory && operand.register == 6 { return true }
        }
        return false
    }

    private static func randomBytes(_ random: inout SplitMix64) -> [UInt8] {
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
        _ random: inout SplitMix64, _ guest: TestProcessor, _ native: NativeProcessor, memory guestMemory: UInt64,
        unmaskX87: Bool, unmaskSSE: Bool
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
        let masks32: UInt32 = unmaskSSE ? UInt32(random.below(64)) : 0x3f
        // Flags whose exception is not masked are clear, as after its handler.
        let mxcsr = UInt32(truncatingIfNeeded: random.next()) & (0xe040 | masks32) | masks32 << 7
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
                guest.poke(guestMemory + UInt64(index + byte), part)
                native.setMemory(index + byte, part)
            }
        }
    }

    /// What differs, in words.
    private static func differences(
        _ guest: TestProcessor, _ native: NativeProcessor, memory guestMemory: UInt64, skipping: Set<Int>
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
        let mxcsr = native.fx(UInt32.self, at: 24)
        // Inexactness beside an underflow or overflow that is not masked is known only for most results.
        let loose: UInt32 = mxcsr & 0x810 == 0x10 || mxcsr & 0x408 == 0x8 ? 0x20 : 0
        compare("MXCSR", guest.fx(UInt32.self, at: 24) & ~loose, mxcsr & ~loose)
        for index in 0..<8 {
            let place = 32 + 16 * index
            compare("st\(index)", guest.fx(UInt64.self, at: place), native.fx(UInt64.self, at: place))
            compare("st\(index)e", guest.fx(UInt16.self, at: place + 8), native.fx(UInt16.self, at: place + 8))
        }
        for index in 0..<memoryCount {
            compare("memory[\(index)]", guest.peek(guestMemory + UInt64(index)), native.memory(index))
        }
        return found
    }

    private static func isAlignedVEX(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .vmovaps, .vmovapd, .vmovdqa, .vmovntps, .vmovntpd, .vmovntdq, .vmovntdqa: true
        default: false
        }
    }

    /// VEX.W would widen a general operand in 64-bit mode.
    private static func ignoresW(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .vmovd, .vcvtsi2ss, .vcvtsi2sd, .vpinsrd, .vpextrd: true
        default:
            instruction.operands.0.kind == .general || instruction.operands.1.kind == .general
                || instruction.operands.2.kind == .general
        }
    }

    /// Runs random instructions that `choose` takes.
    private static func compare(
        seed: UInt64, count: Int, unmasked: Bool, code: CodeSize = .bits64, choose: (Instruction) -> Bool
    ) throws -> (mnemonics: Set<Mnemonic>, faults: Int) {
        let guest = TestProcessor(code: try HostCode(capacity: 16 << 20))
        let native = try NativeProcessor()
        var random = SplitMix64(state: seed)
        var run = 0
        var faults = 0
        var mnemonics: Set<Mnemonic> = []
        var failed: Set<Mnemonic> = []
        while run < count {
            var bytes = randomBytes(&random)
            // Outside 64-bit mode: no REX, and VEX that names eight registers.
            if code != .bits64 {
                if bytes.contains(where: { (0x40...0x4f).contains($0) }) && bytes[0] != 0xc4 { continue }
                if bytes[0] == 0xc4 {
                    bytes[1] |= 0xe0
                    bytes[2] |= 0x40
                }
            }
            guard let instruction = guest.lower(bytes, code: code), !excluded(instruction), choose(instruction) else {
                continue
            }
            if code != .bits64 && bytes[0] == 0xc4 {
                if ignoresW(instruction) { bytes[2] &= 0x7f }
                // The register in an immediate has three bits.
                if instruction.operands.3.kind == .vector { bytes[Int(instruction.length) - 1] &= 0x7f }
            }
            run += 1
            mnemonics.insert(instruction.mnemonic)
            let memory = guestMemories[random.chance(30) ? 1 : 0]
            if random.chance(5) { guest.setCodePages([0, 0xf][Int(random.below(2))]) }
            randomize(
                &random, guest, native, memory: memory,
                unmaskX87: unmasked || instruction.category == .x87 && random.chance(30), unmaskSSE: unmasked)
            let aligned = instruction.alignedMemory || isAlignedVEX(instruction)
            let offset = aligned ? 32 * random.below(4) : random.below(100)
            // RSI is the operand of memory forms, RDI that of the masked moves.
            let hasMemory = instruction.encoding.modrm < 0xc0
            if hasMemory {
                guest[gpr: 6] = memory + offset
                native.setGPR(6, native.memoryAddress + offset)
            }
            guest[gpr: 7] = memory + offset
            native.setGPR(7, native.memoryAddress + offset)
            let outcome = guest.run()
            let signal = native.run(Array(bytes.prefix(Int(instruction.length))))
            var found: [String] = []
            let expected: TestProcessor.Outcome = signal == SIGFPE ? .fault(19, error: nil) : .done
            if signal == SIGFPE { faults += 1 }
            if outcome != expected || signal != 0 && signal != SIGFPE { found.append("\(outcome), signal \(signal)") }
            found += differences(guest, native, memory: memory, skipping: hasMemory ? [6, 7] : [7])
            if !found.isEmpty && failed.insert(instruction.mnemonic).inserted {
                let text = bytes.prefix(Int(instruction.length)).map { String($0, radix: 16) }.joined(separator: " ")
                Issue.record("\(instruction.mnemonic) (\(text)): \(found.prefix(6).joined(separator: "; "))")
            }
        }
        return (mnemonics, faults)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func everyInstructionDoesWhatTheHostDoes(seed: UInt64) throws {
        let result = try Self.compare(seed: seed, count: 25_000, unmasked: false) { _ in true }
        #expect(result.mnemonics.count > 700)
        #expect(result.faults == 0)
    }

    @Test func legacyModeNamesTheSameRegisters() throws {
        let result = try Self.compare(seed: 5, count: 15_000, unmasked: false, code: .bits32) { _ in true }
        #expect(result.mnemonics.count > 600)
    }

    /// Every opcode of every map with every prefix, ModRM.reg, W and L: what the decoder accepts and the lowering takes
    /// the host must know, or a guest could make it raise #UD in a stub.
    @Test func hostKnowsEveryLoweredEncoding() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 64 << 20))
        let native = try NativeProcessor()
        var random = SplitMix64(state: 6)
        Self.randomize(&random, guest, native, memory: 0x2100, unmaskX87: false, unmaskSSE: false)
        native.setGPR(6, native.memoryAddress)
        native.setGPR(7, native.memoryAddress)
        let prefixes: [[UInt8]] = [
            [], [0x66], [0xf3], [0xf2], [0x48], [0x66, 0x48], [0xf3, 0x48], [0xf2, 0x48],
        ]
        var count = 0
        func check(_ bytes: [UInt8]) {
            guard let instruction = guest.lower(bytes), !Self.excluded(instruction) else { return }
            let signal = native.run(Array(bytes.prefix(Int(instruction.length))))
            count += 1
            if signal == SIGILL {
                Issue.record("The host does not know \(instruction.mnemonic) \(bytes.map { String($0, radix: 16) })")
            }
        }
        for opcode in UInt8.min...UInt8.max {
            for reg in UInt8(0)..<8 {
                for form in [reg << 3 | 6, 0xc0 | reg << 3 | 1] as [UInt8] {
                    if opcode & 0xf8 == 0xd8 { check([opcode, form]) }
                    for map: [UInt8] in [[0x0f], [0x0f, 0x38], [0x0f, 0x3a]] {
                        for prefix in prefixes {
                            if map.count == 1 && (opcode == 0x38 || opcode == 0x3a) { continue }
                            check(prefix + map + [opcode, form, 1])
                        }
                    }
                    for map in [1, 2, 3] as [UInt8] {
                        for last in 0..<16 as Range<UInt8> {
                            // W, L and pp, with and without a register in vvvv.
                            let fields = (last & 8) << 4 | last & 7
                            check([0xc4, 0xe0 | map, fields | 0x78, opcode, form, 0x11])
                            check([0xc4, 0xe0 | map, fields | 0x68, opcode, form, 0x11])
                        }
                    }
                }
            }
        }
        for form in UInt8(0xc0)...0xff { for opcode in UInt8(0xd8)...0xdf { check([opcode, form]) } }
        #expect(count > 5000)
    }

    /// The x87 state stays in the host's unit from one instruction to the next.
    @Test func sequencesOfX87AndMMXDoWhatTheHostDoes() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 16 << 20))
        let native = try NativeProcessor()
        var random = SplitMix64(state: 10)
        guest.savesX87 = false
        for _ in 0..<4000 {
            Self.randomize(&random, guest, native, memory: 0x2100, unmaskX87: false, unmaskSSE: false)
            guest[gpr: 6] = 0x2100
            guest[gpr: 7] = 0x2100
            native.setGPR(6, native.memoryAddress)
            native.setGPR(7, native.memoryAddress)
            var all: [UInt8] = []
            var count = 0
            while count < 8 {
                let bytes = Self.randomBytes(&random)
                guard let instruction = guest.lower(bytes), !Self.excluded(instruction) else { continue }
                let isX87 = instruction.category == .x87
                let isVector = instruction.category == .mmx || instruction.category == .sse
                guard isX87 || count > 2 && isVector else { continue }
                // Unmasked exceptions would raise #MF.
                if instruction.mnemonic == .fldcw || instruction.alignedMemory { continue }
                // RSI stays the operand's address.
                let operands = [instruction.operands.0, instruction.operands.1]
                if operands.contains(where: { $0.kind == .general && $0.register == 6 }) { continue }
                #expect(guest.run() == .done)
                all += bytes.prefix(Int(instruction.length))
                count += 1
            }
            guest.saveX87()
            #expect(native.run(all) == 0)
            let found = Self.differences(guest, native, memory: 0x2100, skipping: [6, 7])
            #expect(found.isEmpty, "\(all.map { String($0, radix: 16) }): \(found.prefix(5))")
        }
    }

    /// Operands beyond a segment's limit.
    @Test func faultsLeaveTheStateAsItWas() throws {
        let guest = TestProcessor(code: try HostCode(capacity: 16 << 20))
        let native = try NativeProcessor()
        var random = SplitMix64(state: 11)
        unsafe guest.vcpu.pointee.code_size = 4
        unsafe guest.vcpu.pointee.s.segment.3 = apus_x86_segment(
            base: 0, limit: 0x2107, selector: 16, attributes: 0xc93)
        var run = 0
        while run < 10_000 {
            let bytes = Self.randomBytes(&random)
            guard bytes[0] == 0xc4 || !bytes.contains(where: { (0x40...0x4f).contains($0) }),
                let instruction = guest.lower(bytes, code: .bits32, segmented: true),
                instruction.encoding.hasModRM, instruction.encoding.modrm < 0xc0, !Self.isMasked(instruction)
            else { continue }
            run += 1
            Self.randomize(&random, guest, native, memory: 0x2100, unmaskX87: false, unmaskSSE: true)
            guest[gpr: 0] = 7
            guest[gpr: 6] = 0x2108
            let before = guest.image
            let outcome = guest.run()
            let after = guest.image
            #expect(outcome == .fault(13, error: 0), "\(instruction.mnemonic)")
            #expect(before == after, "\(instruction.mnemonic)")
        }
    }

    /// The instruction may access nothing.
    private static func isMasked(_ instruction: Instruction) -> Bool {
        switch instruction.mnemonic {
        case .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq, .vpgatherdd, .vpgatherdq, .vpgatherqd, .vpgatherqq,
            .vgatherdps, .vgatherdpd, .vgatherqps, .vgatherqpd, .prefetch, .prefetchw:
            true
        default: instruction.memory.base != 6 || instruction.memory.displacement != 0
        }
    }

    @Test func unmaskedExceptionsOfSSEAreTheHosts() throws {
        let result = try Self.compare(seed: 4, count: 30_000, unmasked: true) {
            $0.category == .sse || $0.category == .avx
        }
        #expect(result.faults > 1000)
    }
}
