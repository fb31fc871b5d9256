/// The fixed hardware of ACPI (specification 6.5, section 4.8) as the PIIX4 has it: PM1a event and control registers,
/// the power management timer, and one block of general-purpose events. No lock, no clock.
struct ACPIPMModel: Sendable {
    /// The power management timer's clock, and its width.
    static let hertz: UInt64 = 3_579_545
    static let timerBits: UInt64 = 24

    enum PM1 {
        static let timer: UInt16 = 1 << 0
        static let global: UInt16 = 1 << 5
        static let powerButton: UInt16 = 1 << 8
        static let sleepButton: UInt16 = 1 << 9
        static let clock: UInt16 = 1 << 10
        static let wake: UInt16 = 1 << 15
        /// Events that an enable bit exists for.
        static let events = timer | global | powerButton | sleepButton | clock
        static let status = events | wake
    }
    enum Control {
        static let sciEnable: UInt16 = 1 << 0
        static let sleepEnable: UInt16 = 1 << 13
        /// SCI_EN, BM_RLD and SLP_TYP keep their values.
        static let kept: UInt16 = 0x1C03
    }

    var status: UInt16 = 0
    var enable: UInt16 = 0
    var control: UInt16 = 0
    /// The guest has suspended to RAM and was not woken yet.
    var isAsleep = false
    /// General-purpose events: status and enable bytes.
    var eventStatus: [UInt8]
    var eventEnable: [UInt8]
    /// The ports of the system management interface: command and scratch.
    var command: UInt8 = 0
    var scratch: UInt8 = 0
    /// The half-period of the timer's top bit whose carry was computed.
    var lastHalf: UInt64 = 0

    /// With `count` bytes of status and as many of enables.
    init(eventBytes count: Int) {
        eventStatus = [UInt8](repeating: 0, count: max(0, min(count, 32)))
        eventEnable = eventStatus
    }

    private static func half(_ now: UInt64) -> UInt64 { Ticks.at(now, hertz: hertz) >> (timerBits - 1) }

    /// The timer's value.
    static func timer(_ now: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: Ticks.at(now, hertz: hertz) & ((1 << timerBits) - 1))
    }

    /// Notes that the timer's top bit changed.
    mutating func tick(_ now: UInt64) {
        let half = Self.half(now)
        if half > lastHalf { status |= PM1.timer }
        lastHalf = half
    }

    /// Virtual time of the next change of the timer's top bit, where the guest wants to hear of it.
    func deadline(_ now: UInt64) -> UInt64? {
        guard enable & PM1.timer != 0, status & PM1.timer == 0 else { return nil }
        return Ticks.nanoseconds(of: (Self.half(now) + 1) << (Self.timerBits - 1), hertz: Self.hertz)
    }

    /// The system control interrupt.
    var interrupt: Bool {
        guard control & Control.sciEnable != 0 else { return false }
        return status & enable & PM1.events != 0 || zip(eventStatus, eventEnable).contains { $0 & $1 != 0 }
    }

    // MARK: Registers

    /// Byte `offset` of the block of PM registers: events 0 to 3, control 4 and 5, timer 8 to 11.
    mutating func read(_ offset: UInt64, _ now: UInt64) -> UInt8 {
        tick(now)
        let byte = 8 * (offset & 1)
        switch offset {
        case 0, 1: return UInt8(truncatingIfNeeded: status >> byte)
        case 2, 3: return UInt8(truncatingIfNeeded: enable >> byte)
        case 4, 5: return UInt8(truncatingIfNeeded: control >> byte)
        case 8...11: return UInt8(truncatingIfNeeded: Self.timer(now) >> UInt32(8 * (offset & 3)))
        default: return 0
        }
    }

    /// A write to it. Returns the sleep type (0 to 7) where the guest asks for sleep.
    mutating func write(_ offset: UInt64, _ value: UInt8, _ now: UInt64) -> UInt8? {
        tick(now)
        let byte = 8 * (offset & 1)
        let wide = UInt16(value) << byte
        let keep = ~(UInt16(0xFF) << byte)
        switch offset {
        case 0, 1: status &= ~wide
        case 2, 3: enable = (enable & keep | wide) & PM1.events
        case 4, 5:
            control = (control & keep | wide) & Control.kept
            if wide & Control.sleepEnable != 0 { return UInt8(control >> 10 & 7) }
        default: break
        }
        return nil
    }

    /// Byte `offset` of the block of general-purpose events: status, then enables.
    func readEvents(_ offset: UInt64) -> UInt8 {
        let count = UInt64(eventStatus.count)
        if offset < count { return eventStatus[Int(offset)] }
        if offset < 2 * count { return eventEnable[Int(offset - count)] }
        return 0xFF
    }

    mutating func writeEvents(_ offset: UInt64, _ value: UInt8) {
        let count = UInt64(eventStatus.count)
        if offset < count {
            eventStatus[Int(offset)] &= ~value
        } else if offset < 2 * count {
            eventEnable[Int(offset - count)] = value
        }
    }

    /// Sets the status bit of a general-purpose event.
    mutating func raiseEvent(_ number: Int) {
        guard number >= 0, number / 8 < eventStatus.count else { return }
        eventStatus[number / 8] |= 1 << UInt8(number & 7)
    }
}
