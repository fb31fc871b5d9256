internal import CLinux
internal import HostOS
internal import Synchronization

/// A long piece of work on a machine's disks, on a thread of its own: what QMP calls a job. Any thread.
public final class BlockJob: Sendable {
    /// What it does.
    public enum Kind: String, Sendable {
        case stream
        case commit
        case mirror
        case backup
        case snapshotSave = "snapshot-save"
        case snapshotLoad = "snapshot-load"
        case snapshotDelete = "snapshot-delete"
        case create

        /// Whether it is one of a disk's, which the older commands and events of block jobs know.
        public var isBlock: Bool { self == .stream || self == .commit || self == .mirror || self == .backup }
    }
    /// Where it is in its life, in QMP's words.
    public enum Status: String, Sendable, CaseIterable {
        case created, running, paused, ready, standby, waiting, pending, aborting, concluded, null
    }
    /// What is told of it.
    public enum Event: Sendable {
        case status(Status)
        case ready
        case pending
        case completed(error: String?)
        case cancelled
        /// A read or write failed; what is done about it.
        case failed(isRead: Bool, action: BlockErrorAction)
    }
    /// What is done about an error of an image.
    public enum ErrorRule: String, Sendable, CaseIterable {
        case report, ignore, stop, enospc
    }
    /// What every job can be told at its start.
    public struct Settings: Sendable {
        /// The job's name.
        public var id: String
        /// Bytes a second; 0 for no limit.
        public var speed: UInt64 = 0
        /// It ends by itself when its work is done, without `job-finalize`.
        public var finalizesItself = true
        /// It goes by itself when it has ended, without `job-dismiss`.
        public var dismissesItself = true
        /// About errors of the source.
        public var sourceErrors = ErrorRule.report
        /// About errors of the target.
        public var targetErrors = ErrorRule.report
        /// Those that it ends with.
        public var group: BlockJobGroup?
        /// The defaults.
        public init(id: String) { self.id = id }
    }
    /// A job as it is now.
    public struct Progress: Sendable {
        public var done: UInt64
        public var total: UInt64
        public var status: Status
        public var isPaused: Bool
        public var isBusy: Bool
        public var isReady: Bool
        public var speed: UInt64
        public var error: String?
        /// It waits for somebody after an error, and of which kind.
        public var health: BlockHealth
    }
    private struct State {
        var status = Status.created
        var done: UInt64 = 0
        var total: UInt64 = 0
        var speed: UInt64
        var pauses = 0
        var isResting = false
        var wantsCancel = false
        var isForced = false
        var wantsComplete = false
        var wantsFinalize: Bool
        var wantsDismiss: Bool
        var isReady = false
        var error: String?
        var health = BlockHealth.ok
        /// The limit of speed: what was done since when.
        var windowStart: UInt64 = 0
        var windowBytes: UInt64 = 0
    }
    /// What a job is made of. All of it runs on the job's thread.
    struct Work: Sendable {
        /// Does the job. Throws `BlockJob.Stopped` where it was cancelled.
        var run: @Sendable (BlockJob) throws(Stop) -> Void
        /// The last step, after which the job has succeeded: changes the graph.
        var finish: @Sendable (BlockJob) throws(BlockError) -> Void
        /// Gives everything up, after either or a failure.
        var clean: @Sendable (_ succeeded: Bool) -> Void
    }
    /// Why a job ended before its time.
    enum Stop: Error {
        case cancelled
        case failed(BlockError)
    }

    public let kind: Kind
    public let settings: Settings
    public var id: String { settings.id }
    private let state: Mutex<State>
    private let bell = Bell()
    private let work: Work
    private let tell: @Sendable (BlockJob, Event) -> Void

    init(_ kind: Kind, _ settings: Settings, _ work: Work, tell: @escaping @Sendable (BlockJob, Event) -> Void) {
        self.kind = kind
        self.settings = settings
        self.work = work
        self.tell = tell
        state = Mutex(
            State(
                speed: settings.speed, wantsFinalize: settings.finalizesItself, wantsDismiss: settings.dismissesItself))
        settings.group?.add(self)
    }

