import CEngine
import Testing
import TranslatorEngine

/// When interrupts and debug traps are taken, and when they wait.
@Suite struct InterruptTests {
    private typealias Place = SystemGuest.Place
    private static let messages: UInt64 = 0xfee0_0000

    /// A guest with the local APIC on (spurious-interrupt vector register at FEE000F0H).
    private func guest(_ code: [UInt8], threshold: UInt64? = nil) throws -> SystemGuest {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([0xbb, 0x00, 0x00, 0xe0, 0xfe] + [0xc7, 0x83, 0xf0, 0, 0, 0, 0xff, 1, 0, 0] + code)  // mov [rbx+f0H]
        return guest
    }

    /// A device's message wakes HLT; the handler's IRET goes on after it.
    @Test(arguments: [nil, 1] as [UInt64?])
    func messageWakesHLT(threshold: UInt64?) throws {
        let guest = try guest([
            0xfa,  // cli
            0xe6, 0x10,  // out 10H, al: the device sends its message
            0xfb,  // sti: HLT is the instruction that still runs
            0xf4,  // hlt
            0xb0, 0x05,  // mov al, 5
            0x00, 0xc8,  // add al, cl
        ] + SystemGuest.end, threshold: threshold)
        guest.code([
            0xb1, 0x40,  // mov cl, 40H
            0xc7, 0x83, 0xb0, 0, 0, 0, 0, 0, 0, 0,  // mov dword ptr [rbx+b0H], 0: end of interrupt
            0x48, 0xcf,  // iretq
        ], at: 0x9000)
        guest.gate(0x31, 0x8e, target: 0x9000)
        guest.onWrite = { port, _ in
            if port == 0x10 { guest.machine.engine.deliverMSI(address: Self.messages, data: 0x31) }
        }
        #expect(guest.run() == .port(0x45))
    }

    /// After STI one instruction runs before the interrupt that waits.
    @Test(arguments: [nil, 1] as [UInt64?])
    func oneInstructionRunsAfterSTI(threshold: UInt64?) throws {
        let guest = try guest([
            0xb1, 0x00,  // mov cl, 0
            0xe6, 0x10,  // out 10H, al
            0xfb,  // sti
            0xfe, 0xc1,  // inc cl
            0xfe, 0xc1,  // inc cl
            0xeb, 0xfe,  // jmp $
        ], threshold: threshold)
        guest.code([0x88, 0xc8] + SystemGuest.end, at: 0x9000)  // mov al, cl
        guest.gate(0x31, 0x8e, target: 0x9000)
        guest.onWrite = { port, _ in
            if port == 0x10 { guest.machine.engine.deliverMSI(address: Self.messages, data: 0x31) }
        }
        #expect(guest.run() == .port(1))
    }

    /// A load of SS lets the instruction after it run before an interrupt.
    @Test func noInterruptAfterLoadOfSS() throws {
        let guest = try SystemGuest(.protected)
        guest.code([
            0xe6, 0x10,  // out 10H, al: an NMI waits from here
            0xb8, 0x10, 0x00, 0x00, 0x00,  // mov eax, 10H
            0x8e, 0xd0,  // mov ss, ax
            0xbc, 0x00, 0x50, 0x00, 0x00,  // mov esp, 5000H
            0xeb, 0xfe,  // jmp $
        ])
        // The NMI comes at the load of SS at the latest: its frame is on a stack that is never between two.
        guest.code([0x89, 0xe0, 0xe7, 0xf4, 0xf4], at: 0x9000)  // mov eax, esp; out f4, eax
        guest.gate(2, 0x8e, target: 0x9000)
        guest.onWrite = { port, _ in
            if port == 0x10 { guest.cpu.injectNMI() }
        }
        guard case .port(let stack) = guest.run() else {
            Issue.record("No NMI came")
            return
        }
        #expect(stack == 0x5000 - 12 || stack == UInt32(Place.stack) - 12)
    }

