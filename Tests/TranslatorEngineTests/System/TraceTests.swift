import CEngine
import Execution
import Foundation
import Synchronization
import Testing
import TranslatorEngine

/// What the engine writes down.
@Suite struct TraceTests {
    private final class Paper: Sendable {
        let text = Mutex("")
        var written: String { text.withLock { $0 } }
        func clear() { text.withLock { $0 = "" } }
    }
    /// `mov ecx, 100; inc eax; dec ecx; jnz; ud2`
    private static let code: [UInt8] = [0xb9, 100, 0, 0, 0, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa, 0x0f, 0x0b]

    private func run(_ names: [String], on paper: Paper, change: (inout SoftwareEngineRequest) -> Void = { _ in })
        throws
        -> SystemGuest
    {
        let guest = try SystemGuest(.long, threshold: 2) { request in
            request.trace = ExecutionTrace(TraceItems(names: names)) { text in paper.text.withLock { $0 += text } }
            change(&request)
        }
        guest.code(Self.code)
        #expect(guest.run() == .exception(6))
        return guest
    }

    @Test func nothingIsWrittenWithoutItems() throws {
        let paper = Paper()
        _ = try run([], on: paper)
        #expect(paper.written.isEmpty)
    }

    @Test func blocksAreListedWhenTheyAreDecodedAndTranslated() throws {
        let paper = Paper()
        _ = try run(["in_asm", "out_asm", "op"], on: paper)
        let text = paper.written
        #expect(text.contains("IN: \n0x0000000000008000:  b9 64 00 00 00"))
        #expect(text.contains("0x0000000000008009:  75 fa                    jne    0x8005"))
        #expect(text.contains("OP:\n ---- "))
        #expect(text.contains("OUT: [size="))
        #expect(!text.contains("v=06"))
    }

    @Test func eventsAreWrittenWithTheRegisters() throws {
        let paper = Paper()
        _ = try run(["int", "cpu_reset", "fpu"], on: paper)
        let text = paper.written
        #expect(text.contains("CPU Reset (CPU 0)\nEAX="))
        #expect(text.contains(": v=06 e=0000 i=0 cpl=0 IP=0018:000000000000800b pc=000000000000800b SP=0010:"))
        #expect(text.contains("env->regs[R_EAX]=0000000000000064\nRAX=0000000000000064 RBX="))
        #expect(text.contains("RIP=000000000000800b RFL="))
        #expect(text.contains("XMM00=00000000000000000000000000000000 XMM01="))
    }

    @Test func executedBlocksAreWrittenEachTime() throws {
        let paper = Paper()
        _ = try run(["exec", "cpu"], on: paper)
        let loops = paper.written.components(separatedBy: "/0000000000008005/").count - 1
        #expect(loops == 99)
        #expect(paper.written.contains("RAX=0000000000000032"))
    }

    @Test func itemsChangeWhileTheGuestStands() throws {
        let paper = Paper()
        let trace = ExecutionTrace { text in paper.text.withLock { $0 += text } }
        let guest = try SystemGuest(.long, threshold: 2) { $0.trace = trace }
        guest.code(Self.code)
        #expect(guest.run() == .exception(6))
        #expect(paper.written.isEmpty)
        trace.items = TraceItems(names: ["exec"])
        guest.machine.engine.traceChanged()
        var state = guest.cpu.state
        state.rip = SystemGuest.Place.code
        state.halted = 0
        guest.cpu.state = state
        #expect(guest.run() == .exception(6))
        #expect(paper.written.contains("/0000000000008005/"))
    }

    @Test func countersTellOfBlocksAndExits() throws {
        let guest = try run([], on: Paper())
        let lines = try #require(guest.machine.engine.translationStatistics)
        func value(_ name: String) -> Int {
            lines.first { $0.hasPrefix(name + " ") }?.split(separator: " ").last.flatMap { Int($0) } ?? -1
        }
        #expect(value("TB count") >= 1)
        #expect(value("exceptions") == 1)
        #expect(value("port writes") == 1)
        #expect(value("look-ups") > 0)
    }

    @Test func aSmallCodeCacheIsDroppedAndFilledAgain() throws {
        // 250 pages, each with 50 instructions that store, called in turn, 20 times: more code than fits.
        let guest = try SystemGuest(.long, threshold: 1) { $0.translationCapacity = 1 }
        var code: [UInt8] = [0xbb, 20, 0, 0, 0, 0xbf, 0, 0, 0x10, 0]  // mov ebx, 20; mov edi, 100000H
        for page in UInt32(0)..<250 {
            let target = 0x20_0000 + page * 4096
            code += [0xb8] + (0..<4).map { UInt8(truncatingIfNeeded: target >> ($0 * 8)) } + [0xff, 0xd0]
            guest.code([UInt8]((0..<50).flatMap { _ in [0xff, 0x07] as [UInt8] }) + [0xc3], at: UInt64(target))
        }
        code += [0xff, 0xcb, 0x0f, 0x85] + (0..<4).map { UInt8(truncatingIfNeeded: (-(250 * 7 + 8)) >> ($0 * 8)) }
        guest.code(code + SystemGuest.end)
        guard case .port = guest.run(seconds: 60) else {
            Issue.record("It did not end")
            return
        }
        #expect(guest.machine.read32(0x10_0000) == 20 * 250 * 50)
        let lines = try #require(guest.machine.engine.translationStatistics)
        let flushes =
            lines.first { $0.hasPrefix("TB flush count") }?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        #expect(flushes > 10)
    }
}
