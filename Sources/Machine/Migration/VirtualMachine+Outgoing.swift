internal import DeviceModel
public import HostOS
internal import Log
internal import MachineState
internal import Synchronization

// A machine that goes: rounds over memory while it runs, then it stands, and what is left goes with its devices.
//
// Until the other end has everything and says so, any failure leaves the machine running here. Where the other end
// cannot say anything (a file, a command) the machine is gone when all bytes are.
extension VirtualMachine {
    public func migrate(to address: String, descriptor: Descriptor?) throws(MachineError) {
        let place = try MigrationAddress(address)
        switch runState {
        case .inMigrate: throw .failed("Guest is waiting for an incoming migration")
        case .internalError: throw .failed("The engine cannot go on: its state cannot be saved")
        default: break
        }
        guard desk.begin(isIncoming: false) else { throw .failed("There's a migration process in progress") }
        report(.setup)
        var opened: MigrationChannel?
        // What it writes may be the very file that its memory is still in.
        if case .file = place { desk.awaitLateMemory() }
        do throws(MachineError) {
            // A host may take long to answer: that is waited for by the thread.
            if case .tcp = place {} else { opened = try place.openForWriting(descriptor) }
        } catch {
            fail(error.description)
            throw error
        }
        let ready = opened
        do throws(HostError) {
            let thread = try HostThread(name: "migration") { [self] in send(to: place, ready) }
            desk.keep(thread)
        } catch {
            fail("\(error)")
            throw .failed("\(error)")
        }
    }

    public func cancelMigration() {
        if let status = desk.update({ if $0.status.isUnderWay { $0.status = .cancelling } }) { report(status) }
        desk.cancel()
    }

    public var migration: MigrationInformation { desk.information }
    public func waitForMigration() {
        desk.state.withLock { $0.loopWaits = true }
        while desk.information.status.isUnderWay, !state.withLock({ $0.hasEnded }) {
            Bell().wait(nanoseconds: 20_000_000)
        }
        desk.state.withLock { $0.loopWaits = false }
    }

    /// Tells monitors, where they asked for it.
    func report(_ status: MigrationStatus) {
        if desk.settings.has("events") { emit(.migration(status)) }
    }
    func change(_ body: (inout MigrationInformation) -> Void) {
        if let status = desk.update(body) { report(status) }
    }
    func fail(_ words: String) {
        let isCancelled = desk.isCancelled
        if !isCancelled { log.warning("Migration failed: \(words)") }
        change { information in
            information.status = isCancelled ? .cancelled : .failed
            information.error = isCancelled ? nil : words
        }
    }

    // MARK: The thread

    private func send(to place: MigrationAddress, _ opened: MigrationChannel?) {
        var journey = Journey(address: place)
        do throws(StateError) {
            let channel: MigrationChannel
            if let opened { channel = opened } else {
                do throws(MachineError) { channel = try place.openForWriting(nil) } catch {
                    throw .host(error.description)
                }
            }
            desk.use(channel)
            try send(over: channel, &journey)
            change { $0.status = .completed }
        } catch {
            if journey.stood {
                // Nobody else runs it: it goes on as it was.
                state.withLock { state in
                    if state.runState == .finishMigrate { state.runState = .paused }
                }
                if journey.ran { do throws(MachineError) { try resume() } catch { log.error("\(error)") } }
            }
            fail(error.description)
        }
        setDirtyLog(false)
    }

    /// What has to be known to undo it.
    private struct Journey {
        let address: MigrationAddress
        /// The machine was made to stand for it.
        var stood = false
        /// It ran before.
        var ran = false
    }

    func setDirtyLog(_ isOn: Bool) {
        do throws(MachineError) { try board.engine.movable?.setDirtyLog(isOn) } catch {
            log.warning("The log of written pages: \(error)")
        }
    }

    private func send(over channel: MigrationChannel, _ journey: inout Journey) throws(StateError) {
        let answers = channel.isSocket
        let pages = guestPages
        let began = HostClock.monotonic
        var writer = try StateWriter(channel)
        try writeHead(to: &writer, pages, answers: answers)
        var left = pages.all
        change { information in
            information.status = .active
            information.total = pages.pageCount << 12
            information.remaining = pages.pageCount << 12
            information.setupTime = (HostClock.monotonic - began) / 1_000_000
        }
        if runState.isRunning {
            left = try sendWhileRunning(&writer, pages, channel, isUnlimited: journey.address.isUnlimited)
        }
        // Nothing competes with a guest that stands.
        channel.setLimit(0)
        let stopped = HostClock.monotonic
        journey.stood = true
        journey.ran = try standForMigration()
        change { $0.status = .device }
        let last = takeDirty(pages)
        for index in left.indices { left[index].formUnion(last[index]) }
        let isFirst = desk.information.rounds == 0
        try pages.send(left, to: &writer, skipsZeroes: isFirst, isStanding: true) { (counters) throws(StateError) in
            try note(counters, channel)
        }
        try writeDevices(to: &writer)
        try note(pages.counters, channel)
        if answers {
            guard try channel.receiveByte() == MigrationWord.ready else {
                throw .host("The other end did not take the machine")
            }
            try giveImages()
            try channel.send(MigrationWord.go)
        }
        try channel.finish()
        if !answers { try giveImages() }
        state.withLock { $0.runState = .postMigrate }
        change { information in
            information.downtime = (HostClock.monotonic - stopped) / 1_000_000
            information.remaining = 0
        }
    }

