import Synchronization

/// A clock that moves only when a test or a fuzzer says so: timers fire inside `advance`, in order of their deadlines.
public final class ManualClock: VirtualClock {
    private struct State {
        var now: UInt64 = 0
        var armed: [(deadline: UInt64, timer: Timer)] = []
    }
    private let state = Mutex(State())
    /// Nanoseconds since 1970 at virtual time 0.
    public let epoch: UInt64

    /// A clock at time 0 whose wall clock starts at `epoch` nanoseconds since 1970.
    public init(epoch: UInt64 = 1_700_000_000_000_000_000) { self.epoch = epoch }

    public var now: UInt64 { state.withLock { $0.now } }
    public var wallClock: UInt64 { epoch + now }
    public func makeTimer(_ fire: @escaping @Sendable () -> Void) -> any VirtualTimer { Timer(self, fire) }

    /// Moves time on and fires what is due.
    public func advance(by nanoseconds: UInt64) {
        let end = now + nanoseconds
        while true {
            let due: Timer? = state.withLock { state in
                guard let next = state.armed.indices.min(by: { state.armed[$0].deadline < state.armed[$1].deadline }),
                    state.armed[next].deadline <= end
                else {
                    state.now = end
                    return nil
                }
                state.now = max(state.now, state.armed[next].deadline)
                return state.armed.remove(at: next).timer
            }
            guard let due else { return }
            due.fire()
        }
    }

    private final class Timer: VirtualTimer {
        let fire: @Sendable () -> Void
        private let clock: ManualClock
        init(_ clock: ManualClock, _ fire: @escaping @Sendable () -> Void) {
            self.clock = clock
            self.fire = fire
        }
        func arm(at deadline: UInt64) {
            clock.state.withLock { state in
                state.armed.removeAll { $0.timer === self }
                state.armed.append((deadline, self))
            }
        }
        func cancel() { clock.state.withLock { $0.armed.removeAll { $0.timer === self } } }
    }
}
