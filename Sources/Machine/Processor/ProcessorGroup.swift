public import Execution
internal import HostOS
internal import Synchronization

/// What a processor asks of its machine. Called on the processor's thread.
public enum ProcessorRequest: Sendable, Equatable {
    /// Triple fault.
    case tripleFault
    /// The engine cannot go on: its words.
    case internalError(String)
    /// A processor stopped for its debugger.
    case debug(processor: Int, DebugStop)
}

/// All processors of a machine, and the gate at which they wait while the machine stands.
///
/// One control thread at a time parks and releases; any thread may ask for a stop without waiting for it.
public final class ProcessorGroup: Sendable {
    private enum Mode: Sendable {
        case parked
        case running
        case ended
    }
    private struct State: Sendable {
        var mode = Mode.parked
        var waiting: Set<Int> = []
        var threads: [any ProcessorThread] = []
        var handler: (@Sendable (ProcessorRequest) -> Void)?
        /// Those that run when the gate is open; nil: all.
        var allowed: Set<Int>?
        /// Those that are not plugged in: they stay at the gate.
        var absent: Set<Int> = []
    }
    private let state = Mutex(State())
    /// Rung when a processor has come to the gate.
    private let arrival = Bell()

    /// A group without processors.
    public init() {}

    /// The processors' threads by index.
    public var threads: [any ProcessorThread] { state.withLock { $0.threads } }

    /// Takes and starts the threads; they wait at the gate. `handler` hears what processors ask for.
    func start(
        _ threads: [any ProcessorThread], absent: Set<Int> = [], handler: @escaping @Sendable (ProcessorRequest) -> Void
    ) throws(HostError) {
        state.withLock { state in
            state.threads = threads
            state.absent = absent
            state.handler = handler
        }
        for thread in threads { try thread.start() }
    }

    func request(_ request: ProcessorRequest) {
        requestStop()
        state.withLock { $0.handler }?(request)
    }

    /// Sends every processor to the gate without waiting until they are there. Any thread, processors' too.
    func requestStop() {
        let threads = state.withLock { state -> [any ProcessorThread] in
            guard state.mode == .running else { return [] }
            state.mode = .parked
            return state.threads
        }
        for thread in threads { thread.kick() }
    }

    /// Sends every processor to the gate and waits. Not on a processor's thread.
    func park() {
        requestStop()
        while true {
            let late = state.withLock { state in
                state.threads.filter { !state.waiting.contains($0.index) && $0.isStarted }
            }
            if late.isEmpty { return }
            arrival.wait(nanoseconds: 50_000_000)
            // A kick may have been answered by an exit in between.
            for thread in late { thread.kick() }
        }
    }

    /// Names the processors that the open gate lets through, nil: all. While they are parked.
    func allow(_ processors: Set<Int>?) { state.withLock { $0.allowed = processors } }

    /// Names the processors that are not plugged in. While they are parked.
    func setAbsent(_ processors: Set<Int>) { state.withLock { $0.absent = processors } }
    /// One is no longer plugged in: it goes no further than it has come. Any thread.
    func holdBack(_ processor: Int) {
        let thread = state.withLock { state in
            state.absent.insert(processor)
            return state.threads.first { $0.index == processor }
        }
        thread?.kick()
    }
    /// The threads of processors that are plugged in.
    var present: [any ProcessorThread] {
        state.withLock { state in state.threads.filter { !state.absent.contains($0.index) } }
    }

    /// Lets every processor run that is allowed to.
    func release() {
        let threads = state.withLock { state -> [any ProcessorThread] in
            guard state.mode == .parked else { return [] }
            state.mode = .running
            return state.threads
        }
        for thread in threads { thread.wake() }
    }

    /// Runs `body` with all processors at the gate, and lets them go on as before.
    func whileParked<R, E: Error>(_ body: ([any ProcessorThread]) throws(E) -> R) throws(E) -> R {
        let wasRunning = state.withLock { $0.mode == .running }
        park()
        defer { if wasRunning { release() } }
        return try body(threads)
    }

    /// Sends every processor to the gate and waits for a time. False where one has not come: it waits for the reader
    /// of its output.
    func park(milliseconds: UInt64) -> Bool {
        requestStop()
        let end = HostClock.monotonic + milliseconds * 1_000_000
        while true {
            let late = state.withLock { state in
                state.threads.filter { !state.waiting.contains($0.index) && $0.isStarted }
            }
            if late.isEmpty { return true }
            if HostClock.monotonic >= end { return false }
            arrival.wait(nanoseconds: 20_000_000)
            for thread in late { thread.kick() }
        }
    }

    /// Ends all threads and waits for them.
    func end() {
        let threads = state.withLock { state -> [any ProcessorThread] in
            state.mode = .ended
            return state.threads
        }
        for thread in threads {
            thread.kick()
            thread.join()
        }
    }

    /// A processor's way through the gate: returns true when it may run and false when it must end.
    func pass(_ thread: any ProcessorThread) -> Bool {
        while true {
            let (mode, arrived) = state.withLock { state -> (Mode, Bool) in
                let stays =
                    state.mode == .running
                    && (state.absent.contains(thread.index)
                        || state.allowed.map { !$0.contains(thread.index) } ?? false)
                guard state.mode == .parked || stays else {
                    state.waiting.remove(thread.index)
                    return (state.mode, false)
                }
                return (.parked, state.waiting.insert(thread.index).inserted)
            }
            switch mode {
            case .running: return true
            case .ended: return false
            case .parked:
                if arrived { arrival.ring() }
                thread.sleep(nanoseconds: nil)
            }
        }
    }
}
