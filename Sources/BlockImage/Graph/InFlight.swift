internal import HostOS
internal import Synchronization

/// Counts requests in flight, and lets threads wait until there are none.
final class InFlight: Sendable {
    private struct State {
        var count = 0
        var waiting: [Bell] = []
    }
    private let state = Mutex(State())

    /// How many requests are in flight now.
    var count: Int { state.withLock { $0.count } }

    /// One more.
    func enter() { state.withLock { $0.count += 1 } }

    /// One less, after its completion has run.
    func leave() {
        let woken = state.withLock { state -> [Bell] in
            state.count -= 1
            guard state.count == 0, !state.waiting.isEmpty else { return [] }
            let bells = state.waiting
            state.waiting = []
            return bells
        }
        for bell in woken { bell.ring() }
    }

    /// Sleeps until the count is zero. Never from a completion, which is itself counted.
    func waitUntilIdle() {
        while true {
            let bell = state.withLock { state -> Bell? in
                guard state.count > 0 else { return nil }
                let bell = Bell()
                state.waiting.append(bell)
                return bell
            }
            guard let bell else { return }
            bell.wait(nanoseconds: nil)
        }
    }
}
