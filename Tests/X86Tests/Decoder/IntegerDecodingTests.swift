import Testing
import X86

@Suite struct IntegerDecodingTests {
    @Test func operandSizeFollowsModeAndPrefixes() {
        // add eax, imm
        #expect(decode([0x05, 1, 2, 3, 4], .bits64)?.operandSize == 4)
        #expect(decode([0x48, 0x05, 1, 2, 3, 4], .bits64)?.operandSize == 8)
        #expect(decode([0x66, 0x05, 1, 2], .bits64)?.operandSize == 2)
        #expect(decode([0x66, 0x48, 0x05, 1, 2, 3, 4], .bits64)?.operandSize == 8)
        #expect(decode([0x05, 1, 2, 3, 4], .bits32)?.operandSize == 4)
        #expect(decode([0x66, 0x05, 1, 2], .bits32)?.operandSize == 2)
        #expect(decode([0x05, 1, 2], .bits16)?.operandSize == 2)
        #expect(decode([0x66, 0x05, 1, 2, 3, 4], .bits16)?.operandSize == 4)
        #expect(decode([0x04, 1], .bits64)?.operandSize == 1)
    }

    @Test func immediatesAreSignExtendedWhereTheManualSays() throws {
        #expect(decode([0x48, 0x81, 0xc0, 0xff, 0xff, 0xff, 0xff])?.immediate == -1)
        #expect(decode([0x83, 0xc0, 0x80])?.immediate == -128)
        #expect(decode([0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 0x81])?.immediate == Int64(bitPattern: 0x8102_0304_0506_0708))
        #expect(decode([0xcd, 0x80])?.immediate == 0x80)
        #expect(decode([0xc2, 0xff, 0xff])?.immediate == 0xffff)
        #expect(decode([0x6a, 0xff])?.immediate == -1)
        let enter = try #require(decode([0xc8, 0x34, 0x12, 0x05]))
        #expect(enter.immediate == 0x1234 && enter.immediate2 == 5 && enter.encoding.immediateLength == 3)
    }

    @Test func byteRegistersDependOnREX() {
        #expect(decode([0x88, 0xe0])?.operands.1 == Operand(.highByte, register: 0, size: 1))
        #expect(decode([0x40, 0x88, 0xe0])?.operands.1 == Operand(.general, register: 4, size: 1))
        #expect(decode([0x44, 0x88, 0xe0])?.operands.1 == Operand(.general, register: 12, size: 1))
        #expect(decode([0xb7, 1])?.operands.0 == Operand(.highByte, register: 3, size: 1, access: .write))
        #expect(decode([0x41, 0xb7, 1])?.operands.0 == Operand(.general, register: 15, size: 1, access: .write))
    }

    @Test func onlyTheLastREXRightBeforeTheOpcodeCounts() {
        #expect(decode([0x48, 0x40, 0x01, 0xc0])?.operandSize == 4)
        #expect(decode([0x48, 0x66, 0x01, 0xc0])?.operandSize == 2)
        #expect(decode([0x48, 0x66, 0x01, 0xc0])?.prefixes.contains(.rex) == false)
        // Outside 64-bit mode it is INC and DEC.
        #expect(decode([0x48], .bits32)?.mnemonic == .dec)
        #expect(decode([0x41], .bits16)?.operands.0.register == 1)
    }

    @Test func stackAndBranchInstructionsDefaultTo64Bits() {
        for bytes in [[0x50], [0x5f], [0x6a, 1], [0x9c], [0xc9], [0xff, 0x30], [0x0f, 0xa0]] as [[UInt8]] {
            #expect(decode(bytes)?.operandSize == 8, "\(bytes)")
            #expect(decode([0x66] + bytes)?.operandSize == 2, "\(bytes)")
            #expect(decode(bytes, .bits32)?.operandSize == 4, "\(bytes)")
        }
        // Near branches ignore 66.
        #expect(decode([0x66, 0xe8, 1, 2, 3, 4])?.length == 6)
        #expect(decode([0x66, 0xe8, 1, 2, 3, 4])?.operandSize == 8)
        #expect(decode([0x66, 0xe8, 1, 2], .bits32)?.length == 4)
        #expect(decode([0x66, 0x0f, 0x84, 1, 2, 3, 4])?.length == 7)
        #expect(decode([0x66, 0xff, 0xe0])?.operandSize == 8)
        #expect(decode([0x66, 0xc3])?.operandSize == 8)
        // Far ones do not.
        #expect(decode([0xcb])?.operandSize == 4)
        #expect(decode([0x48, 0xcf])?.operandSize == 8)
        #expect(decode([0x48, 0xff, 0x28])?.operands.0.size == 10)
        #expect(decode([0xff, 0x28])?.operands.0.size == 6)
    }

    @Test func shiftsByOneAndByCL() {
        #expect(decode([0xd1, 0xe0])?.operands.1.kind == .one)
        #expect(decode([0xd3, 0xe0])?.operands.1 == Operand(.general, register: 1, size: 1))
        #expect(decode([0xd1, 0xf0])?.mnemonic == .shl)
        #expect(decode([0xc0, 0xf0, 3])?.mnemonic == .shl)
        #expect(decode([0xf7, 0xc8, 1, 0, 0, 0])?.mnemonic == .test)
    }

