public import HostOS
internal import Synchronization

/// A thread with an event loop, for the descriptors of networks. Any thread.
public final class NetworkThread: Sendable {
    /// Its loop.
    public let loop: EventLoop
    private let thread: HostThread
    private let joined = Mutex(false)

    /// Starts one.
    public init(name: String) throws(HostError) {
        let loop = try EventLoop()
        self.loop = loop
        thread = try HostThread(name: "net-\(name)") { loop.run() }
    }

    deinit { stop() }

    /// Runs something on the thread and waits for it; at once where the caller is the thread.
    public func perform(_ body: @escaping @Sendable () -> Void) {
        if loop.isCurrent { return body() }
        guard !joined.withLock({ $0 }) else { return }
        let bell = Bell()
        let end = Ending(bell)
        loop.post {
            body()
            end.finish()
        }
        while !end.isFinished { bell.wait(nanoseconds: nil) }
    }

    /// Ends the thread. May be called again.
    public func stop() {
        let again = joined.withLock { joined in
            defer { joined = true }
            return joined
        }
        if again { return }
        loop.stop()
        if !loop.isCurrent { thread.join() }
    }

    private final class Ending: Sendable {
        private let bell: Bell
        private let state = Atomic(false)
        init(_ bell: Bell) { self.bell = bell }
        var isFinished: Bool { state.load(ordering: .acquiring) }
        func finish() {
            state.store(true, ordering: .releasing)
            bell.ring()
        }
    }
}
