import CEngine
import Testing
import TranslatorEngine

/// Instructions of system software do the same in translated code as in the interpreter.
@Suite struct SystemCodeTests {
    private typealias Place = SystemGuest.Place
    private typealias State = (inout apus_x86_state) -> Void

    /// Where a user's code is, a kernel's entry, and an alias of the first GiB that user code may access.
    private static let user: UInt64 = 0x9000
    private static let kernel: UInt64 = 0xc000
    private static let alias: UInt64 = 0x4000_0000
    private static let star: UInt64 = 0x0023_0018 << 32

    /// Runs code by the interpreter and translated, and expects the same end and the same registers.
    private func expectSame(
        _ code: [UInt8], end: SystemGuest.End, isUser: Bool = false, set: State = { _ in },
        prepare: (SystemGuest) -> Void = { _ in }, location: SourceLocation = #_sourceLocation
    ) throws {
        var reached: [apus_x86_state] = []
        for threshold: UInt64 in [.max, 1] {
            let guest = try SystemGuest(.long, threshold: threshold)
            // The first GiB is the supervisor's alone, and the second is the same memory for all.
            if !isUser { guest.machine.write64(Place.tables + 0x1000, 0x83) }
            guest.machine.write64(Place.tables + 0x1008, 0x87)
            guest.code(code, at: isUser ? Self.user : Place.code)
            if isUser { guest.enterUser() }
            prepare(guest)
            var state = guest.cpu.state
            if isUser { state.rip = Self.user }
            (state.star, state.lstar, state.sfmask) = (Self.star, Self.kernel, 0x47700)
            set(&state)
            guest.cpu.state = state
            #expect(guest.run() == end, "threshold \(threshold)", sourceLocation: location)
            reached.append(guest.cpu.state)
        }
        let names: [(String, (apus_x86_state) -> UInt64)] = [
            ("rax", { $0.gpr.0 }), ("rcx", { $0.gpr.1 }), ("rdx", { $0.gpr.2 }), ("rbx", { $0.gpr.3 }),
            ("rsp", { $0.gpr.4 }), ("rbp", { $0.gpr.5 }), ("rsi", { $0.gpr.6 }), ("rdi", { $0.gpr.7 }),
            ("r11", { $0.gpr.11 }), ("rip", { $0.rip }), ("rflags", { $0.rflags }), ("cr2", { $0.cr2 }),
            ("gs", { $0.segment.5.base }), ("kernel gs", { $0.kernel_gs_base }),
            ("cs", { UInt64($0.segment.1.selector) << 16 | UInt64($0.segment.1.attributes) }),
            ("ss", { UInt64($0.segment.2.selector) << 16 | UInt64($0.segment.2.attributes) }),
            ("cs base", { $0.segment.1.base }), ("ss limit", { UInt64($0.segment.2.limit) }),
        ]
        for (name, value) in names {
            #expect(value(reached[0]) == value(reached[1]), "\(name)", sourceLocation: location)
        }
    }

    // MARK: Calls of a kernel

    /// `inc ebx; cmp ebx, 3; je end; add rax, r11; ...; sysretq`, and at the end `mov al, 7; out`.
    private static let entry: [UInt8] =
        [0xff, 0xc3, 0x83, 0xfb, 0x03, 0x74, 0x06, 0x4c, 0x01, 0xd8, 0x48, 0x0f, 0x07, 0xb0, 0x07] + SystemGuest.end
    /// `add rax, rcx; stc or clc; syscall; setc dl; add esi, edx; jmp` to its start.
    private static let calls: [UInt8] =
        [0x48, 0x01, 0xc8, 0xf9, 0x0f, 0x05, 0x0f, 0x92, 0xc2, 0x01, 0xd6, 0xeb, 0xf3]

    @Test(arguments: [0x47700, 0x257fd5, 0, 0x200, 0x8d5] as [UInt64])
    func systemCallsKeepFlags(mask: UInt64) throws {
        // AC, NT and ID among them: AC that stays is another table.
        for flags: UInt64 in [2, 0x202, 0x40002, 0x244ad7, 0x2, 0x8d7] {
            try expectSame(
                Self.calls, end: .port(7), isUser: true,
                set: {
                    $0.sfmask = mask
                    $0.rflags = flags
                }, prepare: { $0.code(Self.entry, at: Self.kernel) })
        }
    }

