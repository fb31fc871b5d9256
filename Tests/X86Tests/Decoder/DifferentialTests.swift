import Testing
import X86

/// Binutils' disassembler as the second opinion.
@Suite struct DifferentialTests {
    @Test(.enabled(if: Objdump.isInstalled, "objdump is not installed"), arguments: [Objdump.libc])
    func lengthsInRealCode(path: String) throws {
        let lines = try Objdump.disassemble(section: ".text", of: path, limit: 64 << 20)
        var wrong: [String] = []
        var count = 0
        for line in lines {
            if line.text.hasPrefix("(bad)") { continue }
            count += 1
            do throws(DecodeError) {
                let instruction = try Decoder.decode(line.bytes, code: .bits64)
                if Int(instruction.length) != line.bytes.count { wrong.append("\(instruction.length) \(line)") }
            } catch {
                wrong.append("\(error) \(line)")
            }
        }
        print(count, wrong.count)
        for w in wrong.prefix(50) { print(w) }
        #expect(count > 1000)
        #expect(wrong.isEmpty)
    }
}