    /// A job that is one step of the machine's, and cannot be held up in the middle. `body` runs on the job's thread.
    public static func task(
        _ kind: Kind, _ settings: Settings, tell: @escaping @Sendable (BlockJob, Event) -> Void,
        body: @escaping @Sendable () throws(BlockError) -> Void
    ) -> BlockJob {
        let work = Work(
            run: { job throws(Stop) in
                // It is done as a whole or not at all.
                job.setTotal(1)
                defer { job.advance(1) }
                do throws(BlockError) { try body() } catch { throw .failed(error) }
            },
            finish: { _ in }, clean: { _ in })
        return BlockJob(kind, settings, work, tell: tell)
    }

    /// The job as it is now.
    public var progress: Progress {
        state.withLock { state in
            Progress(
                done: state.done, total: max(state.total, state.done), status: state.status,
                isPaused: state.pauses > 0, isBusy: state.status == .running && !state.isResting,
                isReady: state.isReady, speed: state.speed, error: state.error, health: state.health)
        }
    }

    // MARK: What monitors ask

    /// Bytes a second from now on; 0 for no limit.
    public func setSpeed(_ speed: UInt64) {
        state.withLock { state in
            state.speed = speed
            (state.windowStart, state.windowBytes) = (HostClock.monotonic, 0)
        }
        bell.ring()
    }
    /// Rests at the next opportunity. False where it does so already.
    public func pause() -> Bool {
        let changed = state.withLock { state in
            guard state.pauses == 0 else { return false }
            state.pauses = 1
            return true
        }
        bell.ring()
        return changed
    }
    /// Goes on. False where it does.
    public func resume() -> Bool {
        let changed = state.withLock { state in
            guard state.pauses > 0 else { return false }
            state.pauses = 0
            state.health = .ok
            return true
        }
        bell.ring()
        return changed
    }
    /// Gives up. A mirror that is ready ends with a whole copy instead, unless `force`.
    public func cancel(force: Bool) {
        state.withLock { state in
            state.wantsCancel = true
            state.isForced = state.isForced || force
            state.pauses = 0
        }
        bell.ring()
    }
    /// Ends a job that is ready. False where it is not.
    public func complete() -> Bool {
        let isReady = state.withLock { state in
            guard state.isReady, !state.wantsCancel else { return false }
            state.wantsComplete = true
            return true
        }
        bell.ring()
        return isReady
    }
    /// Lets a job that is pending take its last step, and those of its group theirs.
    public func finalize() -> Bool {
        guard state.withLock({ $0.status == .pending }) else { return false }
        allowEnd()
        settings.group?.finalize()
        return true
    }
    func allowEnd() {
        state.withLock { $0.wantsFinalize = true }
        bell.ring()
    }
    /// Lets a job go that has concluded.
    public func dismiss() -> Bool {
        let isConcluded = state.withLock { state in
            guard state.status == .concluded else { return false }
            state.wantsDismiss = true
            return true
        }
        bell.ring()
        return isConcluded
    }
    /// Wakes the job: there is something to do.
    func nudge() { bell.ring() }

    // MARK: The job's thread

    /// Starts the work.
    public func start() throws(BlockError) {
        move(to: .created)
        do throws(HostError) {
            _ = try HostThread(name: "block-job", stackSize: 1 << 20) { [self] in
                pthread_detach(pthread_self())
                live()
            }
        } catch {
            settings.group?.fail(self)
            work.clean(false)
            throw .message("The job's thread cannot be started: \(error)")
        }
    }

    private func live() {
        move(to: .running)
        var failure: Stop?
        do throws(Stop) {
            try work.run(self)
            // What waits for `job-finalize` can still be cancelled.
            move(to: .waiting)
            try meet(.worked)
            move(to: .pending)
            if !settings.finalizesItself { tell(self, .pending) }
            while !state.withLock({ $0.wantsFinalize || ($0.wantsCancel && !settings.finalizesItself) }) {
                bell.wait(nanoseconds: nil)
            }
            if !state.withLock({ $0.wantsFinalize }) { throw Stop.cancelled }
            do throws(BlockError) { try work.finish(self) } catch { throw Stop.failed(error) }
            try meet(.finished)
        } catch {
            failure = error
            settings.group?.fail(self)
        }
        switch failure {
        case nil:
            work.clean(true)
            tell(self, .completed(error: nil))
        case .cancelled?:
            state.withLock { $0.error = "Operation canceled" }
            move(to: .aborting)
            work.clean(false)
            tell(self, .cancelled)
        case .failed(let error)?:
            let text = "\(error)"
            state.withLock { $0.error = text }
            move(to: .aborting)
            work.clean(false)
            tell(self, .completed(error: text))
        }
        move(to: .concluded)
        while !state.withLock({ $0.wantsDismiss }) { bell.wait(nanoseconds: nil) }
        move(to: .null)
    }

