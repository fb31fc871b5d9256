import CEngine
import Testing
import TranslatorEngine

/// Protection keys of user pages (PKRU) and of supervisor pages (IA32_PKRS), by the interpreter and by translated code
/// that has reached the page before the rights change.
@Suite struct ProtectionKeyTests {
    private typealias Place = SystemGuest.Place
    /// A page of 1 GiB over the same memory, with key 5.
    private static let window: UInt64 = 0x4000_0000

    private struct Case {
        var isUser: Bool
        var isUserPage: Bool
        var isWrite: Bool
        var rights: UInt32
        var wp: Bool
        var isEnabled: Bool

        /// The page fault's error code; nil where the access is allowed.
        var error: UInt64? {
            let denies = rights & 1 != 0 || isWrite && rights & 2 != 0 && (isUser || wp)
            guard isEnabled, denies else { return nil }
            return 0x21 | (isWrite ? 2 : 0) | (isUser ? 4 : 0)
        }

        init(_ number: Int) {
            isUser = number & 1 != 0
            isUserPage = isUser || number & 2 != 0
            isWrite = number & 4 != 0
            wp = number & 8 != 0
            isEnabled = number & 16 != 0
            rights = UInt32(number >> 5 & 3)
        }
    }

    @Test(arguments: [nil, 2] as [UInt64?])
    func rights(threshold: UInt64?) throws {
        for number in 0..<128 {
            let item = Case(number)
            let guest = try SystemGuest(.long, threshold: threshold)
            guest.machine.write64(Place.tables + 0x1008, 5 << 59 | 0x83 | (item.isUserPage ? 4 : 0))
            let access: [UInt8] = item.isWrite ? [0x88, 0x06] : [0x8a, 0x06]  // mov [rsi], al; mov al, [rsi]
            let set: [UInt8] =
                !item.isEnabled
                ? []
                : item.isUserPage
                    ? [0x31, 0xc9, 0x0f, 0x01, 0xef]  // xor ecx, ecx; wrpkru
                    : [0xb9, 0xe1, 0x06, 0x00, 0x00, 0x0f, 0x30]  // mov ecx, IA32_PKRS; wrmsr
            guest.code(
                [0xb9, 0x64, 0x00, 0x00, 0x00]  // mov ecx, 100
                    + access + [0xff, 0xc9, 0x75, 0xfa]  // dec ecx; jnz to the access
                    + [0x31, 0xd2, 0x89, 0xd8]  // xor edx, edx; mov eax, ebx
                    + set + access + [0x0f, 0x0b])  // ud2
            if item.isUser { guest.enterUser() }
            var state = guest.cpu.state
            state.cr0 = 0x8000_0011 | (item.wp ? 0x1_0000 : 0)
            if item.isEnabled { state.cr4 |= 1 << (item.isUserPage ? 22 : 24) }
            state.gpr.3 = UInt64(item.rights << 10)
            state.gpr.6 = Self.window + Place.data
            guest.cpu.state = state

            let end = guest.run()

            if let error = item.error {
                #expect(end == .exception(14), "\(item)")
                #expect(guest.machine.read64(guest.gpr(4)) == error, "\(item)")
                #expect(guest.cpu.state.cr2 == Self.window + Place.data)
            } else {
                #expect(end == .exception(6), "\(item)")
            }
        }
    }

    @Test func PKRUNeedsCR4() throws {
        for instruction in [0xee, 0xef] as [UInt8] {
            let guest = try SystemGuest(.long)
            guest.code([0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, instruction] + SystemGuest.end)
            #expect(guest.run() == .exception(6))
        }
    }

    @Test func RDPKRUGivesWhatWRPKRUTook() throws {
        let guest = try SystemGuest(.long)
        // xor ecx, ecx; xor edx, edx; mov eax, 12345678h; wrpkru; xor eax, eax; rdpkru
        guest.code(
            [0x31, 0xc9, 0x31, 0xd2, 0xb8, 0x78, 0x56, 0x34, 0x12, 0x0f, 0x01, 0xef, 0x31, 0xc0, 0x0f, 0x01, 0xee]
                + SystemGuest.end)
        guest.cpu.state.cr4 |= 1 << 22
        #expect(guest.run() == .port(0x78))
        #expect(guest.gpr(0) == 0x1234_5678)
    }
}
