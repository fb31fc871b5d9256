import CEngine
import Testing
import TranslatorEngine

/// What a guest asks of its hypervisor, and corners of debugging and NMIs that test kernels of the KVM developers look at.
@Suite struct HypervisorTests {
    private typealias Place = SystemGuest.Place

    @Test(arguments: [[0x0f, 0x01, 0xc1], [0x0f, 0x01, 0xd9]] as [[UInt8]])
    func unknownCallsAreRefused(call: [UInt8]) throws {
        let guest = try SystemGuest(.long)
        guest.code([0xb8, 0x63, 0x00, 0x00, 0x00] + call + SystemGuest.end)  // mov eax, 99
        #expect(guest.run() == .port(0x18))
        #expect(Int64(bitPattern: guest.gpr(0)) == -1000)

        let user = try SystemGuest(.long)
        user.code([0xb8, 0x0a, 0x00, 0x00, 0x00] + call + [0x48, 0x89, 0xc7, 0x0f, 0x0b])  // mov rdi, rax; ud2
        user.enterUser()
        #expect(user.run() == .exception(6))
        #expect(Int64(bitPattern: user.gpr(7)) == -1)
    }

    @Test func callsReachOtherProcessors() throws {
        let guest = try SystemGuest(.long, processors: 2)
        // With the local APIC on, KVM_HC_SEND_IPI of vector 40H to IDs 0 and 5; its handler ends the run.
        guest.code(
            [0xbb, 0x00, 0x00, 0xe0, 0xfe, 0xc7, 0x83, 0xf0, 0, 0, 0, 0xff, 1, 0, 0]  // mov dword [rbx+f0H], 1ffH
                + [0xbb, 0x21, 0, 0, 0, 0x0f, 0x01, 0xc1]  // mov ebx, 21H; vmcall
                + [0x89, 0xc7, 0xfb, 0x90, 0xf4])  // mov edi, eax; sti; nop; hlt
        var state = guest.cpu.state
        (state.gpr.0, state.gpr.1, state.gpr.2, state.gpr.6) = (10, 0, 0, 0x40)
        guest.cpu.state = state
        guest.code([0x89, 0xf8] + SystemGuest.end, at: guest.handler(0x40))  // mov eax, edi
        #expect(guest.run() == .port(1))
    }

    @Test func resumeFlagLastsForOneInstruction() throws {
        let guest = try SystemGuest(.long)
        // mov dr0, rbx; mov dr7, rax; nop, where the breakpoint is
        guest.code([0x0f, 0x23, 0xc3, 0x0f, 0x23, 0xf8, 0x90] + SystemGuest.end)
        var state = guest.cpu.state
        state.rflags |= 0x1_0000
        state.gpr.0 = 0x401
        state.gpr.3 = Place.code + 6
        // Bits of breakpoints are those of the last exception, the others stay.
        state.dr.6 = 0xffff_4ff2
        guest.cpu.state = state
        #expect(guest.run() == .exception(1))
        #expect(guest.cpu.state.dr.6 & 0x400f == 0x4001)
    }

    @Test func twoNMIsBeforeOneLookAreTwo() throws {
        let guest = try SystemGuest(.long)
        // cmp byte [rbx], 2; jne to it; end
        guest.code([0x80, 0x3b, 0x02, 0x75, 0xfb] + SystemGuest.end)
        guest.code([0xfe, 0x03, 0x48, 0xcf], at: guest.handler(2))  // inc byte [rbx]; iretq
        guest.cpu.state.gpr.3 = Place.data
        guest.cpu.injectNMI()
        guest.cpu.injectNMI()
        #expect(guest.run(seconds: 30) == .port(0))
    }

    @Test(arguments: [[0x0f, 0x00, 0xdb], [0x0f, 0x00, 0xd3]] as [[UInt8]])
    func systemSegmentsHaveCanonicalBases(load: [UInt8]) throws {
        for (high, end) in [(0xffff_8000, .port(0)), (0x00ff_0000, .exception(13))] as [(UInt64, SystemGuest.End)] {
            let guest = try SystemGuest(.long)
            let type: UInt64 = load[2] == 0xdb ? 9 : 2  // ltr bx, lldt bx
            guest.descriptor(SystemGuest.Selector.free, 0x80 << 40 | type << 40 | 0x67)
            guest.machine.write64(Place.gdt + UInt64(SystemGuest.Selector.free) + 8, high)
            guest.code(load + SystemGuest.end)
            guest.cpu.state.gpr.3 = UInt64(SystemGuest.Selector.free)
            #expect(guest.run() == end)
        }
    }

    @Test func segmentsThatIRETMakesNullKeepTheirBases() throws {
        let guest = try SystemGuest(.long)
        // iretq to `rdgsbase rdi; ud2` in ring 3
        guest.code([0x48, 0xcf])
        guest.code([0xf3, 0x48, 0x0f, 0xae, 0xcf, 0x0f, 0x0b], at: Place.code + 0x100)
        let frame: [UInt64] = [
            Place.code + 0x100, UInt64(SystemGuest.Selector.userCode64), 2, Place.userStack,
            UInt64(SystemGuest.Selector.userData),
        ]
        var state = guest.cpu.state
        state.gpr.4 = Place.stack - 0x100
        for (index, word) in frame.enumerated() { guest.machine.write64(Place.stack - 0x100 + UInt64(index) * 8, word) }
        state.cr4 |= 1 << 16
        state.segment.5.base = 0x1234_5000
        guest.cpu.state = state
        #expect(guest.run() == .exception(6))
        #expect(guest.gpr(7) == 0x1234_5000)
        #expect(guest.cpu.state.segment.5.selector == 0)
    }
}
