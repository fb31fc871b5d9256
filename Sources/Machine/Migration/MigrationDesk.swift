internal import HostOS
internal import Synchronization

/// What a machine knows of its migrations: the settings, the one on its way, and how the last one ended. Any thread.
final class MigrationDesk: Sendable {
    struct State: Sendable {
        var settings = MigrationSettings()
        var information = MigrationInformation()
        var began: UInt64 = 0
        var channel: MigrationChannel?
        var thread: HostThread?
        /// Somebody asked for the end of the migration on its way.
        var isCancelled = false
        /// A machine that comes runs when it is there.
        var startsWhenThere = true
        /// The loop's thread waits for the migration on its way.
        var loopWaits = false
        /// The disks' images are another machine's now.
        var hasGivenImages = false
        /// A machine that waits for `migrate-incoming`.
        var isDeferred = false
        /// Memory that is still in the file that the machine came from.
        var late: (any LateArrival)?
        /// The same, where it comes from a machine that is still there.
        var lateReceiver: LateReceiver?
        /// The other end is to run soon, with memory following.
        var wantsLate = false
        /// Who waits before the switch may go on.
        var mayContinue = false
        /// The last file of guest memory.
        var dump = DumpProgress()
        /// Another connection for memory that comes late.
        var replacement: MigrationChannel?
    }
    let state = Mutex(State())

    var settings: MigrationSettings { state.withLock { $0.settings } }
    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// What is known now.
    var information: MigrationInformation {
        state.withLock { state in
            var information = state.information
            if information.status.isUnderWay {
                information.totalTime = (HostClock.monotonic - state.began) / 1_000_000
            }
            return information
        }
    }

    /// Changes what is known; the new status where it is another one.
    func update(_ body: (inout MigrationInformation) -> Void) -> MigrationStatus? {
        state.withLock { state in
            let before = state.information.status
            body(&state.information)
            let after = state.information.status
            if !after.isUnderWay, before.isUnderWay {
                state.information.totalTime = (HostClock.monotonic - state.began) / 1_000_000
            }
            return after == before ? nil : after
        }
    }

    /// Begins a migration; false where one is on its way.
    func begin(isIncoming: Bool) -> Bool {
        state.withLock { state in
            guard !state.information.status.isUnderWay else { return false }
            state.information = MigrationInformation()
            state.information.status = .setup
            state.information.isIncoming = isIncoming
            state.began = HostClock.monotonic
            state.isCancelled = false
            state.channel = nil
            state.wantsLate = false
            state.mayContinue = false
            state.replacement = nil
            return true
        }
    }

    /// Names the channel, for those who cancel.
    func use(_ channel: MigrationChannel) {
        let isLate = state.withLock { state in
            state.channel = channel
            return state.isCancelled
        }
        if isLate { channel.cancel() }
    }

    /// Keeps the thread that does the work, and waits for the one before.
    func keep(_ thread: HostThread) {
        let old = state.withLock { state -> HostThread? in
            defer { state.thread = thread }
            return state.thread
        }
        old?.join()
    }

    /// Asks for the end.
    func cancel() {
        let channel = state.withLock { state -> MigrationChannel? in
            // Nobody can have a machine back that runs elsewhere.
            guard state.information.status.isUnderWay, !state.information.status.isLate else { return nil }
            state.isCancelled = true
            return state.channel
        }
        channel?.cancel()
    }

    /// Waits until all of the machine's memory is there.
    func awaitLateMemory() {
        let late = state.withLock { state -> (any LateArrival)? in
            defer { state.late = nil }
            return state.late
        }
        late?.wait()
    }
    /// Fetches no more of it. When nobody uses the memory any more.
    func closeLateMemory() {
        let late = state.withLock { state -> (any LateArrival)? in
            defer { state.late = nil }
            return state.late
        }
        late?.close()
    }

    /// Ends what is on its way, and waits. Before the machine goes.
    func close() {
        cancel()
        let (late, channel) = state.withLock { state in
            state.isCancelled = true
            return (state.late, state.channel)
        }
        late?.abandon()
        channel?.cancel()
        let thread = state.withLock { state -> HostThread? in
            defer { state.thread = nil }
            return state.thread
        }
        thread?.join()
    }
}
