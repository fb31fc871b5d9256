import CEngine
import Execution
import GuestMemory
import Testing
import TranslatorEngine

/// System management mode: what an SMI saves, what its handler sees, and what RSM takes back.
@Suite struct ManagementModeTests {
    /// Where a handler starts: SMBASE + 8000H, in a kind of real mode.
    private static let handler: UInt64 = 0x3_8000
    private static let rsm: [UInt8] = [0x0f, 0xaa]
    private typealias Place = SystemGuest.Place

    /// A 64-bit guest whose write to port 10H is an SMI.
    private func guest(_ code: [UInt8], handler: [UInt8], threshold: UInt64? = nil) throws -> SystemGuest {
        let guest = try SystemGuest(.long, threshold: threshold)
        guest.code(code)
        guest.code(handler, at: Self.handler)
        guest.onWrite = { port, _ in if port == 0x10 { guest.cpu.injectSMI() } }
        return guest
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func theHandlerMayChangeWhatComesBack(threshold: UInt64?) throws {
        let guest = try guest(
            [
                0x49, 0xc7, 0xc7, 0xfe, 0xff, 0xff, 0xff,  // mov r15, -2
                0x49, 0x89, 0xc0,  // mov r8, rax
                0xe6, 0x10,  // out 10H, al
                0xe7, 0xf4, 0xf4,  // out f4, eax
            ],
            handler: [
                0x2e, 0xc6, 0x06, 0x00, 0x90, 0x77,  // mov byte ptr cs:[9000H], 77H
                0x2e, 0x66, 0xa1, 0xfc, 0xfe,  // mov eax, cs:[fefcH]: the revision
                0x2e, 0x66, 0xa3, 0x04, 0x90,  // mov cs:[9004H], eax
                0x2e, 0x66, 0xc7, 0x06, 0xf8, 0xff, 0x44, 0x33, 0x22, 0x11,  // mov dword ptr cs:[fff8H], 11223344H: RAX
                0x2e, 0x66, 0xc7, 0x06, 0x00, 0xff, 0x00, 0x00, 0x05, 0x00,  // mov dword ptr cs:[ff00H], 50000H: SMBASE
            ] + Self.rsm, threshold: threshold)
        let before = guest.cpu.state
        #expect(guest.run() == .port(0x1122_3344))
        let after = guest.cpu.state
        #expect(guest.machine.read16(0x3_9000) == 0x77 && guest.machine.read32(0x3_9004) == 0x2_0064)
        #expect(after.smm == 0 && after.smbase == 0x5_0000 && after.smi_count == 1 && after.nmi_blocked == 0)
        #expect(after.gpr.15 == UInt64(bitPattern: -2) && after.gpr.4 == before.gpr.4)
        #expect((after.cr0, after.cr3, after.cr4, after.efer) == (before.cr0, before.cr3, before.cr4, before.efer))
        #expect(after.segment.1.selector == before.segment.1.selector && after.segment.1.attributes == before.segment.1.attributes)
        #expect(after.segment.7.base == before.segment.7.base && after.idtr.limit == before.idtr.limit)
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func memoryOfItsOwnIsSeenByTheHandlerAlone(threshold: UInt64?) throws {
        let guest = try guest(
            [0xe6, 0x10] + [
                0x8b, 0x04, 0x25, 0x00, 0x90, 0x03, 0x00,  // mov eax, [39000H]
                0xe7, 0xf4, 0xf4,
            ],
            handler: [0x2e, 0x66, 0xff, 0x06, 0x00, 0x90] + Self.rsm,  // inc dword ptr cs:[9000H]
            threshold: threshold)
        let own = try RAMBlock(name: "management", size: 0x1000)
        _ = guest.machine.memory.replace(
            [],
            with: [
                .memory(FlatView.Range(start: GuestPhysical(0x3_9000), count: 0x1000, block: own), for: .systemManagement)
            ])
        guest.machine.write32(0x3_9000, 0x5555_0000)
        #expect(guest.run() == .port(0x5555_0000))
        #expect(unsafe own.base.load(as: UInt32.self) == 1)
    }

    /// A reset in the middle of the handler ends the mode and takes its view of memory.
    @Test func aResetEndsIt() throws {
        let guest = try guest([0xe6, 0x10] + SystemGuest.end, handler: [0x2e, 0xfe, 0x06, 0x00, 0x90, 0xf4])
        let own = try RAMBlock(name: "management", size: 0x1000)
        _ = guest.machine.memory.replace(
            [],
            with: [
                .memory(FlatView.Range(start: GuestPhysical(0x3_9000), count: 0x1000, block: own), for: .systemManagement)
            ])
        guest.machine.write32(0x3_9000, 0x55)
        let start = guest.cpu.state
        // HLT in the handler: nothing wakes it.
        #expect(guest.run(seconds: 1) == .timeOut)
        #expect(guest.cpu.isInManagement)
        guest.cpu.reset()
        #expect(!guest.cpu.isInManagement && guest.cpu.state.smbase == 0x3_0000)
        var state = guest.cpu.state
        (state.segment, state.cr0, state.cr3, state.cr4, state.efer, state.rip) = (
            start.segment, start.cr0, start.cr3, start.cr4, start.efer, start.rip
        )
        (state.gdtr, state.idtr) = (start.gdtr, start.idtr)
        guest.cpu.state = state
        guest.code([0x8b, 0x04, 0x25, 0x00, 0x90, 0x03, 0x00, 0xe7, 0xf4, 0xf4])
        #expect(guest.run() == .port(0x55))
        #expect(unsafe own.base.load(as: UInt8.self) == 1)
    }

    /// An SMI in the handler waits for RSM, and an NMI too; the NMI then finds the guest's own handler.
    @Test func whatComesInTheHandlerWaits() throws {
        let guest = try guest(
            [0xe6, 0x10, 0x90, 0xeb, 0xfe],  // out 10H, al; nop; jmp $
            handler: [
                0x2e, 0xfe, 0x06, 0x00, 0x90,  // inc byte ptr cs:[9000H]
                0x2e, 0x80, 0x3e, 0x00, 0x90, 0x02,  // cmp byte ptr cs:[9000H], 2
                0x74, 0x04,  // je: the second time
                0xe6, 0x10, 0xe6, 0x11,  // out 10H, al; out 11H, al
            ] + Self.rsm)
        guest.onWrite = { port, _ in
            if port == 0x10 { guest.cpu.injectSMI() } else { guest.cpu.injectNMI() }
        }
        #expect(guest.run() == .exception(2))
        #expect(guest.machine.read16(0x3_9000) == 2 && guest.cpu.state.smi_count == 2)
        #expect(guest.writes.map(\.address) == [0x10, 0x10, 0x11])
    }

    @Test func outsideOfTheHandlerThereIsNoRSM() throws {
        let guest = try SystemGuest(.long)
        guest.code(Self.rsm)
        #expect(guest.run() == .exception(6))
    }

    /// HLT goes on where the handler asks for it: the area's auto-halt flag stays.
    @Test func sleepingGoesOnAfterIt() throws {
        let guest = try guest([0xf4] + SystemGuest.end, handler: [0xe6, 0x11] + Self.rsm)
        guest.onWrite = { port, _ in if port == 0x11 { guest.cpu.injectNMI() } }
        guest.cpu.injectSMI()
        // The SMI comes before HLT here: a second one finds it asleep, and NMIs end both.
        guest.code([0xb0, 0x21, 0xe6, 0xf4, 0xf4], at: 0x9000)
        guest.gate(2, 0x8e, target: 0x9000)
        #expect(guest.run() == .port(0x21))
    }

    /// What no processor can be in shuts it down, each field by itself: paging without protection, long mode without PAE,
    /// bits that there are not.
    @Test(arguments: [
        (0xff58, 0x8000_0000), (0xff48, 0), (0xff48, 0xf000_0020), (0xfed0, 0x8000_0500), (0xfe12, 0x0600_0000), (0xff70, 0x2_0002),
    ] as [(UInt16, UInt32)])
    func anImpossibleStateShutsDown(field: UInt16, value: UInt32) throws {
        let place: [UInt8] = [UInt8(field & 0xff), UInt8(field >> 8)]
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        // CS's attributes are the upper half of a word at its selector.
        let width: [UInt8] = field == 0xfe12 ? [0x2e, 0xc7, 0x06] + place + [0x9b, 0x60] : [0x2e, 0x66, 0xc7, 0x06] + place + bytes
        let guest = try guest([0xe6, 0x10] + SystemGuest.end, handler: width + Self.rsm)
        #expect(guest.run() == .shutdown)
    }

    @Test func aSaveAreaWithoutMemoryShutsDown() throws {
        let guest = try guest([0xe6, 0x10] + SystemGuest.end, handler: Self.rsm)
        var state = guest.cpu.state
        state.smbase = 0x1000_0000
        guest.cpu.state = state
        #expect(guest.run() == .shutdown)
    }

    /// Random save areas never harm more than the guest.
    @Test func randomSaveAreasDoNoHarm() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let guest = try guest([0xe6, 0x10] + SystemGuest.end, handler: Self.rsm)
            guest.onWrite = { port, _ in
                guard port == 0x10 else { return }
                guest.cpu.injectSMI()
            }
            // The handler copies noise over fields of its area: eight words at random places.
            var handler: [UInt8] = []
            for _ in 0..<8 {
                let place = 0xfe00 + UInt16.random(in: 0..<0x7f, using: &random) * 4
                let value = UInt32.random(in: 0...UInt32.max, using: &random)
                handler += [0x2e, 0x66, 0xc7, 0x06, UInt8(place & 0xff), UInt8(place >> 8)]
                handler += (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
            }
            guest.code(handler + Self.rsm, at: Self.handler)
            _ = guest.run(seconds: 1)
        }
    }
}
