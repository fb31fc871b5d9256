public import HostOS
import Synchronization

/// A thread that does the work of one or more devices, in the order in which it was asked for.
public final class WorkerThread: WorkScheduler {
    private struct State: Sendable {
        var wanted: [Item] = []
        var mustEnd = false
    }
    private final class Shared: Sendable {
        let state = Mutex(State())
        let bell = Bell()
        /// What the thread sleeps in from the first `watch` on, in place of the bell.
        let loop = Mutex<EventLoop?>(nil)
        let number = Atomic<Int32>(0)

        func run() {
            number.store(HostThread.currentID, ordering: .releasing)
            while true {
                let (items, mustEnd) = state.withLock { state in
                    defer { state.wanted.removeAll(keepingCapacity: true) }
                    return (state.wanted, state.mustEnd)
                }
                if mustEnd { return }
                for item in items { item.perform() }
                if let loop = loop.withLock({ $0 }) {
                    loop.turn(wait: items.isEmpty)
                } else if items.isEmpty {
                    bell.wait(nanoseconds: nil)
                }
            }
        }

        /// Wakes the thread, or keeps it from falling asleep.
        func wake() {
            if let loop = loop.withLock({ $0 }) { loop.post {} } else { bell.ring() }
        }

        /// The loop, made where there is none yet.
        func makeLoop() throws(HostError) -> EventLoop {
            let (made, isNew) = try loop.withLock { (loop) throws(HostError) -> (EventLoop, Bool) in
                if let loop { return (loop, false) }
                let made = try EventLoop()
                loop = made
                return (made, true)
            }
            // The thread may sleep by the bell still, or have heard one in the loop that was meant for the bell.
            if isNew {
                bell.ring()
                made.post {}
            }
            return made
        }
    }
    private let shared = Shared()
    private let thread: HostThread

    /// Starts a thread with the given name, of which Linux keeps 15 bytes.
    public init(name: String) throws(HostError) {
        let shared = self.shared
        thread = try HostThread(name: name) { shared.run() }
    }

    /// The thread's number on the host; 0 before it has begun.
    public var threadID: Int32 { shared.number.load(ordering: .acquiring) }

    public func makeItem(_ run: @escaping @Sendable () -> Void) -> any WorkItem { Item(shared, run) }

    /// Ends the thread after the work in progress and waits for it; what else was asked for is not done. Call once,
    /// from another thread.
    public func stop() {
        shared.state.withLock { $0.mustEnd = true }
        shared.wake()
        thread.join()
    }

    /// Runs `fire` on the thread whenever the counter was rung, which is taken back to 0 before, until the source is
    /// removed. Any thread.
    public func watch(_ counter: EventCounter, _ fire: @escaping @Sendable () -> Void) throws(HostError) -> EventSource
    {
        try shared.makeLoop().add(counter.descriptor, .read) { _ in
            counter.take()
            fire()
        }
    }

    /// Runs `handler` on the thread whenever one of the events holds, until the source is removed. Any thread.
    public func watch(
        _ descriptor: Descriptor, _ events: EventLoop.Events, handler: @escaping EventSource.Handler
    ) throws(HostError) -> EventSource { try shared.makeLoop().add(descriptor, events, handler: handler) }

    /// A timer of the host's clock, not armed, whose handler runs on the thread. Any thread.
    public func makeTimer(_ fire: @escaping @Sendable () -> Void) throws(HostError) -> EventTimer {
        try shared.makeLoop().makeTimer(fire)
    }

    private final class Item: WorkItem {
        private let isWanted = Atomic<Bool>(false)
        private let shared: Shared
        private let run: @Sendable () -> Void

        init(_ shared: Shared, _ run: @escaping @Sendable () -> Void) {
            self.shared = shared
            self.run = run
        }
        func schedule() {
            guard !isWanted.exchange(true, ordering: .sequentiallyConsistent) else { return }
            let mustRing = shared.state.withLock { state in
                state.wanted.append(self)
                return state.wanted.count == 1
            }
            if mustRing { shared.wake() }
        }
        func perform() {
            // Cleared first: what is asked for from here on runs again.
            isWanted.store(false, ordering: .sequentiallyConsistent)
            run()
        }
    }
}
