/// What carries a file's requests to the kernel. The node above has checked them; ranges that must not run side by
/// side have been kept apart.
protocol FileEngine: AnyObject, Sendable {
    /// `io_uring` or `threads`.
    var name: String { get }
    /// Starts a request; its completion is never called from within.
    func submit(_ request: BlockRequest)
    /// Runs something that may block.
    func schedule(_ work: @escaping @Sendable () -> Void)
    /// Holds submissions back until the matching `endBatch`.
    func beginBatch()
    /// Starts what was held back; may carry a part of it out.
    func endBatch()
    /// Calls completions that are due, without sleeping.
    func poll()
    /// Registers memory with the kernel; false where that is not to be had.
    func register(_ ranges: [MemoryRange]) -> Bool
    /// Lets registered memory go. Nothing is in flight.
    func forgetRegistered()
    /// Ends the threads. Nothing is in flight any more, and nothing will be submitted.
    func close()
}

/// Requests by blocking calls on a pool of threads (`aio=threads`).
final class ThreadEngine: FileEngine {
    let name = "threads"
    private let access: FileAccess
    private let pool: WorkerPool

    init(access: FileAccess, pool: WorkerPool) {
        self.access = access
        self.pool = pool
    }

    func submit(_ request: BlockRequest) {
        pool.submit { [access] in request.completion(access.perform(request)) }
    }

    func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }
    func beginBatch() {}
    func endBatch() {}
    func poll() {}
    func register(_ ranges: [MemoryRange]) -> Bool { false }
    func forgetRegistered() {}
    func close() { pool.close() }
}