    /// An NMI in the handler of an NMI waits for IRET.
    @Test(arguments: [nil, 1] as [UInt64?])
    func secondNMIWaitsForIRET(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([
            0x31, 0xc9,  // xor ecx, ecx
            0xe6, 0x10,  // out 10H, al: NMI
            0x80, 0xf9, 0x02,  // again: cmp cl, 2
            0x75, 0xfb,  // jne again
            0x88, 0xe8,  // mov al, ch
        ] + SystemGuest.end)
        guest.code([
            0xfe, 0xc5,  // inc ch: depth
            0x80, 0xf9, 0x00,  // cmp cl, 0
            0x75, 0x02,  // jne over
            0xe6, 0x10,  // out 10H, al: NMI in the handler
            0x80, 0xfd, 0x02,  // over: cmp ch, 2
            0x72, 0x02,  // jb ok
            0x0f, 0x0b,  // ud2: two at a time
            0xfe, 0xcd,  // ok: dec ch
            0xfe, 0xc1,  // inc cl
            0x48, 0xcf,  // iretq
        ], at: 0x9000)
        guest.gate(2, 0x8e, target: 0x9000)
        guest.onWrite = { port, _ in
            if port == 0x10 { guest.cpu.injectNMI() }
        }
        #expect(guest.run() == .port(0))
    }

    /// The 8259A's line: the processor asks for the vector when it takes interrupts.
    @Test func externalInterruptIsAcknowledged() throws {
        let guest = try SystemGuest(.real)
        guest.code([
            0xe6, 0x10,  // out 10H, al: the line goes up
            0x90, 0x90,
            0xfb,  // sti
            0x90,
            0xf4,  // hlt
            0xeb, 0xfd,
        ])
        guest.picVector = 0x48
        guest.onWrite = { port, _ in
            if port == 0x10 { guest.machine.engine.setExternalInterrupt(true) }
        }
        #expect(guest.run() == .exception(0x48))
    }

    /// The local APIC's timer in one-shot mode.
    @Test(arguments: [nil, 1] as [UInt64?])
    func timerInterrupts(threshold: UInt64?) throws {
        let guest = try guest([
            0xc7, 0x83, 0xe0, 3, 0, 0, 0x0b, 0, 0, 0,  // divide by 1
            0xc7, 0x83, 0x20, 3, 0, 0, 0x41, 0, 0, 0,  // vector 41H, one-shot
            0xc7, 0x83, 0x80, 3, 0, 0, 0x00, 0x10, 0, 0,  // initial count
            0xfb,  // sti
            0xeb, 0xfe,  // jmp $
        ], threshold: threshold)
        #expect(guest.run() == .exception(0x41))
    }

    // MARK: Debug exceptions

    /// TF traps after each instruction; POPF's own trap comes after the instruction behind it.
    @Test(arguments: [nil, 1] as [UInt64?])
    func singleStep(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([
            0x31, 0xc9,  // xor ecx, ecx
            0x68, 0x02, 0x01, 0, 0,  // push 102H
            0x9d,  // popf
            0x90,  // nop: 1
            0x90,  // nop: 2
            0x90, 0x90,  // nop, nop: 3, 4
            0x6a, 0x02,  // push 2: 5
            0x9d,  // popf: 6, cleared by itself but begun with TF
            0x90,
            0x88, 0xc8,  // mov al, cl
        ] + SystemGuest.end)
        guest.code([0xfe, 0xc1, 0x48, 0xcf], at: 0x9000)  // inc cl; iretq
        guest.gate(1, 0x8e, target: 0x9000)
        #expect(guest.run() == .port(6))
        #expect(guest.cpu.state.dr.6 & 0x4000 != 0)
    }