    /// Waits for the others of the group.
    private func meet(_ stage: BlockJobGroup.Stage) throws(Stop) {
        guard let group = settings.group else { return }
        group.arrive(stage)
        while !group.isOpen(stage) {
            if group.hasFailed || state.withLock({ $0.wantsCancel }) { throw .cancelled }
            bell.wait(nanoseconds: nil)
        }
    }

    private func move(to status: Status) {
        state.withLock { $0.status = status }
        tell(self, .status(status))
    }

    // MARK: For the work

    /// How much there is.
    func setTotal(_ total: UInt64) { state.withLock { $0.total = total } }
    func addTotal(_ bytes: UInt64) { state.withLock { $0.total += bytes } }

    /// So many bytes are done: rests where the speed is limited.
    func advance(_ bytes: UInt64) {
        state.withLock { state in
            state.done += bytes
            state.windowBytes += bytes
        }
    }

    /// The copy is whole: from now on it is kept so.
    func becomeReady() {
        let isFirst = state.withLock { state in
            defer { state.isReady = true }
            return !state.isReady
        }
        guard isFirst else { return }
        move(to: .ready)
        tell(self, .ready)
    }
    var isCompleting: Bool { state.withLock { $0.wantsComplete } }
    /// Whether somebody wants an end that keeps what was done (a mirror that is ready).
    var isEndingSoftly: Bool { state.withLock { $0.wantsCancel && $0.isReady && !$0.isForced } }

    /// Sleeps until someone rings, or a while.
    func rest(nanoseconds: UInt64 = 100_000_000) {
        state.withLock { $0.isResting = true }
        bell.wait(nanoseconds: nanoseconds)
        state.withLock { $0.isResting = false }
    }

    /// Where a job may be paused or cancelled, and is slowed down. With nothing of the disk's held.
    func checkpoint() throws(Stop) {
        while true {
            enum Next { case go, cancel, pause(Status), sleep(UInt64) }
            let next = state.withLock { state -> Next in
                if state.wantsCancel { return state.isReady && !state.isForced ? .go : .cancel }
                if state.pauses > 0 { return .pause(state.isReady ? .standby : .paused) }
                guard state.speed > 0 else { return .go }
                let now = HostClock.monotonic
                if state.windowStart == 0 { state.windowStart = now }
                let due = Double(state.windowBytes) / Double(state.speed) * 1e9
                let past = Double(now &- state.windowStart)
                if past >= due {
                    // A long rest does not count as credit.
                    (state.windowStart, state.windowBytes) = (now, 0)
                    return .go
                }
                return .sleep(UInt64(due - past))
            }
            switch next {
            case .go: return
            case .cancel: throw .cancelled
            case .sleep(let time): rest(nanoseconds: min(time, 100_000_000))
            case .pause(let status):
                move(to: status)
                while state.withLock({ $0.pauses > 0 && !$0.wantsCancel }) { rest(nanoseconds: 1_000_000_000) }
                move(to: status == .standby ? .ready : .running)
            }
        }
    }

    /// What to do about a request that failed: true to try again, else the job fails.
    func judge(_ status: Int32, isRead: Bool, path: String) throws(Stop) -> Bool {
        let rule = isRead ? settings.sourceErrors : settings.targetErrors
        let isFull = status == ENOSPC
        let action: BlockErrorAction =
            rule == .ignore ? .ignore : rule == .stop || (rule == .enospc && isFull) ? .stop : .report
        tell(self, .failed(isRead: isRead, action: action))
        switch action {
        case .report: throw .failed(.io(path: path, operation: isRead ? "read" : "write", status))
        case .ignore: rest(nanoseconds: 20_000_000)
        case .stop:
            state.withLock { state in
                state.pauses = 1
                state.health = isFull ? .noSpace : .failed
            }
        }
        try checkpoint()
        return true
    }
}
