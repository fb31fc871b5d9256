import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing
import VirtQueue

/// Which transport a test runs on.
enum Road: CaseIterable, Sendable {
    case mmio
    case pci
    func make(
        _ device: any VirtioDevice, _ memory: AddressSpace, rings: VirtioRingOptions = VirtioRingOptions()
    ) throws -> any TestTransport {
        switch self {
        case .mmio: MMIOTransport(device, memory, rings: rings)
        case .pci: try PCITransport(device, memory, options: VirtioPCIOptions(rings: rings))
        }
    }
}

@Suite struct TransportTests {
    @Test(arguments: Road.allCases) func statusMachine(_ road: Road) throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport = try road.make(device, memory)
        #expect(transport.status == 0)
        transport.status = 1
        transport.status = 3
        #expect(transport.status == 3)
        #expect(transport.deviceFeatures() == 0b101 | 1 << 28 | 1 << 29 | 1 << 32)

        // A bit that was not offered.
        transport.setDriverFeatures(1 << 32 | 0b10)
        transport.status = 0xB
        #expect(transport.status == 3)
        // What the device itself finds senseless.
        transport.setDriverFeatures(1 << 32 | 0b100)
        transport.status = 0xB
        #expect(transport.status == 3)
        // DRIVER_OK before FEATURES_OK leads nowhere.
        transport.status = 0xF
        #expect(transport.status & 4 == 0 && device.counts.activations == 0)

        let queues = try transport.start(memory, features: 1 | 1 << 29)
        #expect(queues.count == 2)
        #expect(transport.status == 0xF)
        #expect(device.counts.activations == 1)
        #expect(device.counts.features == 1 << 32 | 1 << 29 | 1)
        #expect(device.counts.queues == 2)
        #expect(device.counts.notifications == [0, 1])
        transport.notify(1)
        transport.notify(2)
        #expect(device.counts.notifications == [0, 1, 1])

