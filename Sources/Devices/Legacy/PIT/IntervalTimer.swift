public import DeviceModel
internal import Synchronization

/// The PC's interval timer: an 8254 at ports 40 to 43 and the system control port 61, with IRQ 0.
///
/// Interrupts that come due while the device thread is late are made up for one by one, up to a tenth of a second of
/// them, so that a guest that counts ticks keeps time. They are at least 20 µs apart.
public final class IntervalTimer: BusDevice, Device {
    private static let leastDistance: UInt64 = 20_000
    private static let mostBacklog: UInt64 = PIT8254.hertz / 10

    private struct State: Sendable {
        var pit = PIT8254()
        /// Up to where counter 0's rises have been seen, in periods.
        var seen: UInt64 = 0
        var level = false
        var lastEdge: UInt64 = 0
        var drivesLine = true
    }
    public let stateName: String
    private let clock: any VirtualClock
    private let line: InterruptLine
    private let state = Mutex(State())
    private let timer = LateTimer()

    /// A timer in the state after power-on. `line` is IRQ 0.
    public init(name: String = "i8254", clock: any VirtualClock, line: InterruptLine) {
        stateName = name
        self.clock = clock
        self.line = line
        timer.make(clock) { [weak self] in self?.timerFired() }
    }

    /// Puts the registers on a bus of I/O ports.
    public func attach(to bus: Bus) {
        bus.add(PortWindow(self, base: 0x40), start: 0x40, count: 4, name: "pit")
        bus.add(PortWindow(self, base: 0x61), start: 0x61, count: 1, name: "pcspk")
    }

    /// False takes the timer off IRQ 0: the HPET's legacy replacement has it. Any thread.
    public func setDrivesLine(_ drives: Bool) {
        state.withLock { state in
            // The HPET says so as it is loaded, too: what this timer has saved of its rises stays.
            guard drives != state.drivesLine else { return }
            catchUp(&state)
            state.drivesLine = drives
            settleLine(&state)
        }
    }

    /// True while counter 2 sounds the speaker.
    public var speakerOn: Bool { state.withLock { $0.pit.speakerOn } }

    private func tick(_ now: UInt64) -> UInt64 { Ticks.at(now, hertz: PIT8254.hertz) }

    /// Makes the interrupt edge that has come due, if any.
    private func catchUp(_ state: inout State) {
        let now = clock.now
        let tick = tick(now)
        guard let rise = state.pit.nextInterrupt(after: state.seen), rise <= tick else {
            state.seen = max(state.seen, tick)
            return
        }
        guard now >= state.lastEdge &+ Self.leastDistance || state.lastEdge == 0 else { return }
        state.seen = tick - rise > Self.mostBacklog ? tick : rise
        state.lastEdge = now
        guard state.drivesLine else { return }
        if state.level { line.set(false) }
        line.set(true)
        state.level = true
    }

    private func arm(_ state: inout State) {
        guard state.drivesLine, let rise = state.pit.nextInterrupt(after: state.seen) else { return timer.set(nil) }
        let due = Ticks.nanoseconds(of: rise, hertz: PIT8254.hertz)
        timer.set(state.lastEdge == 0 ? due : max(due, state.lastEdge &+ Self.leastDistance))
    }

    /// The line after counter 0 was written or its wire given away.
    private func settleLine(_ state: inout State) {
        let level = state.drivesLine && state.pit.interruptLevel(tick: tick(clock.now))
        if level != state.level {
            state.level = level
            line.set(level)
        }
        arm(&state)
    }

    private func timerFired() {
        state.withLock { state in
            timer.fired()
            catchUp(&state)
            arm(&state)
        }
    }

    /// Reads a register; offsets are port numbers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            catchUp(&state)
            let now = clock.now
            let value = ByteLanes.read(offset, size) { port in
                switch port {
                case 0x40...0x43: state.pit.read(port, tick: tick(now))
                case 0x61: state.pit.readControl(tick: tick(now), nanoseconds: now)
                default: 0xFF
                }
            }
            arm(&state)
            return value
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        state.withLock { state in
            catchUp(&state)
            let tick = tick(clock.now)
            var restarted = false
            ByteLanes.write(offset, size, value) { port, byte in
                switch port {
                case 0x40...0x43:
                    state.pit.write(port, byte, tick: tick)
                    // Counter 0's count, or a control word for it; latch commands leave it alone.
                    if port == 0x40 || (port == 0x43 && byte >> 6 == 0 && byte & 0x30 != 0) { restarted = true }
                case 0x61: state.pit.writeControl(byte, tick: tick)
                default: break
                }
            }
            if restarted {
                state.seen = tick
                settleLine(&state)
            } else {
                arm(&state)
            }
        }
    }

    public func reset() {
        state.withLock { state in
            state.pit = PIT8254()
            state.seen = tick(clock.now)
            state.lastEdge = 0
            state.drivesLine = true
            settleLine(&state)
        }
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = state.pit.exportState()
            saved.set("seen", state.seen)
            saved.set("last-edge", state.lastEdge)
            saved.set("level", state.level)
            saved.set("drives-line", state.drivesLine)
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        var new = State()
        new.pit = try PIT8254(saved)
        new.seen = try saved.integer("seen")
        new.lastEdge = try saved.integer("last-edge")
        new.level = try saved.bool("level")
        new.drivesLine = try saved.bool("drives-line")
        let restored = new
        state.withLock { state in
            state = restored
            line.set(state.level)
            arm(&state)
        }
    }
}
