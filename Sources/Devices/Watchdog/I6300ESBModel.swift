package import DeviceModel

/// The watchdog of Intel's 6300ESB as a pure model: two timers one after the other; at the end of the second it fires.
/// (Intel 300641, chapter 15.)
package struct I6300ESBModel: Equatable, Sendable {
    enum Register {
        static let timer1: UInt64 = 0x0
        static let timer2: UInt64 = 0x4
        static let interruptStatus: UInt64 = 0x8
        static let reload: UInt64 = 0xC
    }
    /// Cycles of the 33 MHz clock that a count takes: 1 kHz or 1 MHz.
    private static let hertz: UInt64 = 33_000_000

    /// Preloads of 20 bits.
    private var preloads: [UInt32] = [0xF_FFFF, 0xF_FFFF]
    private var interruptStatus: UInt8 = 0
    /// Steps of the key that opens the registers for one write: 80, then 86.
    private var unlocked = 0
    /// Whether it had fired; kept over resets.
    private var hasFired = false
    /// The configuration register at 60: interrupt kind, fast clock (bit 2), no reboot (bit 5).
    package var configuration: UInt16 = 0
    /// The lock register at 68: locked, enabled, free-running.
    package private(set) var lock: UInt8 = 0
    /// 0 or 1 while it counts.
    private var stage = 0
    package private(set) var deadline: UInt64?

    package init() {}

    /// To the state after power-on, but for what tells of the last time.
    package mutating func reset() {
        let fired = hasFired
        self = I6300ESBModel()
        hasFired = fired
    }

    private var isEnabled: Bool { lock & 2 != 0 }

    private mutating func start(_ stage: Int, _ now: UInt64) {
        self.stage = stage
        let cycles = (UInt64(preloads[stage]) + 1) << (configuration & 4 != 0 ? 5 : 15)
        deadline = now &+ Ticks.nanoseconds(of: cycles, hertz: Self.hertz)
    }

    /// A write to the lock register, which takes none once it is locked.
    package mutating func writeLock(_ value: UInt8, _ now: UInt64) {
        guard lock & 1 == 0 else { return }
        let wasEnabled = isEnabled
        lock = value & 7
        if isEnabled, !wasEnabled { start(0, now) } else if !isEnabled { deadline = nil }
    }

    package func read(_ offset: UInt64, _ size: Int) -> UInt32 {
        switch offset {
        case Register.interruptStatus: UInt32(interruptStatus)
        // Bit 9 tells that it has fired, on 8-bit reads of the upper byte too.
        case Register.reload: hasFired ? 0x200 : 0
        case Register.reload + 1: hasFired ? 2 : 0
        default: 0
        }
    }

    package mutating func write(_ offset: UInt64, _ value: UInt32, _ now: UInt64) {
        if offset == Register.reload, unlocked < 2 {
            unlocked = unlocked == 0 && value == 0x80 ? 1 : unlocked == 1 && value == 0x86 ? 2 : 0
            return
        }
        guard unlocked == 2 else {
            if offset == Register.interruptStatus { interruptStatus &= ~UInt8(truncatingIfNeeded: value) }
            return
        }
        switch offset {
        case Register.timer1: preloads[0] = value & 0xF_FFFF
        case Register.timer2: preloads[1] = value & 0xF_FFFF
        case Register.reload:
            if value & 0x100 != 0, isEnabled { start(0, now) }
            if value & 0x200 != 0 { hasFired = false }
        default: break
        }
        unlocked = 0
    }

    /// Time has come to `now`. True where it fires.
    package mutating func advance(_ now: UInt64) -> Bool {
        guard let end = deadline, end <= now else { return false }
        if stage == 0, lock & 4 == 0 {
            interruptStatus |= 1
            start(1, end)
            return false
        }
        if lock & 4 != 0 {
            start(0, now)
            return false
        }
        deadline = nil
        guard configuration & 0x20 == 0 else { return false }
        hasFired = true
        return true
    }

    package func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("timer1", preloads[0])
        state.set("timer2", preloads[1])
        state.set("interrupt", interruptStatus)
        state.set("unlocked", unlocked)
        state.set("fired", hasFired)
        state.set("configuration", configuration)
        state.set("lock", lock)
        state.set("stage", stage)
        if let deadline { state.set("deadline", deadline) }
        return state
    }
    package init(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        preloads = [
            try state.integer("timer1", as: UInt32.self) & 0xF_FFFF,
            try state.integer("timer2", as: UInt32.self) & 0xF_FFFF,
        ]
        interruptStatus = try state.integer("interrupt")
        unlocked = Int(try state.integer("unlocked", as: UInt8.self) % 3)
        hasFired = try state.bool("fired")
        configuration = try state.integer("configuration", as: UInt16.self) & 0x3F
        lock = try state.integer("lock", as: UInt8.self) & 7
        stage = Int(try state.integer("stage", as: UInt8.self) & 1)
        if state.fields["deadline"] != nil { deadline = try state.integer("deadline") }
    }
}
