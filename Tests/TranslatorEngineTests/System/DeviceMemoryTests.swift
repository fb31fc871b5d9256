import CEngine
import Testing
import TranslatorEngine

/// Instructions that reach device memory in their middle: each access once, in order, and the instruction as a whole.
@Suite struct DeviceMemoryTests {
    private typealias Place = SystemGuest.Place
    private static let device = Place.device

    private func guest(_ code: [UInt8], threshold: UInt64?) throws -> SystemGuest {
        let guest = try SystemGuest(.long, threshold: threshold)
        // mov ebx, device
        guest.code([0xbb, 0x00, 0x00, 0x00, 0xf0] + code + [0xe6, 0xf4, 0xf4])
        return guest
    }
    private func writes(_ guest: SystemGuest) -> [[UInt64]] {
        guest.writes.map { [$0.address - Self.device, UInt64($0.size), $0.value] }
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func pushAndPopOfDeviceMemory(threshold: UInt64?) throws {
        let guest = try guest([
            0xff, 0x33,  // push [rbx]
            0x58,  // pop rax
            0x8f, 0x43, 0x08,  // pop [rbx + 8]: what is above
        ], threshold: threshold)
        guest.answers = [Self.device: 0x1122_3344_5566_7788]
        guest.machine.write64(Place.stack, 0x99)
        #expect(guest.run() == .port(0x88))
        #expect(writes(guest) == [[8, 8, 0x99]])
        #expect(guest.gpr(4) == Place.stack + 8)
        #expect(guest.gpr(0) == 0x1122_3344_5566_7788)
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func exchangeAndArithmetic(threshold: UInt64?) throws {
        let guest = try guest([
            0xb8, 0x05, 0, 0, 0,  // mov eax, 5
            0x87, 0x03,  // xchg [rbx], eax
            0xf9,  // stc
            0x11, 0x03,  // adc [rbx], eax
            0x0f, 0x92, 0xc1,  // setb cl
            0xf0, 0xff, 0x43, 0x04,  // lock inc dword ptr [rbx + 4]
            0xf7, 0x5b, 0x08,  // neg dword ptr [rbx + 8]
            0x0f, 0x92, 0xc5,  // setb ch
            0xd1, 0x53, 0x0c,  // rcl dword ptr [rbx + 12], 1
            0x0f, 0xc1, 0x43, 0x10,  // xadd [rbx + 16], eax
        ], threshold: threshold)
        guest.answers = [
            Self.device: 0xffff_fff0, Self.device + 4: 7, Self.device + 8: 3, Self.device + 12: 0x8000_0000,
            Self.device + 16: 0x100,
        ]
        _ = guest.run()
        // xchg: eax = fffffff0; adc: fffffff0 + fffffff0 + 1 carries; rcl takes the carry of neg.
        #expect(
            writes(guest) == [
                [0, 4, 5], [0, 4, 0xffff_ffe1], [4, 4, 8], [8, 4, 0xffff_fffd], [12, 4, 1],
                [16, 4, 0xf0],
            ])
        #expect(guest.gpr(1) & 0xffff == 0x0101)
        #expect(guest.gpr(0) & 0xffff_ff00 == 0x100)
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func compareAndExchange(threshold: UInt64?) throws {
        let guest = try guest([
            0xb8, 0x07, 0, 0, 0,  // mov eax, 7
            0xb9, 0x09, 0, 0, 0,  // mov ecx, 9
            0xf0, 0x0f, 0xb1, 0x0b,  // lock cmpxchg [rbx], ecx: equal
            0x0f, 0x94, 0xc2,  // sete dl
            0xf0, 0x0f, 0xb1, 0x4b, 0x04,  // lock cmpxchg [rbx + 4], ecx: not
            0x0f, 0x94, 0xc6,  // sete dh
        ], threshold: threshold)
        guest.answers = [Self.device: 7, Self.device + 4: 0x55]
        #expect(guest.run() == .port(0x55))
        #expect(writes(guest) == [[0, 4, 9], [4, 4, 0x55]])
        #expect(guest.gpr(2) & 0xffff == 1)
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func repeatedMovesFromAndToDeviceMemory(threshold: UInt64?) throws {
        let guest = try guest([
            0x89, 0xde,  // mov esi, ebx
            0xbf, 0x00, 0x00, 0x10, 0x00,  // mov edi, data
            0xb9, 3, 0, 0, 0,  // mov ecx, 3
            0xf3, 0xa5,  // rep movsd
            0xbe, 0x00, 0x00, 0x10, 0x00,  // mov esi, data
            0x8d, 0x7b, 0x40,  // lea edi, [rbx + 40H]
            0xb9, 3, 0, 0, 0,  // mov ecx, 3
            0xf3, 0xa5,  // rep movsd
            0x8d, 0x73, 0x04,  // lea esi, [rbx + 4]
            0x8d, 0x7b, 0x60,  // lea edi, [rbx + 60H]
            0xb9, 2, 0, 0, 0,  // mov ecx, 2
            0xf3, 0xa5,  // rep movsd, device to device
            0xb0, 0,
        ], threshold: threshold)
        guest.answers = [Self.device: 1, Self.device + 4: 2, Self.device + 8: 3]
        #expect(guest.run() == .port(0))
        #expect(
            writes(guest) == [[0x40, 4, 1], [0x44, 4, 2], [0x48, 4, 3], [0x60, 4, 2], [0x64, 4, 3]])
        #expect(guest.gpr(6) == Self.device + 12)
        #expect(guest.gpr(7) == Self.device + 0x68)
        #expect(guest.gpr(1) == 0)
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func comparisonsScansAndPorts(threshold: UInt64?) throws {
        let guest = try guest([
            0x89, 0xdf,  // mov edi, ebx
            0xb8, 3, 0, 0, 0,  // mov eax, 3
            0xb9, 9, 0, 0, 0,  // mov ecx, 9
            0xf2, 0xaf,  // repne scasd: finds 3 at the third
            0x89, 0xcd,  // mov ebp, ecx
            0xba, 0x20, 0x03, 0x00, 0x00,  // mov edx, 320H
            0xbf, 0x00, 0x00, 0x10, 0x00,  // mov edi, data
            0xb9, 3, 0, 0, 0,  // mov ecx, 3
            0xf3, 0x6c,  // rep insb
            0xbe, 0x00, 0x00, 0x10, 0x00,  // mov esi, data
            0xb9, 2, 0, 0, 0,  // mov ecx, 2
            0xf3, 0x6e,  // rep outsb
            0xff, 0x63, 0x20,  // jmp [rbx + 20H]
        ], threshold: threshold)
        guest.code([0xb0, 0x2a, 0xe6, 0xf4, 0xf4], at: 0x9000)
        guest.answers = [
            Self.device: 1, Self.device + 4: 2, Self.device + 8: 3, 0x320: 0xab, Self.device + 0x20: 0x9000,
        ]
        #expect(guest.run() == .port(0x2a))
        #expect(guest.gpr(5) == 6)
        #expect(guest.machine.read32(Place.data) & 0xff_ffff == 0xababab)
        #expect(guest.writes.map { $0.address } == [0x320, 0x320])
        #expect(guest.writes.map { $0.value } == [0xab, 0xab])
    }

    @Test(arguments: [nil, 1] as [UInt64?])
    func accessAcrossTheBorderOfRAMAndDevice(threshold: UInt64?) throws {
        let guest = try guest([
            0xb8, 0xfe, 0xff, 0x3f, 0x00,  // mov eax, 3ffffeH: two bytes of RAM, two beyond
            0x8b, 0x08,  // mov ecx, [rax]
            0xc7, 0x00, 0x44, 0x33, 0x22, 0x11,  // mov dword ptr [rax], 11223344H
            0xb0, 0,
        ], threshold: threshold)
        guest.machine.write(0x3f_fffe, [0xaa, 0xbb])
        guest.answers = [0x40_0000: 0xddcc]
        #expect(guest.run() == .port(0))
        #expect(guest.gpr(1) == 0xddcc_bbaa)
        #expect(guest.machine.read16(0x3f_fffe) == 0x3344)
        #expect(guest.writes.map { $0.value } == [0x1122])
    }

    /// A load of SSE, and one that does not fit an access.
    @Test(arguments: [nil, 1] as [UInt64?])
    func vectorsFromDeviceMemory(threshold: UInt64?) throws {
        let guest = try guest([
            0x0f, 0x10, 0x03,  // movups xmm0, [rbx]
            0x0f, 0x11, 0x43, 0x20,  // movups [rbx + 20H], xmm0
            0x66, 0x48, 0x0f, 0x7e, 0xc0,  // movq rax, xmm0
        ], threshold: threshold)
        guest.answers = [Self.device: 0x11, Self.device + 8: 0x22]
        #expect(guest.run() == .port(0x11))
        #expect(writes(guest) == [[0x20, 8, 0x11], [0x28, 8, 0x22]])
    }

    /// CALL whose stack is device memory, and an exception in the middle of an instruction that has read a device.
    @Test(arguments: [nil, 1] as [UInt64?])
    func faultAfterADeviceRead(threshold: UInt64?) throws {
        let guest = try guest([
            0x48, 0xb8, 0, 0, 0, 0, 0, 0x80, 0, 0,  // movabs rax, 800000000000H: nothing is mapped below
            0x48, 0x89, 0xc4,  // mov rsp, rax
            0xff, 0x33,  // push [rbx]: faults at the push
        ], threshold: threshold)
        guest.answers = [Self.device: 5]
        guest.gate(14, 0x8e, ist: 1)
        guest.machine.write64(Place.tss + 36, Place.stack)
        #expect(guest.run() == .exception(14))
        #expect(guest.cpu.state.cr2 == 0x7fff_ffff_fff8)
    }
}
