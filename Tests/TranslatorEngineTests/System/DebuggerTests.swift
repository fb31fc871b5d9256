import CEngine
import Execution
import Testing
import TranslatorEngine

/// What a debugger sees of a processor, with everything interpreted and with everything translated.
@Suite struct DebuggerTests {
    /// `mov ecx, count; mov rdi, data; loop: inc eax; mov [rdi], eax; nop; dec ecx; jnz loop`, then the end.
    private static func loop(_ count: UInt8) -> [UInt8] {
        [
            0xb9, count, 0, 0, 0,  // 8000: mov ecx, count
            0xbf, 0, 0, 0x10, 0,  // 8005: mov edi, 100000H
            0xff, 0xc0,  // 800a: inc eax
            0x89, 0x07,  // 800c: mov [rdi], eax
            0x90,  // 800e: nop
            0xff, 0xc9,  // 800f: dec ecx
            0x75, 0xf7,  // 8011: jnz 800a
        ] + SystemGuest.end
    }

    private func guest(_ threshold: UInt64?, _ code: [UInt8]) throws -> SystemGuest {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code(code)
        return guest
    }

    @Test("A step ends after one instruction", arguments: [nil, 1] as [UInt64?])
    func steps(threshold: UInt64?) throws {
        let guest = try guest(threshold, Self.loop(3))
        var request = DebugRequest()
        request.singleStep = true
        #expect(guest.cpu.setDebug(request))
        var places: [UInt64] = []
        for _ in 0..<8 {
            #expect(guest.cpu.run() == .debug(.step))
            places.append(guest.cpu.state.rip)
        }
        #expect(places == [0x8005, 0x800a, 0x800c, 0x800e, 0x800f, 0x8011, 0x800a, 0x800c])
        #expect(guest.cpu.setDebug(DebugRequest()))
        #expect(guest.run() == .port(3))
    }

    @Test("A step over a port's instruction ends when the port has answered")
    func stepOverPort() throws {
        let guest = try guest(nil, [0xe4, 0x61, 0x90, 0xf4])  // in al, 61H; nop; hlt
        var request = DebugRequest()
        request.singleStep = true
        #expect(guest.cpu.setDebug(request))
        #expect(guest.cpu.run() == .portRead(port: 0x61, size: 1))
        guest.cpu.complete(read: 0x5a)
        #expect(guest.cpu.run() == .debug(.step))
        #expect(guest.cpu.state.rip == 0x8002)
        #expect(guest.cpu.state.gpr.0 & 0xff == 0x5a)
    }

    @Test("A breakpoint stops before its instruction each time", arguments: [nil, 1] as [UInt64?])
    func breakpoints(threshold: UInt64?) throws {
        let guest = try guest(threshold, Self.loop(3))
        for round in 1...3 {
            var request = DebugRequest()
            request.breakpoints = [0x800e]
            #expect(guest.cpu.setDebug(request))
            #expect(guest.cpu.run() == .debug(.breakpoint(0x800e)))
            #expect(guest.cpu.state.gpr.0 == UInt64(round))
            // It stays there until it is stepped over.
            #expect(guest.cpu.run() == .debug(.breakpoint(0x800e)))
            request.singleStep = true
            #expect(guest.cpu.setDebug(request))
            #expect(guest.cpu.run() == .debug(.step))
            #expect(guest.cpu.state.rip == 0x800f)
        }
        #expect(guest.cpu.setDebug(DebugRequest()))
        #expect(guest.run() == .port(3))
    }

    @Test("A breakpoint in code that was translated before stops", arguments: [nil, 1] as [UInt64?])
    func breakpointInOldCode(threshold: UInt64?) throws {
        // 8000: mov ecx, 200; 8005: mov edi, 9000H; 800a: call rdi; dec ecx; jnz; end. 9000H: inc eax; ret.
        let guest = try guest(
            threshold,
            [0xb9, 200, 0, 0, 0, 0xbf, 0, 0x90, 0, 0, 0xff, 0xd7, 0xff, 0xc9, 0x75, 0xfa] + SystemGuest.end)
        guest.code([0xff, 0xc0, 0xc3], at: 0x9000)
        var request = DebugRequest()
        request.breakpoints = [0x8010]
        #expect(guest.cpu.setDebug(request))
        #expect(guest.cpu.run() == .debug(.breakpoint(0x8010)))
        #expect(guest.cpu.state.gpr.0 == 200)
        var state = guest.cpu.state
        state.rip = 0x8000
        guest.cpu.state = state
        request.breakpoints = [0x9002]
        #expect(guest.cpu.setDebug(request))
        #expect(guest.cpu.run() == .debug(.breakpoint(0x9002)))
        #expect(guest.cpu.state.gpr.0 == 201)
    }

