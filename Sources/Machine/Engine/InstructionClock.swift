internal import DeviceModel
internal import Execution
internal import HostOS
internal import Synchronization

/// Virtual time that goes with executed instructions (`-icount`): each takes 2^shift nanoseconds. Its timers fire on the
/// processor's thread, each after the same instruction in every run.
final class InstructionClock: InstructionTime {
    private struct State {
        /// Virtual time when `count` instructions had been executed.
        var time: UInt64 = 0
        var count: UInt64 = 0
        var shift: UInt64
        /// The host's time and virtual time when they were last compared; nil while time stands.
        var compared: (host: UInt64, virtual: UInt64)?
        /// The same when time began to go on.
        var started: (host: UInt64, virtual: UInt64)?
        var executed: @Sendable () -> UInt64 = { 0 }
        var deadlineMoved: @Sendable () -> Void = {}
        var timers: [Timer] = []
        /// The deadline that the processor's limit stands for.
        var announced = UInt64.max

        var now: UInt64 { time &+ (executed() &- count) << shift }
        mutating func rebase(to time: UInt64) {
            count = executed()
            self.time = time
        }
        var nextDeadline: UInt64? { timers.lazy.compactMap(\.deadline).min() }
    }
    /// Time is compared with the host's after so many virtual nanoseconds, where it is to keep up with it.
    private static let comparison: UInt64 = 10_000_000

    private let configuration: InstructionCounting
    private let state: Mutex<State>

    /// A clock at 0.
    init(_ configuration: InstructionCounting) {
        self.configuration = configuration
        state = Mutex(State(shift: UInt64(configuration.shift ?? 3)))
    }

    private var followsHost: Bool { configuration.shift == nil || configuration.aligns }

    // MARK: The machine

    /// Time goes on with the processor.
    func start() {
        state.withLock { state in
            let moment = (HostClock.monotonic, state.now)
            state.compared = moment
            state.started = moment
        }
    }
    /// Time of a machine that stands.
    func set(_ time: UInt64) { state.withLock { $0.rebase(to: time) } }

    func makeTimer(_ fire: @escaping @Sendable () -> Void) -> any VirtualTimer {
        let timer = Timer(self, fire)
        state.withLock { $0.timers.append(timer) }
        return timer
    }

    // MARK: The engine

    func connect(executed: @escaping @Sendable () -> UInt64, deadlineMoved: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.executed = executed
            state.deadlineMoved = deadlineMoved
            state.count = executed()
        }
    }

    var now: UInt64 { state.withLock { $0.now } }

    func instructions(until deadline: UInt64?) -> UInt64 {
        state.withLock { state in
            let now = state.now
            var next = min(deadline ?? .max, state.nextDeadline ?? .max)
            if followsHost { next = min(next, now &+ Self.comparison) }
            state.announced = next
            guard next > now else { return 1 }
            let distance = next - now
            let step: UInt64 = 1 << state.shift
            // As many that the deadline is reached, not one less; far ones are asked for again.
            return min(max(1, (distance >> state.shift) + (distance & (step - 1) == 0 ? 0 : 1)), 1 << 40)
        }
    }

    func limitReached(wait: (UInt64) -> Void) {
        fireTimers()
        guard followsHost else { return }
        let ahead = state.withLock { state -> UInt64 in
            let (host, now) = (HostClock.monotonic, state.now)
            guard let compared = state.compared, let started = state.started else { return 0 }
            if configuration.shift == nil { adjust(&state, compared, started, (host, now)) }
            guard configuration.aligns else { return 0 }
            let (virtual, real) = (now &- started.virtual, host &- started.host)
            return virtual > real ? virtual - real : 0
        }
        if ahead > 1_000_000 { wait(min(ahead, 1_000_000_000)) }
    }

    /// Makes instructions take longer where time falls behind the host's, and shorter where it runs ahead.
    private func adjust(
        _ state: inout State, _ compared: (host: UInt64, virtual: UInt64), _ started: (host: UInt64, virtual: UInt64),
        _ moment: (host: UInt64, virtual: UInt64)
    ) {
        guard moment.host &- compared.host >= 100_000_000 else { return }
        func lead(_ since: (host: UInt64, virtual: UInt64)) -> Int64 {
            Int64(bitPattern: moment.virtual &- since.virtual) &- Int64(bitPattern: moment.host &- since.host)
        }
        let (total, latest) = (lead(started), lead(compared))
        // What is ahead and still gaining slows down, and the other way round.
        if total > 0 && latest > -10_000_000 && state.shift > 0 {
            state.rebase(to: moment.virtual)
            state.shift -= 1
        } else if total < 0 && latest < 10_000_000 && state.shift < UInt64(InstructionCounting.greatestShift) {
            state.rebase(to: moment.virtual)
            state.shift += 1
        }
        state.compared = moment
    }

    func idle(until deadline: UInt64?, wait: (UInt64?) -> Void) {
        let (now, next) = state.withLock { state in
            let next = min(deadline ?? .max, state.nextDeadline ?? .max)
            state.announced = next
            return (state.now, next)
        }
        guard next != .max else { return wait(nil) }
        guard next > now else { return }
        if !configuration.sleeps { return state.withLock { $0.rebase(to: next) } }
        let start = HostClock.monotonic
        wait(next - now)
        let passed = min(HostClock.monotonic &- start, next - now)
        state.withLock { $0.rebase(to: now &+ passed) }
    }

    private func fireTimers() {
        // A timer that is armed anew for a time that has come waits for the next limit, one instruction later.
        let due = state.withLock { state -> [Timer] in
            let now = state.now
            let due = state.timers.filter { ($0.deadline ?? .max) <= now }
            for timer in due { timer.isDue = true }
            return due.sorted { ($0.deadline ?? 0) < ($1.deadline ?? 0) }
        }
        for timer in due {
            let fires = state.withLock { _ -> Bool in
                guard timer.isDue else { return false }
                timer.isDue = false
                timer.deadline = nil
                return true
            }
            if fires { timer.fire() }
        }
    }

    private func arm(_ timer: Timer, at deadline: UInt64?) {
        let moved = state.withLock { state -> (@Sendable () -> Void)? in
            timer.deadline = deadline
            timer.isDue = false
            guard let deadline, deadline < state.announced else { return nil }
            state.announced = deadline
            return state.deadlineMoved
        }
        moved?()
    }

    /// Its variables are read and written with the clock's state locked.
    private final class Timer: VirtualTimer, @unchecked Sendable {
        private unowned let clock: InstructionClock
        let fire: @Sendable () -> Void
        var deadline: UInt64?
        /// It was found due, and has not been armed or cancelled since.
        var isDue = false

        init(_ clock: InstructionClock, _ fire: @escaping @Sendable () -> Void) {
            self.clock = clock
            self.fire = fire
        }
        func arm(at deadline: UInt64) { clock.arm(self, at: deadline) }
        func cancel() { clock.arm(self, at: nil) }
    }
}
