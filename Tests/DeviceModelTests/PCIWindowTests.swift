import DeviceModel
import GuestMemory
import TestSupport
import Testing

@Suite struct PCIWindowTests {
    @Test func headerTellsIdentity() throws {
        let function = PCIFunction(.test, interruptPin: 2)
        #expect(function.readConfiguration(0, size: 4) == 0x5678_1234)
        #expect(function.readConfiguration(8, size: 4) == 0x0C03_3007)
        #expect(function.readConfiguration(0x3D, size: 1) == 2)
        function.writeConfiguration(0, size: 4, value: 0)
        #expect(function.readConfiguration(0, size: 4) == 0x5678_1234)
    }

    @Test func sizingReadsBackTheMask() throws {
        let function = PCIFunction(.test)
        function.addBAR(0, .io, size: 32, regions: [])
        function.addBAR(1, .memory32(prefetchable: false), size: 4096, regions: [])
        function.addBAR(2, .memory64(prefetchable: true), size: 1 << 33, regions: [])
        for register in stride(from: 0x10, to: 0x20, by: 4) {
            function.writeConfiguration(register, size: 4, value: UInt32.max)
        }
        #expect(function.readConfiguration(0x10, size: 4) == 0xFFFF_FFE1)
        #expect(function.readConfiguration(0x14, size: 4) == 0xFFFF_F000)
        #expect(function.readConfiguration(0x18, size: 4) == 0x0000_000C)
        #expect(function.readConfiguration(0x1C, size: 4) == 0xFFFF_FFFE)
    }

    @Test func windowsFollowTheirRegisters() throws {
        let board = TestBoard()
        let function = PCIFunction(.test)
        function.addBAR(
            0, .io, size: 16, regions: [PCIBAR.Region(count: 16, name: "io", device: Probe(0x40))])
        function.addBAR(
            1, .memory32(prefetchable: false), size: 0x1000,
            regions: [PCIBAR.Region(offset: 0x800, count: 0x100, name: "mem", device: Probe(0x90))])
        try board.bus.attach(function, slot: 3)
        function.writeConfiguration(0x10, size: 4, value: 0xC000)
        function.writeConfiguration(0x14, size: 4, value: 0xE000_0000)
        #expect(board.io.ranges.isEmpty && board.memory.ranges.isEmpty)

        function.writeConfiguration(4, size: 2, value: 3)
        #expect(board.io.read(0xC002, size: 1) == 0x42)
        #expect(board.memory.read(0xE000_0801, size: 1) == 0x91)
        #expect(board.memory.read(0xE000_0000, size: 4) == 0xFFFF_FFFF)

        function.writeConfiguration(0x14, size: 4, value: 0xF000_0000)
        #expect(board.memory.read(0xE000_0800, size: 1) == 0xFF)
        #expect(board.memory.read(0xF000_0800, size: 1) == 0x90)

        function.writeConfiguration(4, size: 2, value: 1)
        #expect(board.memory.ranges.isEmpty && board.io.ranges.count == 1)
        board.bus.detach(slot: 3)
        #expect(board.io.ranges.isEmpty)
    }

    @Test func windowsAboveFourGiBAndOutOfReach() throws {
        let board = TestBoard()
        let function = PCIFunction(.test)
        function.addBAR(
            4, .memory64(prefetchable: true), size: 0x4000,
            regions: [PCIBAR.Region(count: 0x4000, name: "m", device: Probe(1))])
        try board.bus.attach(function, slot: 1)
        function.writeConfiguration(4, size: 2, value: 2)
        #expect(board.memory.ranges.isEmpty, "An address of 0 is not decoded")
        function.writeConfiguration(0x24, size: 4, value: 0x20)
        #expect(board.memory.ranges.map(\.start) == [0x20_0000_0000])
        #expect(function.address(ofBAR: 4) == 0x20_0000_0000)
        function.writeConfiguration(0x24, size: 4, value: 0xFFFF_FFFF)
        function.writeConfiguration(0x20, size: 4, value: 0xFFFF_FFFF)
        #expect(board.memory.ranges.isEmpty)
    }

