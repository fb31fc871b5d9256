import GuestMemory
import Testing

/// Code that changes while it runs, interpreted and translated.
@Suite struct SelfModifyingTests {
    private typealias Place = SystemGuest.Place

    @Test(arguments: [nil, 1] as [UInt64?])
    func storeToTheNextInstruction(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([
            0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x07,  // mov byte ptr [rip+1], 7
            0xb0, 0x01,  // mov al, 1: becomes 7
            0xe6, 0xf4, 0xf4,
        ])
        #expect(guest.run() == .port(7))
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func storeIntoALoopBody(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        // Each turn adds an immediate that the turn before has changed: 1 + 2 + ... + 40.
        guest.code([
            0x31, 0xdb,  // xor ebx, ebx
            0xb9, 40, 0, 0, 0,  // mov ecx, 40
            0x83, 0xc3, 0x01,  // again: add ebx, 1
            0xfe, 0x05, 0xf9, 0xff, 0xff, 0xff,  // inc byte ptr [the immediate]
            0xff, 0xc9,  // dec ecx
            0x75, 0xf3,  // jnz again
            0x89, 0xd8,  // mov eax, ebx
            0xe7, 0xf4, 0xf4,  // out f4, eax
        ])
        #expect(guest.run() == .port(820))
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func storeToAnotherBlockOfThePage(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        // A function at 8800H returns a constant; the caller changes it between calls.
        guest.code([0xb8, 5, 0, 0, 0, 0xc3], at: 0x8800)
        guest.code([
            0x31, 0xdb,  // xor ebx, ebx
            0xb9, 30, 0, 0, 0,  // mov ecx, 30
            0xe8, 0xf4, 0x07, 0x00, 0x00,  // again: call 8800H
            0x01, 0xc3,  // add ebx, eax
            0x89, 0x0c, 0x25, 0x01, 0x88, 0x00, 0x00,  // mov [8801H], ecx
            0xff, 0xc9,  // dec ecx
            0x75, 0xee,  // jnz again
            0x89, 0xd8, 0xe7, 0xf4, 0xf4,
        ])
        // 5, then 30 down to 2: 5 + 464.
        #expect(guest.run() == .port(469))
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func stringStoreOverTheCodeThatFollows(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([0xb0, 0x55], at: 0x9000)
        guest.code([
            0xbe, 0x00, 0x90, 0x00, 0x00,  // mov esi, 9000H
            0xbf, 0x11, 0x80, 0x00, 0x00,  // mov edi, after
            0xb9, 2, 0, 0, 0,  // mov ecx, 2
            0xf3, 0xa4,  // rep movsb
            0x90, 0x90,  // after: becomes mov al, 55H
            0xe6, 0xf4, 0xf4,
        ])
        #expect(guest.run() == .port(0x55))
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func deviceWritesCode(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        // The device changes the constant at each write to port 10H.
        guest.code([0xb8, 1, 0, 0, 0, 0xc3], at: 0x8800)
        guest.code([
            0x31, 0xdb,  // xor ebx, ebx
            0xb9, 30, 0, 0, 0,  // mov ecx, 30
            0xe6, 0x10,  // again: out 10H, al
            0xe8, 0xf2, 0x07, 0x00, 0x00,  // call 8800H
            0x01, 0xc3,  // add ebx, eax
            0xff, 0xc9,  // dec ecx
            0x75, 0xf3,  // jnz again
            0x89, 0xd8, 0xe7, 0xf4, 0xf4,
        ])
        var count: UInt8 = 0
        guest.onWrite = { port, _ in
            if port == 0x10 {
                count += 1
                guest.machine.write(0x8801, [count])
            }
        }
        #expect(guest.run() == .port(465))
    }

    /// The page is mapped twice: the store goes by the other address.
    @Test(arguments: [nil, 1] as [UInt64?])
    func storeByAnAlias(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        // The second gigabyte shows the first's memory.
        guest.machine.write64(Place.tables + 0x1008, 0x87)
        guest.code([
            0x31, 0xdb,  // xor ebx, ebx
            0xb9, 40, 0, 0, 0,  // mov ecx, 40
            0xba, 0x09, 0x80, 0x00, 0x40,  // mov edx, 40008009H + 5
            0x83, 0xc3, 0x01,  // again: add ebx, 1
            0xfe, 0x42, 0x05,  // inc byte ptr [rdx + 5]
            0xff, 0xc9,  // dec ecx
            0x75, 0xf6,  // jnz again
            0x89, 0xd8, 0xe7, 0xf4, 0xf4,
        ])
        #expect(guest.run() == .port(820))
    }

    @Test func storeToTheNextInstructionInRealMode() throws {
        let guest = try SystemGuest(.real)
        guest.code([
            0xc6, 0x06, 0x06, 0x80, 0x07,  // mov byte ptr [8006H], 7
            0xb0, 0x01,  // mov al, 1: becomes 7
            0xe6, 0xf4, 0xf4,
        ])
        #expect(guest.run() == .port(7))
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func pushOverTheNextInstruction(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code([
            0xbc, 0x18, 0x80, 0x00, 0x00,  // mov esp, after + 8
            0x48, 0xb8, 0xb0, 0x66, 0xe6, 0xf4, 0xf4, 0x90, 0x90, 0x90,  // movabs rax: mov al, 66H; out f4, al; hlt
            0x50,  // push rax, over what follows at 8010H
        ])
        #expect(guest.run() == .port(0x66))
    }

    /// An instruction that crossed into the next page becomes one that does not, and the next page goes away.
    @Test(arguments: [nil, 1] as [UInt64?])
    func crossingInstructionBecomesAShortOne(threshold: UInt64?) throws {
        let guest = try SystemGuest(.long, threshold: threshold)
        let tables = Place.tables
        guest.machine.write64(tables + 0x1000, tables + 0x2000 | 7)
        guest.machine.write64(tables + 0x2000, tables + 0x3000 | 7)
        for page in UInt64(0)..<512 { guest.machine.write64(tables + 0x3000 + page * 8, page << 12 | 3) }
        guest.code([0xb8, 7, 0, 0, 0, 0xc3], at: 0x1_0ffc)  // mov eax, 7; ret
        guest.code([
            0xe8, 0xf7, 0x8f, 0x00, 0x00,  // call 10ffcH
            0xc7, 0x04, 0x25, 0xfc, 0x0f, 0x01, 0x00, 0xfe, 0xc0, 0xc3, 0x90,  // there: inc al; ret; nop
            0x48, 0xc7, 0x04, 0x25, 0x88, 0x30, 0x04, 0x00, 0, 0, 0, 0,  // the entry of page 11000H
            0x0f, 0x01, 0x3c, 0x25, 0x00, 0x10, 0x01, 0x00,  // invlpg [11000H]
            0xe8, 0xd3, 0x8f, 0x00, 0x00,  // call 10ffcH
            0xe6, 0xf4, 0xf4,
        ])
        #expect(guest.run() == .port(8))
    }
}
