import DeviceModel
import Devices
import Testing

@Suite struct HPETTests {
    private let clock = ManualClock()
    private let lines = RecordedLines()
    private let messages = RecordedMessages()
    private let legacy = Recorded<Bool>()
    private let hpet: HPET

    init() {
        let legacy = legacy
        hpet = HPET(clock: clock, interrupts: lines, messages: messages) { legacy.note($0) }
        clock.advance(by: 12_345)
    }

    private func set(_ offset: UInt64, _ value: UInt64, size: Int = 8) {
        hpet.write(offset: offset, size: size, value: value)
    }
    private func get(_ offset: UInt64, size: Int = 8) -> UInt64 { hpet.read(offset: offset, size: size) }

    @Test func capabilities() {
        #expect(get(0) == 0x0098_9680_8086_A201)
        #expect(get(4, size: 4) & 0xFFFF_FFFF == 10_000_000)
        #expect(get(0x100) == 0x00FF_0104_0000_8030)
        set(0, 0)
        #expect(get(0, size: 4) & 0xFFFF_FFFF == 0x8086_A201)
    }

    @Test func counterRunsOnlyWhenEnabled() {
        #expect(get(0xF0) == 0)
        clock.advance(by: 1000)
        #expect(get(0xF0) == 0)
        set(0x10, 1)
        clock.advance(by: 1000)
        #expect(get(0xF0) == 100)
        set(0x10, 0)
        clock.advance(by: 1000)
        #expect(get(0xF0) == 100)
        set(0xF0, 0x1_0000_0005)
        set(0x10, 1)
        clock.advance(by: 10)
        #expect(get(0xF0) == 0x1_0000_0006)
        #expect(get(0xF4, size: 4) == 1)
    }

    @Test func oneShot() {
        set(0x10, 1)
        set(0x100, 2 << 9 | 4)
        set(0x108, 1000)
        clock.advance(by: 9_990)
        #expect(lines.edges(2) == 0)
        clock.advance(by: 10)
        #expect(lines.edges(2) == 1)
        #expect(!lines.level(2))
        clock.advance(by: 1_000_000)
        #expect(lines.edges(2) == 1)
        set(0x108, get(0xF0) + 50)
        clock.advance(by: 500)
        #expect(lines.edges(2) == 2)
    }

    @Test func disabledTimerIsSilent() {
        set(0x10, 1)
        set(0x100, 2 << 9)
        set(0x108, 1000)
        clock.advance(by: 20_000)
        #expect(lines.edges(2) == 0)
    }

    @Test func periodicAsLinuxSetsIt() {
        // Counter stopped and 0; periodic, 32 bits, value set; then the first time, and the period.
        set(0x10, 2)
        set(0x100, 0x14C, size: 4)
        set(0x108, 20_000, size: 4)
        set(0x108, 10_000, size: 4)
        set(0x10, 3)
        #expect(legacy.values == [true])
        clock.advance(by: 150_000)
        #expect(lines.edges(0) == 0)
        clock.advance(by: 50_000)
        #expect(lines.edges(0) == 1)
        clock.advance(by: 1_000_000)
        #expect(lines.edges(0) == 11)
        #expect(get(0x108) == 130_000)
        #expect(get(0x100) & 0x40 == 0)
    }

    @Test func tinyPeriodDoesNotFlood() {
        set(0x100, 2 << 9 | 0x4C)
        set(0x108, 1)
        set(0x10, 1)
        clock.advance(by: 10_000_000)
        #expect(lines.edges(2) <= 1001)
        #expect(lines.edges(2) > 900)
    }

    @Test func periodOfZeroEnds() {
        set(0x100, 2 << 9 | 0x4C)
        set(0x108, 0)
        set(0x10, 1)
        clock.advance(by: 10_000_000)
        #expect(lines.edges(2) <= 1)
    }

