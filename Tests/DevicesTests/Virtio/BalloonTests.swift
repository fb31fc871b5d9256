import DeviceModel
import Devices
import GuestMemory
import Testing
import VirtQueue

@Suite struct BalloonTests {
    private func make(
        _ memory: AddressSpace, _ properties: VirtioBalloon.Properties = .init(hasFreePageReporting: true),
        clock: ManualClock? = nil
    ) throws -> (VirtioBalloon, MMIOTransport, [DriverQueue]) {
        let device = VirtioBalloon(properties, memory: memory, scheduler: InlineScheduler(), clock: clock)
        let transport = MMIOTransport(device, memory)
        return (device, transport, try transport.start(memory, features: UInt64.max))
    }
    private func store(_ memory: AddressSpace, _ pages: [UInt32], at address: UInt64) throws -> DriverQueue.Piece {
        for (index, page) in pages.enumerated() { try memory.store(GuestPhysical(address + UInt64(index) * 4), page) }
        return .init(address, UInt32(pages.count * 4))
    }

    @Test func inflatedPagesAreGivenBack() throws {
        let memory = try makeMemory()
        let (device, transport, queues) = try make(memory)
        device.setTarget(pages: 3)
        #expect(transport.takeInterrupt() == 2 && transport.configuration(0, 4) == 3)
        for page in UInt64(0x800)..<0x808 { try memory.store(GuestPhysical(page << 12), UInt32(page)) }
        // Down, up, alone, ROM-less space and nonsense.
        let piece = try store(memory, [0x803, 0x802, 0x805, 0x806, 0xFFFF_FFFF, 0x9000], at: 0xA0_0000)
        _ = queues[0].add(readable: [piece], writable: [])
        transport.notify(0)
        #expect(queues[0].poll() != nil)
        let values = try (UInt64(0x800)..<0x808).map { try memory.load(GuestPhysical($0 << 12), as: UInt32.self) }
        #expect(values == [0x800, 0x801, 0, 0, 0x804, 0, 0, 0x807])

        transport.setConfiguration(4, 4, 2)
        #expect(device.actualPages == 2 && transport.configuration(4, 4) == 2)
        _ = queues[1].add(readable: [piece], writable: [])
        transport.notify(1)
        #expect(queues[1].poll() != nil && transport.status == 0xF)
    }

    @Test func reportedPagesAreGivenBack() throws {
        let memory = try makeMemory()
        let (_, transport, queues) = try make(memory)
        try memory.store(GuestPhysical(0x80_1000), UInt32(1))
        try memory.store(GuestPhysical(0x80_2FFC), UInt32(2))
        try memory.store(GuestPhysical(0x80_3000), UInt32(3))
        _ = queues[3].add(readable: [], writable: [.init(0x80_1000, 0x2000)])
        _ = queues[3].add(readable: [], writable: [.init(0x80_3000, 0x800)])
        transport.notify(3)
        #expect(queues[3].poll() != nil && queues[3].poll() != nil)
        #expect(try memory.load(GuestPhysical(0x80_1000), as: UInt32.self) == 0)
        #expect(try memory.load(GuestPhysical(0x80_2FFC), as: UInt32.self) == 0)
        #expect(try memory.load(GuestPhysical(0x80_3000), as: UInt32.self) == 3, "Parts of pages stay")
    }

    @Test func statisticsArePolled() throws {
        let memory = try makeMemory()
        let clock = ManualClock()
        let (device, transport, queues) = try make(memory, .init(statisticsInterval: 2), clock: clock)
        #expect(queues.count == 3)
        func give(_ free: UInt64) throws {
            try memory.store(GuestPhysical(0xB0_0000), UInt16(4))
            try memory.store(GuestPhysical(0xB0_0002), free)
            try memory.store(GuestPhysical(0xB0_000A), UInt16(5))
            try memory.store(GuestPhysical(0xB0_000C), UInt64(99))
            try memory.store(GuestPhysical(0xB0_0014), UInt16(0xFFFF))
            _ = queues[2].add(readable: [.init(0xB0_0000, 30)], writable: [])
            transport.notify(2)
        }
        try give(1000)
        #expect(device.statistics.values == [4: 1000, 5: 99] && queues[2].poll() == nil)
        clock.advance(by: 1_999_999_999)
        #expect(queues[2].poll() == nil)
        clock.advance(by: 1)
        #expect(queues[2].poll() != nil)
        try give(2000)
        #expect(device.statistics.values[4] == 2000 && device.statistics.time == 2_000_000_000)

        // The buffer that the device holds is not lost when the machine is saved.
        transport.transport.pause()
        let (other, second, _) = try make(try makeMemory(), clock: clock)
        _ = other
        _ = second
        let twin = MMIOTransport(
            VirtioBalloon(.init(statisticsInterval: 2), memory: memory, scheduler: InlineScheduler(), clock: clock),
            memory)
        try twin.transport.importState(transport.transport.exportState())
        twin.transport.resume()
        clock.advance(by: 2_000_000_000)
        #expect(queues[2].poll() != nil)
    }
}
