import DeviceModel
import Devices
import Testing

@Suite struct WatchdogTests {
    private struct ESB {
        let bench: PCIBench
        let fired = Recorded<Int>()
        let watchdog: I6300ESB
        init() throws {
            bench = try PCIBench()
            let fired = fired
            watchdog = I6300ESB(clock: bench.clock, stateName: "i6300esb") { fired.note(1) }
            try bench.attach(watchdog.function)
        }
        /// A write to a register that has to be opened first.
        func write(_ offset: UInt64, _ value: UInt32) {
            bench.write(0xC, 0x80, size: 2)
            bench.write(0xC, 0x86, size: 2)
            bench.write(offset, value, size: offset == 0xC ? 2 : 4)
        }
        /// Both stages take a second.
        func start() {
            write(0, 1007)
            write(4, 1007)
            watchdog.function.writeConfiguration(0x68, size: 1, value: 2)
        }
    }

    @Test func itFiresAfterTwoStages() throws {
        let esb = try ESB()
        esb.start()
        #expect(esb.watchdog.function.readConfiguration(0x68, size: 1) == 2)
        esb.bench.clock.advance(by: 1_500_000_000)
        #expect(esb.fired.values.isEmpty)
        esb.write(0xC, 0x100)
        esb.bench.clock.advance(by: 1_900_000_000)
        #expect(esb.fired.values.isEmpty, "It was reloaded")
        esb.bench.clock.advance(by: 200_000_000)
        #expect(esb.fired.values == [1])
        esb.watchdog.reset()
        esb.bench.open(esb.watchdog.function)
        #expect(esb.bench.read(0xC, size: 2) & 0x200 != 0, "It tells that it has fired, after the reset too")
        esb.write(0xC, 0x200)
        #expect(esb.bench.read(0xC, size: 2) & 0x200 == 0)
    }

    @Test func locksAndWrongKeys() throws {
        let esb = try ESB()
        esb.bench.write(0, 1)
        esb.bench.write(4, 1)
        esb.watchdog.function.writeConfiguration(0x68, size: 1, value: 3)
        esb.bench.clock.advance(by: 10_000_000_000)
        #expect(esb.fired.values.isEmpty, "Without the key the preloads stay as they are")
        esb.watchdog.function.writeConfiguration(0x68, size: 1, value: 0)
        #expect(esb.watchdog.function.readConfiguration(0x68, size: 1) == 3)
    }

    @Test func stateMovesInTheMiddle() throws {
        let esb = try ESB()
        esb.start()
        esb.bench.clock.advance(by: 1_500_000_000)
        let saved = esb.watchdog.exportState()
        let twin = try ESB()
        twin.bench.clock.advance(by: 1_500_000_000)
        try twin.watchdog.importState(saved)
        #expect(twin.watchdog.exportState() == saved)
        twin.bench.clock.advance(by: 600_000_000)
        #expect(twin.fired.values == [1])
    }

    @Test func ib700() throws {
        let (io, clock, fired) = (Bus(), ManualClock(), Recorded<Int>())
        let watchdog = IB700(clock: clock, stateName: "ib700") { fired.note(1) }
        watchdog.attach(to: io)
        io.write(0x443, size: 1, value: 10)
        clock.advance(by: 9_000_000_000)
        io.write(0x443, size: 1, value: 10)
        clock.advance(by: 9_000_000_000)
        let saved = watchdog.exportState()
        #expect(fired.values.isEmpty)
        io.write(0x441, size: 1, value: 0)
        clock.advance(by: 60_000_000_000)
        #expect(fired.values.isEmpty, "It was stopped")
        try watchdog.importState(saved)
        clock.advance(by: 1)
        #expect(fired.values == [1], "Its time was over")
    }

    @Test func randomPokesDoNoHarm() throws {
        let esb = try ESB()
        try esb.bench.poke([0, 4, 8, 0xC, 0xC, 0xC], seed: 31, rounds: 30_000) { bits in
            if bits & 1 == 0 { esb.start() }
            esb.watchdog.function.writeConfiguration(0x60, size: 2, value: UInt32(truncatingIfNeeded: bits >> 8))
        }
        #expect(esb.bench.read(0) == 0)
    }
}