    private func note(_ counters: GuestPages.Counters, _ channel: MigrationChannel) throws(StateError) {
        if desk.isCancelled { throw .cancelled }
        _ = desk.update { information in
            information.transferred = channel.written
            information.zeroPages = counters.zeroPages
            information.fullPages = counters.fullPages
        }
    }

    // MARK: While the guest runs

    /// Sends memory again and again, until what is left is little. What is left.
    private func sendWhileRunning(
        _ writer: inout StateWriter, _ pages: GuestPages, _ channel: MigrationChannel, isUnlimited: Bool
    ) throws(StateError) -> [PageSet] {
        guard board.engine.movable != nil else { return pages.all }
        setDirtyLog(true)
        // What is marked until here goes with the first round.
        _ = takeDirty(pages)
        let throttle = ProcessorThrottle(self)
        defer { throttle.end() }
        var left = pages.all
        var hopeless = 0
        while true {
            let settings = desk.settings
            channel.setLimit(isUnlimited ? 0 : settings.bandwidth)
            let began = HostClock.monotonic
            let before = channel.written
            let round = desk.information.rounds
            try pages.send(left, to: &writer, skipsZeroes: round == 0) { (counters) throws(StateError) in
                try note(counters, channel)
            }
            if !runState.isRunning { return left }
            left = takeDirty(pages)
            let nanoseconds = max(1, HostClock.monotonic - began)
            let sent = max(1, channel.written - before)
            let size = left.reduce(0) { $0 + UInt64($1.size) }
            // Bytes a millisecond, at least one.
            let speed = max(1, sent * 1_000_000 / nanoseconds)
            let expected = (size << 12) / speed
            change { information in
                information.rounds += 1
                information.remaining = size << 12
                information.expectedDowntime = expected
                information.dirtyRate = UInt64(Double(size) * 1e9 / Double(nanoseconds))
                information.megabitsPerSecond = Double(sent) * 8000 / Double(nanoseconds)
                information.throttle = throttle.percent
            }
            if settings.has("events") { emit(.migrationPass(round + 1)) }
            if expected <= settings.downtimeLimit { return left }
            if settings.has("auto-converge") {
                hopeless = (size << 12) * 100 > sent * settings.throttle.trigger ? hopeless + 1 : 0
                if hopeless >= 2 {
                    hopeless = 0
                    throttle.increase(settings.throttle)
                }
            }
        }
    }

    /// The pages written since the last time, with the machine standing for the moment.
    func takeDirty(_ pages: GuestPages) -> [PageSet] {
        control.withLock { _ in
            group.whileParked { _ in
                guard let engine = board.engine.movable else { return pages.all }
                do throws(MachineError) { try engine.markDirtyPages() } catch { return pages.all }
                let taken = pages.takeDirty()
                engine.dirtyPagesTaken()
                return taken
            }
        }
    }

    /// Stops the machine on the loop's thread, behind what guests asked for and timers that fire. Whether it ran.
    func standForMigration() throws(StateError) -> Bool {
        let shared = StandRequest()
        loop.post { [self] in
            if shared.claim() { shared.finish(halt(as: .finishMigrate)) }
        }
        while true {
            if let ran = shared.wait() { return ran }
            // A monitor that waits for this migration does so on the loop's thread: nothing else happens there.
            if desk.state.withLock({ $0.loopWaits }), shared.claim() { return halt(as: .finishMigrate) }
            if state.withLock({ $0.hasEnded }) { throw .cancelled }
        }
    }
}

/// Whether a machine has come to stand, told from one thread to another.
private final class StandRequest: Sendable {
    private let answer = Mutex<Bool?>(nil)
    private let isTaken = Mutex(false)
    private let bell = Bell()

    /// True for the first who asks.
    func claim() -> Bool {
        isTaken.withLock { isTaken in
            defer { isTaken = true }
            return !isTaken
        }
    }

    func finish(_ ran: Bool) {
        answer.withLock { $0 = ran }
        bell.ring()
    }
    func wait() -> Bool? {
        if let known = answer.withLock({ $0 }) { return known }
        bell.wait(nanoseconds: 50_000_000)
        return answer.withLock { $0 }
    }
}

/// The words after the stream, where the other end can speak.
enum MigrationWord {
    /// The receiver has everything and could run.
    static let ready: UInt8 = 0x52
    /// The sender will not run any more.
    static let go: UInt8 = 0x47
    /// A fork's memory comes with this.
    static let memory: UInt8 = 0x4D
}
