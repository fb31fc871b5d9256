import TestSupport
import Testing
import X86

@Suite struct DisassemblerTests {
    private func att(_ bytes: [UInt8], _ code: CodeSize = .bits64) -> String? {
        decode(bytes, code).map { Disassembler.format($0, address: 0x1000, code: code) }
    }

    private func intel(_ bytes: [UInt8], _ code: CodeSize = .bits64) -> String? {
        decode(bytes, code).map { Disassembler.format($0, address: 0x1000, syntax: .intel, code: code) }
    }

    @Test func attSyntax() {
        #expect(att([0x48, 0x89, 0xe5]) == "mov    %rsp,%rbp")
        #expect(att([0xc7, 0x45, 0xfc, 1, 0, 0, 0]) == "movl   $0x1,-0x4(%rbp)")
        #expect(att([0xeb, 0xfe]) == "jmp    0x1000")
        #expect(att([0x75, 0x10]) == "jne    0x1012")
        #expect(att([0x8b, 0x05, 0, 1, 0, 0]) == "mov    0x100(%rip),%eax        # 0x1106")
        #expect(att([0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0]) == "mov    %gs:0x28,%rax")
        #expect(att([0xf3, 0x48, 0xab]) == "rep stos %rax,%es:(%rdi)")
        #expect(att([0xf0, 0x0f, 0xb1, 0x17]) == "lock cmpxchg %edx,(%rdi)")
        #expect(att([0x0f, 0xb6, 0x00]) == "movzbl (%rax),%eax")
        #expect(att([0xea, 0x5b, 0xe0, 0, 0xf0], .bits16) == "ljmp   $0xf000,$0xe05b")
        #expect(att([0xc5, 0xf4, 0x58, 0x10]) == "vaddps (%rax),%ymm1,%ymm2")
        #expect(att([0xc3]) == "ret")
    }

    @Test func intelSyntax() {
        #expect(intel([0x48, 0x89, 0xe5]) == "mov    rbp,rsp")
        #expect(intel([0xc7, 0x45, 0xfc, 1, 0, 0, 0]) == "mov    DWORD PTR [rbp-0x4],0x1")
        #expect(intel([0x8b, 0x84, 0x8b, 0, 1, 0, 0]) == "mov    eax,DWORD PTR [rbx+rcx*4+0x100]")
        #expect(intel([0x75, 0x10]) == "jne    0x1012")
    }

    /// Whatever decodes can be printed.
    @Test func randomBytes() {
        var generator = Generator(state: 9)
        for _ in 0..<FuzzRounds.times(20_000) {
            let bytes = (0..<15).map { _ in generator.byte() }
            for code in [CodeSize.bits16, .bits32, .bits64] {
                guard let instruction = decode(bytes, code) else { continue }
                #expect(!Disassembler.format(instruction, address: .max, syntax: .att, code: code).isEmpty)
                #expect(!Disassembler.format(instruction, address: .max, syntax: .intel, code: code).isEmpty)
            }
        }
    }
}
