import Testing
import X86

/// Every instruction that has a name has an encoding.
@Suite struct TableCoverageTests {
    @Test func everyMnemonicDecodes() {
        var missing = Set(Mnemonic.allCases)
        missing.remove(.invalid)
        for code in [CodeSize.bits32, .bits64] {
            // What only 32-bit code has, has one-byte opcodes.
            for start in code == .bits64 ? Self.starts : [[]] {
                for opcode in UInt8.min...UInt8.max {
                    for modrm in UInt8.min...UInt8.max where modrm >= 0xc0 || modrm & 7 == 1 {
                        let bytes = start + [opcode, modrm] + [UInt8](repeating: 1, count: 8)
                        if let instruction = decode(bytes, code) { missing.remove(instruction.mnemonic) }
                    }
                }
            }
        }
        // In memory forms only with a SIB byte.
        for bytes in Self.gathers {
            if let instruction = decode(bytes) { missing.remove(instruction.mnemonic) }
        }
        #expect(missing.isEmpty)
    }

    private static var starts: [[UInt8]] {
        var result: [[UInt8]] = [[0x66, 0x48, 0x0f], [0x66, 0x48, 0x0f, 0x3a]]
        for prefix in [[], [0x66], [0xf3], [0xf2], [0x48]] as [[UInt8]] {
            for escape in [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as [[UInt8]] { result.append(prefix + escape) }
        }
        for map in 1...3 as ClosedRange<UInt8> {
            for selection in 0..<16 as Range<UInt8> {
                result.append([0xc4, 0xe0 | map, (selection & 8) << 4 | 0x78 | selection & 7])
            }
        }
        return result
    }

    private static var gathers: [[UInt8]] {
        (0x90...0x93 as ClosedRange<UInt8>).flatMap { opcode in
            [[0xc4, 0xe2, 0x69, opcode, 0x04, 0x0b], [0xc4, 0xe2, 0xe9, opcode, 0x04, 0x0b]]
        }
    }
}