    @Test func systemCallNeedsItsBit() throws {
        try expectSame(Self.calls, end: .exception(6), isUser: true, set: { $0.efer = 0xd00 })
    }
    /// A kernel may call itself.
    @Test func systemCallOfTheSupervisor() throws {
        try expectSame([0xf9, 0x0f, 0x05], end: .port(9), prepare: { $0.code([0xb0, 0x09] + SystemGuest.end, at: Self.kernel) })
    }

    /// SYSRET: to an address that is none, to code that traps, and below the privilege that it needs.
    @Test func systemReturnIsChecked() throws {
        // mov rcx, 2^47; sysretq
        try expectSame([0x48, 0xb9, 0, 0, 0, 0, 0, 0x80, 0, 0, 0x48, 0x0f, 0x07], end: .exception(13))
        // mov ecx, user; mov r11d, 102H; sysretq
        let back: [UInt8] = [0xb9, 0x00, 0x90, 0x00, 0x40, 0x41, 0xbb, 0x02, 0x01, 0, 0, 0x48, 0x0f, 0x07]
        try expectSame(back, end: .exception(1), prepare: { $0.code([0x90, 0xeb, 0xfd], at: Self.user) })
        try expectSame([0x48, 0x0f, 0x07], end: .exception(13), isUser: true)
        try expectSame(back, end: .exception(6), set: { $0.efer = 0xd00 })
    }

    /// An interrupt that waits for IF comes at the return, before the user's next instruction.
    @Test func interruptComesAtTheReturn() throws {
        // out 10H, al; mov ecx, user; mov r11d, 202H; sysretq
        let code: [UInt8] = [
            0xc7, 0x83, 0xf0, 0, 0, 0, 0xff, 1, 0, 0, 0xe6, 0x10, 0xb9, 0x00, 0x90, 0x00, 0x40, 0x41, 0xbb, 0x02, 0x02, 0, 0,
            0x48, 0x0f, 0x07,
        ]
        try expectSame(code, end: .exception(0x31), set: { $0.gpr.3 = 0xfee0_0000 }, prepare: Self.sendsMessage)
    }
    private static func sendsMessage(_ guest: SystemGuest) {
        guest.code([0xb3, 0x77, 0xeb, 0xfc], at: user)  // mov bl, 77H; jmp $
        guest.onWrite = { [engine = guest.machine.engine] port, _ in
            if port == 0x10 { engine.deliverMSI(address: 0xfee0_0000, data: 0x31) }
        }
    }

    // MARK: Flags

    /// PUSHF sees what came before, and POPF's flags are seen after it, whatever system flags it changes.
    @Test func flagsByTheStack() throws {
        for flags: UInt64 in [2, 0x8d7, 0x46, 0xc7, 0x4003, 0x40002, 0x20_0002, 0x3006, 0x402, 0x10002, 0x24_4ad7] {
            for before: UInt64 in [2, 0x8d7, 0x1_0002, 0x4_0006] {
                let words = (0..<4).map { UInt8(truncatingIfNeeded: flags >> (UInt64($0) * 8)) }
                // add dl, 7fH; pushf; pop rax; push flags; popf; setc bl; cmovo ecx, eax; pushf; pop rsi; sete bh
                let code: [UInt8] =
                    [0x80, 0xc2, 0x7f, 0x9c, 0x58, 0x68] + words + [0x9d, 0x0f, 0x92, 0xc3, 0x0f, 0x40, 0xc8, 0x9c, 0x5e]
                    + [0x0f, 0x94, 0xc7, 0xb0, 0x01]
                try expectSame(code + SystemGuest.end, end: .port(1), set: { $0.rflags = before })
            }
        }
    }
    @Test func trapOfPOPF() throws {
        // push 102H; popf; inc eax; inc eax
        try expectSame([0x68, 0x02, 0x01, 0, 0, 0x9d, 0xff, 0xc0, 0xff, 0xc0], end: .exception(1))
    }
    /// POPF and STI let in what waits: at once, and after one instruction.
    @Test(arguments: [[0x68, 0x02, 0x02, 0, 0, 0x9d], [0xfb]] as [[UInt8]])
    func interruptsComeIn(by instruction: [UInt8]) throws {
        let start: [UInt8] = [0xc7, 0x83, 0xf0, 0, 0, 0, 0xff, 1, 0, 0, 0xfa, 0xe6, 0x10]
        // inc ecx; inc ecx; jmp $
        try expectSame(
            start + instruction + [0xff, 0xc1, 0xff, 0xc1, 0xeb, 0xfe], end: .exception(0x31),
            set: { $0.gpr.3 = 0xfee0_0000 }, prepare: Self.sendsMessage)
    }
    /// Level 1 is not level 0.
    @Test(arguments: [[0xfa], [0xfb], [0x0f, 0x01, 0xcb], [0x0f, 0x01, 0xf8]] as [[UInt8]])
    func privilegedAtLevelZero(instruction: [UInt8]) throws {
        for level: UInt16 in [1, 2, 3] {
            let isAccess = instruction.count == 3 && instruction[2] == 0xcb
            try expectSame(
                instruction + [0xeb, 0xfe], end: .exception(isAccess ? 6 : 13), isUser: level == 3,
                set: { state in
                    guard level != 3 else { return }
                    state.cr4 |= 0x20_0000
                    state.segment.1.selector |= level
                    state.segment.1.attributes |= level << 5
                    state.segment.2.selector |= level
                    state.segment.2.attributes |= level << 5
                })
        }
    }

