/// The registers and FIFOs of a 16550A UART (PC16550D data sheet): no lock, no clock, no back-end.
///
/// Transmission takes no time: the holding register is empty again at once, so that the guest's speed is the back-end's
/// and not the baud rate's. The receive time-out follows the programmed character time.
struct UART16550: Sendable {
    /// Bits of the registers.
    enum Interrupt {
        static let received: UInt8 = 0x01
        static let transmitterEmpty: UInt8 = 0x02
        static let lineStatus: UInt8 = 0x04
        static let modemStatus: UInt8 = 0x08
    }
    enum Line {
        static let dataReady: UInt8 = 0x01
        static let overrun: UInt8 = 0x02
        static let parity: UInt8 = 0x04
        static let framing: UInt8 = 0x08
        static let breakReceived: UInt8 = 0x10
        static let holdingEmpty: UInt8 = 0x20
        static let transmitterEmpty: UInt8 = 0x40
        static let fifoError: UInt8 = 0x80
        static let errors: UInt8 = 0x1E
    }
    enum Control {
        static let loop: UInt8 = 0x10
        static let breakControl: UInt8 = 0x40
        static let divisorAccess: UInt8 = 0x80
    }

    static let fifoDepth = 16
    /// Clear to send, data set ready and carrier detect: what a terminal that is always there shows.
    static let connected: UInt8 = 0xB0

    var interruptEnable: UInt8 = 0
    var fifoControl: UInt8 = 0
    var lineControl: UInt8 = 0
    var modemControl: UInt8 = 0
    var lineErrors: UInt8 = 0
    var modemLines: UInt8 = UART16550.connected
    var modemDeltas: UInt8 = 0
    var scratch: UInt8 = 0
    var divisor: UInt16 = 1
    /// Received characters, oldest first, with their line errors in the high byte.
    var received: [UInt16] = []
    var transmitterInterrupt = false
    var timeout = false
    /// Virtual time at which an untouched FIFO below its trigger asks for attention.
    var timeoutAt: UInt64?

    var fifoEnabled: Bool { fifoControl & 1 != 0 }
    var inLoopback: Bool { modemControl & Control.loop != 0 }
    private var depth: Int { fifoEnabled ? Self.fifoDepth : 1 }
    private var trigger: Int {
        guard fifoEnabled else { return 1 }
        switch fifoControl >> 6 {
        case 0: return 1
        case 1: return 4
        case 2: return 8
        default: return 14
        }
    }

    /// How many characters the receiver takes from the wire. None while the wire is cut by loop-back.
    var capacity: Int { inLoopback ? 0 : max(0, depth - received.count) }

    /// Start, data, parity and stop bits at the programmed speed, in nanoseconds.
    var characterTime: UInt64 {
        let parity: UInt64 = lineControl & 0x08 != 0 ? 1 : 0
        let stop: UInt64 = lineControl & 0x04 != 0 ? 2 : 1
        let bits = 1 + 5 + UInt64(lineControl & 3) + parity + stop
        return bits * UInt64(max(divisor, 1)) * 1_000_000_000 / 115_200
    }

    // MARK: Interrupts

    /// The identification of the most urgent enabled cause, 1 where there is none (data sheet table IV).
    var interruptCause: UInt8 {
        if interruptEnable & Interrupt.lineStatus != 0 && lineErrors != 0 { return 0x06 }
        if interruptEnable & Interrupt.received != 0 {
            if received.count >= trigger { return 0x04 }
            if timeout && !received.isEmpty { return 0x0C }
        }
        if interruptEnable & Interrupt.transmitterEmpty != 0 && transmitterInterrupt { return 0x02 }
        if interruptEnable & Interrupt.modemStatus != 0 && modemStatus & 0x0F != 0 { return 0x00 }
        return 0x01
    }

    /// The interrupt pin. Not gated by OUT2 as PC boards do: guests without that habit are many, and nothing shares
    /// the line with a port whose OUT2 is off.
    var interrupt: Bool { interruptCause != 0x01 }

    /// When `tick` is needed next.
    var deadline: UInt64? {
        guard fifoEnabled, interruptEnable & Interrupt.received != 0, !timeout, received.count < trigger else {
            return nil
        }
        return timeoutAt
    }

    /// Time has come to `now`.
    mutating func tick(now: UInt64) {
        if let at = timeoutAt, now >= at {
            timeoutAt = nil
            if fifoEnabled && !received.isEmpty { timeout = true }
        }
    }

    // MARK: The wire

    /// A character from the wire, with line errors (`Line.parity` and so on).
    mutating func receive(_ byte: UInt8, errors: UInt8 = 0, now: UInt64) {
        if received.count >= depth {
            lineErrors |= Line.overrun
            // The FIFO keeps what it has; a lone buffer register is overwritten.
            if !fifoEnabled { received = [] } else { return }
        }
        received.append(UInt16(byte) | UInt16(errors) << 8)
        if received.count == 1 { revealErrors() }
        restartTimeout(now: now)
    }

