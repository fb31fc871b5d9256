import DeviceModel
import Devices
import Synchronization
import TestSupport
import Testing

@Suite struct RealTimeClockTests {
    /// 2023-11-14 22:13:20 UTC, a Tuesday.
    private let clock = ManualClock()
    private let lines = RecordedLines()
    private let rtc: RealTimeClock

    init() { rtc = RealTimeClock(clock: clock, line: InterruptLine(sink: lines, number: 8)) }

    private func get(_ index: UInt8, _ rtc: RealTimeClock? = nil) -> UInt8 {
        let rtc = rtc ?? self.rtc
        rtc.write(offset: 0x70, size: 1, value: UInt64(index))
        return UInt8(truncatingIfNeeded: rtc.read(offset: 0x71, size: 1))
    }
    private func set(_ index: UInt8, _ value: UInt8) {
        rtc.write(offset: 0x70, size: 1, value: UInt64(index))
        rtc.write(offset: 0x71, size: 1, value: UInt64(value))
    }
    private var date: [UInt8] { [0x32, 9, 8, 7, 4, 2, 0].map { get($0) } }

    @Test func timeInBCD() {
        #expect(date == [0x20, 0x23, 0x11, 0x14, 0x22, 0x13, 0x20])
        #expect(get(6) == 3)
        #expect(get(0x0D) == 0x80)
        #expect(get(0x0A) == 0x26)
        #expect(get(0x0B) == 0x02)
    }

    @Test func timeInBinaryAnd12Hours() {
        set(0x0B, 0x06)
        #expect(date == [20, 23, 11, 14, 22, 13, 20])
        set(0x0B, 0x00)
        #expect(get(4) == 0x90)
        clock.advance(by: 7_200_000_000_000)
        #expect(get(4) == 0x12, "midnight")
        clock.advance(by: 12 * 3_600_000_000_000)
        #expect(get(4) == 0x92, "noon")
    }

    @Test func timePasses() {
        clock.advance(by: 86_400_000_000_000 * 17)
        #expect(date == [0x20, 0x23, 0x12, 0x01, 0x22, 0x13, 0x20])
        #expect(get(6) == 6)
    }

    @Test func guestSetsItsClock() {
        set(0x0B, 0x82)
        clock.advance(by: 5_000_000_000)
        #expect(get(0) == 0x20, "the clock stands")
        for (register, value) in [(UInt8(0), UInt8(0x59)), (2, 0x59), (4, 0x23), (7, 0x28), (8, 0x02), (9, 0x24)] {
            set(register, value)
        }
        set(0x0B, 0x02)
        clock.advance(by: 1_000_000_000)
        #expect(date == [0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00], "2024 is a leap year")
    }

    @Test func writesWithoutStopTakeEffectAtOnce() {
        set(4, 0x07)
        #expect(get(4) == 0x07)
        #expect(get(2) == 0x13)
        set(0x32, 0x19)
        #expect(date.prefix(2) == [0x19, 0x23])
    }

    @Test func whatTheGuestSetsIsTold() {
        let told = SharedList()
        rtc.observeSetting { told.append($0) }
        set(4, 0x07)
        let back: Int64 = -54_000
        #expect(told.list == [back])
        set(0x0B, 0x82)
        set(2, 0x14)
        #expect(told.list.count == 1, "the clock stands")
        set(0x0B, 0x02)
        #expect(told.list == [back, back + 60])
        set(0x0E, 1)
        #expect(told.list.count == 2, "memory is no time")
    }

    private final class SharedList: Sendable {
        private let state = Mutex<[Int64]>([])
        var list: [Int64] { state.withLock { $0 } }
        func append(_ value: Int64) { state.withLock { $0.append(value) } }
    }

    @Test func dividerResetDelaysTheFirstUpdateByHalfASecond() {
        set(0x0A, 0x76)
        clock.advance(by: 3_700_000_000)
        let second = get(0)
        set(0x0A, 0x26)
        clock.advance(by: 499_000_000)
        #expect(get(0) == second)
        clock.advance(by: 2_000_000)
        #expect(get(0) == second + 1)
    }

    @Test func updateInProgressBeforeTheSecond() {
        #expect(get(0x0A) & 0x80 == 0)
        clock.advance(by: 999_800_000)
        #expect(get(0x0A) & 0x80 != 0)
        clock.advance(by: 200_000)
        #expect(get(0x0A) & 0x80 == 0)
    }

    @Test func updateInterrupt() {
        set(0x0B, 0x12)
        clock.advance(by: 999_000_000)
        #expect(!lines.level(8))
        clock.advance(by: 1_000_000)
        #expect(lines.level(8))
        #expect(get(0x0C) & 0x90 == 0x90)
        #expect(!lines.level(8))
        clock.advance(by: 1_000_000_000)
        #expect(lines.edges(8) == 2)
    }

    @Test func flagsAreSetWithoutInterrupts() {
        clock.advance(by: 1_500_000_000)
        #expect(get(0x0C) & 0x10 != 0)
        #expect(get(0x0C) == 0)
        #expect(lines.edges(8) == 0)
    }

