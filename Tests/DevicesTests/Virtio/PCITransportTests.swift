import DeviceModel
import Devices
import GuestMemory
import Testing
import VirtQueue

@Suite struct PCITransportTests {
    @Test func idsOfTheForms() throws {
        let memory = try makeMemory()
        func ids(_ options: VirtioPCIOptions) throws -> [UInt32] {
            let function = try PCITransport(CountingDevice(), memory, options: options).transport.function
            return [
                function.readConfiguration(2, size: 2), function.readConfiguration(8, size: 1),
                function.readConfiguration(0x2E, size: 2),
            ]
        }
        #expect(try ids(VirtioPCIOptions()) == [0x1001, 0, 2])
        #expect(try ids(VirtioPCIOptions(disableModern: true)) == [0x1001, 0, 2])
        #expect(try ids(VirtioPCIOptions(disableLegacy: true)) == [0x1042, 1, 0x1100])
    }

    @Test func capabilitiesLeadToTheStructures() throws {
        let transport = try PCITransport(CountingDevice(), try makeMemory())
        let function = transport.transport.function
        var found: [UInt32: (offset: UInt32, count: UInt32)] = [:]
        var place = Int(function.readConfiguration(0x34, size: 1))
        while place != 0 {
            if function.readConfiguration(place, size: 1) == 9 {
                let type = function.readConfiguration(place + 3, size: 1)
                found[type] = (
                    function.readConfiguration(place + 8, size: 4), function.readConfiguration(place + 12, size: 4)
                )
                if type == 2 { #expect(function.readConfiguration(place + 16, size: 4) == 4) }
                if type < 5 { #expect(function.readConfiguration(place + 4, size: 1) == 4) }
            }
            place = Int(function.readConfiguration(place + 1, size: 1))
        }
        #expect(found.keys.sorted() == [1, 2, 3, 4, 5])
        #expect(found[1]?.offset == 0 && found[2]?.offset == 0x3000 && found[3]?.offset == 0x1000)
        #expect(found[4]?.offset == 0x2000)
        #expect(transport.read(18, 2) == 2)
    }

    @Test func messagesByVector() throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport = try PCITransport(device, memory)
        transport.useMSIX(vectors: 3)
        _ = try transport.start(memory)
        transport.write(22, 2, 1)
        transport.write(26, 2, 2)
        #expect(transport.read(26, 2) == 2)
        transport.write(26, 2, 9)
        #expect(transport.read(26, 2) == 0xFFFF, "A vector that there is not")
        transport.write(26, 2, 2)
        transport.write(16, 2, 0)
        let interrupt = try #require(device.interrupt)
        interrupt.signalQueue(1)
        interrupt.signalQueue(0)
        interrupt.signalConfigurationChange()
        #expect(transport.messages.take() == [0x42, 0x40])
        #expect(!transport.interruptLevel)
        transport.status = 0
        #expect(transport.read(16, 2) == 0xFFFF)
    }

    @Test func accessByConfigurationSpace() throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport = try PCITransport(device, memory)
        let function = transport.transport.function
        var place = Int(function.readConfiguration(0x34, size: 1))
        while function.readConfiguration(place, size: 1) != 9 || function.readConfiguration(place + 3, size: 1) != 5 {
            place = Int(function.readConfiguration(place + 1, size: 1))
        }
        func access(_ offset: UInt32, _ count: UInt32) {
            function.writeConfiguration(place + 4, size: 1, value: 4)
            function.writeConfiguration(place + 8, size: 4, value: offset)
            function.writeConfiguration(place + 12, size: 4, value: count)
        }
        access(20, 1)
        function.writeConfiguration(place + 16, size: 1, value: 3)
        #expect(transport.status == 3)
        #expect(function.readConfiguration(place + 16, size: 1) == 3)
        access(0x2000, 4)
        #expect(function.readConfiguration(place + 16, size: 4) == 0x5A5A_5A5A)
        access(0x3004, 2)
        function.writeConfiguration(place + 16, size: 2, value: 1)
        #expect(device.counts.notifications == [1])
        access(0x4000, 4)
        function.writeConfiguration(place + 16, size: 4, value: 1)
        access(0x2001, 4)
        function.writeConfiguration(place + 16, size: 4, value: 1)
        #expect(transport.configuration(0, 4) == 0x5A5A_5A5A)
    }

    @Test(arguments: [false, true]) func legacyDriver(_ modernToo: Bool) throws {
        let memory = try makeMemory()
        let device = CountingDevice()
        let transport = try PCITransport(device, memory, options: VirtioPCIOptions(disableModern: !modernToo))
        let io = transport.io
        func read(_ offset: UInt64, _ size: Int) -> UInt64 { io.read(PCITransport.port + offset, size: size) }
        func write(_ offset: UInt64, _ size: Int, _ value: UInt64) {
            io.write(PCITransport.port + offset, size: size, value: value)
        }
        #expect(read(0, 4) == 0b101 | 7 << 27)
        write(18, 1, 0)
        write(18, 1, 3)
        write(4, 4, 1 | 1 << 28)
        write(14, 2, 1)
        #expect(read(12, 2) == 32)
        write(8, 4, 0x100)
        #expect(read(8, 4) == 0x100)
        write(18, 1, 7)
        #expect(read(18, 1) == 7)
        #expect(device.counts.activations == 1 && device.counts.queues == 1)
        #expect(device.counts.features == 1 | 1 << 28)
        #expect(read(20, 4) == 0x5A5A_5A5A)
        device.interrupt?.signalQueue(1)
        #expect(transport.interruptLevel && read(19, 1) == 1 && !transport.interruptLevel)

        transport.useMSIX(vectors: 3)
        #expect(read(24, 4) == 0x5A5A_5A5A)
        write(22, 2, 2)
        #expect(read(22, 2) == 2)
        device.interrupt?.signalQueue(1)
        #expect(transport.messages.take() == [0x42])
        write(8, 4, 0)
        #expect(read(18, 1) == 0, "Giving up a queue in use resets")
    }

    @Test func doorbellFollowsItsWindow() throws {
        let transport = try PCITransport(CountingDevice(), try makeMemory())
        #expect(transport.transport.doorbell(ofQueue: 1) == GuestPhysical(PCITransport.base + 0x3004))
        transport.transport.function.writeConfiguration(4, size: 2, value: 0)
        #expect(transport.transport.doorbell(ofQueue: 1) == nil)
    }
}
