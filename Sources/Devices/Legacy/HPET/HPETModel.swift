/// The registers of a high precision event timer block (IA-PC HPET specification 1.0a): no lock, no clock.
///
/// Counter values are computed from virtual time; the adapter calls `tick` when a comparator is due.
struct HPETModel: Sendable {
    static let timers = 3
    /// Comparators match at most this often, in nanoseconds: a period of some ticks does not stop the machine.
    static let leastDistance: UInt64 = 10_000

    enum Config {
        static let level: UInt64 = 1 << 1
        static let enabled: UInt64 = 1 << 2
        static let periodic: UInt64 = 1 << 3
        static let setsValue: UInt64 = 1 << 6
        static let mode32: UInt64 = 1 << 8
        static let message: UInt64 = 1 << 14
        static let writable: UInt64 = 0x7F4E
        /// Periodic, 64 bits wide, delivers messages.
        static let capabilities: UInt64 = 1 << 4 | 1 << 5 | 1 << 15
    }

    struct Timer: Equatable, Sendable {
        var config: UInt64 = 0
        var comparator = UInt64.max
        var period: UInt64 = 0
        /// Message address in the high half, data in the low.
        var message: UInt64 = 0
        /// A comparator that is not periodic has matched; it does not again before the counter or it is set.
        var done = false
    }

    /// What a matching comparator does.
    enum Delivery: Equatable, Sendable {
        case edge(line: Int)
        case message(address: UInt64, data: UInt32)
    }

    /// Nanoseconds of a tick.
    let tickLength: UInt64
    /// Inputs of the I/O APIC that timers may use, one bit each.
    let routes: UInt32
    var timer = [Timer](repeating: Timer(), count: HPETModel.timers)
    var enabled = false
    var legacy = false
    /// Level-triggered interrupts that are active, one bit for each timer.
    var status: UInt64 = 0
    /// The counter while it stands, else its value at `startedAt`.
    var base: UInt64 = 0
    var startedAt: UInt64 = 0
    var lastTick: UInt64 = 0

    init(tickLength: UInt64, routes: UInt32) {
        self.tickLength = max(1, min(tickLength, 100))
        self.routes = routes
    }

    // MARK: Counter

    func counter(_ now: UInt64) -> UInt64 {
        guard enabled, now > startedAt else { return base }
        return base &+ (now - startedAt) / tickLength
    }

    private func is32(_ timer: Timer) -> Bool { timer.config & Config.mode32 != 0 }
    private func distance(_ timer: Timer, from counter: UInt64) -> UInt64 {
        let distance = timer.comparator &- counter
        return is32(timer) ? distance & 0xFFFF_FFFF : distance
    }

    /// Ticks since the counter last passed `seen`.
    private func passed(_ timer: Timer, seen: UInt64, counter: UInt64) -> Bool {
        // Due if the comparator lies in (seen, counter].
        let span = counter &- seen
        let wait = timer.comparator &- seen
        if is32(timer) {
            if span > 0xFFFF_FFFF { return true }
            let short = wait & 0xFFFF_FFFF
            return short != 0 && short <= span
        }
        return wait != 0 && wait <= span
    }

    /// Virtual time of the next match, none where nothing would come of it.
    func deadline(_ now: UInt64) -> UInt64? {
        guard enabled else { return nil }
        var earliest: UInt64?
        let seen = counter(lastTick)
        for timer in timer where timer.config & Config.enabled != 0 {
            if timer.config & Config.periodic == 0 && timer.done { continue }
            var wait = distance(timer, from: seen)
            if wait == 0 {
                if timer.config & Config.periodic != 0 && timer.period == 0 { continue }
                wait = is32(timer) ? 1 << 32 : .max
            }
            let (ticks, overflow) = wait.multipliedReportingOverflow(by: tickLength)
            // Counts from the last tick seen, not from the nanosecond in it.
            let start = lastTick &- (lastTick > startedAt ? (lastTick - startedAt) % tickLength : 0)
            let (due, late) = start.addingReportingOverflow(ticks)
            if overflow || late { continue }
            let spaced = max(due, lastTick &+ (timer.config & Config.periodic != 0 ? Self.leastDistance : 0))
            earliest = min(earliest ?? .max, spaced)
        }
        return earliest
    }

    /// Time has come to `now`: the numbers of the timers that matched, as bits.
    mutating func tick(_ now: UInt64) -> UInt64 {
        guard enabled, now > lastTick else { return 0 }
        let seen = counter(lastTick)
        let counter = counter(now)
        lastTick = now
        var matched: UInt64 = 0
        for number in 0..<Self.timers where passed(timer[number], seen: seen, counter: counter) {
            if timer[number].config & Config.periodic != 0 {
                advance(number, past: counter)
            } else {
                // Without wrapping round in 64 bits, one match is all there is; in 32 bits it may come again.
                if timer[number].done { continue }
                timer[number].done = !is32(timer[number])
            }
            matched |= 1 << UInt64(number)
        }
        return matched
    }

    /// Moves a periodic comparator to the first of its times after `counter`.
    private mutating func advance(_ number: Int, past counter: UInt64) {
        let period = timer[number].period
        guard period > 0 else { return }
        let late =
            is32(timer[number])
            ? (counter &- timer[number].comparator) & 0xFFFF_FFFF : counter &- timer[number].comparator
        timer[number].comparator = timer[number].comparator &+ (late / period &+ 1) &* period
        if is32(timer[number]) { timer[number].comparator &= 0xFFFF_FFFF }
    }

    /// Where a match of timer `number` goes; a level-triggered one sets its status bit instead.
    mutating func deliver(_ number: Int) -> Delivery? {
        let config = timer[number].config
        guard config & Config.enabled != 0 else { return nil }
        if config & Config.message != 0 {
            return .message(
                address: timer[number].message >> 32, data: UInt32(truncatingIfNeeded: timer[number].message))
        }
        if config & Config.level != 0 {
            status |= 1 << UInt64(number)
            return nil
        }
        return .edge(line: line(number))
    }

    /// The interrupt of timer `number`: 0 and 8 by legacy replacement, else as routed.
    func line(_ number: Int) -> Int {
        if legacy && number == 0 { return 0 }
        if legacy && number == 1 { return 8 }
        return Int(timer[number].config >> 9 & 31)
    }

    /// The lines that level-triggered interrupts hold up, one bit each.
    var heldLines: UInt32 {
        guard enabled else { return 0 }
        var lines: UInt32 = 0
        for number in 0..<Self.timers where status & 1 << UInt64(number) != 0 {
            let config = timer[number].config
            if config & (Config.level | Config.enabled) == Config.level | Config.enabled, config & Config.message == 0 {
                lines |= 1 << UInt32(line(number))
            }
        }
        return lines
    }
}
