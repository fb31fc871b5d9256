import CEngine
import Glibc
import Testing
import TranslatorEngine

/// Times of single handlers, where the environment has APUS_BENCHMARK.
struct HandlerSpeedTests {
    @Test(.enabled(if: unsafe getenv("APUS_BENCHMARK") != nil)) func timesOfHandlers() throws {
        let guest = TestProcessor(code: try HostCode())
        guest[gpr: 6] = 0x2100
        let cases: [(String, [UInt8])] = [
            ("movaps xmm0, xmm1", [0x0f, 0x28, 0xc1]), ("movups xmm0, [rsi]", [0x0f, 0x10, 0x06]),
            ("movaps [rsi], xmm0", [0x0f, 0x29, 0x06]), ("pxor xmm0, xmm1", [0x66, 0x0f, 0xef, 0xc1]),
            ("movq xmm0, [rsi]", [0xf3, 0x0f, 0x7e, 0x06]), ("movd eax, xmm0", [0x66, 0x0f, 0x7e, 0xc0]),
            ("paddd xmm0, xmm1", [0x66, 0x0f, 0xfe, 0xc1]), ("paddd xmm0, [rsi]", [0x66, 0x0f, 0xfe, 0x06]),
            ("pmovmskb eax, xmm0", [0x66, 0x0f, 0xd7, 0xc0]), ("addsd xmm0, xmm1", [0xf2, 0x0f, 0x58, 0xc1]),
            ("addps xmm0, [rsi]", [0x0f, 0x58, 0x06]), ("ucomisd xmm0, xmm1", [0x66, 0x0f, 0x2e, 0xc1]),
            ("aesenc xmm0, xmm1", [0x66, 0x0f, 0x38, 0xdc, 0xc1]), ("paddd mm0, mm1", [0x0f, 0xfe, 0xc1]),
            ("fadd st, st1", [0xd8, 0xc1]), ("fst qword [rsi]", [0xdd, 0x16]),
            ("fxch st1", [0xd9, 0xc9]), ("fnstcw [rsi]", [0xd9, 0x3e]), ("fldcw [rsi]", [0xd9, 0x2e]),
            ("andn eax, ecx, edx", [0xc4, 0xe2, 0x70, 0xf2, 0xc2]), ("adcx eax, ecx", [0x66, 0x0f, 0x38, 0xf6, 0xc1]),
            ("vpaddd ymm0, ymm1, ymm2", [0xc5, 0xf5, 0xfe, 0xc2]), ("vmovdqu ymm0, [rsi]", [0xc5, 0xfe, 0x6f, 0x06]),
            ("fxsave64 [rsi]", [0x48, 0x0f, 0xae, 0x06]), ("xsave64 [rsi]", [0x48, 0x0f, 0xae, 0x26]),
            ("xrstor64 [rsi]", [0x48, 0x0f, 0xae, 0x2e]),
        ]
        guest[gpr: 0] = 7
        for (name, bytes) in cases {
            guest.setFX(UInt8(0xff), at: 4)
            for index in 0..<8 {
                guest.setFX(UInt64(3) << 62, at: 32 + 16 * index)
                guest.setFX(UInt64(0x3fff), at: 40 + 16 * index)
            }
            try #require(guest.lower(bytes) != nil)
            let runs = 200_000
            var best = Duration.seconds(100)
            for _ in 0..<3 {
                best = min(best, ContinuousClock().measure { guest.repeatRun(runs) })
            }
            let picoseconds = Int(best.components.attoseconds / 1_000_000) / runs
            print(name, picoseconds, "ps")
        }
        let lowering = ContinuousClock().measure {
            for register in 0..<100_000 { _ = guest.lower([0x66, 0x0f, 0xfe, 0xc0 | UInt8(register & 63)]) }
        }
        print("decoding and lowering", Int(lowering.components.attoseconds / 1_000_000) / 100_000, "ps")
    }
}