    @Test func romAppearsInGuestMemory() throws {
        let space = AddressSpace()
        let block = try RAMBlock(name: "rom", size: 8192)
        let bus = PCIBus(spaces: PCISpaces(io: Bus(), memory: Bus(), ram: space))
        let function = PCIFunction(.test)
        function.addBAR(
            0, .rom, size: 8192, regions: [PCIBAR.Region(count: 8192, name: "rom", block: block, writable: false)])
        try bus.attach(function, slot: 1)
        function.writeConfiguration(4, size: 2, value: 2)
        function.writeConfiguration(0x30, size: 4, value: 0xFEB0_0000)
        #expect(space.view.ranges.isEmpty)
        function.writeConfiguration(0x30, size: 4, value: 0xFEB0_0001)
        #expect(space.view.ranges.map(\.start) == [GuestPhysical(0xFEB0_0000)])
        #expect(space.view.ranges.first?.writable == false)
        function.reset()
        #expect(space.view.ranges.isEmpty)
    }

    @Test func stateMovesWindowsAndKeepsReadOnlyBits() throws {
        let board = TestBoard()
        func make() -> PCIFunction {
            let function = PCIFunction(.test)
            function.addBAR(
                0, .memory32(prefetchable: false), size: 4096,
                regions: [PCIBAR.Region(count: 4096, name: "m", device: Probe(5))])
            return function
        }
        let first = make()
        try board.bus.attach(first, slot: 1)
        first.writeConfiguration(0x10, size: 4, value: 0xE000_0000)
        first.writeConfiguration(4, size: 2, value: 2)
        var state = first.exportState()
        board.bus.detach(slot: 1)
        let revision = first.readConfiguration(8, size: 1)
        var bytes = try state.bytes("config")
        bytes[8] = 0xEE
        state.set("config", bytes)

        let second = make()
        try board.bus.attach(second, slot: 1)
        try second.importState(state)
        #expect(board.memory.ranges.map(\.start) == [0xE000_0000])
        #expect(second.readConfiguration(0, size: 4) == 0x5678_1234 && second.readConfiguration(8, size: 1) == revision)
        // Another device is not taken for this one, nor is one of another slot.
        bytes[0] = 0xEE
        state.set("config", bytes)
        let other = "The saved PCI device is 12ee:5678 of class 0c03, this one 1234:5678 of class 0c03"
        #expect(throws: DeviceStateError.refused(field: "config", other)) { try second.importState(state) }
        let third = make()
        try board.bus.attach(third, slot: 2)
        let place = "The saved PCI device was at 01.0, this one is at 02.0"
        let wanted = second.exportState()
        #expect(throws: DeviceStateError.refused(field: "place", place)) { try third.importState(wanted) }
        state.set("config", [UInt8](repeating: 0, count: 3))
        #expect(throws: DeviceStateError.outOfRange(field: "config", value: 3)) { try second.importState(state) }
    }

    @Test func randomConfigurationAccesses() throws {
        let board = TestBoard()
        let function = PCIFunction(.test, interruptPin: 1)
        function.addBAR(0, .io, size: 64, regions: [PCIBAR.Region(count: 64, name: "i", device: Probe(0))])
        var regions = function.addMSIX(vectors: 65, bar: 1, tableOffset: 0, pendingOffset: 0x800)
        regions.append(PCIBAR.Region(offset: 0xC00, count: 0x400, name: "m", device: Probe(1)))
        function.addBAR(1, .memory32(prefetchable: false), size: 4096, regions: regions)
        function.addBAR(2, .memory64(prefetchable: false), size: 1 << 20, regions: regions)
        function.addMSI(vectors: 8)
        try board.bus.attach(function, slot: 31, function: 7)
        var random = SplitMix64(state: 1)
        for round in 0..<FuzzRounds.times(20_000) {
            let offset = Int(random.next() % 260)
            let size = [1, 2, 4][Int(random.next() % 3)]
            if random.next() & 1 == 0 {
                function.writeConfiguration(offset, size: size, value: UInt32(truncatingIfNeeded: random.next()))
            } else {
                _ = function.readConfiguration(offset, size: size)
            }
            function.signalMSIX(Int(random.next() % 70) - 2)
            function.signalMSI(Int(random.next() % 40) - 2)
            function.setINTx(random.next() & 1 == 0)
            if let range = board.memory.ranges.randomElement(using: &random) {
                board.memory.write(range.start + random.next() % range.count, size: 4, value: random.next())
                _ = board.memory.read(range.start + random.next() % range.count, size: 8)
            }
            #expect(board.memory.ranges.count <= 6 && board.io.ranges.count <= 1, "round \(round)")
        }
        #expect(function.readConfiguration(0, size: 4) == 0x5678_1234)
        function.reset()
        #expect(board.memory.ranges.isEmpty && board.io.ranges.isEmpty && !board.lines[3])
    }
}
