internal import HostOS
internal import Log
internal import Synchronization

/// Threads for calls that may take long, so that the connections' loop never waits.
///
/// Some threads take urgent work only: a machine can be destroyed while slow calls hold all others. Threads are started
/// when work would wait, and stay.
final class WorkerPool: Sendable {
    typealias Work = @Sendable () -> Void

    /// What limits the number of threads.
    struct Sizes {
        var ordinary = 20
        var urgent = 5
    }

    private struct State {
        var ordinary: [Work] = []
        var urgent: [Work] = []
        var threads = (ordinary: 0, urgent: 0)
        var idle: [Waiter] = []
    }

    private final class Waiter: Sendable {
        let bell = Bell()
        let urgentOnly: Bool
        init(urgentOnly: Bool) { self.urgentOnly = urgentOnly }
    }

    private let sizes: Sizes
    private let state = Mutex(State())

    init(_ sizes: Sizes = Sizes()) { self.sizes = sizes }

    /// Runs `work` on some thread, in the order of submission as far as threads are free.
    func submit(urgent: Bool = false, _ work: @escaping Work) {
        let (waiter, start) = state.withLock { state -> (Waiter?, Bool?) in
            if urgent { state.urgent.append(work) } else { state.ordinary.append(work) }
            if let index = state.idle.lastIndex(where: { urgent || !$0.urgentOnly }) {
                return (state.idle.remove(at: index), nil)
            }
            if state.threads.ordinary < sizes.ordinary {
                state.threads.ordinary += 1
                return (nil, false)
            }
            if urgent, state.threads.urgent < sizes.urgent {
                state.threads.urgent += 1
                return (nil, true)
            }
            return (nil, nil)
        }
        waiter?.bell.ring()
        if let start { startThread(urgentOnly: start) }
    }

    private func startThread(urgentOnly: Bool) {
        do {
            _ = try HostThread(name: urgentOnly ? "urgent worker" : "worker") {
                self.run(Waiter(urgentOnly: urgentOnly))
            }
        } catch {
            Logger("worker").error("\(error)")
            state.withLock { state in
                if urgentOnly { state.threads.urgent -= 1 } else { state.threads.ordinary -= 1 }
            }
        }
    }

    private func run(_ waiter: Waiter) {
        while true {
            let work = state.withLock { state -> Work? in
                if !state.urgent.isEmpty { return state.urgent.removeFirst() }
                if !waiter.urgentOnly, !state.ordinary.isEmpty { return state.ordinary.removeFirst() }
                state.idle.append(waiter)
                return nil
            }
            if let work {
                work()
            } else {
                waiter.bell.wait(nanoseconds: nil)
                // It may have woken by itself.
                state.withLock { $0.idle.removeAll { $0 === waiter } }
            }
        }
    }
}