    @Test("A watchpoint stops after the write", arguments: [nil, 1] as [UInt64?])
    func watchesWrites(threshold: UInt64?) throws {
        let guest = try guest(threshold, Self.loop(3))
        var request = DebugRequest()
        request.watchpoints = [DebugRequest.Watchpoint(address: 0x10_0002, count: 1, kind: .write)]
        #expect(guest.cpu.setDebug(request))
        for round in 1...3 {
            #expect(guest.cpu.run() == .debug(.watchpoint(address: 0x10_0002, kind: .write)))
            #expect(guest.cpu.state.rip == 0x800e)
            #expect(guest.machine.read32(0x10_0000) == UInt32(round))
        }
        #expect(guest.run() == .port(3))
    }

    @Test("Bytes beside a watchpoint, and other kinds of access, do not stop", arguments: [nil, 1] as [UInt64?])
    func watchesExactly(threshold: UInt64?) throws {
        let guest = try guest(threshold, Self.loop(50))
        var request = DebugRequest()
        request.watchpoints = [
            DebugRequest.Watchpoint(address: 0x10_0004, count: 8, kind: .access),
            DebugRequest.Watchpoint(address: 0xf_fff8, count: 8, kind: .access),
            DebugRequest.Watchpoint(address: 0x10_0000, count: 4, kind: .read),
        ]
        #expect(guest.cpu.setDebug(request))
        #expect(guest.run() == .port(50))
    }

    @Test("Reads, locked writes, vector writes and strings reach watchpoints", arguments: [nil, 1] as [UInt64?])
    func watchesEverything(threshold: UInt64?) throws {
        let codes: [(code: [UInt8], kind: DebugRequest.Watchpoint.Kind, end: UInt64)] = [
            ([0x8b, 0x07], .read, 2),  // mov eax, [rdi]
            ([0x8b, 0x07], .access, 2),
            ([0xf0, 0xff, 0x07], .write, 3),  // lock inc dword [rdi]
            ([0x01, 0x07], .read, 2),  // add [rdi], eax
            ([0x0f, 0x11, 0x07], .write, 3),  // movups [rdi], xmm0
            ([0x0f, 0x28, 0x07], .read, 3),  // movaps xmm0, [rdi]
            ([0xaa], .write, 1),  // stosb
            ([0x0f, 0xab, 0x07], .write, 3),  // bts [rdi], eax
            ([0x48, 0x0f, 0xc7, 0x0f], .write, 4),  // cmpxchg16b [rdi]
        ]
        for (code, kind, end) in codes {
            let guest = try guest(threshold, code + SystemGuest.end)
            var state = guest.cpu.state
            state.gpr.7 = 0x10_0000
            guest.cpu.state = state
            var request = DebugRequest()
            request.watchpoints = [DebugRequest.Watchpoint(address: 0x10_0000, count: 1, kind: kind)]
            #expect(guest.cpu.setDebug(request))
            let exit = guest.cpu.run()
            #expect(exit == .debug(.watchpoint(address: 0x10_0000, kind: kind)), "\(code)")
            #expect(guest.cpu.state.rip == 0x8000 + end, "\(code)")
        }
    }

    @Test(
        "A repeated string stops after the iteration that reaches the watched byte", arguments: [nil, 1] as [UInt64?])
    func watchesStrings(threshold: UInt64?) throws {
        // mov ecx, 64; mov edi, 100000H; rep stosb
        let guest = try guest(threshold, [0xb9, 64, 0, 0, 0, 0xbf, 0, 0, 0x10, 0, 0xf3, 0xaa] + SystemGuest.end)
        var request = DebugRequest()
        request.watchpoints = [DebugRequest.Watchpoint(address: 0x10_0020, count: 1, kind: .write)]
        #expect(guest.cpu.setDebug(request))
        #expect(guest.cpu.run() == .debug(.watchpoint(address: 0x10_0020, kind: .write)))
        #expect(guest.cpu.state.gpr.7 == 0x10_0021)
        #expect(guest.cpu.state.gpr.1 == 31)
        #expect(guest.run() == .port(0))
    }

    @Test("A fault of a stepped instruction ends the step in its handler")
    func stepIntoFault() throws {
        let guest = try guest(nil, [0x0f, 0x0b])  // ud2
        var request = DebugRequest()
        request.singleStep = true
        #expect(guest.cpu.setDebug(request))
        #expect(guest.cpu.run() == .debug(.step))
        #expect(guest.cpu.state.rip == guest.handler(6))
        #expect(guest.cpu.setDebug(DebugRequest()))
        #expect(guest.run() == .exception(6))
    }

    @Test("Memory that a debugger writes is code at once", arguments: [nil, 1] as [UInt64?])
    func changedCode(threshold: UInt64?) throws {
        let guest = try guest(threshold, Self.loop(100))
        var request = DebugRequest()
        request.breakpoints = [0x8013]
        #expect(guest.cpu.setDebug(request))
        #expect(guest.cpu.run() == .debug(.breakpoint(0x8013)))
        guest.machine.write(0x800a, [0x90, 0x90])
        var state = guest.cpu.state
        state.rip = 0x8000
        guest.cpu.state = state
        #expect(guest.cpu.run() == .debug(.breakpoint(0x8013)))
        #expect(guest.cpu.state.gpr.0 == 100)
    }
}