    // MARK: Memory

    /// STAC opens the user's pages to the supervisor, and CLAC closes them, in the middle of a block.
    @Test func accessToUserPages() throws {
        // stac; mov [rbx], eax; clac; stac; add eax, [rbx]; clac; mov ecx, [rbx]
        let code: [UInt8] = [
            0x0f, 0x01, 0xcb, 0x89, 0x03, 0x0f, 0x01, 0xca, 0x0f, 0x01, 0xcb, 0x03, 0x03, 0x0f, 0x01, 0xca, 0x8b, 0x0b,
        ]
        try expectSame(
            code, end: .exception(14),
            set: { state in
                state.cr4 |= 0x20_0000
                state.gpr.0 = 21
                state.gpr.3 = Self.alias + Place.data
            })
    }

    @Test func basesAreExchanged() throws {
        // swapgs; mov rax, gs:[8]; swapgs; mov rcx, gs:[8]; swapgs
        let read: [UInt8] = [0x65, 0x48, 0x8b]
        let code =
            [0x0f, 0x01, 0xf8] + read + [0x04, 0x25, 8, 0, 0, 0] + [0x0f, 0x01, 0xf8] + read
            + [0x0c, 0x25, 8, 0, 0, 0, 0x0f, 0x01, 0xf8] + [0x88, 0xc8]
        try expectSame(
            code + SystemGuest.end, end: .port(0x22),
            set: { state in
                state.segment.5.base = Place.data
                state.kernel_gs_base = Place.data + 0x100
            },
            prepare: { guest in
                guest.machine.write64(Place.data + 8, 0x22)
                guest.machine.write64(Place.data + 0x108, 0x33)
            })
    }

    /// PUSH of memory: by the stack itself, from a page that is not there, and to one.
    @Test func pushOfMemory() throws {
        // push [rsp]; push [rsp+8]; push gs:[8]; push [rbx]; pop rax; pop rcx; pop rdx; pop rsi
        let code: [UInt8] = [
            0xff, 0x34, 0x24, 0xff, 0x74, 0x24, 0x08, 0x65, 0xff, 0x34, 0x25, 8, 0, 0, 0, 0xff, 0x33, 0x58, 0x59, 0x5a, 0x5e,
        ]
        let rows: [(stack: UInt64, source: UInt64, end: SystemGuest.End)] = [
            (Place.stack - 64, Place.data, .port(0x34)), (Place.stack - 64 + 3, Place.data + 0xffd, .port(0)),
            (Place.stack - 64, 5 << 30, .exception(14)), (5 << 30 | 0x1000, Place.data, .exception(14)),
        ]
        for row in rows {
            try expectSame(
                code + SystemGuest.end, end: row.end,
                set: { state in
                    state.segment.5.base = Place.data
                    state.gpr.4 = row.stack
                    state.gpr.3 = row.source
                },
                prepare: { guest in
                    guest.machine.write64(Place.stack - 64, 0x1234)
                    guest.machine.write64(Place.data + 8, 0x5678)
                    guest.machine.write64(Place.data, 0x9a34)
                    // #PF needs a stack of its own where the guest's is gone.
                    guest.machine.write64(Place.tss + 36, Place.stack - 0x2000)
                    guest.gate(14, 0x8e, ist: 1)
                })
        }
    }

