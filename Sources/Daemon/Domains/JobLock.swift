internal import HostOS
internal import Synchronization

/// Lets one change of a domain run at a time. Questions do not take it: a stuck command must not keep anybody from
/// seeing the domain, or from destroying it.
final class JobLock: Sendable {
    private struct State {
        var held = false
        var waiting: [Bell] = []
    }

    private let state = Mutex(State())

    /// How long a change waits for the one before it.
    static let patience: UInt64 = 30_000_000_000

    /// Runs `body` alone. An error after 30 s of waiting, as libvirt's.
    func run<Result>(_ body: () throws(LibvirtError) -> Result) throws(LibvirtError) -> Result {
        try acquire()
        defer { release() }
        return try body()
    }

    private func acquire() throws(LibvirtError) {
        let bell = Bell()
        let deadline = HostClock.monotonic + JobLock.patience
        while true {
            let got = state.withLock { state -> Bool in
                state.waiting.removeAll { $0 === bell }
                if !state.held {
                    state.held = true
                    return true
                }
                state.waiting.append(bell)
                return false
            }
            if got { return }
            let now = HostClock.monotonic
            guard now < deadline else {
                state.withLock { $0.waiting.removeAll { $0 === bell } }
                throw LibvirtError.operationTimeout("cannot acquire state change lock")
            }
            bell.wait(nanoseconds: deadline - now)
        }
    }

    private func release() {
        let next = state.withLock { state -> Bell? in
            state.held = false
            return state.waiting.first
        }
        next?.ring()
    }
}

/// Runs work in order, one piece at a time, on the pool's threads.
final class SerialQueue: Sendable {
    private struct State {
        var work: [@Sendable () -> Void] = []
        var running = false
    }

    private let workers: WorkerPool
    private let state = Mutex(State())

    init(_ workers: WorkerPool) { self.workers = workers }

    func submit(_ work: @escaping @Sendable () -> Void) {
        let start = state.withLock { state -> Bool in
            state.work.append(work)
            defer { state.running = true }
            return !state.running
        }
        if start { workers.submit(urgent: true) { self.drain() } }
    }

    private func drain() {
        while true {
            let next = state.withLock { state -> (@Sendable () -> Void)? in
                if state.work.isEmpty {
                    state.running = false
                    return nil
                }
                return state.work.removeFirst()
            }
            guard let next else { return }
            next()
        }
    }
}
