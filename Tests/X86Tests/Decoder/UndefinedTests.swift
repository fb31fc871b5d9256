import Testing
import X86

/// What must be #UD.
@Suite struct UndefinedTests {
    @Test func opcodesThat64BitModeDropped() {
        let dropped: [UInt8] = [
            0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x62, 0x82, 0x9a, 0xce, 0xd4,
            0xd5, 0xd6, 0xea,
        ]
        for opcode in dropped {
            let bytes = [opcode] + [UInt8](repeating: 0, count: 10)
            #expect(decodeError(bytes, .bits64) == .undefined, "\(opcode)")
            #expect(decodeError(bytes, .bits32) == nil, "\(opcode)")
            #expect(decodeError(bytes, .bits16) == nil, "\(opcode)")
        }
    }

    @Test func lock() {
        #expect(decode([0xf0, 0x01, 0x00])?.prefixes.contains(.lock) == true)
        #expect(decode([0xf2, 0xf0, 0x01, 0x00])?.mnemonic == .add)
        let allowed: [[UInt8]] = [
            [0x80, 0x00, 1], [0x83, 0x20, 1], [0xfe, 0x00], [0xff, 0x08], [0xf6, 0x10], [0xf7, 0x18], [0x86, 0x00],
            [0x87, 0x00], [0x0f, 0xb0, 0x00], [0x0f, 0xc1, 0x00], [0x0f, 0xab, 0x00], [0x0f, 0xba, 0x28, 1],
            [0x0f, 0xc7, 0x08], [0x48, 0x0f, 0xc7, 0x08],
        ]
        for bytes in allowed { #expect(decodeError([0xf0] + bytes) == nil, "\(bytes)") }
        let forbidden: [[UInt8]] = [
            [0x01, 0xc0], [0x03, 0x00], [0x39, 0x00], [0x80, 0x38, 1], [0x8b, 0x00], [0x89, 0x00], [0x0f, 0xa3, 0x00],
            [0x0f, 0xba, 0x20, 1], [0x90], [0xa4], [0xf7, 0x00, 1, 0, 0, 0], [0xff, 0x30], [0x0f, 0x58, 0x00],
            [0xd1, 0x20], [0x0f, 0x20, 0xc0], [0x87, 0xc0],
        ]
        for bytes in forbidden { #expect(decodeError([0xf0] + bytes) == .undefined, "\(bytes)") }
    }

    @Test func registersThatDoNotExist() {
        // MOV CS is read-only, segment registers 6 and 7 do not exist.
        #expect(decodeError([0x8e, 0xc8]) == .undefined)
        #expect(decodeError([0x8c, 0xc8]) == nil)
        #expect(decodeError([0x8c, 0xf0]) == .undefined)
        #expect(decodeError([0x8e, 0xf8]) == .undefined)
        for number in 0..<16 as Range<UInt8> {
            let rex = 0x40 | (number & 8) >> 1
            let modrm = 0xc0 | (number & 7) << 3
            let exists = [0, 2, 3, 4, 8].contains(number)
            #expect(decodeError([rex, 0x0f, 0x20, modrm]) == (exists ? nil : .undefined), "cr\(number)")
            #expect(decodeError([rex, 0x0f, 0x23, modrm]) == (number < 8 ? nil : .undefined), "dr\(number)")
        }
    }

    @Test func controlRegisterMovesIgnoreMod() {
        let instruction = decode([0x0f, 0x22, 0x05])
        #expect(instruction?.length == 3 && instruction?.operands.1 == Operand(.general, register: 5, size: 8))
        #expect(decode([0x66, 0x0f, 0x22, 0xd8], .bits32)?.operands.1.size == 4)
        #expect(decode([0x0f, 0x20, 0xd8], .bits16)?.operands.0.size == 4)
    }

    @Test func groupHoles() {
        let holes: [[UInt8]] = [
            [0x8f, 0x48, 0], [0xc6, 0xc8, 0], [0xc6, 0xf8, 0], [0xc7, 0xf8, 0, 0, 0, 0], [0xfe, 0xd0], [0xff, 0xf8],
            [0xff, 0xd8 | 0], [0xff, 0xe8], [0x0f, 0xba, 0xc0, 0], [0x0f, 0x00, 0xf0], [0x0f, 0x01, 0xd4],
            [0x0f, 0x01, 0xd5], [0x0f, 0x01, 0xd6], [0x0f, 0xc7, 0xc8], [0x0f, 0xc7, 0x30], [0x0f, 0x04],
            [0x8d, 0xc0], [0xd9, 0x08, 0], [0x0f, 0x24, 0xc0], [0x0f, 0xa6, 0xc0], [0x0f, 0x0f, 0xc0, 0],
            [0x66, 0x0f, 0xae, 0xe8], [0x0f, 0x38, 0xf0, 0xc0], [0x0f, 0x3a, 0x63, 0xc0, 0],
        ]
        for bytes in holes { #expect(decodeError(bytes) == .undefined, "\(bytes)") }
    }

    @Test func undefinedInstructionsHaveNames() {
        #expect(decode([0x0f, 0x0b])?.mnemonic == .ud2)
        #expect(decode([0x0f, 0xb9, 0x00])?.mnemonic == .ud1)
        #expect(decode([0x0f, 0xff, 0x40, 0])?.length == 4)
    }

    @Test func vexPrefixRules() {
        // vaddps xmm0, xmm0, xmm0
        #expect(decode([0xc5, 0xf8, 0x58, 0xc0])?.mnemonic == .vaddps)
        for prefix in [0x66, 0xf2, 0xf3, 0xf0, 0x48] as [UInt8] {
            #expect(decodeError([prefix, 0xc5, 0xf8, 0x58, 0xc0]) == .undefined, "\(prefix)")
        }
        #expect(decode([0x65, 0x67, 0xc5, 0xf8, 0x58, 0x00])?.memory.segment == 5)
        // Outside 64-bit mode memory forms are LDS and LES.
        #expect(decode([0xc5, 0x00], .bits32)?.mnemonic == .lds)
        #expect(decode([0xc4, 0x00], .bits16)?.mnemonic == .les)
        #expect(decode([0xc5, 0xf8, 0x58, 0xc0], .bits32)?.mnemonic == .vaddps)
        #expect(decodeError([0xc5], .bits32) == .truncated)
        // vmovaps names no register in vvvv.
        #expect(decodeError([0xc5, 0xf0, 0x28, 0xc0]) == .undefined)
        // A map that does not exist.
        #expect(decodeError([0xc4, 0xe4, 0x78, 0x58, 0xc0]) == .undefined)
        // A gather's three registers differ.
        #expect(decodeError([0xc4, 0xe2, 0x69, 0x92, 0x04, 0x0b]) == nil)
        #expect(decodeError([0xc4, 0xe2, 0x71, 0x92, 0x04, 0x0b]) == .undefined)
        #expect(decodeError([0xc4, 0xe2, 0x69, 0x92, 0x03]) == .undefined)
    }
}
