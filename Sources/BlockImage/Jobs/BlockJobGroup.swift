internal import Synchronization

/// Jobs that end together (`completion-mode=grouped` of a transaction): all of them succeed, or none does. Any thread.
public final class BlockJobGroup: Sendable {
    /// Where members wait for each other.
    enum Stage: Int {
        /// The work is done.
        case worked
        /// The last step is, too.
        case finished
    }
    private struct State {
        var jobs: [BlockJob] = []
        /// Everybody is a member who will be.
        var isComplete = false
        var hasFailed = false
        var arrived = [0, 0]
    }
    private let state = Mutex(State())

    /// A group without members.
    public init() {}

    /// One more; before `complete`.
    func add(_ job: BlockJob) { state.withLock { $0.jobs.append(job) } }

    /// There will be no more members.
    public func complete() {
        state.withLock { $0.isComplete = true }
        wakeAll()
    }

    /// A member has come so far.
    func arrive(_ stage: Stage) {
        state.withLock { $0.arrived[stage.rawValue] += 1 }
        wakeAll()
    }
    /// Whether all have.
    func isOpen(_ stage: Stage) -> Bool {
        state.withLock { $0.isComplete && $0.arrived[stage.rawValue] == $0.jobs.count }
    }
    /// Whether one has failed or was cancelled: so does everybody who is not at the end.
    var hasFailed: Bool { state.withLock { $0.hasFailed } }

    /// A member does not come to the end.
    func fail(_ job: BlockJob) {
        let others = state.withLock { state in
            state.hasFailed = true
            return state.jobs.filter { $0 !== job }
        }
        for other in others { other.cancel(force: true) }
    }

    /// All members may take their last step.
    func finalize() { for job in state.withLock({ $0.jobs }) { job.allowEnd() } }

    private func wakeAll() { for job in state.withLock({ $0.jobs }) { job.nudge() } }
}
