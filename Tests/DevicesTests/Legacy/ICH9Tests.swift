import DeviceModel
import Devices
import GuestMemory
import Synchronization
import TestSupport
import Testing

@Suite struct ICH9Tests {
    private struct Bench {
        let io = Bus()
        let mmio = Bus()
        let clock = ManualClock()
        let lines = RecordedLines()
        let fired = Counter()
        let lpc: ICH9LPC

        init() {
            let fired = fired
            lpc = ICH9LPC(mmio: mmio, clock: clock, interrupts: lines) { fired.value.add(1, ordering: .relaxed) }
            lpc.attach(to: io)
        }
        var count: Int { fired.value.load(ordering: .relaxed) }
    }
    private final class Counter: Sendable { let value = Atomic(0) }

    @Test func routesInterrupts() {
        let bench = Bench()
        #expect(ICH9LPC.input(slot: 2, pin: 0) == 6 && ICH9LPC.input(slot: 31, pin: 1) == 1)
        bench.lpc.setInput(6, level: true)
        #expect(bench.lines.level(22) && !bench.lines.level(11))
        bench.lpc.function.writeConfiguration(0x6A, size: 1, value: 11)
        #expect(bench.lines.level(11))
        bench.lpc.function.writeConfiguration(0x60, size: 1, value: 11)
        bench.lpc.setInput(0, level: true)
        bench.lpc.setInput(6, level: false)
        #expect(bench.lines.level(11) && bench.lines.level(16) && !bench.lines.level(22))
        bench.lpc.setInput(0, level: false)
        #expect(!bench.lines.level(11))
    }