        // Features are fixed, DRIVER_OK works once, bits do not go away but by reset.
        transport.setDriverFeatures(0)
        transport.status = 0xF
        transport.status = 1
        #expect(transport.status == 0xF && device.counts.activations == 1)
        transport.status = 0
        #expect(transport.status == 0 && device.interrupt == nil)
    }

    @Test(arguments: Road.allCases) func modernDriversMustSayVersion1(_ road: Road) throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport: any TestTransport =
            road == .mmio
            ? MMIOTransport(device, memory)
            : try PCITransport(device, memory, options: VirtioPCIOptions(disableLegacy: true))
        transport.status = 3
        transport.setDriverFeatures(1)
        transport.status = 0xB
        #expect(transport.status == 3)
        transport.status = 0xF
        #expect(transport.status == 3 && device.counts.activations == 0)
    }

    @Test(arguments: Road.allCases) func interruptsAndConfiguration(_ road: Road) throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport = try road.make(device, memory)
        _ = try transport.start(memory)
        let interrupt = try #require(device.interrupt)
        interrupt.signalQueue(0)
        interrupt.signalConfigurationChange()
        #expect(transport.interruptLevel)
        #expect(transport.takeInterrupt() == 3)
        #expect(!transport.interruptLevel && transport.takeInterrupt() == 0)

        #expect(transport.configuration(0, 4) == 0x5A5A_5A5A)
        transport.setConfiguration(4, 2, 0x1234)
        #expect(transport.configuration(4, 2) == 0x1234 && transport.configuration(5, 1) == 0x12)
        #expect(transport.configuration(0x50, 4) == 0)

        interrupt.setNeedsReset()
        #expect(transport.status == 0x4F && transport.takeInterrupt() == 2)
        transport.status = 0
        #expect(transport.status == 0)
        interrupt.signalQueue(0)
        transport.device.reset()
        #expect(!transport.interruptLevel)
    }

    @Test(arguments: Road.allCases) func ringsOutsideMemoryNeedReset(_ road: Road) throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport = try road.make(device, memory)
        transport.status = 3
        transport.setDriverFeatures(1 << 32)
        transport.status = 0xB
        transport.enable(0, DriverQueue.layout(at: 1 << 40, size: 16))
        transport.status = 0xF
        #expect(transport.status & 0x40 != 0 && device.counts.activations == 0)
        transport.status = 0
        _ = try transport.start(memory)
        #expect(device.counts.activations == 1)
    }

    @Test(arguments: Road.allCases) func stateTravels(_ road: Road) throws {
        let memory = try makeMemory()
        let first = try road.make(CountingDevice(), memory, rings: VirtioRingOptions(isPacked: true))
        _ = try first.start(memory, features: VirtioFeature.packedRing | 1)
        first.device.pause()
        let state = first.device.exportState()
        let device = CountingDevice()
        let second = try road.make(device, memory, rings: VirtioRingOptions(isPacked: true))
        try second.device.importState(state)
        second.device.resume()
        #expect(second.status == 0xF && device.counts.activations == 1)
        #expect(device.counts.features == 1 << 34 | 1 << 32 | 1)
        #expect(second.device.exportState() == state)
        device.interrupt?.signalQueue(1)
        #expect(second.interruptLevel)
    }

    @Test func mmioIdentity() throws {
        let transport = MMIOTransport(CountingDevice(), try makeMemory())
        #expect(transport.read(0) == 0x7472_6976 && transport.read(4) == 2 && transport.read(8) == 2)
        #expect(transport.bus.read(MMIOTransport.base, size: 1) == 0, "Registers are words")
        #expect(transport.read(0xB0) == UInt32.max, "There is no shared memory")
    }

    @Test(arguments: Road.allCases) func randomAccesses(_ road: Road) throws {
        let memory = try makeMemory()
        var random = SplitMix64(state: 77)
        let console = VirtioConsole(
            ports: [.init(id: 0, isConsole: true, backend: nil), .init(id: 3, isConsole: false, backend: nil)],
            scheduler: InlineScheduler())
        let transport = try road.make(console, memory, rings: VirtioRingOptions(isPacked: true))
        func poke() {
            let size = [1, 2, 4, 8][Int(random.next() % 4)]
            var value = random.next() >> (random.next() % 64)
            if random.next() % 3 == 0 { value = random.next() % 16 << 12 }
            switch transport {
            case let mmio as MMIOTransport:
                let place = MMIOTransport.base + random.next() % 0x120
                if random.next() % 3 == 0 {
                    _ = mmio.bus.read(place, size: size)
                } else {
                    mmio.bus.write(random.next() % 4 == 0 ? place : place & ~3, size: size, value: value)
                }
            case let pci as PCITransport:
                let structure = [UInt64(0), 0x1000, 0x2000, 0x3000][Int(random.next() % 4)]
                let place = PCITransport.base + structure + random.next() % 0x40
                if random.next() % 3 == 0 {
                    _ = pci.memoryBus.read(place, size: size)
                    _ = pci.io.read(PCITransport.port + random.next() % 64, size: min(size, 4))
                } else if random.next() % 4 == 0 {
                    pci.io.write(PCITransport.port + random.next() % 64, size: min(size, 4), value: value)
                } else {
                    pci.memoryBus.write(random.next() % 4 == 0 ? place : place & ~1, size: size, value: value)
                }
                if random.next() % 16 == 0 {
                    pci.transport.function.writeConfiguration(
                        0x40 + Int(random.next() % 0x80), size: 4, value: UInt32(truncatingIfNeeded: value))
                }
            default: break
            }
        }
        for round in 0..<FuzzRounds.times(300) {
            if round % 10 == 0 { _ = try transport.start(memory, features: round % 20 == 0 ? UInt64.max : 0) }
            for _ in 0..<200 { poke() }
            let rings = GuestPhysical(0x10000 * (random.next() % 8 + 1) + random.next() % 1024)
            try memory.store(rings, random.next())
            if round % 50 == 0 { (transport as? PCITransport)?.program() }
        }
        transport.device.reset()
        (transport as? PCITransport)?.program()
        _ = try transport.start(memory)
        #expect(transport.status == 0xF)
    }
}
