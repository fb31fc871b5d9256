import Testing
import X86

/// Binutils' disassembler as the second opinion, on lengths and on the whole text in AT&T syntax.
@Suite(.enabled(if: Objdump.isInstalled, "objdump is not installed"))
struct DifferentialTests {
    @Test(arguments: Objdump.programs)
    func realCode(path: String) throws {
        let lines = try Objdump.disassemble(section: ".text", of: path)

        let differences = Comparison.compare(lines, code: .bits64)

        #expect(lines.count > 1000)
        #expect(differences.isEmpty, "\(Comparison.summary(differences))")
    }

    @Test(arguments: [CodeSize.bits16, .bits32, .bits64])
    func randomBytes(code: CodeSize) throws {
        var generator = Generator(state: 0x1234_5678 + UInt64(code.rawValue))
        // Below 64 KiB objdump needs no segment base in 16-bit code.
        let bytes = (0..<0xf000).map { _ in generator.byte() }
        let lines = try Objdump.disassemble(bytes, code: code)

        let differences = Comparison.compare(lines, code: code)

        #expect(lines.count > 20_000)
        #expect(differences.isEmpty, "\(Comparison.summary(differences))")
    }

    /// Every opcode of the legacy maps after every mandatory prefix.
    @Test(arguments: [CodeSize.bits32, .bits64])
    func everyOpcode(code: CodeSize) throws {
        let lines = try Objdump.disassemble(legacyOpcodes(code), code: code)

        let differences = Comparison.compare(lines, code: code)

        #expect(differences.isEmpty, "\(Comparison.summary(differences))")
    }

    /// Every opcode of the VEX maps with every prefix, width and length.
    @Test(arguments: [CodeSize.bits32, .bits64])
    func everyVEXOpcode(code: CodeSize) throws {
        let lines = try Objdump.disassemble(vexOpcodes(code), code: code)

        let differences = Comparison.compare(lines, code: code)

        #expect(differences.isEmpty, "\(Comparison.summary(differences))")
    }

    /// The sizes of memory operands, which Intel syntax shows.
    @Test func memorySizes() throws {
        let bytes = legacyOpcodes(.bits64) + vexOpcodes(.bits64)
        let lines = try Objdump.disassemble(bytes, code: .bits64, options: "intel,intel64")

        let differences = Comparison.compareMemorySizes(lines, code: .bits64)

        #expect(differences.isEmpty, "\(Comparison.summary(differences))")
    }

    private func legacyOpcodes(_ code: CodeSize) -> [UInt8] {
        var generator = Generator(state: 77)
        var bytes: [UInt8] = []
        for escape in [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as [[UInt8]] {
            for prefix in [[], [0x66], [0xf3], [0xf2]] as [[UInt8]] {
                for opcode in UInt8.min...UInt8.max {
                    for register in [true, false] {
                        bytes += prefix
                        if code == .bits64 && generator.byte() & 1 != 0 { bytes.append(0x40 | generator.byte() & 15) }
                        bytes += escape
                        bytes.append(opcode)
                        bytes.append(generator.byte() & 0x3f | (register ? 0xc0 : 0x40))
                        appendTail(to: &bytes, &generator)
                    }
                }
            }
        }
        return bytes
    }

    private func vexOpcodes(_ code: CodeSize) -> [UInt8] {
        var generator = Generator(state: 78)
        var bytes: [UInt8] = []
        for map in 1...3 as ClosedRange<UInt8> {
            for selection in 0..<16 as Range<UInt8> {
                for opcode in UInt8.min...UInt8.max {
                    // Half of them name no register in vvvv, which some demand.
                    let vvvv = generator.byte() & 1 != 0 ? 15 : generator.byte() & 15
                    bytes += [0xc4, code == .bits64 ? generator.byte() & 0xe0 | map : 0xe0 | map]
                    bytes.append((selection & 8) << 4 | vvvv << 3 | selection & 7)
                    bytes.append(opcode)
                    bytes.append(generator.byte() & (generator.byte() & 1 != 0 ? 0xff : 0x3f))
                    appendTail(to: &bytes, &generator)
                }
            }
        }
        return bytes
    }

    /// Bytes for SIB, displacement and immediate, and no-operations that bring both sides back in step.
    private func appendTail(to bytes: inout [UInt8], _ generator: inout Generator) {
        for _ in 0..<3 { bytes.append(generator.byte()) }
        bytes += [UInt8](repeating: 0x90, count: 9)
    }
}