    /// Commands are interrupts where they are enabled: of the processor that asks, or of all where firmware wants that.
    @Test func commandsInterrupt() throws {
        let asked = Mutex<[Bool]>([])
        let io = Bus()
        func make() -> ICH9LPC {
            ICH9LPC(
                mmio: Bus(), clock: ManualClock(), interrupts: RecordedLines(),
                onSMI: { all in asked.withLock { $0.append(all) } }, onWatchdog: {})
        }
        let lpc = make()
        lpc.attach(to: io)
        #expect(io.read(0x630, size: 4) == 0xFFFF_FFFF)
        lpc.function.writeConfiguration(0x44, size: 1, value: 0x80)
        #expect(io.read(0x630, size: 4) == 0)
        lpc.receiveCommand()
        #expect(asked.withLock { $0 } == [])
        io.write(0x630, size: 4, value: 0x21)
        lpc.receiveCommand()
        #expect(asked.withLock { $0 } == [false])
        #expect(!lpc.negotiate(5, supported: 3) && lpc.features == 0)
        // Processors come and go only where all enter together, and go only where they come.
        for wanted in [2, 4, 5, 6] as [UInt64] { #expect(!lpc.negotiate(wanted, supported: 7)) }
        #expect(lpc.negotiate(3, supported: 7) && lpc.features == 3 && lpc.keepsProcessors && !lpc.refusesProcessors)
        #expect(lpc.negotiate(1, supported: 7) && lpc.refusesProcessors)
        #expect(lpc.negotiate(7, supported: 7) && !lpc.keepsProcessors && !lpc.refusesProcessors)
        lpc.receiveCommand()
        #expect(asked.withLock { $0 } == [false, true])
        // The global enable can be locked, until a reset.
        lpc.function.writeConfiguration(0xA0, size: 2, value: 0x10)
        lpc.function.writeConfiguration(0xA0, size: 2, value: 0)
        io.write(0x630, size: 4, value: 0x20)
        #expect(lpc.function.readConfiguration(0xA0, size: 2) == 0x10 && io.read(0x630, size: 4) == 0x21)
        let twin = make()
        try twin.importState(lpc.exportState())
        twin.receiveCommand()
        #expect(asked.withLock { $0 } == [false, true, true])
        lpc.reset()
        lpc.receiveCommand()
        lpc.function.writeConfiguration(0x44, size: 1, value: 0x80)
        #expect(asked.withLock { $0.count } == 3 && lpc.features == 0 && io.read(0x630, size: 4) == 0)
    }

    /// Without system management its enables say that it is set up, and commands do nothing.
    @Test func withoutSystemManagementCommandsAreTaken() {
        let bench = Bench()
        bench.lpc.function.writeConfiguration(0x44, size: 1, value: 0x80)
        bench.io.write(0x630, size: 4, value: 0)
        #expect(bench.io.read(0x630, size: 4) == 0x21)
        bench.lpc.receiveCommand()
        #expect(!bench.lpc.negotiate(1, supported: 1))
    }

    @Test func watchdogFiresAtItsSecondEnd() {
        let bench = Bench()
        bench.io.write(0x672, size: 2, value: 10)
        bench.io.write(0x668, size: 2, value: 0)
        bench.io.write(0x660, size: 2, value: 1)
        bench.clock.advance(by: 5_900_000_000)
        #expect(bench.io.read(0x664, size: 2) & 8 == 0)
        bench.clock.advance(by: 200_000_000)
        #expect(bench.io.read(0x664, size: 2) & 8 != 0 && bench.count == 0)
        bench.clock.advance(by: 6_000_000_000)
        #expect(bench.io.read(0x666, size: 2) & 2 != 0 && bench.count == 1)
        // Reloaded in time it never fires.
        bench.lpc.reset()
        bench.io.write(0x668, size: 2, value: 0)
        for _ in 0..<20 {
            bench.io.write(0x660, size: 2, value: 1)
            bench.clock.advance(by: 2_000_000_000)
        }
        #expect(bench.count == 1)
    }

    @Test func chipsetRegistersFollowTheirBase() throws {
        let bench = Bench()
        bench.lpc.function.writeConfiguration(0xF0, size: 4, value: 0xFED1_C001)
        bench.mmio.write(0xFED1_F410, size: 4, value: 0x20)
        #expect(bench.mmio.read(0xFED1_F410, size: 4) == 0x20)
        let saved = bench.lpc.exportState()
        let twin = Bench()
        try twin.lpc.importState(saved)
        #expect(twin.mmio.read(0xFED1_F410, size: 4) == 0x20 && twin.lpc.exportState() == saved)
        bench.lpc.function.writeConfiguration(0xF0, size: 4, value: 0)
        #expect(bench.mmio.read(0xFED1_F410, size: 4) == 0xFFFF_FFFF)
    }

    @Test func nobodyIsOnTheSMBus() throws {
        let smbus = ICH9SMBus()
        smbus.write(offset: 4, size: 1, value: 0xA1)
        smbus.write(offset: 2, size: 1, value: 0x48)
        #expect(smbus.read(offset: 0, size: 1) == 4)
        smbus.write(offset: 0, size: 1, value: 0xFF)
        #expect(smbus.read(offset: 0, size: 1) == 0)
    }

    @Test func rootPortTellsOfItsSlot() throws {
        let messages = RecordedMessages()
        let bus = PCIBus(spaces: PCISpaces(io: Bus(), memory: Bus(), msi: messages))
        let port = PCIERootPort(slot: 3, port: 0, stateName: "rp")
        _ = try bus.attachBridge(port.function, slot: 4, name: "rp")
        let off = Atomic(0)
        port.observePowerOff { off.add(1, ordering: .relaxed) }
        var place = Int(port.function.readConfiguration(0x34, size: 1))
        while port.function.readConfiguration(place, size: 1) != 0x10 {
            place = Int(port.function.readConfiguration(place + 1, size: 1))
        }
        func status() -> UInt32 { port.function.readConfiguration(place + 0x1A, size: 2) }
        #expect(port.function.readConfiguration(place + 0x14, size: 4) >> 19 == 3 && status() == 0)
        port.setPresence(true, announces: true)
        #expect(status() & 0x48 == 0x48)
        port.function.writeConfiguration(place + 0x1A, size: 2, value: 0xFFFF)
        #expect(status() == 0x40)
        // The guest switches the slot on; then the button is pressed, and it switches it off.
        port.function.writeConfiguration(place + 0x18, size: 2, value: 0x0140)
        #expect(status() & 0x10 != 0 && off.load(ordering: .relaxed) == 0)
        port.pressButton()
        #expect(status() & 1 != 0)
        port.function.writeConfiguration(place + 0x18, size: 2, value: 0x0740)
        #expect(off.load(ordering: .relaxed) == 1)
    }

    @Test func nonsense() throws {
        let bench = Bench()
        let port = PCIERootPort(slot: 1, port: 0, stateName: "rp")
        var random = SplitMix64(state: 3)
        for round in 0..<FuzzRounds.times(20_000) {
            let (offset, size) = (random.next() % 0x50, [1, 2, 4, 8][Int(random.next() % 4)])
            bench.io.write(0x630 + offset, size: size, value: random.next())
            _ = bench.io.read(0x630 + offset, size: size)
            for function in [bench.lpc.function, port.function] {
                function.writeConfiguration(
                    Int(random.next() % 256), size: min(size, 4), value: UInt32(truncatingIfNeeded: random.next()))
            }
            bench.lpc.setInput(Int(random.next() % 9), level: random.next() & 1 == 0)
            if round % 64 == 0 {
                bench.clock.advance(by: random.next() % 10_000_000_000)
                try bench.lpc.importState(bench.lpc.exportState())
                try port.importState(port.exportState())
            }
        }
        bench.lpc.reset()
        #expect(bench.io.read(0x668, size: 2) == 0x0800)
    }
}
