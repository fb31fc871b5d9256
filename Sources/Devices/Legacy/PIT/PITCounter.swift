/// One of the 8254's counters, computed from when it was loaded: it needs no clock cycles to pass through it.
struct PITCounter: Sendable {
    /// 0 to 5 (data sheet, "Mode definitions").
    var mode: UInt8 = 3
    /// 1 low byte, 2 high byte, 3 low then high.
    var access: UInt8 = 3
    var bcd = false
    var gate = true
    /// A count has been written since the control word, and in modes 1 and 5 a trigger has come.
    var running = false
    /// The count is in the register; without it the counter stands.
    var written = false
    /// The count that runs, 1 to 65536 (10000 in BCD).
    var count: UInt64 = 65536
    /// When the running count was loaded.
    var start: UInt64 = 0
    /// Periods counted when the gate fell, in the modes that stop with it.
    var stoppedAt: UInt64?
    /// A count that takes over at the end of the period (modes 2, 3) or at the next trigger (1, 5), and when.
    var next: UInt64?
    var nextAt: UInt64?
    /// The low byte that waits for its high byte.
    var lowByte: UInt8?
    /// The next read gives the high byte of the pair.
    var readsHigh = false
    var latchedCount: UInt16?
    var latchedStatus: UInt8?

    private var full: UInt64 { bcd ? 10_000 : 65_536 }
    private var isPeriodic: Bool { mode == 2 || mode == 3 }
    private var isTriggered: Bool { mode == 1 || mode == 5 }
    /// A period of 1 is not allowed in modes 2 and 3.
    private var period: UInt64 { isPeriodic ? max(count, 2) : count }

    /// Takes over a count whose time has come.
    private mutating func settle(_ tick: UInt64) {
        guard let next, let at = nextAt, tick >= at else { return }
        count = next
        start = at
        self.next = nil
        nextAt = nil
    }

    private func elapsed(_ tick: UInt64) -> UInt64 { stoppedAt ?? (tick > start ? tick - start : 0) }

    // MARK: What it shows

    /// The counting element's value.
    mutating func value(tick: UInt64) -> UInt16 {
        settle(tick)
        guard running else { return encode(count % full) }
        let elapsed = elapsed(tick)
        switch mode {
        case 2: return encode((period - elapsed % period) % full)
        case 3:
            // Counts down by two, once in each half; the high half of an odd count is one longer.
            let high = (period + 1) / 2
            let phase = elapsed % period
            let inHalf = phase < high ? phase : phase - high
            let even = period & ~1
            return encode((even &- 2 * inHalf) % full)
        default: return encode((count + full - elapsed % full) % full)
        }
    }

    /// The OUT pin.
    mutating func output(tick: UInt64) -> Bool {
        settle(tick)
        guard running else { return mode != 0 }
        let elapsed = elapsed(tick)
        switch mode {
        case 0, 1: return elapsed >= count
        case 2: return !gate || elapsed % period != period - 1
        case 3: return !gate || elapsed % period < (period + 1) / 2
        default: return elapsed != count
        }
    }

    /// The first rise of OUT after `tick`, as far as the gate stays.
    mutating func nextRise(after tick: UInt64) -> UInt64? {
        settle(tick)
        guard running, stoppedAt == nil else { return nil }
        let rise: UInt64
        switch mode {
        case 0, 1: rise = start &+ count
        case 2, 3:
            guard gate else { return nil }
            if let nextAt { return nextAt }
            rise = start &+ (elapsed(tick) / period + 1) &* period
        default: rise = start &+ count &+ 1
        }
        return rise > tick ? rise : nil
    }

    private func encode(_ value: UInt64) -> UInt16 {
        guard bcd else { return UInt16(truncatingIfNeeded: value) }
        let digits = (value / 1000 % 10) << 12 | (value / 100 % 10) << 8 | (value / 10 % 10) << 4 | value % 10
        return UInt16(truncatingIfNeeded: digits)
    }

    private func decode(_ raw: UInt16) -> UInt64 {
        guard bcd else { return raw == 0 ? 65_536 : UInt64(raw) }
        let value =
            UInt64(raw >> 12) * 1000 + UInt64(raw >> 8 & 15) * 100 + UInt64(raw >> 4 & 15) * 10 + UInt64(raw & 15)
        return value == 0 ? 10_000 : min(value, 9_999)
    }

    // MARK: Registers

    /// A control word for this counter.
    mutating func program(_ word: UInt8, tick: UInt64) {
        access = word >> 4 & 3
        let selected = word >> 1 & 7
        mode = selected > 5 ? selected - 4 : selected
        bcd = word & 1 != 0
        running = false
        written = false
        stoppedAt = nil
        next = nil
        nextAt = nil
        lowByte = nil
        readsHigh = false
        latchedCount = nil
        latchedStatus = nil
        count = min(count, full)
    }

    /// Holds the count until it is read.
    mutating func latchCount(tick: UInt64) {
        if latchedCount == nil { latchedCount = value(tick: tick) }
    }

    /// Holds the status byte until it is read.
    mutating func latchStatus(tick: UInt64) {
        guard latchedStatus == nil else { return }
        let null = !written || next != nil || (isTriggered && !running) || (running && tick < start)
        latchedStatus =
            (output(tick: tick) ? 0x80 : 0) | (null ? 0x40 : 0) | access << 4 | mode << 1 | (bcd ? 1 : 0)
    }

    mutating func read(tick: UInt64) -> UInt8 {
        if let status = latchedStatus {
            latchedStatus = nil
            return status
        }
        let value = latchedCount ?? value(tick: tick)
        let high: Bool
        if access == 3 {
            high = readsHigh
            readsHigh.toggle()
        } else {
            high = access == 2
        }
        if access != 3 || high { latchedCount = nil }
        return UInt8(truncatingIfNeeded: high ? value >> 8 : value)
    }

    mutating func write(_ byte: UInt8, tick: UInt64) {
        switch access {
        case 1: load(UInt16(byte), tick: tick)
        case 2: load(UInt16(byte) << 8, tick: tick)
        default:
            if let low = lowByte {
                lowByte = nil
                load(UInt16(low) | UInt16(byte) << 8, tick: tick)
            } else {
                lowByte = byte
                // In mode 0 the first byte stops the count.
                if mode == 0 {
                    settle(tick)
                    running = false
                }
            }
        }
    }

    private mutating func load(_ raw: UInt16, tick: UInt64) {
        settle(tick)
        let new = decode(raw)
        written = true
        if isTriggered {
            next = new
            return
        }
        if isPeriodic && running && stoppedAt == nil && gate {
            // The period that runs is finished first.
            next = new
            nextAt = start &+ (elapsed(tick) / period + 1) &* period
            return
        }
        count = new
        start = tick &+ 1
        running = true
        next = nil
        nextAt = nil
        stoppedAt = gate ? nil : 0
    }

    mutating func setGate(_ level: Bool, tick: UInt64) {
        guard level != gate else { return }
        settle(tick)
        if level {
            gate = true
            if isTriggered {
                guard written else { return }
                count = next ?? count
                next = nil
                start = tick &+ 1
                running = true
            } else if isPeriodic {
                start = tick &+ 1
                stoppedAt = nil
            } else if let stopped = stoppedAt {
                start = tick &- min(stopped, tick)
                stoppedAt = nil
            }
        } else {
            if running && !isTriggered { stoppedAt = elapsed(tick) }
            if isPeriodic {
                // OUT is high at once; a count that waited is loaded by the next trigger.
                count = next ?? count
                next = nil
                nextAt = nil
            }
            gate = false
        }
    }
}
