import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing

@Suite struct FloppyTests {
    private struct Machine {
        let memory: AddressSpace
        let io = Bus()
        let lines = RecordedLines()
        let disk: FakeDisk
        let controller: FloppyController

        init(disk: FakeDisk = FakeDisk(sectors: 2880)) throws {
            memory = try makeMemory()
            self.disk = disk
            let dma = ISADMA(memory: memory)
            dma.attach(to: io)
            controller = FloppyController(
                units: [FloppyUnit(backend: disk), nil], line: InterruptLine(sink: lines, number: 6), dma: dma,
                scheduler: InlineScheduler())
            controller.attach(to: io)
        }
        func command(_ bytes: [UInt8]) {
            for byte in bytes { io.write(0x3F5, size: 1, value: UInt64(byte)) }
        }
        func results(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in UInt8(truncatingIfNeeded: io.read(0x3F5, size: 1)) }
        }
        var status: UInt8 { UInt8(truncatingIfNeeded: io.read(0x3F4, size: 1)) }

        /// Motor on, out of reset, four drives asked about, and DMA.
        func start(pio: Bool = false) {
            io.write(0x3F2, size: 1, value: 0)
            io.write(0x3F2, size: 1, value: 0x1C)
            io.write(0x3F7, size: 1, value: 0)
            for _ in 0..<4 {
                command([0x08])
                _ = results(2)
            }
            command([0x03, 0xAF, pio ? 3 : 2])
        }
        /// Channel 2 at an address.
        func aim(_ address: UInt32, count: Int, toMemory: Bool) {
            io.write(0x0A, size: 1, value: 6)
            io.write(0x0C, size: 1, value: 0)
            io.write(0x0B, size: 1, value: toMemory ? 0x46 : 0x4A)
            for shift in [0, 8] as [UInt32] { io.write(0x04, size: 1, value: UInt64(address >> shift & 0xFF)) }
            for shift in [0, 8] { io.write(0x05, size: 1, value: UInt64((count - 1) >> shift & 0xFF)) }
            io.write(0x81, size: 1, value: UInt64(address >> 16))
            io.write(0x0A, size: 1, value: 2)
        }
    }

    @Test func resetAndSense() throws {
        let machine = try Machine()
        machine.io.write(0x3F2, size: 1, value: 0)
        machine.io.write(0x3F2, size: 1, value: 0x0C)
        #expect(machine.lines.level(6) && machine.status == 0x80)
        for drive in UInt8(0)..<4 {
            machine.command([0x08])
            #expect(machine.results(2) == [0xC0 | drive, 0])
        }
        #expect(!machine.lines.level(6))
        machine.command([0x08])
        #expect(machine.results(1) == [0x80], "Nothing to tell")
        machine.command([0x10])
        #expect(machine.results(1) == [0x90])
        machine.command([0x0F, 0, 10])
        #expect(machine.lines.level(6))
        machine.command([0x08])
        #expect(machine.results(2) == [0x20, 10])
        machine.command([0x07, 0])
        machine.command([0x08])
        #expect(machine.results(2) == [0x20, 0])
    }

    @Test func sectorsMoveByDMA() throws {
        let machine = try Machine()
        machine.start()
        machine.aim(0x2_0000, count: 3 * 512, toMemory: true)
        // Track 1, head 1, from sector 17 on, over the track's end to sector 1 of the other head.
        machine.command([0xE6, 0x00, 1, 0, 17, 2, 18, 0x1B, 0xFF])
        #expect(machine.lines.level(6))
        #expect(machine.results(7) == [0x04, 0, 0, 1, 1, 2, 2])
        let first = (1 * 2 + 0) * 18 + 16
        #expect(try machine.memory.bytes(GuestPhysical(0x2_0000), count: 1536) == machine.disk.bytes(first * 512..<(first + 3) * 512))
        #expect(machine.io.read(0x08, size: 1) & 4 != 0, "The count has ended")
        try machine.memory.write(GuestPhysical(0x3_0000), bytes: [UInt8](repeating: 0xA5, count: 512))
        machine.aim(0x3_0000, count: 512, toMemory: false)
        machine.command([0x45, 0x00, 0, 0, 3, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<3] == [0, 0, 0])
        #expect(machine.disk.bytes(1024..<1536) == [UInt8](repeating: 0xA5, count: 512))
    }

    @Test func sectorsMoveByTheFIFO() throws {
        let machine = try Machine()
        machine.start(pio: true)
        machine.command([0x46, 0x00, 0, 0, 2, 2, 2, 0x1B, 0xFF])
        var bytes: [UInt8] = []
        while machine.status & 0xF0 == 0xF0 { bytes += machine.results(1) }
        #expect(bytes == machine.disk.bytes(512..<1024))
        #expect(machine.results(7)[..<3] == [0, 0, 0])
        machine.command([0x45, 0x00, 0, 0, 2, 2, 2, 0x1B, 0xFF])
        machine.command([UInt8](repeating: 0x77, count: 512))
        #expect(machine.results(7)[..<3] == [0, 0, 0])
        #expect(machine.disk.bytes(512..<1024) == [UInt8](repeating: 0x77, count: 512))
    }

    @Test func errors() throws {
        let machine = try Machine(disk: FakeDisk(sectors: 2880, isReadOnly: true))
        machine.start()
        machine.aim(0x2_0000, count: 512, toMemory: false)
        machine.command([0x45, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<2] == [0x40, 0x02], "Write protected")
        machine.command([0x46, 0x01, 0, 0, 1, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<2] == [0x41, 0x01], "There is no drive 1")
        machine.io.write(0x3F7, size: 1, value: 2)
        machine.command([0x46, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<2] == [0x40, 0x04], "Another data rate")
        machine.io.write(0x3F7, size: 1, value: 0)
        machine.aim(0x2_0000, count: 512, toMemory: true)
        machine.disk.fail(5)
        machine.command([0x46, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<2] == [0x40, 0x20])
        // Nobody has switched the channel on.
        machine.disk.fail(0)
        machine.io.write(0x0A, size: 1, value: 6)
        machine.command([0x46, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<2] == [0x40, 0x10])
    }

    @Test func mediaChange() throws {
        let machine = try Machine()
        machine.start()
        #expect(machine.controller.driveTypes == [4, 0])
        machine.command([0x0F, 0, 1])
        machine.command([0x08])
        _ = machine.results(2)
        #expect(machine.io.read(0x3F7, size: 1) & 0x80 == 0)
        machine.controller.changeMedium(
            channel: FloppyController.channel, unit: 0, backend: FakeDisk(sectors: 1440))
        #expect(machine.io.read(0x3F7, size: 1) & 0x80 != 0, "Somebody changed it")
        machine.controller.setTray(channel: FloppyController.channel, unit: 0, isOpen: true)
        #expect(machine.controller.tray(channel: FloppyController.channel, unit: 0)?.isOpen == true)
        machine.aim(0x2_0000, count: 512, toMemory: true)
        machine.command([0x46, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF])
        #expect(machine.results(7)[..<2] == [0x40, 0x01])
        #expect(machine.controller.tray(channel: 0, unit: 0) == nil)
    }

    @Test func layouts() {
        #expect(FloppyGeometry.of(size: 1_474_560) == FloppyGeometry.usual)
        #expect(FloppyGeometry.of(size: 737_280).sectors == 9 && FloppyGeometry.of(size: 368_640).tracks == 40)
        #expect(FloppyGeometry.of(size: 2_949_120).driveType == 5)
        #expect(FloppyGeometry.of(size: 1000).size >= 1000 && FloppyGeometry.of(size: 1 << 40) == FloppyGeometry.usual)
    }

    @Test func stateMovesInTheMiddleOfACommand() throws {
        let machine = try Machine()
        machine.start(pio: true)
        machine.command([0x46, 0x00, 0, 0, 2, 2, 3, 0x1B, 0xFF])
        var bytes = machine.results(700)
        machine.controller.pause()
        let saved = machine.controller.exportState()
        let twin = try Machine()
        try twin.controller.importState(saved)
        #expect(twin.controller.exportState() == saved)
        bytes += twin.results(324)
        #expect(bytes == machine.disk.bytes(512..<1536))
        #expect(twin.results(7)[..<3] == [0, 0, 0])
        var other = saved
        other.set("fifo", [UInt8](repeating: 0, count: 300))
        #expect(throws: DeviceStateError.self) { try twin.controller.importState(other) }
    }

    @Test func randomPokesDoNoHarm() throws {
        let machine = try Machine()
        var random = SplitMix64(state: 41)
        let commands: [UInt8] = [0x46, 0x45, 0xC6, 0xC5, 0x4D, 0x4A, 0x07, 0x0F, 0x8F, 0x08, 0x04, 0x03, 0x13, 0x0E, 0x94]
        for step in 0..<FuzzRounds.times(30_000) {
            let bits = random.next()
            switch bits & 7 {
            case 0: machine.io.write(0x3F0 + bits >> 8 % 8, size: 1, value: bits >> 16 & 0xFF)
            case 1: _ = machine.io.read(0x3F0 + bits >> 8 % 8, size: [1, 2, 4][Int(bits >> 20 % 3)])
            case 2: machine.aim(UInt32(truncatingIfNeeded: bits >> 8) & 0xFF_FFFF, count: Int(bits >> 40 & 0x7FF) + 1, toMemory: bits >> 60 & 1 == 0)
            case 3: machine.io.write([0x08, 0x0A, 0x0B, 0x0D, 0x0F, 0x81][Int(bits >> 8 % 6)], size: 1, value: bits >> 16 & 0xFF)
            case 4:
                let command = commands[Int(bits >> 8 % UInt64(commands.count))]
                machine.command([command] + (0..<Int(bits >> 16 % 9)).map { UInt8(truncatingIfNeeded: bits >> UInt64($0 * 7)) & 31 })
            case 5: _ = machine.results(Int(bits >> 8 & 15))
            case 6 where step % 16 == 0: machine.start(pio: bits >> 8 & 1 == 0)
            default: machine.io.write(0x3F5, size: 1, value: bits >> 8 & 0xFF)
            }
        }
        machine.start()
        machine.command([0x10])
        #expect(machine.results(1) == [0x90])
    }

    @Test func parallelPort() throws {
        let (io, lines, paper) = (Bus(), RecordedLines(), RecordedCharacters())
        let port = ParallelPort(name: "parallel0", line: InterruptLine(sink: lines, number: 7), backend: paper)
        port.attach(to: io, base: 0x378)
        for byte in Array("Apus".utf8) {
            #expect(io.read(0x379, size: 1) & 0x80 != 0)
            io.write(0x378, size: 1, value: UInt64(byte))
            io.write(0x37A, size: 1, value: 0x1D)
            io.write(0x37A, size: 1, value: 0x1C)
        }
        #expect(paper.written == Array("Apus".utf8) && lines.edges(7) == 4)
        #expect(io.read(0x378, size: 1) == UInt64(UInt8(ascii: "s")))
        io.write(0x37A, size: 1, value: 0x2C)
        #expect(io.read(0x378, size: 1) == 0xFF)
        let twin = ParallelPort(name: "parallel0", line: InterruptLine(sink: lines, number: 7), backend: paper)
        try twin.importState(port.exportState())
        #expect(twin.exportState() == port.exportState())
        let clock = ManualClock()
        poke(port, offsets: [0, 1, 2, 3, 7], clock: clock, seed: 43, count: FuzzRounds.times(20_000))
        port.reset()
        #expect(io.read(0x37A, size: 1) == 0xCC)
    }
}
