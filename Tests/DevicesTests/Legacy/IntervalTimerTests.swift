import DeviceModel
import Devices
import Testing

@Suite struct IntervalTimerTests {
    private let clock = ManualClock()
    private let lines = RecordedLines()
    private let pit: IntervalTimer
    private static let hertz = 1_193_182.0

    init() { pit = IntervalTimer(clock: clock, line: InterruptLine(sink: lines, number: 0)) }

    private func out(_ port: UInt64, _ value: UInt8) { pit.write(offset: port, size: 1, value: UInt64(value)) }
    private func `in`(_ port: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: pit.read(offset: port, size: 1)) }
    private func advance(ticks: Double) { clock.advance(by: UInt64(ticks * 1e9 / Self.hertz)) }
    private func count(_ counter: UInt64) -> Int {
        out(0x43, UInt8(counter << 6))
        let low = `in`(0x40 + counter)
        return Int(low) | Int(`in`(0x40 + counter)) << 8
    }
    private func load(_ counter: UInt64, _ value: Int) {
        out(0x40 + counter, UInt8(value & 0xFF))
        out(0x40 + counter, UInt8(value >> 8 & 0xFF))
    }
    private var out2: Bool { `in`(0x61) & 0x20 != 0 }

    @Test func mode0CountsDownAndInterruptsOnce() {
        out(0x43, 0x30)
        load(0, 1000)
        advance(ticks: 501.5)
        #expect(499...500 ~= count(0))
        #expect(lines.edges(0) == 0)
        advance(ticks: 501)
        #expect(lines.edges(0) == 1)
        #expect(lines.level(0))
        clock.advance(by: 1_000_000_000)
        #expect(lines.edges(0) == 1)
    }

    @Test func mode2TicksAtItsRate() {
        out(0x43, 0x34)
        load(0, 11932)
        clock.advance(by: 1_000_000_000)
        #expect(99...101 ~= lines.edges(0))
    }

    @Test func mode3CountsByTwo() {
        out(0x43, 0xB6)
        out(0x61, 0x01)
        load(2, 1000)
        advance(ticks: 101.5)
        #expect(out2)
        #expect(798...800 ~= count(2))
        advance(ticks: 500)
        #expect(!out2)
        #expect(798...800 ~= count(2))
        advance(ticks: 500)
        #expect(out2)
    }

    @Test func mode3OfAnOddCount() {
        out(0x43, 0xB6)
        out(0x61, 0x01)
        load(2, 5)
        var shape = ""
        advance(ticks: 1.5)
        for _ in 0..<10 {
            shape += out2 ? "1" : "0"
            advance(ticks: 1)
        }
        #expect(shape == "1110011100")
    }

    @Test func mode2OutputIsLowForOneTick() {
        out(0x43, 0xB4)
        out(0x61, 0x01)
        load(2, 4)
        var shape = ""
        advance(ticks: 1.5)
        for _ in 0..<8 {
            shape += out2 ? "1" : "0"
            advance(ticks: 1)
        }
        #expect(shape == "11101110")
    }

    @Test func calibrationByPort61() {
        // As Linux does: gate on, speaker off, mode 0, wait for OUT2.
        out(0x61, `in`(0x61) & ~0x02 | 0x01)
        out(0x43, 0xB0)
        load(2, 59_659)
        #expect(!out2)
        clock.advance(by: 49_000_000)
        #expect(!out2)
        clock.advance(by: 1_100_000)
        #expect(out2)
    }

    @Test func gateStopsMode0() {
        out(0x61, 0x01)
        out(0x43, 0xB0)
        load(2, 1000)
        advance(ticks: 101)
        out(0x61, 0x00)
        let stopped = count(2)
        advance(ticks: 5000)
        #expect(count(2) == stopped)
        #expect(!out2)
        out(0x61, 0x01)
        advance(ticks: 1000)
        #expect(out2)
    }

    @Test func mode1StartsWithTheGate() {
        out(0x43, 0xB2)
        load(2, 100)
        #expect(out2)
        advance(ticks: 500)
        #expect(out2)
        out(0x61, 0x01)
        advance(ticks: 50)
        #expect(!out2)
        advance(ticks: 60)
        #expect(out2)
        // A new trigger starts it again.
        out(0x61, 0x00)
        out(0x61, 0x01)
        advance(ticks: 50)
        #expect(!out2)
    }

    @Test func mode4StrobesOnce() {
        out(0x43, 0x38)
        load(0, 1193)
        clock.advance(by: 990_000)
        #expect(lines.edges(0) <= 1)
        let before = lines.edges(0)
        clock.advance(by: 20_000)
        #expect(lines.edges(0) == before + 1)
        clock.advance(by: 1_000_000_000)
        #expect(lines.edges(0) == before + 1)
    }

    @Test func mode5StrobesAfterATrigger() {
        out(0x43, 0xBA)
        load(2, 10)
        out(0x61, 0x01)
        var lows = 0
        advance(ticks: 0.5)
        for _ in 0..<30 {
            if !out2 { lows += 1 }
            advance(ticks: 1)
        }
        #expect(lows == 1)
    }

    @Test func latchHoldsUntilRead() {
        out(0x43, 0x34)
        load(0, 0)
        advance(ticks: 100)
        out(0x43, 0x00)
        let low = `in`(0x40)
        advance(ticks: 1000)
        out(0x43, 0x00)
        let value = Int(low) | Int(`in`(0x40)) << 8
        #expect(65_434...65_438 ~= value)
    }

    @Test func readBackStatusThenCount() {
        out(0x43, 0x34)
        out(0x43, 0xE2)
        #expect(`in`(0x40) == 0xF4, "output high, no count yet, both bytes, mode 2")
        load(0, 500)
        advance(ticks: 2)
        out(0x43, 0xC2)
        #expect(`in`(0x40) == 0xB4)
        let value = Int(`in`(0x40)) | Int(`in`(0x40)) << 8
        #expect(497...500 ~= value)
    }

    @Test func singleByteAccess() {
        out(0x43, 0x90)
        out(0x61, 0x01)
        out(0x42, 0x80)
        advance(ticks: 0x41)
        #expect(0x3E...0x41 ~= `in`(0x42))
        out(0x43, 0xA0)
        out(0x42, 0x10)
        advance(ticks: 2)
        #expect(`in`(0x42) == 0x0F)
    }

    @Test func bcdCounting() {
        out(0x43, 0xB1)
        out(0x61, 0x01)
        load(2, 0x1000)
        advance(ticks: 2.5)
        let value = count(2)
        #expect(value == 0x0998 || value == 0x0999)
        out(0x43, 0xB1)
        load(2, 0)
        advance(ticks: 2.5)
        #expect(0x9998...0x9999 ~= count(2))
    }

    @Test func newPeriodTakesOverAtTheEndOfTheOld() {
        out(0x43, 0x34)
        load(0, 11932)
        clock.advance(by: 5_000_000)
        load(0, 1193)
        clock.advance(by: 4_900_000)
        #expect(lines.edges(0) <= 1)
        let before = lines.edges(0)
        clock.advance(by: 200_000)
        #expect(lines.edges(0) == before + 1)
        clock.advance(by: 10_000_000)
        #expect(9...11 ~= lines.edges(0) - before - 1)
    }

    @Test func refreshBitToggles() {
        var seen: Set<UInt8> = []
        for _ in 0..<10 {
            seen.insert(`in`(0x61) & 0x10)
            clock.advance(by: 10_000)
        }
        #expect(seen.count == 2)
    }

    @Test func speaker() {
        out(0x61, 0x03)
        #expect(pit.speakerOn)
        #expect(`in`(0x61) & 0x0F == 0x03)
    }

    @Test func lineGivenAway() {
        out(0x43, 0x34)
        load(0, 1193)
        pit.setDrivesLine(false)
        let before = lines.edges(0)
        clock.advance(by: 10_000_000)
        #expect(lines.edges(0) == before)
        pit.setDrivesLine(true)
        clock.advance(by: 10_000_000)
        #expect(lines.edges(0) > before + 8)
    }

    @Test func tinyPeriodsDoNotFlood() {
        out(0x43, 0x14)
        out(0x40, 2)
        clock.advance(by: 10_000_000)
        #expect(lines.edges(0) <= 501)
        #expect(lines.edges(0) >= 400)
    }

    @Test func stateRoundTripInTheMiddleOfAPeriod() throws {
        out(0x43, 0x34)
        load(0, 11932)
        out(0x43, 0xB6)
        out(0x61, 0x01)
        load(2, 3000)
        clock.advance(by: 3_333_333)
        out(0x42, 0x55)
        out(0x43, 0xC4)
        let otherLines = RecordedLines()
        let other = IntervalTimer(clock: clock, line: InterruptLine(sink: otherLines, number: 0))
        try other.importState(pit.exportState())
        #expect(other.exportState() == pit.exportState())
        let (a, b) = (lines.edges(0), otherLines.edges(0))
        clock.advance(by: 100_000_000)
        #expect(lines.edges(0) - a == otherLines.edges(0) - b)
        for port: UInt64 in [0x42, 0x42, 0x42, 0x40, 0x61, 0x40] {
            #expect(pit.read(offset: port, size: 1) == other.read(offset: port, size: 1))
        }
    }

    @Test func badStateIsRefused() {
        var state = pit.exportState()
        guard case .list(var counters)? = state.fields["counters"] else { return #expect(Bool(false)) }
        counters[0].set("count", 0)
        state.set("counters", counters)
        #expect(throws: DeviceStateError.self) { try pit.importState(state) }
    }

    @Test func randomPokes() throws {
        poke(pit, offsets: [0x40, 0x41, 0x42, 0x43, 0x43, 0x61], clock: clock, seed: 1)
        try pit.importState(pit.exportState())
    }
}
