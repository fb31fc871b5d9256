import Glibc
import Testing
import X86

/// How often random tests run: `APUS_FUZZ_ROUNDS` multiplies it.
enum FuzzRounds {
    static var factor: Int {
        guard let text = unsafe getenv("APUS_FUZZ_ROUNDS") else { return 1 }
        return unsafe max(1, Int(String(cString: text)) ?? 1)
    }
}

/// Random sequences of general-purpose instructions, on the engine and on the host's processor.
@Suite(.serialized) struct RandomSequenceTests {
    /// RF is compared by a test of its own: the host's kernel may add it.
    private static let flagMask: UInt64 = 0x3f_7fd7 & ~0x10000

    static func listing(_ item: UserCase) -> String {
        var text = ""
        var at = 0
        while at < item.code.count, text.count < 3000 {
            guard let instruction = try? Decoder.decode(Array(item.code[at...]), code: .bits64) else { break }
            let length = Int(instruction.length)
            let raw = item.code[at..<at + length].map { String($0, radix: 16) }.joined(separator: " ")
            text += "\n  \(String(UInt64(item.start + at) + UserCase.codeBase, radix: 16)): \(instruction.mnemonic)/\(instruction.operandSize) \(raw)"
            at += length
        }
        return text
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func sequencesDoWhatTheHostDoes(seed: UInt64) throws {
        let oracle = try NativeOracle()
        let guest = try UserGuest()
        var generator = InstructionGenerator(seed: seed)
        var failures = 0
        var vectors: [UInt64: Int] = [:]
        for _ in 0..<(100 * FuzzRounds.factor) {
            let cases = (0..<NativeOracle.batch).map { _ in generator.makeCase() }
            var data: [UInt8] = []
            while data.count < UserCase.dataCount { data += generator.bytes(generator.value(), 8) }
            for (item, native) in zip(cases, oracle.run(cases, data: data)) {
                guard let native, native.vector != 255 else {
                    vectors[255, default: 0] += 1
                    continue
                }
                vectors[native.vector, default: 0] += 1
                let found = guest.run(item, data: data).differences(from: native, flagMask: Self.flagMask)
                if found.isEmpty { continue }
                failures += 1
                if failures <= 6 {
                    Issue.record("\(found.joined(separator: "; "))\(Self.listing(item))")
                }
            }
        }
        #expect(failures == 0)
        // Most cases reach their end.
        #expect(vectors[3, default: 0] > vectors.values.reduce(0, +) / 3, "\(vectors)")
    }
}
