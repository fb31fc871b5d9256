import TestSupport
import Testing
import X86

/// No bytes may trap, and every answer keeps its bounds.
@Suite struct HostileInputTests {
    private let codes: [CodeSize] = [.bits16, .bits32, .bits64]

    private func check(_ bytes: [UInt8], _ code: CodeSize) -> Bool {
        do throws(DecodeError) {
            let instruction = try Decoder.decode(bytes, code: code)
            let operand = instruction.operands.0
            return (1...15).contains(Int(instruction.length)) && Int(instruction.length) <= bytes.count
                && instruction.mnemonic != .invalid && operand.register < 16
                && [1, 2, 4, 8, 16, 32].contains(instruction.operandSize)
        } catch {
            return error != .tooLong || bytes.count >= 15
        }
    }

    @Test func everyOpcodePattern() {
        var generator = Generator(state: 5)
        var failures: [[UInt8]] = []
        let starts: [[UInt8]] =
            [[], [0x66], [0xf2], [0xf3], [0xf0], [0x48], [0x67], [0x64]].flatMap { prefix in
                [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a], [0xc5, 0xfd], [0xc4, 0xe2, 0x79], [0xc4, 0x43, 0x85]]
                    .map { prefix + $0 }
            }
        for start in starts {
            for opcode in UInt8.min...UInt8.max {
                for _ in 0..<8 {
                    let bytes = start + [opcode] + (0..<15).map { _ in generator.byte() }
                    for code in codes where !check(bytes, code) { failures.append(bytes) }
                }
            }
        }
        #expect(failures.isEmpty)
    }

    @Test func randomBytes() {
        var generator = Generator(state: 6)
        var failures: [[UInt8]] = []
        for _ in 0..<FuzzRounds.times(50_000) {
            let bytes = (0..<Int(generator.byte() & 31)).map { _ in generator.byte() }
            for code in codes where !check(bytes, code) { failures.append(bytes) }
        }
        #expect(failures.isEmpty)
    }

    /// An instruction cut short at any byte asks for more, and gives the same answer with more bytes after it.
    @Test func truncation() {
        var generator = Generator(state: 7)
        var failures: [[UInt8]] = []
        for _ in 0..<FuzzRounds.times(15_000) {
            var bytes = (0..<15).map { _ in generator.byte() }
            if generator.byte() & 1 != 0 { bytes[0] = 0x0f }
            for code in codes {
                guard let whole = decode(bytes, code) else { continue }
                for count in 0..<Int(whole.length) where decodeError(Array(bytes.prefix(count)), code) != .truncated {
                    failures.append(bytes)
                }
                if decode(Array(bytes.prefix(Int(whole.length))), code)?.length != whole.length {
                    failures.append(bytes)
                }
            }
        }
        #expect(failures.isEmpty, "\(failures.prefix(3))")
    }

    @Test func fifteenBytesAtMost() {
        let prefixes = [UInt8](repeating: 0x66, count: 14)
        #expect(decode(prefixes + [0x90])?.length == 15)
        #expect(decodeError(prefixes + [0x66, 0x90]) == .tooLong)
        #expect(decodeError(prefixes + [0x01, 0xc0]) == .tooLong)
        #expect(decodeError(prefixes) == .truncated)
        #expect(decodeError([UInt8](repeating: 0x66, count: 40)) == .tooLong)
        #expect(decodeError([]) == .truncated)
    }
}