    /// The wire went to space for longer than a character.
    mutating func receiveBreak(now: UInt64) { receive(0, errors: Line.breakReceived, now: now) }

    /// Errors of a character show in LSR when it reaches the top of the FIFO.
    private mutating func revealErrors() {
        guard let top = received.first else { return }
        lineErrors |= UInt8(top >> 8)
        received[0] = top & 0xFF
    }

    private mutating func restartTimeout(now: UInt64) {
        timeoutAt = fifoEnabled && !received.isEmpty ? now &+ 4 &* characterTime : nil
    }

    private mutating func clearReceiver() {
        received = []
        timeout = false
        timeoutAt = nil
        lineErrors &= Line.overrun
    }

    // MARK: Registers

    private var lineStatus: UInt8 {
        var value = lineErrors | Line.holdingEmpty | Line.transmitterEmpty
        if !received.isEmpty { value |= Line.dataReady }
        let inFIFO = lineErrors & ~Line.overrun != 0 || received.contains { $0 >> 8 != 0 }
        if fifoEnabled && inFIFO { value |= Line.fifoError }
        return value
    }

    /// CTS, DSR, RI and DCD; in loop-back they are RTS, DTR, OUT1 and OUT2.
    private func lines(modemControl: UInt8) -> UInt8 {
        guard modemControl & Control.loop != 0 else { return modemLines }
        return (modemControl & 0x02) << 3 | (modemControl & 0x01) << 5 | (modemControl & 0x0C) << 4
    }

    private var modemStatus: UInt8 { lines(modemControl: modemControl) | modemDeltas }

    private mutating func noteLines(from old: UInt8, to new: UInt8) {
        let changed = old ^ new
        // Clear to send, data set ready and carrier count either way; ring only when it ends.
        modemDeltas |= (changed & 0xB0) >> 4 | (changed & old & 0x40) >> 4
    }

    /// The lines from the other end change (bits as in MSR).
    mutating func setModemLines(_ lines: UInt8) {
        if !inLoopback { noteLines(from: modemLines, to: lines & 0xF0) }
        modemLines = lines & 0xF0
    }

    /// A read of register 0 to 7, with its effects.
    mutating func read(_ register: UInt64, now: UInt64) -> UInt8 {
        tick(now: now)
        switch register & 7 {
        case 0:
            if lineControl & Control.divisorAccess != 0 { return UInt8(truncatingIfNeeded: divisor) }
            guard !received.isEmpty else { return 0 }
            let byte = UInt8(truncatingIfNeeded: received.removeFirst())
            timeout = false
            revealErrors()
            restartTimeout(now: now)
            return byte
        case 1:
            if lineControl & Control.divisorAccess != 0 { return UInt8(divisor >> 8) }
            return interruptEnable
        case 2:
            let cause = interruptCause
            if cause == 0x02 { transmitterInterrupt = false }
            return cause | (fifoEnabled ? 0xC0 : 0)
        case 3: return lineControl
        case 4: return modemControl
        case 5:
            let value = lineStatus
            lineErrors = 0
            return value
        case 6:
            let value = modemStatus
            modemDeltas = 0
            return value
        default: return scratch
        }
    }

    /// A write of register 0 to 7; returns the character that goes out on the wire, if any.
    mutating func write(_ register: UInt64, _ value: UInt8, now: UInt64) -> UInt8? {
        tick(now: now)
        switch register & 7 {
        case 0:
            if lineControl & Control.divisorAccess != 0 {
                divisor = divisor & 0xFF00 | UInt16(value)
                return nil
            }
            transmitterInterrupt = true
            // Bits above the word length go out too: a console of early code is often used with LCR unset.
            guard inLoopback else { return value }
            receive(value, now: now)
        case 1:
            if lineControl & Control.divisorAccess != 0 {
                divisor = divisor & 0x00FF | UInt16(value) << 8
                return nil
            }
            let rising = value & ~interruptEnable
            interruptEnable = value & 0x0F
            // The holding register is always empty, so enabling its interrupt raises it.
            if rising & Interrupt.transmitterEmpty != 0 { transmitterInterrupt = true }
        case 2: writeFIFOControl(value)
        case 3:
            let started = value & ~lineControl & Control.breakControl != 0
            lineControl = value
            if started && inLoopback { receiveBreak(now: now) }
        case 4:
            let old = lines(modemControl: modemControl)
            modemControl = value & 0x1F
            noteLines(from: old, to: lines(modemControl: modemControl))
        case 5, 6: break
        default: scratch = value
        }
        return nil
    }

    private mutating func writeFIFOControl(_ value: UInt8) {
        if (value ^ fifoControl) & 1 != 0 || value & 0x02 != 0 { clearReceiver() }
        // The other bits count only where the FIFOs are on.
        fifoControl = value & 1 != 0 ? value & 0xC9 : 0
    }
}
