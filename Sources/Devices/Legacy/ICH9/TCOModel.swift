/// The watchdog of ICH9's TCO block (Intel 316972, 13.9): a timer of 0.6 s a tick that must be reloaded, and that fires
/// at its second end in a row. No lock, no clock.
struct TCOModel: Sendable {
    /// Nanoseconds of a tick.
    static let tick: UInt64 = 600_000_000

    enum Register {
        static let reload: UInt64 = 0x00
        static let status1: UInt64 = 0x04
        static let status2: UInt64 = 0x06
        static let control1: UInt64 = 0x08
        static let timer: UInt64 = 0x12
    }
    private static let timeout: UInt8 = 1 << 3
    private static let second: UInt8 = 1 << 1
    /// In the upper byte of the control register.
    private static let halted: UInt8 = 1 << 3

    /// The block's 32 bytes, but for the counter.
    var bytes = TCOModel.initial
    /// When the timer ends; nil while it is halted.
    var deadline: UInt64?
    /// What is left of a halted timer in ticks.
    var left: UInt64 = 4

    static let initial: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes[9] = TCOModel.halted
        bytes[0x10] = 0x03
        bytes[0x11] = 0x00
        bytes[0x12] = 4
        return bytes
    }()

    private var period: UInt64 {
        max(UInt64(bytes[0x12]) | UInt64(bytes[0x13] & 3) << 8, 2)
    }
    private var isHalted: Bool { bytes[9] & Self.halted != 0 }

    private func ticks(_ now: UInt64) -> UInt64 {
        guard let deadline else { return left }
        return deadline > now ? (deadline - now + Self.tick - 1) / Self.tick : 0
    }
    private mutating func start(_ ticks: UInt64, _ now: UInt64) {
        left = ticks
        deadline = isHalted ? nil : now + ticks * Self.tick
    }

    func read(_ offset: UInt64, _ now: UInt64) -> UInt8 {
        guard offset < 32 else { return 0xFF }
        if offset < 2 { return UInt8(truncatingIfNeeded: ticks(now) >> (8 * offset)) }
        return bytes[Int(offset)]
    }

    mutating func write(_ offset: UInt64, _ value: UInt8, _ now: UInt64) {
        let place = Int(offset)
        switch offset {
        case 0:
            bytes[4] &= ~Self.timeout
            start(period, now)
        case 1: break
        case 4...7: bytes[place] &= ~value
        case 9:
            let rest = ticks(now)
            // The lock bit stays once it is set.
            bytes[place] = value & 0x1B | bytes[place] & 0x10
            start(rest, now)
        case 2, 3, 8, 10, 11, 12, 13, 14, 0x10, 0x12: bytes[place] = value
        case 0x13: bytes[place] = value & 3
        default: break
        }
    }

    /// Time has come to `now`. True where the timer ended a second time.
    mutating func advance(_ now: UInt64) -> Bool {
        guard let end = deadline, end <= now else { return false }
        start(period, now)
        guard bytes[4] & Self.timeout != 0 else {
            bytes[4] |= Self.timeout
            return false
        }
        bytes[4] &= ~Self.timeout
        bytes[6] |= Self.second
        return true
    }
}
