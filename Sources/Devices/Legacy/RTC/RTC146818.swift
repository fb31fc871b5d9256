internal import HostOS

/// The registers of an MC146818A real-time clock (Motorola data sheet) with 256 bytes of CMOS memory: no lock, no
/// clock.
///
/// The time of day is the wall clock plus an offset; a guest that sets its clock changes the offset. Update, alarm and
/// periodic flags are computed from the time that has passed.
struct RTC146818: Sendable {
    /// Two times: one that stops with the machine, for periods, and one for dates.
    struct Moment: Sendable {
        /// Virtual nanoseconds.
        var now: UInt64
        /// Nanoseconds since 1970.
        var wall: UInt64
    }
    enum Flag {
        static let periodic: UInt8 = 0x40
        static let alarm: UInt8 = 0x20
        static let update: UInt8 = 0x10
        static let all: UInt8 = 0x70
    }
    enum B {
        static let set: UInt8 = 0x80
        static let squareWave: UInt8 = 0x08
        static let binary: UInt8 = 0x04
        static let hours24: UInt8 = 0x02
    }
    static let centuryIndex = 0x32
    /// How long before an update the update-in-progress bit warns.
    static let warning: Int64 = 244_000
    private static let second: Int64 = 1_000_000_000

    /// Memory. Holds the time registers while the clock stands, and the alarm registers always.
    var memory = [UInt8](repeating: 0, count: 256)
    var index: UInt8 = 0
    var upperIndex: UInt8 = 0
    var nmiMasked = false
    var a: UInt8 = 0x26
    var b: UInt8 = B.hours24
    var c: UInt8 = 0
    /// The guest's time less the wall clock: whole seconds, and nanoseconds below one second.
    var offsetSeconds: Int64 = 0
    var offsetNanoseconds: Int64 = 0
    /// The last second and 32.768 kHz period whose flags were computed.
    var lastSecond: Int64 = 0
    var lastPeriod: UInt64 = 0
    /// How often the guest has set the clock since it was made or loaded.
    private(set) var timesSet: UInt64 = 0

    init(offset: Int64, at moment: Moment) {
        offsetSeconds = offset
        lastSecond = time(moment).seconds
        lastPeriod = Self.period(moment)
    }

    /// The clock stands while it is set or its divider held.
    private var stands: Bool { b & B.set != 0 || a >> 4 & 7 > 2 }

    /// IRQ 8.
    var interrupt: Bool { b & c & Flag.all != 0 }

    // MARK: Time

    private static func period(_ moment: Moment) -> UInt64 { Ticks.at(moment.now, hertz: 32_768) }

    /// Seconds since 1970 on the guest's clock, and the nanoseconds of the second that runs.
    func time(_ moment: Moment) -> (seconds: Int64, nanoseconds: Int64) {
        let wall = Int64(truncatingIfNeeded: min(moment.wall, UInt64(Int64.max)))
        let nanoseconds = wall % Self.second + offsetNanoseconds
        let carry: Int64 = nanoseconds >= Self.second ? 1 : 0
        return (wall / Self.second &+ offsetSeconds &+ carry, nanoseconds - carry * Self.second)
    }

    /// Makes the guest's clock show `seconds` and `nanoseconds` now.
    private mutating func setTime(_ seconds: Int64, _ nanoseconds: Int64, _ moment: Moment) {
        let wall = Int64(truncatingIfNeeded: min(moment.wall, UInt64(Int64.max)))
        offsetSeconds = seconds - wall / Self.second
        offsetNanoseconds = nanoseconds - wall % Self.second
        if offsetNanoseconds < 0 {
            offsetNanoseconds += Self.second
            offsetSeconds -= 1
        }
        lastSecond = seconds
        timesSet &+= 1
    }

    /// Periods of the 32.768 kHz crystal between periodic interrupts; nil where they are off.
    private var periodicPeriod: UInt64? {
        let rate = UInt64(a & 15)
        guard rate != 0, a >> 4 & 7 <= 2 else { return nil }
        return rate <= 2 ? 1 << (rate + 6) : 1 << (rate - 1)
    }

    /// Sets the flags that have come due.
    mutating func tick(_ moment: Moment) {
        let period = Self.period(moment)
        if let length = periodicPeriod, period / length > lastPeriod / length { c |= Flag.periodic }
        lastPeriod = max(lastPeriod, period)
        guard !stands else { return }
        let seconds = time(moment).seconds
        if seconds > lastSecond {
            c |= Flag.update
            if let alarm = nextAlarm(after: lastSecond), alarm <= seconds { c |= Flag.alarm }
        }
        lastSecond = seconds
    }

    /// Virtual time at which an enabled interrupt comes next that is not already pending.
    func deadline(_ moment: Moment) -> UInt64? {
        var earliest: UInt64?
        func consider(_ time: UInt64) { earliest = min(earliest ?? .max, time) }
        let wanted = b & ~c
        if wanted & Flag.periodic != 0, let length = periodicPeriod {
            consider(Ticks.nanoseconds(of: (lastPeriod / length + 1) &* length, hertz: 32_768))
        }
        guard !stands, wanted & (Flag.update | Flag.alarm) != 0 else { return earliest }
        let (seconds, nanoseconds) = time(moment)
        func consider(second: Int64) {
            let wait = (second - seconds).multipliedReportingOverflow(by: Self.second)
            guard !wait.overflow, wait.partialValue >= nanoseconds else { return }
            consider(moment.now &+ UInt64(wait.partialValue - nanoseconds))
        }
        if wanted & Flag.update != 0 { consider(second: seconds + 1) }
        if wanted & Flag.alarm != 0, let alarm = nextAlarm(after: seconds) { consider(second: alarm) }
        return earliest
    }

