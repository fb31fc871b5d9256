public import DeviceModel
public import HostOS
internal import Synchronization

/// The machine's clock over a host's event loop: virtual time is monotonic time without the time that the machine
/// stood still. Timers fire on the loop's thread, never inside `arm`.
public final class MachineClock: VirtualClock {
    /// What `frozen` holds while time goes on.
    private static let running = UInt64.max
    private let loop: EventLoop
    private let source: ClockConfiguration.Source
    private let wallStart: UInt64
    /// The guest's date minus the host's.
    private let wallOffset: UInt64
    private let monotonicStart: UInt64
    /// Monotonic time minus virtual time while running. Set while the clock stands.
    private let offset: Atomic<UInt64>
    /// The time at which it stands, or `running`. Atomic, for processors read the time often.
    private let frozen = Atomic<UInt64>(0)
    private let timers = Mutex<[Timer]>([])
    /// Where virtual time goes with executed instructions: it has the time and the timers.
    let instructions: InstructionClock?

    /// A clock that stands at 0.
    public init(loop: EventLoop, _ configuration: ClockConfiguration = ClockConfiguration()) {
        instructions = configuration.counting.map { InstructionClock($0) }
        self.loop = loop
        source = configuration.source
        var wallStart = HostClock.realtime
        var offset: UInt64 = 0
        if case .date(let seconds) = configuration.base {
            let date = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
            let start = date.overflow ? wallStart : date.partialValue
            if source == .virtual { wallStart = start } else { offset = start &- wallStart }
        }
        self.wallStart = wallStart
        wallOffset = offset
        monotonicStart = HostClock.monotonic
        self.offset = Atomic(monotonicStart)
    }

    public var now: UInt64 {
        if let instructions { return instructions.now }
        let stands = frozen.load(ordering: .acquiring)
        return stands == Self.running ? HostClock.monotonic &- offset.load(ordering: .relaxed) : stands
    }

    public var wallClock: UInt64 {
        switch source {
        case .host: HostClock.realtime
        case .monotonic: wallStart &+ (HostClock.monotonic &- monotonicStart)
        case .virtual: wallStart &+ now
        }
    }

    /// Wall-clock time as paravirtual clocks tell it: the RTC's where `-rtc base=` has a date.
    var guestWallClock: UInt64 { wallClock &+ wallOffset }

    public func makeTimer(_ fire: @escaping @Sendable () -> Void) -> any VirtualTimer {
        if let instructions { return instructions.makeTimer(fire) }
        let timer = Timer(clock: self, loop: loop, fire: fire)
        timers.withLock { $0.append(timer) }
        return timer
    }

    /// Lets time go on. Does nothing to a clock that goes. One thread at a time starts and stops.
    public func start() {
        let stands = frozen.load(ordering: .relaxed)
        guard stands != Self.running else { return }
        instructions?.start()
        offset.store(HostClock.monotonic &- stands, ordering: .relaxed)
        frozen.store(Self.running, ordering: .releasing)
        for timer in timers.withLock({ $0 }) { timer.rearm() }
    }

    /// Makes time stand still. Does nothing to a clock that stands.
    public func stop() {
        guard frozen.load(ordering: .relaxed) == Self.running else { return }
        frozen.store(now, ordering: .releasing)
    }

    /// Sets the time of a clock that stands: a saved machine's. Devices set their timers after it.
    public func set(_ time: UInt64) {
        guard frozen.load(ordering: .relaxed) != Self.running, time != Self.running else { return }
        instructions?.set(time)
        frozen.store(time, ordering: .releasing)
    }

    /// The host's time of a virtual time; nil while the clock stands.
    private func hostTime(_ deadline: UInt64) -> UInt64? {
        guard frozen.load(ordering: .acquiring) == Self.running else { return nil }
        let (time, overflow) = deadline.addingReportingOverflow(offset.load(ordering: .relaxed))
        return overflow ? UInt64.max : time
    }

    private final class Timer: VirtualTimer {
        private unowned let clock: MachineClock
        private let fire: @Sendable () -> Void
        private let deadline = Mutex<UInt64?>(nil)
        /// Set once, in `init`, where it needs `self`.
        private let event = Mutex<EventTimer?>(nil)

        init(clock: MachineClock, loop: EventLoop, fire: @escaping @Sendable () -> Void) {
            self.clock = clock
            self.fire = fire
            let timer = loop.makeTimer { [weak self] in self?.fired() }
            event.withLock { $0 = timer }
        }

        func arm(at time: UInt64) {
            deadline.withLock { deadline in
                deadline = time
                apply(time)
            }
        }
        func cancel() {
            deadline.withLock { deadline in
                deadline = nil
                event.withLock { $0 }?.cancel()
            }
        }
        func rearm() {
            deadline.withLock { deadline in
                if let time = deadline { apply(time) }
            }
        }
        private func apply(_ time: UInt64) {
            let timer = event.withLock { $0 }
            if let host = clock.hostTime(time) { timer?.arm(at: host) } else { timer?.cancel() }
        }
        private func fired() {
            let due = deadline.withLock { deadline -> Bool in
                guard let time = deadline else { return false }
                // The clock may have stopped, or the timer been moved, while this call was on its way.
                guard let host = clock.hostTime(time) else { return false }
                guard host <= HostClock.monotonic else {
                    apply(time)
                    return false
                }
                deadline = nil
                return true
            }
            if due { fire() }
        }
    }
}