    @Test func wrapIn32Bits() {
        set(0xF0, 0xFFFF_FF00)
        set(0x100, 2 << 9 | 0x104)
        set(0x108, 0x100)
        set(0x10, 1)
        clock.advance(by: 5_110)
        #expect(lines.edges(2) == 0)
        clock.advance(by: 20)
        #expect(lines.edges(2) == 1)
    }

    @Test func levelTriggeredStaysUntilCleared() {
        set(0x100, 16 << 9 | 6)
        set(0x108, 10)
        set(0x10, 1)
        clock.advance(by: 200)
        #expect(lines.level(16))
        #expect(get(0x20) == 1)
        set(0x20, 2)
        #expect(lines.level(16))
        set(0x20, 1, size: 4)
        #expect(!lines.level(16))
        #expect(get(0x20) == 0)
    }

    @Test func levelFollowsItsRoute() {
        set(0x100, 16 << 9 | 6)
        set(0x108, 10)
        set(0x10, 1)
        clock.advance(by: 200)
        set(0x100, 17 << 9 | 6)
        #expect(!lines.level(16))
        #expect(lines.level(17))
        set(0x10, 0)
        #expect(!lines.level(17))
    }

    @Test func messageDelivery() {
        set(0x130, 0xFEE0_1000_0000_4055)
        set(0x120, 0x4004)
        set(0x128, 100)
        set(0x10, 1)
        clock.advance(by: 2000)
        #expect(messages.messages == [.init(address: 0xFEE0_1000, data: 0x4055)])
    }

    @Test func legacyReplacementLines() {
        set(0x100, 4)
        set(0x108, 100)
        set(0x120, 4)
        set(0x128, 100)
        set(0x140, 2 << 9 | 4)
        set(0x148, 100)
        set(0x10, 3)
        clock.advance(by: 2000)
        #expect(lines.edges(0) == 1)
        #expect(lines.edges(8) == 1)
        #expect(lines.edges(2) == 1)
        hpet.reset()
        #expect(legacy.values == [true, false])
    }

    @Test func unknownRouteIsNotTaken() {
        set(0x100, 2 << 9)
        set(0x100, 5 << 9)
        #expect(get(0x100) >> 9 & 31 == 2)
    }

    @Test func halvesOf64BitRegisters() {
        set(0x108, 0x1111_2222, size: 4)
        set(0x10C, 0x3333_4444, size: 4)
        #expect(get(0x108) == 0x3333_4444_1111_2222)
        set(0x100, 0x100)
        #expect(get(0x108) == 0x1111_2222)
    }

    @Test func stateRoundTripInTheMiddleOfAPeriod() throws {
        set(0x100, 2 << 9 | 0x4C)
        set(0x108, 100_000)
        set(0x120, 17 << 9 | 6)
        set(0x128, 150_000)
        set(0x10, 1)
        clock.advance(by: 1_600_007)
        let otherLines = RecordedLines()
        let other = HPET(clock: clock, interrupts: otherLines, messages: messages)
        try other.importState(hpet.exportState())
        #expect(other.exportState() == hpet.exportState())
        #expect(otherLines.level(17))
        let (a, b) = (lines.edges(2), otherLines.edges(2))
        clock.advance(by: 10_000_003)
        #expect(lines.edges(2) - a == 10)
        #expect(otherLines.edges(2) - b == 10)
        for offset: UInt64 in [0x20, 0xF0, 0x100, 0x108, 0x120, 0x128] {
            #expect(hpet.read(offset: offset, size: 8) == other.read(offset: offset, size: 8))
        }
    }

    @Test func badStateIsRefused() {
        var state = hpet.exportState()
        state.set("tick-length", 0)
        #expect(throws: DeviceStateError.self) { try hpet.importState(state) }
    }

    @Test func randomPokes() throws {
        let offsets =
            (0..<0x18).map { 0x100 + UInt64($0) * 4 } + [0, 4, 0x10, 0x10, 0x10, 0x20, 0xF0, 0xF4, 0x3FF, 0x105]
        poke(hpet, offsets: offsets, clock: clock, seed: 11)
        try hpet.importState(hpet.exportState())
    }
}
