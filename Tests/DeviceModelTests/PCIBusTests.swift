import DeviceModel
import Testing

@Suite struct PCIBusTests {
    @Test func mechanismOne() throws {
        let board = TestBoard()
        let function = PCIFunction(.test)
        try board.bus.attach(function, slot: 2)
        let ports = PCIConfigPorts(board.bus)
        board.io.add(ports, start: 0xCF8, count: 8, name: "pci-conf")
        #expect(board.io.read(0xCFC, size: 4) == 0xFFFF_FFFF)
        board.io.write(0xCF8, size: 4, value: 0x8000_1000)
        #expect(board.io.read(0xCF8, size: 4) == 0x8000_1000)
        #expect(board.io.read(0xCFC, size: 4) == 0x5678_1234)
        #expect(board.io.read(0xCFE, size: 2) == 0x5678)
        #expect(board.io.read(0xCFD, size: 1) == 0x12)
        #expect(board.io.read(0xCFF, size: 2) == 0xFF56, "An access ends with the dword")
        board.io.write(0xCF8, size: 4, value: 0x8000_103C)
        board.io.write(0xCFC, size: 1, value: 11)
        #expect(function.readConfiguration(0x3C, size: 1) == 11)
        board.io.write(0xCF8, size: 1, value: 0)
        #expect(board.io.read(0xCF8, size: 4) == 0x8000_103C, "Only dwords reach the address")
        board.io.write(0xCF8, size: 4, value: 0x8000_1800)
        #expect(board.io.read(0xCFC, size: 4) == 0xFFFF_FFFF)
    }

    @Test func multiFunctionSlots() throws {
        let board = TestBoard()
        let zero = PCIFunction(.test)
        try board.bus.attach(zero, slot: 4)
        #expect(zero.readConfiguration(0x0E, size: 1) == 0)
        try board.bus.attach(PCIFunction(.test), slot: 4, function: 3)
        #expect(zero.readConfiguration(0x0E, size: 1) == 0x80)
        #expect(throws: PCIBusError.occupied(PCIAddress(slot: 4, function: 3))) {
            try board.bus.attach(PCIFunction(.test), slot: 4, function: 3)
        }
        #expect(throws: PCIBusError.noSuchSlot(32, function: 0)) {
            try board.bus.attach(PCIFunction(.test), slot: 32)
        }
        #expect(try board.bus.attach(PCIFunction(.test), firstFreeFrom: 4) == 5)
        #expect(board.bus.functions.map(\.address.description) == ["00:04.0", "00:04.3", "00:05.0"])
    }

    @Test func enhancedAccessAndBridges() throws {
        let board = TestBoard()
        let bridge = PCIFunction(
            PCIIdentity(vendorID: 0x1B36, deviceID: 0xC, classCode: 0x060400), isBridge: true, isExpress: true)
        let child = try board.bus.attachBridge(bridge, slot: 1, name: "pci.1")
        let function = PCIFunction(.test, interruptPin: 1, isExpress: true)
        try child.attach(function, slot: 0)
        let window = PCIECAM(board.bus)
        #expect(window.read(offset: 1 << 20, size: 4) == 0xFFFF_FFFF)
        window.write(offset: 1 << 15 | 0x18, size: 4, value: 0x0001_0100)
        #expect(window.read(offset: 1 << 20, size: 4) == 0x5678_1234)
        #expect(window.read(offset: 1 << 20 | 0x100, size: 4) == 0)
        function.setINTx(true)
        #expect(board.lines[1], "INTA# behind slot 1 is the bridge's INTA#")
    }

    @Test func resourcesWithoutFirmware() throws {
        let board = TestBoard()
        func function(_ kind: PCIBAR.Kind, _ size: UInt64) -> PCIFunction {
            let function = PCIFunction(.test, interruptPin: 1)
            function.addBAR(0, kind, size: size, regions: [PCIBAR.Region(count: size, name: "w", device: Probe(7))])
            return function
        }
        let small = function(.memory32(prefetchable: false), 4096)
        let large = function(.memory32(prefetchable: false), 1 << 24)
        let ports = function(.io, 64)
        let high = function(.memory64(prefetchable: true), 1 << 32)
        let tooBig = function(.memory32(prefetchable: false), 1 << 31)
        for (slot, function) in [small, large, ports, high, tooBig].enumerated() {
            try board.bus.attach(function, slot: slot + 1)
        }
        let bridge = PCIFunction(.test, isBridge: true)
        let child = try board.bus.attachBridge(bridge, slot: 9, name: "pci.1")
        let behind = function(.memory32(prefetchable: false), 8192)
        try child.attach(behind, slot: 0)

        var assigner = PCIResourceAssigner(
            io: .init(start: 0xC000, end: 0x10000), memory32: .init(start: 0xE000_1000, end: 0xF000_0000),
            memory64: .init(start: 0x1_0000_0000, end: 0x10_0000_0000)
        ) { slot, pin in UInt8(10 + (slot + pin) % 4) }
        let shortages = assigner.assign(board.bus)

        #expect(shortages.map(\.size) == [1 << 31])
        #expect(large.address(ofBAR: 0) == 0xE100_0000)
        #expect(small.address(ofBAR: 0) == 0xE200_0000)
        #expect(ports.address(ofBAR: 0) == 0xC000)
        #expect(high.address(ofBAR: 0) == 0x1_0000_0000)
        #expect(tooBig.command == 0)
        #expect(small.readConfiguration(0x3C, size: 1) == 11)
        #expect(behind.address(ofBAR: 0) == 0xE210_0000)
        #expect(bridge.readConfiguration(0x18, size: 4) & 0xFF_FFFF == 0x01_0100)
        #expect(bridge.readConfiguration(0x20, size: 4) == 0xE210_E210)
        #expect(board.bus.find(PCIAddress(bus: 1, slot: 0)) === behind)
        #expect(board.memory.read(0xE200_0004, size: 1) == 11)
    }
}

@Suite struct PCIExpressTests {
    @Test func capabilityOfAPort() {
        let function = PCIFunction(.test, isBridge: true, isExpress: true)
        function.addMSI(vectors: 1)
        function.addExpressCapability(.rootPort, slot: 5)
        let place = Int(function.readConfiguration(0x41, size: 1))
        #expect(function.readConfiguration(place, size: 1) == 0x10)
        #expect(function.readConfiguration(place + 2, size: 2) == 0x0142)
        #expect(function.readConfiguration(place + 0x14, size: 4) >> 19 == 5)
        function.writeConfiguration(place + 2, size: 2, value: 0)
        function.writeConfiguration(place + 8, size: 2, value: 0xFFFF)
        #expect(function.readConfiguration(place + 2, size: 2) == 0x0142)
        #expect(function.readConfiguration(place + 8, size: 2) == 0x78FF)
    }
}
