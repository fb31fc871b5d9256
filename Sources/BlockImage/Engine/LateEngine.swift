internal import Synchronization

/// An engine that is made when the first request needs it: a file that is only read, far down a chain of images, mostly
/// has readers that wait themselves, and needs neither a ring nor its thread.
final class LateEngine: FileEngine {
    private struct State {
        var engine: (any FileEngine)?
        /// What is to be registered with it.
        var memory: [MemoryRange] = []
    }

    var name: String { engine.name }
    private let pool: WorkerPool
    private let make: @Sendable () -> any FileEngine
    private let state = Mutex(State())

    /// An engine that `make` makes, on a pool of threads that is there from the start.
    init(pool: WorkerPool, make: @escaping @Sendable () -> any FileEngine) {
        self.pool = pool
        self.make = make
    }

    private var engine: any FileEngine {
        state.withLock { state in
            if let engine = state.engine { return engine }
            let engine = make()
            if !state.memory.isEmpty { _ = engine.register(state.memory) }
            state.engine = engine
            return engine
        }
    }
    private var made: (any FileEngine)? { state.withLock { $0.engine } }

    func submit(_ request: BlockRequest) { engine.submit(request) }
    func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }
    func beginBatch() { engine.beginBatch() }
    func endBatch() { engine.endBatch() }
    func poll() { made?.poll() }

    func register(_ ranges: [MemoryRange]) -> Bool {
        if let made { return made.register(ranges) }
        state.withLock { $0.memory = ranges }
        return true
    }
    func forgetRegistered() {
        state.withLock { $0.memory = [] }
        made?.forgetRegistered()
    }

    func close() {
        if let made { made.close() } else { pool.close() }
    }
}