    /// A repeated string instruction traps after each element.
    @Test func singleStepOfRepeatedInstruction() throws {
        let guest = try SystemGuest(.long)
        guest.code([
            0x31, 0xd2,  // xor edx, edx
            0xbf, 0x00, 0x00, 0x10, 0x00,  // mov edi, data
            0xb9, 5, 0, 0, 0,  // mov ecx, 5
            0x68, 0x02, 0x01, 0, 0,  // push 102H
            0x9d,  // popf
            0xf3, 0xaa,  // rep stosb: five traps
            0x6a, 0x02,  // push 2: 6
            0x9d,  // popf: 7
            0x88, 0xd0,  // mov al, dl
        ] + SystemGuest.end)
        guest.code([0xfe, 0xc2, 0x48, 0xcf], at: 0x9000)  // inc dl; iretq
        guest.gate(1, 0x8e, target: 0x9000)
        #expect(guest.run() == .port(7))
    }

    /// INT n clears TF and does not trap itself.
    @Test func softwareInterruptDoesNotTrap() throws {
        let guest = try SystemGuest(.long)
        guest.code([0x68, 0x02, 0x01, 0, 0, 0x9d, 0xcd, 0x60])  // push 102H; popf; int 60H
        #expect(guest.run() == .exception(0x60))
    }

    /// Instruction breakpoint: a fault before the instruction, once, with RF in the frame.
    @Test(arguments: [nil, 1] as [UInt64?])
    func instructionBreakpoint(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([
            0x31, 0xc9,  // xor ecx, ecx
            0xb8, 0x18, 0x80, 0x00, 0x00,  // mov eax, there
            0x0f, 0x23, 0xc0,  // mov dr0, rax
            0xb8, 0x02, 0x04, 0x00, 0x00,  // mov eax, 402H: global, execute
            0x0f, 0x23, 0xf8,  // mov dr7, rax
            0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
            0xfe, 0xc1,  // there: inc cl
            0x88, 0xc8,  // mov al, cl
        ] + SystemGuest.end)
        // The handler adds 10H, and returns with RF.
        guest.code([
            0x80, 0xc1, 0x10,  // add cl, 10H
            0x81, 0x4c, 0x24, 0x10, 0x00, 0x00, 0x01, 0x00,  // or dword ptr [rsp + 10H], 10000H
            0x48, 0xcf,
        ], at: 0x9000)
        guest.gate(1, 0x8e, target: 0x9000)
        #expect(guest.run() == .port(0x11))
        #expect(guest.cpu.state.dr.6 & 15 == 1)
    }

    /// Data breakpoints: a trap after the write; reads of a write breakpoint do not count.
    @Test(arguments: [nil, 1] as [UInt64?])
    func dataBreakpoints(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([
            0x31, 0xc9,  // xor ecx, ecx
            0xbb, 0x00, 0x00, 0x10, 0x00,  // mov ebx, data
            0x89, 0x03,  // mov [rbx], eax: the page is known
            0x0f, 0x23, 0xcb,  // mov dr1, rbx
            0xb8, 0x08, 0x04, 0xd0, 0x00,  // mov eax, global 1, write, 4 bytes
            0x0f, 0x23, 0xf8,  // mov dr7, rax
            0x8b, 0x03,  // mov eax, [rbx]: no
            0x88, 0x43, 0x03,  // mov [rbx + 3], al: 1
            0x88, 0x43, 0x04,  // mov [rbx + 4], al: no
            0xff, 0x03,  // inc dword ptr [rbx]: 2
            0xf0, 0x01, 0x03,  // lock add [rbx], eax: 3
            0x89, 0xdf, 0xaa,  // mov edi, ebx; stosb: 4
            0x0f, 0x11, 0x43, 0xf8,  // movups [rbx - 8], xmm0: 5
            0x88, 0xc8,  // mov al, cl
        ] + SystemGuest.end)
        guest.code([0xfe, 0xc1, 0x48, 0xcf], at: 0x9000)
        guest.gate(1, 0x8e, target: 0x9000)
        #expect(guest.run() == .port(5))
        #expect(guest.cpu.state.dr.6 & 15 == 2)
    }
}
