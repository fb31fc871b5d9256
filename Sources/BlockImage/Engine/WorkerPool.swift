internal import CLinux
internal import HostOS
internal import Synchronization

/// Threads that do blocking work in the order it came. They start when there is more work than threads, and end
/// after some idle time; an idle disk has none.
final class WorkerPool: Sendable {
    typealias Work = @Sendable () -> Void

    private struct State {
        var queue: [Work] = []
        var head = 0
        var threads = 0
        var idle: [Bell] = []
        var isClosed = false
        var closing: Bell?
    }

    private let state = Mutex(State())
    private let name: String
    private let maximum: Int
    private let linger: UInt64

    /// A pool of at most `maximum` threads, which end after `lingerNanoseconds` without work.
    init(name: String, maximum: Int, lingerNanoseconds: UInt64 = 10_000_000_000) {
        self.name = name
        self.maximum = max(1, maximum)
        linger = lingerNanoseconds
    }

    /// Runs `work` on one of the threads. After `close`, or when the host gives no thread at all, it runs at once on
    /// the calling thread: better a slow answer than none.
    func submit(_ work: @escaping Work) {
        enum Next {
            case wake(Bell)
            case start
            case nothing
            case runHere
        }
        let next = state.withLock { state -> Next in
            guard !state.isClosed else { return .runHere }
            state.queue.append(work)
            if let bell = state.idle.popLast() { return .wake(bell) }
            guard state.threads < maximum else { return .nothing }
            state.threads += 1
            return .start
        }
        switch next {
        case .wake(let bell): bell.ring()
        case .nothing: break
        case .runHere: work()
        case .start:
            do throws(HostError) {
                _ = try HostThread(name: name, stackSize: 256 << 10) { [self] in run() }
            } catch {
                let orphaned = state.withLock { state -> Bool in
                    state.threads -= 1
                    return state.threads == 0
                }
                if orphaned { while let work = take() { work() } }
            }
        }
    }

    /// Lets the queue run empty and the threads end. Not from one of the threads.
    func close() {
        let bell = Bell()
        let idle = state.withLock { state -> [Bell] in
            state.isClosed = true
            let idle = state.idle
            state.idle = []
            if state.threads > 0 { state.closing = bell } else { bell.ring() }
            return idle
        }
        for sleeper in idle { sleeper.ring() }
        while state.withLock({ $0.threads > 0 }) { bell.wait(nanoseconds: 100_000_000) }
    }

    private func take() -> Work? {
        state.withLock { state in
            guard state.head < state.queue.count else { return nil }
            let work = state.queue[state.head]
            state.head += 1
            if state.head == state.queue.count {
                state.queue.removeAll(keepingCapacity: true)
                state.head = 0
            } else if state.head >= 1024 {
                state.queue.removeFirst(state.head)
                state.head = 0
            }
            return work
        }
    }

    private func run() {
        // Nobody joins a worker: its stack goes when it ends.
        pthread_detach(pthread_self())
        let bell = Bell()
        while true {
            while let work = take() { work() }
            enum Next {
                case again
                case sleep
                case end(Bell?)
            }
            let next = state.withLock { state -> Next in
                if state.head < state.queue.count { return .again }
                if state.isClosed {
                    state.threads -= 1
                    return .end(state.threads == 0 ? state.closing : nil)
                }
                state.idle.append(bell)
                return .sleep
            }
            switch next {
            case .again: continue
            case .end(let closing):
                closing?.ring()
                return
            case .sleep:
                bell.wait(nanoseconds: linger)
                // A thread that is still on the idle list was not called: time to go.
                let ends = state.withLock { state -> Bool in
                    guard let index = state.idle.firstIndex(where: { $0 === bell }) else { return false }
                    state.idle.remove(at: index)
                    guard !state.isClosed, state.head == state.queue.count else { return false }
                    state.threads -= 1
                    return true
                }
                if ends { return }
            }
        }
    }
}
