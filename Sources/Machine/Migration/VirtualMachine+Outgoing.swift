internal import BlockImage
internal import DeviceModel
public import HostOS
internal import Log
internal import MachineState
internal import SPICE
internal import Synchronization
internal import TLS

// A machine that goes: rounds over memory while it runs, then it stands, and what is left goes with its devices.
//
// Until the other end has everything and says so, any failure leaves the machine running here. Where the other end
// cannot say anything (a file, a command) the machine is gone when all bytes are.
extension VirtualMachine {
    public func migrate(to address: String, descriptor: Descriptor?) throws(MachineError) {
        let place = try MigrationAddress(address)
        try checkBlockers()
        switch runState {
        case .inMigrate: throw .failed("Guest is waiting for an incoming migration")
        case .internalError: throw .failed("The engine cannot go on: its state cannot be saved")
        // Another runs, or a file holds it: a second would be one too many. `cont` takes it back.
        case .postMigrate: throw .failed("Can't migrate the vm that was paused due to previous migration")
        default: break
        }
        if desk.settings.has("dirty-bitmaps") { _ = try board.storage.live.departing(desk.settings.bitmapMapping) }
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
        let status = desk.update { information in
            if information.status.isUnderWay, !information.status.isLate { information.status = .cancelling }
        }
        if let status { report(status) }
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

    /// Tells monitors, where they asked for it, and sends the screen's client after a machine that runs elsewhere.
    func report(_ status: MigrationStatus) {
        if desk.settings.has("events") { emit(.migration(status)) }
        switch status {
        case .completed, .postcopyActive: spice?.machineMoved()
        case .failed, .cancelled: spice?.machineStays()
        default: break
        }
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

    func send(to place: MigrationAddress, _ opened: MigrationChannel?) {
        var journey = Journey(address: place)
        do throws(StateError) {
            let channel: MigrationChannel
            if let opened {
                channel = opened
            } else {
                do throws(MachineError) { channel = try place.openForWriting(nil) } catch {
                    throw .host(error.description)
                }
            }
            desk.use(channel)
            try secure(channel, place)
            try send(over: channel, &journey)
            change { $0.status = .completed }
        } catch {
            // The other end need not wait for a machine that stays here.
            desk.state.withLock { $0.channel }?.cancel()
            if journey.stood {
                // Nobody else runs it: it goes on as it was.
                standAsBefore()
                if journey.ran { do throws(MachineError) { try resume() } catch { log.error("\(error)") } }
            }
            fail(error.description)
        }
        setDirtyLog(false)
    }

    /// What has to be known to undo it.
    struct Journey {
        let address: MigrationAddress
        /// The machine was made to stand for it.
        var stood = false
        /// It ran before.
        var ran = false
    }

    /// A machine whose state was wanted stands as it did before; `run` is for others to call where it ran.
    func standAsBefore() {
        state.withLock { state in
            guard state.runState == .finishMigrate else { return }
            state.runState = state.stoodFrom.isRunning || state.stoodFrom == .suspended ? .paused : state.stoodFrom
        }
    }

    func setDirtyLog(_ isOn: Bool) {
        do throws(MachineError) { try board.engine.movable?.setDirtyLog(isOn) } catch {
            log.warning("The log of written pages: \(error)")
        }
    }

    func send(over channel: MigrationChannel, _ journey: inout Journey) throws(StateError) {
        let settings = desk.settings
        let answers = channel.isSocket
        var plan = JourneyPlan(lanes: settings.lanes, isLate: settings.has("postcopy-ram"))
        if !plan.isPlain {
            guard answers else { throw .host("multifd and postcopy-ram need a socket") }
            do throws(HostError) { plan.token = try HostRandom.bytes(16) } catch { throw .host("\(error)") }
        }
        let pages = guestPages
        let began = HostClock.monotonic
        var writer = try StateWriter(channel)
        writer.packer = plan.lanes == 0 ? PagePacking.packer(settings) : nil
        try writeHead(to: &writer, pages, answers: answers, journey: plan)
        var lanes: SendingLanes?
        if plan.lanes > 0 {
            let address = journey.address
            lanes = try SendingLanes(plan.lanes, token: plan.token, beside: channel, settings) {
                guestPages
            } open: {
                () throws(StateError) in
                try openChannel(to: address, beside: channel)
            }
        }
        let road = Road(channel: channel, lanes: lanes, isUnlimited: journey.address.isUnlimited)
        desk.awaitLateMemory()
        let isRunning = runState.isRunning
        var left = isRunning ? [] : pages.touched()
        change { information in
            information.status = .active
            information.total = pages.pageCount << 12
            information.remaining = pages.pageCount << 12
            information.setupTime = (HostClock.monotonic - began) / 1_000_000
            if settings.packing != nil { information.packedPages = 0 }
        }
        if isRunning { left = try sendWhileRunning(&writer, pages, road) }
        _ = desk.update { $0.bytesBefore = road.written }
        // Nothing competes with a guest that stands.
        road.setLimit(0)
        let stopped = HostClock.monotonic
        journey.stood = true
        journey.ran = try standForMigration()
        if settings.has("pause-before-switchover") { try awaitWord() }
        change { $0.status = .device }
        let before = road.written
        let last = takeDirty(pages)
        for index in left.indices { left[index].formUnion(last[index]) }
        if plan.isLate, desk.state.withLock({ $0.wantsLate }) {
            try writer.write(LateWord.state(left), section: LateWord.missing)
            try writeBitmaps(to: &writer)
            try writeDevices(to: &writer, ends: false)
            try writer.write(DeviceState(version: 1), section: LateWord.switchover)
            _ = desk.update { $0.bytesStanding = road.written - before }
            return try sendLate(&writer, pages, channel, LateSender(left), plan, stopped, &journey)
        }
        let isFirst = desk.information.rounds == 0
        _ = try send(left, &writer, pages, road, skipsZeroes: isFirst, isStanding: true)
        try writeBitmaps(to: &writer)
        try writeDevices(to: &writer)
        try lanes?.finish()
        try note(pages.counters, road, writer)
        _ = desk.update { $0.bytesStanding = road.written - before }
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
            // All at once, where the machine stood.
            guard information.rounds == 0 else { return }
            let nanoseconds = max(1, HostClock.monotonic - began)
            information.megabitsPerSecond = Double(road.written) * 8000 / Double(nanoseconds)
        }
    }

    /// What bytes go over.
    struct Road {
        let channel: MigrationChannel
        let lanes: SendingLanes?
        let isUnlimited: Bool
        var written: UInt64 { channel.written + (lanes?.written ?? 0) }
        func setLimit(_ bytes: UInt64) {
            let limit = isUnlimited ? 0 : bytes
            channel.setLimit(limit)
            lanes?.setLimit(limit)
        }
    }

    /// Sends pages over what there is. Those that stay where the round is ended early.
    func send(
        _ sets: [PageSet], _ writer: inout StateWriter, _ pages: GuestPages, _ road: Road, skipsZeroes: Bool,
        isStanding: Bool = false, unsent: UnsentPages? = nil
    ) throws(StateError) -> [PageSet]? {
        if let lanes = road.lanes {
            let channel = road.channel
            try lanes.send(sets, first: &writer, skipsZeroes: skipsZeroes, isStanding: isStanding) {
                [desk] () throws(StateError) in
                if desk.isCancelled || channel.wasCancelled { throw .cancelled }
            }
            try note(pages.counters, road, writer)
            return nil
        }
        let packer = writer.packer
        try pages.send(sets, to: &writer, skipsZeroes: skipsZeroes, isStanding: isStanding, unsent: unsent) {
            (counters) throws(StateError) in try note(counters, road, packer)
        }
        return unsent?.sets
    }

    func note(_ counters: GuestPages.Counters, _ road: Road, _ writer: StateWriter) throws(StateError) {
        try note(counters, road, writer.packer)
    }
    func note(
        _ counters: GuestPages.Counters, _ road: Road, _ packer: (any PagePacker)?
    ) throws(StateError) {
        if desk.isCancelled { throw .cancelled }
        let own = road.lanes?.counters ?? counters
        let packed = road.lanes?.packed ?? PagePacking.counts(packer)
        _ = desk.update { information in
            information.transferred = road.written
            information.laneBytes = road.lanes?.written ?? 0
            information.zeroPages = own.zeroPages
            information.fullPages = own.fullPages
            if information.packedPages != nil {
                (information.packedPages, information.packedBytes) = (packed.pages, packed.bytes)
            }
        }
    }

    /// Waits until somebody says that the machine may go.
    func awaitWord() throws(StateError) {
        change { $0.status = .preSwitchover }
        while !desk.state.withLock({ $0.mayContinue }) {
            if desk.isCancelled || state.withLock({ $0.hasEnded }) { throw .cancelled }
            Bell().wait(nanoseconds: 5_000_000)
        }
    }

    public func continueMigration(from status: MigrationStatus) throws(MachineError) {
        guard status == .preSwitchover, desk.information.status == status else {
            throw .failed("Migration not in expected state: \(desk.information.status.rawValue)")
        }
        desk.state.withLock { $0.mayContinue = true }
    }

    /// Connects to an address, with TLS where it is asked for.
    func openChannel(
        to place: MigrationAddress, _ descriptor: Descriptor? = nil, beside first: MigrationChannel? = nil
    ) throws(StateError) -> MigrationChannel {
        if first != nil {
            guard place.isSocket else { throw .host("Several connections need 'unix:' or 'tcp:'") }
        }
        let channel: MigrationChannel
        do throws(MachineError) { channel = try place.openForWriting(descriptor) } catch {
            throw .host(error.description)
        }
        first?.accompany(channel)
        try secure(channel, place)
        return channel
    }

    func secure(_ channel: MigrationChannel, _ place: MigrationAddress) throws(StateError) {
        let settings = desk.settings
        guard let id = settings.credentials else { return }
        let host: String? = if case .tcp(let host, _) = place { settings.peerName ?? host } else { settings.peerName }
        try channel.startTLS(try credentials(id, isServer: false), host: host)
    }

    /// The credentials of a name, for one end.
    func credentials(_ id: String, isServer: Bool) throws(StateError) -> TLSCredentials {
        let found: TLSCredentials
        do throws(BlockError) { found = try board.storage.graph.secrets.credentials(id) } catch {
            throw .host("\(error)")
        }
        guard found.isForServers == isServer else {
            throw .host("Expected TLS credentials for a \(isServer ? "server" : "client") endpoint")
        }
        return found
    }
}
