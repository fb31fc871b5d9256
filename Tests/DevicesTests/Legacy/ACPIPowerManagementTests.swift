import DeviceModel
import Devices
import Testing

@Suite struct ACPIPowerManagementTests {
    private let clock = ManualClock()
    private let lines = RecordedLines()
    private let sleeps = Recorded<SleepState>()
    private let commands = Recorded<UInt8>()
    private let bus = Bus()
    private let pm: ACPIPowerManagement

    init() {
        let (sleeps, commands) = (sleeps, commands)
        pm = ACPIPowerManagement(
            clock: clock, line: InterruptLine(sink: lines, number: 9), onSleep: { sleeps.note($0) })
        pm.observeCommands { commands.note($0) }
        pm.attach(to: bus)
    }

    private func get(_ offset: UInt64) -> UInt64 { bus.read(0x600 + offset, size: 2) }
    private func set(_ offset: UInt64, _ value: UInt64) { bus.write(0x600 + offset, size: 2, value: value) }

    @Test func acpiIsSwitchedByCommand() {
        #expect(get(4) == 0)
        bus.write(0xB2, size: 1, value: 0xF1)
        #expect(get(4) == 1)
        #expect(pm.isEnabled)
        bus.write(0xB2, size: 1, value: 0xF0)
        #expect(get(4) == 0)
        bus.write(0xB3, size: 1, value: 0x77)
        #expect(bus.read(0xB3, size: 1) == 0x77)
        #expect(bus.read(0xB2, size: 1) == 0xF0)
        #expect(commands.values == [])
        bus.write(0xB2, size: 1, value: 0x55)
        #expect(commands.values == [0x55])
    }

    @Test func powerButtonInterrupts() {
        pm.enable()
        pm.pressPowerButton()
        #expect(!lines.level(9))
        set(2, 0x100)
        #expect(pm.hearsPowerButton)
        #expect(lines.level(9))
        #expect(get(0) == 0x100)
        set(0, 0x100)
        #expect(get(0) == 0)
        #expect(!lines.level(9))
    }

    @Test func otherEvents() {
        pm.pressSleepButton()
        pm.wake(byClock: false)
        #expect(get(0) == 0x8200)
        set(0, 0xFFFF)
        set(2, 0xFFFF)
        #expect(get(2) == 0x0721)
    }

    @Test func noInterruptWithoutACPI() {
        set(2, 0x100)
        pm.pressPowerButton()
        #expect(!lines.level(9))
        pm.enable()
        #expect(lines.level(9))
    }

    @Test func timerCounts() {
        let start = bus.read(0x608, size: 4)
        clock.advance(by: 1_000_000_000)
        let ticks = (bus.read(0x608, size: 4) &- start) & 0xFF_FFFF
        #expect(3_579_544...3_579_546 ~= ticks)
        clock.advance(by: 10_000_000_000)
        #expect(bus.read(0x608, size: 4) < 1 << 24)
    }

    @Test func timerOverflowInterrupts() {
        pm.enable()
        set(2, 1)
        clock.advance(by: 2_343_000_000)
        #expect(!lines.level(9))
        clock.advance(by: 1_000_000)
        #expect(lines.level(9))
        set(0, 1)
        #expect(!lines.level(9))
        clock.advance(by: 2_344_000_000)
        #expect(lines.level(9))
    }

    @Test func overflowShowsWithoutInterrupt() {
        clock.advance(by: 2_400_000_000)
        #expect(get(0) == 1)
        #expect(lines.edges(9) == 0)
    }

    @Test func sleepStates() {
        set(4, 0x2001)
        set(4, 0x2401)
        set(4, 0x2801)
        set(4, 0x3C01)
        #expect(sleeps.values == [.s5, .s3, .s4])
        #expect(get(4) == 0x1C01)
        set(4, 0x0001)
        #expect(sleeps.values.count == 3)
        // The high byte alone.
        bus.write(0x605, size: 1, value: 0x20)
        #expect(sleeps.values.count == 4)
    }

    @Test func generalPurposeEvents() {
        pm.enable()
        pm.raiseEvent(9)
        pm.raiseEvent(900)
        pm.raiseEvent(-1)
        #expect(bus.read(0xAFE0, size: 2) == 0x0200)
        #expect(!lines.level(9))
        bus.write(0xAFE2, size: 2, value: 0x0200)
        #expect(lines.level(9))
        bus.write(0xAFE0, size: 2, value: 0x0200)
        #expect(!lines.level(9))
        #expect(bus.read(0xAFE2, size: 2) == 0x0200)
    }

    @Test func stateRoundTrip() throws {
        pm.enable()
        set(2, 0x101)
        pm.pressPowerButton()
        clock.advance(by: 1_000_000_000)
        let otherLines = RecordedLines()
        let other = ACPIPowerManagement(
            clock: clock, line: InterruptLine(sink: otherLines, number: 9), onSleep: { _ in })
        try other.importState(pm.exportState())
        #expect(other.exportState() == pm.exportState())
        #expect(otherLines.level(9))
        for block in [pm, other] { block.write(offset: 0, size: 2, value: 0x100) }
        clock.advance(by: 2_000_000_000)
        #expect(lines.level(9) && otherLines.level(9))
        #expect(other.exportState() == pm.exportState())
        var bad = pm.exportState()
        bad.set("gpe-status", [UInt8](repeating: 0, count: 3))
        #expect(throws: DeviceStateError.self) { try pm.importState(bad) }
    }

    @Test func randomPokes() throws {
        poke(pm, offsets: (0..<14).map { UInt64($0) }, clock: clock, seed: 13, step: 10_000_000)
        try pm.importState(pm.exportState())
    }
}
