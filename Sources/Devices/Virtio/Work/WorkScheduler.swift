import Synchronization

/// Where devices do what a doorbell asks for: a worker thread, or in tests the caller's. Any thread.
public protocol WorkScheduler: AnyObject, Sendable {
    /// A piece of work that can be asked for again and again.
    func makeItem(_ run: @escaping @Sendable () -> Void) -> any WorkItem
}

/// A repeatable piece of work. It never runs on two threads at once.
public protocol WorkItem: AnyObject, Sendable {
    /// Has the work run once more after this call; several calls before it starts are one. Call it with no lock held.
    func schedule()
}

/// Does the work at once, on the thread that asks: for tests, and for devices whose work is short.
public final class InlineScheduler: WorkScheduler {
    /// A scheduler.
    public init() {}
    public func makeItem(_ run: @escaping @Sendable () -> Void) -> any WorkItem { Item(run) }

    private final class Item: WorkItem {
        private struct State {
            var isRunning = false
            var isWanted = false
        }
        private let state = Mutex(State())
        private let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }

        func schedule() {
            let mine = state.withLock { state in
                state.isWanted = true
                defer { state.isRunning = true }
                return !state.isRunning
            }
            guard mine else { return }
            while true {
                let more = state.withLock { state in
                    state.isRunning = state.isWanted
                    state.isWanted = false
                    return state.isRunning
                }
                guard more else { return }
                run()
            }
        }
    }
}