    /// The first second after `seconds` that the alarm registers match.
    func nextAlarm(after seconds: Int64) -> Int64? {
        func wanted(_ register: Int, hours: Bool = false) -> Int64? {
            let raw = memory[register]
            if raw & 0xC0 == 0xC0 { return nil }
            return hours ? decodeHours(raw) : decode(raw)
        }
        let (second, minute, hour) = (wanted(1), wanted(3), wanted(5, hours: true))
        var at = seconds + 1
        // One step for each hour, minute and second that does not match: 24 + 60 + 60 at most.
        for _ in 0..<160 {
            let now = CivilTime(seconds: at)
            if let hour, now.hour != hour {
                at += 3600 - now.minute * 60 - now.second
            } else if let minute, now.minute != minute {
                at += 60 - now.second
            } else if let second, now.second != second {
                at += 1
            } else {
                return at
            }
        }
        return nil
    }

    // MARK: Formats

    private func encode(_ value: Int64) -> UInt8 {
        b & B.binary != 0 ? UInt8(truncatingIfNeeded: value) : UInt8(truncatingIfNeeded: (value / 10) << 4 | value % 10)
    }
    private func decode(_ raw: UInt8) -> Int64 {
        b & B.binary != 0 ? Int64(raw) : Int64(raw >> 4) * 10 + Int64(raw & 15)
    }
    private func encodeHours(_ hour: Int64) -> UInt8 {
        if b & B.hours24 != 0 { return encode(hour) }
        return encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0)
    }
    private func decodeHours(_ raw: UInt8) -> Int64 {
        if b & B.hours24 != 0 { return decode(raw) }
        return decode(raw & 0x7F) % 12 + (raw & 0x80 != 0 ? 12 : 0)
    }

    private func timeRegister(_ register: Int, _ seconds: Int64) -> UInt8 {
        let time = CivilTime(seconds: seconds)
        switch register {
        case 0: return encode(time.second)
        case 2: return encode(time.minute)
        case 4: return encodeHours(time.hour)
        case 6: return encode(CivilTime.weekday(seconds: seconds))
        case 7: return encode(time.day)
        case 8: return encode(time.month)
        case 9: return encode((time.year % 100 + 100) % 100)
        default: return encode((time.year / 100 % 100 + 100) % 100)
        }
    }

    private static func isTime(_ register: Int) -> Bool {
        switch register {
        case 0, 2, 4, 6, 7, 8, 9, centuryIndex: true
        default: false
        }
    }
    private static let timeRegisters = [0, 2, 4, 6, 7, 8, 9, centuryIndex]

    private mutating func writeDown(_ seconds: Int64) {
        for register in Self.timeRegisters { memory[register] = timeRegister(register, seconds) }
    }

    private var writtenTime: Int64 {
        CivilTime(
            year: decode(memory[Self.centuryIndex]) * 100 + decode(memory[9]), month: decode(memory[8]),
            day: decode(memory[7]), hour: decodeHours(memory[4]), minute: decode(memory[2]),
            second: decode(memory[0])
        ).seconds
    }

    // MARK: Registers

    /// The byte at `register`, 0 to 127, with the effects of a read.
    mutating func readRegister(_ register: Int, _ moment: Moment) -> UInt8 {
        tick(moment)
        switch register {
        case 0x0A:
            let soon = !stands && time(moment).nanoseconds >= Self.second - Self.warning
            return a | (soon ? 0x80 : 0)
        case 0x0B: return b
        case 0x0C:
            let value = c | (interrupt ? 0x80 : 0)
            c = 0
            return value
        case 0x0D: return 0x80
        case _ where Self.isTime(register) && !stands: return timeRegister(register, time(moment).seconds)
        default: return memory[register & 0xFF]
        }
    }

    /// Stores a byte at `register`, 0 to 127.
    mutating func writeRegister(_ register: Int, _ value: UInt8, _ moment: Moment) {
        tick(moment)
        switch register {
        case 0x0A: changeControl(a: value & 0x7F, b: b, moment)
        case 0x0B: changeControl(a: a, b: value, moment)
        case 0x0C, 0x0D: break
        case _ where Self.isTime(register) && !stands:
            let (seconds, nanoseconds) = time(moment)
            writeDown(seconds)
            memory[register] = value
            setTime(writtenTime, nanoseconds, moment)
        default: memory[register & 0xFF] = value
        }
    }

    private mutating func changeControl(a newA: UInt8, b newB: UInt8, _ moment: Moment) {
        let stood = stands
        let heldDivider = a >> 4 & 7 > 2
        let (seconds, nanoseconds) = time(moment)
        if !stood { writeDown(seconds) }
        a = newA
        b = newB
        // Setting the clock stops its update interrupts (data sheet, register B).
        if newB & B.set != 0 { b &= ~Flag.update }
        if stood && !stands {
            // The first update after the divider starts comes half a second later.
            setTime(writtenTime, heldDivider ? Self.second / 2 : nanoseconds, moment)
        }
        lastPeriod = max(lastPeriod, Self.period(moment))
    }

    /// The RESET pin: interrupts off, time and memory kept.
    mutating func reset() {
        b &= ~(Flag.all | B.squareWave)
        c = 0
        index = 0
        upperIndex = 0
        nmiMasked = false
    }
}