    @Test func conditionsAreInTheOpcode() {
        for condition in 0..<16 as Range<UInt8> {
            let forms: [(Mnemonic, [UInt8])] = [
                (.jcc, [0x70 + condition, 0]), (.jcc, [0x0f, 0x80 + condition, 0, 0, 0, 0]),
                (.set, [0x0f, 0x90 + condition, 0xc0]), (.cmov, [0x0f, 0x40 + condition, 0xc0]),
            ]
            for (mnemonic, bytes) in forms {
                let instruction = decode(bytes)
                #expect(instruction?.mnemonic == mnemonic)
                #expect(instruction.map { $0.encoding.opcode & 15 } == condition)
            }
        }
    }

    @Test func stringInstructionsKeepTheSourceSegment() {
        let movs = decode([0xf3, 0x64, 0x48, 0xa5])
        #expect(movs?.mnemonic == .movs && movs?.operandSize == 8)
        #expect(movs?.prefixes.contains(.rep) == true && movs?.memory.segment == 4)
        #expect(movs?.operands.0 == Operand.none)
        #expect(decode([0xa4])?.memory.segment == 3)
        #expect(decode([0xf2, 0xae])?.prefixes.contains(.repne) == true)
        #expect(decode([0x67, 0xab])?.addressSize == 4)
        #expect(decode([0x48, 0x6d])?.operandSize == 4)
    }

    @Test func bitScansByPrefix() {
        #expect(decode([0x0f, 0xbc, 0xc0])?.mnemonic == .bsf)
        #expect(decode([0xf3, 0x0f, 0xbc, 0xc0])?.mnemonic == .tzcnt)
        #expect(decode([0x66, 0xf3, 0x0f, 0xbd, 0xc0])?.mnemonic == .lzcnt)
        #expect(decode([0x66, 0xf3, 0x0f, 0xbd, 0xc0])?.operandSize == 2)
        #expect(decode([0xf2, 0x0f, 0xbd, 0xc0])?.mnemonic == .bsr)
        #expect(decode([0xf3, 0x0f, 0xb8, 0xc0])?.mnemonic == .popcnt)
        #expect(decodeError([0x0f, 0xb8, 0xc0]) == .undefined)
    }

    @Test func exchangesAndNoOperations() {
        #expect(decode([0x90])?.mnemonic == .nop)
        #expect(decode([0xf3, 0x90])?.mnemonic == .pause)
        #expect(decode([0x41, 0x90])?.mnemonic == .xchg)
        #expect(decode([0x41, 0x90])?.operands.0.register == 8)
        #expect(decode([0x91])?.mnemonic == .xchg)
        #expect(decode([0xf3, 0x0f, 0x1e, 0xfa])?.mnemonic == .endbr64)
        #expect(decode([0xf3, 0x0f, 0x1e, 0xfb])?.mnemonic == .endbr32)
        #expect(decode([0x0f, 0x1e, 0xfa])?.mnemonic == .nop)
        for opcode in 0x18...0x1f as ClosedRange<UInt8> {
            #expect(decode([0x0f, opcode, 0x60, 0])?.length == 4, "\(opcode)")
        }
        #expect(decode([0x0f, 0x0d, 0x08])?.mnemonic == .prefetchw)
    }

    @Test func moveOffsets() throws {
        let long = try #require(decode([0x48, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8]))
        #expect(long.memory.displacement == 0x0807_0605_0403_0201 && long.operands.1.size == 8)
        #expect(long.memory.base == MemoryReference.noRegister)
        #expect(decode([0x67, 0xa1, 1, 2, 3, 0x84])?.memory.displacement == 0x8403_0201)
        #expect(decode([0xa2, 1, 0x82], .bits16)?.memory.displacement == 0x8201)
        #expect(decode([0x64, 0xa1, 1, 2, 3, 4], .bits32)?.memory.segment == 4)
    }

    @Test func extensionsKeepTheSourceSize() {
        #expect(decode([0x48, 0x0f, 0xb6, 0x00])?.operands.1.size == 1)
        #expect(decode([0x48, 0x0f, 0xb6, 0x00])?.operandSize == 8)
        #expect(decode([0x0f, 0xbf, 0x00])?.operands.1.size == 2)
        #expect(decode([0x48, 0x63, 0x00])?.operands.1.size == 4)
        #expect(decode([0x63, 0x00], .bits32)?.mnemonic == .arpl)
        // SPL, not AH.
        #expect(decode([0x40, 0x0f, 0xb6, 0xc4])?.operands.1.kind == .general)
        #expect(decode([0x0f, 0xb6, 0xc4])?.operands.1.kind == .highByte)
    }

    @Test func portInstructions() {
        #expect(decode([0xe4, 0x60])?.operands.0 == Operand(.general, register: 0, size: 1, access: .write))
        #expect(decode([0xe4, 0x60])?.immediate == 0x60)
        #expect(decode([0x66, 0xef])?.operandSize == 2)
        #expect(decode([0x48, 0xed])?.operandSize == 4)
        #expect(decode([0xee])?.operands.0 == Operand(.general, register: 2, size: 2))
    }
}
