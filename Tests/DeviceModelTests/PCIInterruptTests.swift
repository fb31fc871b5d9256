import DeviceModel
import Testing

@Suite struct PCIInterruptTests {
    private func makeMSIX(_ board: TestBoard) throws -> PCIFunction {
        let function = PCIFunction(.test, interruptPin: 1)
        let regions = function.addMSIX(vectors: 4, bar: 1, tableOffset: 0, pendingOffset: 0x800)
        function.addBAR(1, .memory32(prefetchable: false), size: 4096, regions: regions)
        try board.bus.attach(function, slot: 2)
        function.writeConfiguration(0x14, size: 4, value: 0xE000_0000)
        function.writeConfiguration(4, size: 2, value: 6)
        for vector in UInt64(0)..<4 {
            let entry = 0xE000_0000 + vector * 16
            board.memory.write(entry, size: 8, value: 0xFEE0_0000)
            board.memory.write(entry + 8, size: 4, value: 0x40 + vector)
            board.memory.write(entry + 12, size: 4, value: 0)
        }
        return function
    }
    // The capability is the first: control at 0x42.
    private func control(_ function: PCIFunction, _ value: UInt32) {
        function.writeConfiguration(0x42, size: 2, value: value)
    }

    @Test func messagesComeFromTheTable() throws {
        let board = TestBoard()
        let function = try makeMSIX(board)
        #expect(function.readConfiguration(0x40, size: 1) == 0x11)
        #expect(function.readConfiguration(0x42, size: 2) == 3)
        function.signalMSIX(1)
        #expect(board.messages.all.isEmpty, "Nothing is sent while MSI-X is off")
        control(function, 0x8000)
        #expect(function.isMSIXEnabled)
        function.signalMSIX(1)
        function.signalMSIX(3)
        function.signalMSIX(4)
        function.signalMSIX(-1)
        #expect(board.messages.all == [0x41, 0x43])
        #expect(board.messages.addresses == [0xFEE0_0000, 0xFEE0_0000])
    }

    @Test func maskedVectorsArePendingUntilUnmasked() throws {
        let board = TestBoard()
        let function = try makeMSIX(board)
        control(function, 0x8000)
        board.memory.write(0xE000_002C, size: 4, value: 1)
        function.signalMSIX(2)
        function.signalMSIX(2)
        #expect(board.messages.all.isEmpty)
        #expect(board.memory.read(0xE000_0800, size: 8) == 4)
        board.memory.write(0xE000_002C, size: 4, value: 0)
        #expect(board.messages.all == [0x42])
        #expect(board.memory.read(0xE000_0800, size: 8) == 0)
    }

    @Test func functionMaskHoldsAllBack() throws {
        let board = TestBoard()
        let function = try makeMSIX(board)
        control(function, 0xC000)
        function.signalMSIX(0)
        function.signalMSIX(3)
        #expect(board.memory.read(0xE000_0800, size: 1) == 9)
        control(function, 0x8000)
        #expect(board.messages.all == [0x40, 0x43])
        board.memory.write(0xE000_0800, size: 4, value: 0xF)
        #expect(board.memory.read(0xE000_0800, size: 4) == 0, "The pending bits are read-only")
    }

    @Test func pendingSurvivesSaving() throws {
        let board = TestBoard()
        let function = try makeMSIX(board)
        control(function, 0xC000)
        function.signalMSIX(2)
        let state = function.exportState()
        let other = TestBoard()
        let copy = try makeMSIX(other)
        try copy.importState(state)
        control(copy, 0x8000)
        #expect(other.messages.all == [0x42])
    }

    @Test func onlyABusMasterSends() throws {
        let board = TestBoard()
        let function = try makeMSIX(board)
        control(function, 0x8000)
        function.writeConfiguration(4, size: 2, value: 2)
        function.signalMSIX(0)
        #expect(board.messages.all.isEmpty)
    }

    @Test func msiMasksAndNumbers() throws {
        let board = TestBoard()
        let function = PCIFunction(.test)
        function.addMSI(vectors: 4)
        try board.bus.attach(function, slot: 2)
        function.writeConfiguration(4, size: 2, value: 4)
        function.writeConfiguration(0x44, size: 4, value: 0xFEE0_1003)
        function.writeConfiguration(0x4C, size: 2, value: 0x55)
        function.writeConfiguration(0x42, size: 2, value: 0x21)  // On, four messages granted.
        function.signalMSI(2)
        #expect(board.messages.all == [0x56])
        #expect(board.messages.addresses == [0xFEE0_1000])
        function.writeConfiguration(0x50, size: 4, value: 8)
        function.signalMSI(3)
        #expect(function.readConfiguration(0x54, size: 4) == 8)
        function.writeConfiguration(0x50, size: 4, value: 0)
        #expect(board.messages.all == [0x56, 0x57])
        #expect(function.readConfiguration(0x54, size: 4) == 0)
    }

    @Test func pinsOfOneInputAreOred() throws {
        let board = TestBoard()
        let first = PCIFunction(.test, interruptPin: 1)
        let second = PCIFunction(.test, interruptPin: 1)
        try board.bus.attach(first, slot: 1)
        try board.bus.attach(second, slot: 5)  // The same input: slots 4 apart.
        first.setINTx(true)
        second.setINTx(true)
        #expect(board.lines[1] && !board.lines[0])
        #expect(first.readConfiguration(6, size: 2) & 8 != 0)
        first.setINTx(false)
        #expect(board.lines[1])
        second.writeConfiguration(4, size: 2, value: 0x400)  // Interrupt disable.
        #expect(!board.lines[1])
        #expect(second.readConfiguration(6, size: 2) & 8 != 0)
        second.writeConfiguration(4, size: 2, value: 0)
        #expect(board.lines[1])
        board.bus.detach(slot: 5)
        #expect(!board.lines[1])
    }
}