    /// CMPXCHG16B that finds its value, one that does not, and one at an address that is not aligned.
    @Test func compareAndExchange16() throws {
        // lock cmpxchg16b [rdi]; setz bl; lock cmpxchg16b [rdi]; adc bl, 2; mov al, bl
        let code: [UInt8] = [
            0xf0, 0x48, 0x0f, 0xc7, 0x0f, 0x0f, 0x94, 0xc3, 0xf9, 0xf0, 0x48, 0x0f, 0xc7, 0x0f, 0x80, 0xd3, 0x02, 0x88, 0xd8,
        ]
        for (address, end): (UInt64, SystemGuest.End) in [(Place.data, .port(4)), (Place.data + 8, .exception(13))] {
            try expectSame(
                code + SystemGuest.end, end: end,
                set: { state in
                    (state.gpr.0, state.gpr.2, state.gpr.3, state.gpr.1) = (7, 9, 0x1100, 0x2200)
                    state.gpr.7 = address
                },
                prepare: { guest in
                    guest.machine.write64(Place.data, 7)
                    guest.machine.write64(Place.data + 8, 9)
                })
        }
    }

    /// The upper halves of AVX registers last through the turns of a loop that is laid out several times.
    @Test func vectorsStayWholeInLoops() throws {
        // mov ecx, 100; vmovdqu ymm1, [rbx]; again: vpaddq ymm2, ymm2, ymm1; dec ecx; jnz again; vmovdqu [rbx+20H], ymm2; int3
        let code: [UInt8] = [
            0xb9, 0x64, 0, 0, 0, 0xc5, 0xfe, 0x6f, 0x0b, 0xc5, 0xed, 0xd4, 0xd1, 0xff, 0xc9, 0x75, 0xf8, 0xc5, 0xfe, 0x7f, 0x53,
            0x20, 0xcc,
        ]
        let guest = try SystemGuest(.long, threshold: 1) { $0.translationPromotion = 1 }
        guest.code(code, at: Self.user)
        for word in UInt64(0)..<4 { guest.machine.write64(Place.data + word * 8, 1000 + word) }
        guest.gate(3, 0xee)
        guest.enterUser()
        var state = guest.cpu.state
        state.rip = Self.user
        state.cr4 |= 0x4_0000
        state.xcr0 = 7
        state.gpr.3 = Place.data
        guest.cpu.state = state
        #expect(guest.run() == .exception(3))
        for word in UInt64(0)..<4 {
            #expect(guest.machine.read64(Place.data + 32 + word * 8) == 100 * (1000 + word), "word \(word)")
        }
    }

    // MARK: Time

    @Test(arguments: [false, true])
    func timeIsForbiddenToUsers(isUser: Bool) throws {
        // rdtsc; rdtscp; xor eax, eax; xor edx, edx
        let code: [UInt8] = [0x0f, 0x31, 0x0f, 0x01, 0xf9, 0x31, 0xc0, 0x31, 0xd2, 0x88, 0xc8]
        try expectSame(
            code + SystemGuest.end, end: isUser ? .exception(13) : .port(0x55), isUser: isUser,
            set: { state in
                state.cr4 |= 4
                state.tsc_aux = 0x55
            })
    }
    @Test func timeGoesOn() throws {
        let guest = try SystemGuest(.long, threshold: 1)
        // rdtsc; shl rdx, 32; or rax, rdx; mov rbx, rax; rdtscp; shl rdx, 32; or rax, rdx; cmp rax, rbx; seta al
        guest.code([
            0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x48, 0x89, 0xc3, 0x0f, 0x01, 0xf9, 0x48, 0xc1, 0xe2, 0x20,
            0x48, 0x09, 0xd0, 0x48, 0x39, 0xd8, 0x0f, 0x97, 0xc0,
        ] + SystemGuest.end)
        let before = apus_rdtsc()
        #expect(guest.run() == .port(1))
        let difference = guest.gpr(3) &- (before &+ guest.cpu.state.tsc_offset)
        #expect(difference < 1 << 40)
    }
}
