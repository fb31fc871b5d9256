/// The PC's 8254 interval timer (Intel 231164) and the system control port 61: three counters at 1.193182 MHz, of
/// which the first drives IRQ 0 and the last the speaker.
///
/// Times are in periods of the timer's clock since the start of virtual time.
struct PIT8254: Sendable {
    /// The input clock.
    static let hertz: UInt64 = 1_193_182

    private(set) var counters = (PITCounter(), PITCounter(), PITCounter())
    /// Bits 0 to 3 of port 61: gate of counter 2, speaker, and the two error masks.
    private(set) var control: UInt8 = 0

    init() { counters.2.gate = false }

    /// Speaker on and counter 2 running.
    var speakerOn: Bool { control & 0x03 == 0x03 }

    private mutating func with<R>(_ number: UInt8, _ body: (inout PITCounter) -> R) -> R {
        switch number {
        case 0: body(&counters.0)
        case 1: body(&counters.1)
        default: body(&counters.2)
        }
    }

    /// A read of port 40 to 43.
    mutating func read(_ port: UInt64, tick: UInt64) -> UInt8 {
        let number = UInt8(port & 3)
        return number == 3 ? 0xFF : with(number) { $0.read(tick: tick) }
    }

    /// A write to port 40 to 43.
    mutating func write(_ port: UInt64, _ value: UInt8, tick: UInt64) {
        let number = UInt8(port & 3)
        if number < 3 { return with(number) { $0.write(value, tick: tick) } }
        let selected = value >> 6
        if selected == 3 {
            for number in UInt8(0)..<3 where value & 2 << number != 0 {
                if value & 0x20 == 0 { with(number) { $0.latchCount(tick: tick) } }
                if value & 0x10 == 0 { with(number) { $0.latchStatus(tick: tick) } }
            }
        } else if value & 0x30 == 0 {
            with(selected) { $0.latchCount(tick: tick) }
        } else {
            with(selected) { $0.program(value, tick: tick) }
        }
    }

    /// Port 61: what was written, the refresh toggle, and counter 2's output.
    mutating func readControl(tick: UInt64, nanoseconds: UInt64) -> UInt8 {
        let refresh: UInt8 = nanoseconds / 15_085 & 1 != 0 ? 0x10 : 0
        return control | refresh | (counters.2.output(tick: tick) ? 0x20 : 0)
    }

    mutating func writeControl(_ value: UInt8, tick: UInt64) {
        control = value & 0x0F
        counters.2.setGate(value & 1 != 0, tick: tick)
    }

    /// For restoring.
    init(counters: (PITCounter, PITCounter, PITCounter), control: UInt8) {
        self.counters = counters
        self.control = control & 0x0F
        self.counters.0.gate = true
        self.counters.1.gate = true
        self.counters.2.gate = control & 1 != 0
    }

    /// First rise of counter 0's output after `tick`.
    mutating func nextInterrupt(after tick: UInt64) -> UInt64? { counters.0.nextRise(after: tick) }
    /// Counter 0's output.
    mutating func interruptLevel(tick: UInt64) -> Bool { counters.0.output(tick: tick) }
}
