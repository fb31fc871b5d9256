import CEngine
import Execution
import Synchronization
import Testing
import TranslatorEngine

/// Translated blocks beside the interpreter.
@Suite struct VerificationTests {
    private final class Paper: Sendable {
        let text = Mutex("")
        var written: String { text.withLock { $0 } }
    }

    private func guest(_ paper: Paper, _ code: [UInt8]) throws -> SystemGuest {
        let guest = try SystemGuest(.long, threshold: 2) { request in
            request.verifiesTranslation = true
            request.trace = ExecutionTrace { text in paper.text.withLock { $0 += text } }
        }
        guest.code(code)
        return guest
    }

    private func count(_ guest: SystemGuest, _ name: String) -> Int {
        let lines = guest.machine.engine.translationStatistics ?? []
        return lines.first { $0.hasPrefix(name + " ") }?.split(separator: " ").last.flatMap { Int($0) } ?? -1
    }

    /// `mov ecx, 60; mov edi, 100000H; loop: inc eax; mov [rdi+rcx*8], rax; add [rdi], eax; push rax; pop rbx;
    /// movups xmm0, [rdi]; movups [rdi+256], xmm0; imul rdx, rax, 77; dec ecx; jnz loop`
    private static let loop: [UInt8] =
        [0xb9, 60, 0, 0, 0, 0xbf, 0, 0, 0x10, 0, 0xff, 0xc0, 0x48, 0x89, 0x04, 0xcf, 0x01, 0x07, 0x50, 0x5b]
        + [0x0f, 0x10, 0x07, 0x0f, 0x11, 0x87, 0, 1, 0, 0, 0x48, 0x6b, 0xd0, 77, 0xff, 0xc9, 0x75, 0xe4]

    @Test func blocksThatAgreeRunToTheEnd() throws {
        let paper = Paper()
        let guest = try guest(paper, Self.loop + SystemGuest.end)
        #expect(guest.run() == .port(60))
        #expect(paper.written.isEmpty)
        #expect(count(guest, "verified blocks") >= 57)
        #expect(count(guest, "verified again") == 0)
        // Each store counts once.
        #expect(guest.machine.read32(0x10_0000) == (1...60).reduce(0, +))
        #expect(guest.machine.read64(0x10_0008) == 60)
    }

    @Test func aDifferenceStopsTheMachineAndIsReported() throws {
        let paper = Paper()
        let guest = try guest(paper, Self.loop + SystemGuest.end)
        guest.cpu.tamperWithVerification(0x100)
        guard case .error(let words) = guest.run() else {
            Issue.record("It went on")
            return
        }
        #expect(words.contains("differ about the block at 0x800a"))
        let text = paper.written
        #expect(text.contains("0x000000000000800a:  ff c0                    inc    %eax"))
        #expect(text.contains("rax: interpreter 0x0000000000000003, translator 0x0000000000000103"), "\(text)")
        #expect(text.contains("before:\nRAX=0000000000000002"))
    }

    @Test func portsDevicesAndCounterAreReachedOnce() throws {
        // mov ecx, 20; mov edi, 0f0000000H; loop: in al, 61H; mov [rdi], ecx; mov eax, [rdi]; rdtsc; dec ecx; jnz loop
        let guest = try guest(
            Paper(),
            [
                0xb9, 20, 0, 0, 0, 0xbf, 0, 0, 0, 0xf0, 0xe4, 0x61, 0x89, 0x0f, 0x8b, 0x07, 0x0f, 0x31, 0xff, 0xc9,
                0x75, 0xf4,
            ]
                + SystemGuest.end)
        guard case .port = guest.run() else {
            Issue.record("It did not end")
            return
        }
        #expect(
            guest.writes.filter { $0.address == SystemGuest.Place.device }.map(\.value)
                == (1...20).reversed().map { $0 })
    }

    @Test func faultsAgree() throws {
        // A loop that divides by rcx until it is 0: mov ecx, 30; loop: xor edx, edx; mov eax, 100; dec ecx; div ecx; jmp
        let paper = Paper()
        let guest = try guest(
            paper, [0xb9, 30, 0, 0, 0, 0x31, 0xd2, 0xb8, 100, 0, 0, 0, 0xff, 0xc9, 0xf7, 0xf1, 0xeb, 0xf3])
        #expect(guest.run() == .exception(0))
        #expect(paper.written.isEmpty)
        #expect(guest.gpr(1) == 0)
    }

    @Test func changedCodeAgrees() throws {
        // The loop's body writes its own immediate: mov edi, 800bH; mov ecx, 30; loop (800aH): mov al, imm; mov [rdi], cl;
        // dec ecx; jnz loop
        let paper = Paper()
        let guest = try guest(
            paper,
            [0xbf, 0x0b, 0x80, 0, 0, 0xb9, 30, 0, 0, 0, 0xb0, 0, 0x88, 0x0f, 0xff, 0xc9, 0x75, 0xf8] + SystemGuest.end)
        #expect(guest.run() == .port(2))
        #expect(paper.written.isEmpty)
    }
}
