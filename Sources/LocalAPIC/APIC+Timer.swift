internal import CEngine

// The timer (11.5.4). It counts virtual nanoseconds, that is, with 1 GHz before the divider, which CPUID leaf
// 4000_0010H tells the guest. The state is the time at which the count reaches zero; the count is computed from it.

extension APIC {
    /// When `advanceTimer` has something to do.
    public enum Deadline: Equatable, Sendable {
        /// At this virtual time, in nanoseconds.
        case nanoseconds(UInt64)
        /// At this value of the guest's time-stamp counter.
        case guestTSC(UInt64)
    }

    /// When the next interrupt of the timer is due; nil where none is (stopped, masked, or not enabled).
    public var nextDeadline: Deadline? {
        let entry = lvt(Int(APUS_LVT_TIMER))
        guard entry & LVT.masked == 0, isSoftwareEnabled else { return nil }
        if entry & LVT.timerMode == LVT.tscDeadline {
            return tscDeadline == 0 ? nil : Deadline.guestTSC(tscDeadline)
        }
        return timerDeadline == 0 ? nil : Deadline.nanoseconds(timerDeadline)
    }

    /// Requests the timer's interrupt where it is due, and arms a periodic timer for its next period: periods that
    /// passed unseen (the machine stood still) give one interrupt together. True where a new vector is requested.
    @discardableResult
    public func advanceTimer(nowNanoseconds now: UInt64, guestTSC tsc: UInt64) -> Bool {
        let entry = lvt(Int(APUS_LVT_TIMER))
        if entry & LVT.timerMode == LVT.tscDeadline {
            guard tscDeadline != 0, tsc >= tscDeadline else { return false }
            tscDeadline = 0
            return deliverLocal(Int(APUS_LVT_TIMER))
        }
        guard timerDeadline != 0, now >= timerDeadline else { return false }
        timerDeadline =
            entry & LVT.timerMode == LVT.periodic && timerInitial != 0 ? deadlineInPeriod(after: now) : 0
        return deliverLocal(Int(APUS_LVT_TIMER))
    }

    /// RDMSR of IA32_TSC_DEADLINE: zero where it is disarmed, has passed, or the timer is in another mode.
    public func readTSCDeadline(tsc: UInt64) -> UInt64 { tsc >= tscDeadline ? 0 : tscDeadline }

    /// WRMSR of IA32_TSC_DEADLINE (11.5.4.1): arms the timer, or disarms it with zero; ignored in the other modes.
    /// A deadline that has passed is due at once: the caller's next `advanceTimer` requests its interrupt.
    public func writeTSCDeadline(_ value: UInt64) -> Effect {
        guard lvt(Int(APUS_LVT_TIMER)) & LVT.timerMode == LVT.tscDeadline else { return Effect.nothing }
        tscDeadline = value
        return Effect.timerChanged
    }

    /// The current-count register.
    func currentCount(now: UInt64) -> UInt32 {
        let entry = lvt(Int(APUS_LVT_TIMER))
        guard entry & LVT.timerMode != LVT.tscDeadline, timerDeadline != 0 else { return 0 }
        var deadline = timerDeadline
        if now >= deadline {
            guard entry & LVT.timerMode == LVT.periodic, timerInitial != 0 else { return 0 }
            deadline = deadlineInPeriod(after: now)
        }
        // Rounded up: the count reaches zero at the deadline, not before.
        let left = deadline &- now
        let count = left >> divideShift &+ (left & ((1 << divideShift) &- 1) == 0 ? 0 : 1)
        return UInt32(clamping: count)
    }

    func writeInitialCount(_ value: UInt32, now: UInt64) -> Effect {
        guard lvt(Int(APUS_LVT_TIMER)) & LVT.timerMode != LVT.tscDeadline else { return Effect.nothing }
        timerInitial = value
        arm(count: value, now: now)
        return Effect.timerChanged
    }

    /// The count goes on from where it is with the new divider.
    func writeDivide(_ value: UInt32, now: UInt64) -> Effect {
        let count = currentCount(now: now)
        let isDue = timerDeadline != 0 && now >= timerDeadline
        timerDivide = value & 0xB
        // One that is due stays due: the divider must not swallow its interrupt.
        if !isDue { arm(count: count, now: now) }
        return Effect.timerChanged
    }

    /// An expiry before this moment belongs to the entry as it was. A change to or from TSC-deadline mode disarms.
    func writeTimerEntry(_ value: UInt32, now: UInt64, tsc: UInt64) -> Effect {
        advanceTimer(nowNanoseconds: now, guestTSC: tsc)
        let old = lvt(Int(APUS_LVT_TIMER))
        let new = maskedByEnable(value & LVT.writable(Int(APUS_LVT_TIMER)))
        setLVT(Int(APUS_LVT_TIMER), new)
        if (old & LVT.timerMode == LVT.tscDeadline) != (new & LVT.timerMode == LVT.tscDeadline) {
            tscDeadline = 0
            timerDeadline = 0
            timerInitial = 0
        }
        return Effect.timerChanged
    }

    private func arm(count: UInt32, now: UInt64) {
        let (deadline, overflow) = now.addingReportingOverflow(UInt64(count) << divideShift)
        timerDeadline = count == 0 ? 0 : overflow ? UInt64.max : deadline
    }

    /// The first end of a period after `now`, which is at or after `timerDeadline`.
    private func deadlineInPeriod(after now: UInt64) -> UInt64 {
        let period = UInt64(timerInitial) << divideShift  // below 2^39, not zero: the callers look
        let (deadline, overflow) = now.addingReportingOverflow(period &- (now &- timerDeadline) % period)
        return overflow ? UInt64.max : deadline
    }

    /// log2 of the divider (figure 11-10): 2, 4, 8, 16, 32, 64, 128, and 1 for code 111B.
    private var divideShift: UInt64 {
        let code = timerDivide & 3 | (timerDivide & 8) >> 1
        return UInt64((code &+ 1) & 7)
    }
}