    @Test(arguments: [(UInt8(6), 1024), (0x0F, 2), (3, 8192), (1, 256), (2, 128)])
    func periodicRates(rate: UInt8, hertz: Int) {
        set(0x0A, 0x20 | rate)
        _ = get(0x0C)
        set(0x0B, 0x42)
        var count = 0
        for _ in 0..<FuzzRounds.times(20_000) {
            clock.advance(by: 50_000)
            if lines.level(8) {
                count += 1
                _ = get(0x0C)
            }
        }
        #expect(abs(count - hertz) <= 1)
    }

    @Test func alarm() {
        set(1, 0x00)
        set(3, 0x15)
        set(5, 0x22)
        set(0x0B, 0x22)
        clock.advance(by: 99_000_000_000)
        #expect(!lines.level(8))
        clock.advance(by: 1_000_000_000)
        #expect(lines.level(8))
        #expect(get(0x0C) & 0xA0 == 0xA0)
    }

    @Test func alarmEveryMinute() {
        set(1, 0x30)
        set(3, 0xC0)
        set(5, 0xFF)
        set(0x0B, 0x22)
        var count = 0
        for _ in 0..<300 {
            clock.advance(by: 1_000_000_000)
            if get(0x0C) & 0x20 != 0 { count += 1 }
        }
        #expect(count == 5)
    }

    @Test func impossibleAlarmNeverComes() {
        set(1, 0x7A)
        set(0x0B, 0x22)
        clock.advance(by: 86_400_000_000_000)
        #expect(!lines.level(8))
    }

    @Test func nmiMask() {
        rtc.write(offset: 0x70, size: 1, value: 0x8F)
        #expect(rtc.nmiMasked)
        _ = get(0x0F)
        #expect(!rtc.nmiMasked)
    }

    @Test func memorySizes() {
        rtc.setMemorySize(below4G: 3 << 30, above4G: 5 << 30)
        #expect([0x15, 0x16, 0x17, 0x18, 0x30, 0x31].map { get($0) } == [0x80, 0x02, 0xFF, 0xFF, 0xFF, 0xFF])
        #expect(Int(get(0x34)) | Int(get(0x35)) << 8 == ((3 << 30) - (16 << 20)) / 65_536)
        #expect(Int(get(0x5B)) | Int(get(0x5C)) << 8 | Int(get(0x5D)) << 16 == (5 << 30) / 65_536)
        rtc.setBootOrder([3, 2, 1], checksFloppySignature: false)
        #expect(get(0x3D) == 0x23)
        #expect(get(0x38) == 0x11)
    }

    @Test func upperBank() {
        rtc.write(offset: 0x72, size: 1, value: 0x05)
        rtc.write(offset: 0x73, size: 1, value: 0xAB)
        #expect(rtc.byte(0x85) == 0xAB)
        #expect(get(0x05) == 0)
    }

    @Test func bases() {
        let dated = RealTimeClock(
            clock: clock, line: InterruptLine(sink: lines, number: 8), base: .date(1_150_560_081))
        #expect(dated.guestTime == 1_150_560_081)
        let local = RealTimeClock(
            clock: clock, line: InterruptLine(sink: lines, number: 8), base: .localtime, localOffset: 7200)
        #expect(local.guestTime == 1_700_007_200)
    }

    @Test func dateRollsThroughCenturies() {
        let year2000 = RealTimeClock(
            clock: clock, line: InterruptLine(sink: lines, number: 8), base: .date(946_684_799))
        clock.advance(by: 1_000_000_000)
        #expect(get(0x32, year2000) == 0x20)
        #expect(get(9, year2000) == 0x00)
        #expect(get(8, year2000) == 0x01)
    }

    @Test func resetKeepsTimeAndMemory() {
        rtc.setByte(0x40, 9)
        set(0x0B, 0x12)
        set(4, 0x05)
        rtc.reset()
        #expect(get(0x40) == 9)
        #expect(get(4) == 0x05)
        #expect(get(0x0B) == 0x02)
    }

    @Test func stateRoundTripWithAlarmPending() throws {
        set(4, 0x05)
        set(0x0A, 0x2A)
        set(0x0B, 0x52)
        clock.advance(by: 700_000_000)
        let otherLines = RecordedLines()
        let other = RealTimeClock(clock: clock, line: InterruptLine(sink: otherLines, number: 8))
        try other.importState(rtc.exportState())
        #expect(other.exportState() == rtc.exportState())
        #expect(get(0x0C) == get(0x0C, other))
        clock.advance(by: 600_000_000)
        #expect(lines.level(8) == otherLines.level(8))
        for register in UInt8(0)..<0x0E { #expect(get(register) == get(register, other)) }
    }

    @Test func badStateIsRefused() {
        var state = rtc.exportState()
        state.set("offset-nanoseconds", 1_000_000_000)
        #expect(throws: DeviceStateError.self) { try rtc.importState(state) }
        state = rtc.exportState()
        state.set("offset-seconds", UInt64(Int64.max))
        #expect(throws: DeviceStateError.self) { try rtc.importState(state) }
    }

    @Test func randomPokes() throws {
        poke(rtc, offsets: [0x70, 0x70, 0x71, 0x71, 0x72, 0x73], clock: clock, seed: 3)
        // The registers of the clock, far more often than at random.
        var random = SplitMix64(state: 4)
        for _ in 0..<FuzzRounds.times(20_000) {
            set(UInt8(random.next() % 14), UInt8(truncatingIfNeeded: random.next()))
            if random.next() & 7 == 0 { clock.advance(by: random.next() % 1_000_000) }
        }
        try rtc.importState(rtc.exportState())
    }
}
