internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// A machine on its way: what an end keeps between the protocol's steps.
struct Migration: Sendable {
    /// Whether it comes; otherwise it goes.
    var isIncoming: Bool
    /// Of one that goes: whether it ran.
    var wasRunning = true
    /// Of one that goes: it runs at the other end, and memory follows.
    var isLate = false
    /// Of one that goes: whether the client of its screen is sent after it.
    var screenFollows = false
    /// What carries its state over several connections, until the other end has all.
    var relay: SocketRelay?
    /// Of one that comes: where it is waited for, until somebody connects.
    var listener: IncomingState?
    var tunnel: TunnelStream?
    /// Of one that comes: images that were made for it, which go if it does not come.
    var made: [String] = []
    /// Of one that comes: whether the source fills its images.
    var exportsDisks = false
    /// Of one that comes: a name that it was given for the socket where the images are taken.
    var disksLink: String?
}

/// Machines that go to another daemon: the source's part of libvirt's third protocol. Begin, Perform, Confirm; between
/// them the other end does Prepare and Finish, for a client or for this daemon as one.
extension DomainDriver {
    private typealias Flags = VirDomainMigrateFlags

    /// Says what the destination has to prepare for.
    func beginMigration(
        _ domain: Domain, _ request: MigrationRequest
    ) throws(LibvirtError) -> (cookie: [UInt8], document: String) {
        try request.check()
        let (live, definition, snapshots) = domain.state.withLock { ($0.live, $0.definition, $0.snapshots.all.count) }
        guard snapshots == 0 else {
            throw LibvirtError.operationInvalid("cannot migrate domain with \(snapshots) snapshots")
        }
        var cookie = MigrationCookie()
        cookie.name = domain.name
        cookie.uuid = domain.uuid.description
        cookie.hostName = HostIdentity.hostName
        cookie.hostUUID = identity
        if request.has(Flags.persistDest), request.persistentDocument == nil { cookie.persistent = definition }
        var form: XMLTree
        if request.has(Flags.offline) {
            guard live == nil, let definition else {
                throw LibvirtError.operationInvalid("offline migration cannot handle a domain that runs")
            }
            guard request.has(Flags.persistDest) else {
                throw LibvirtError.operationInvalid("offline migration must be specified with the persistent flag set")
            }
            form = definition
        } else {
            guard let live else { throw Domain.notRunning }
            if !DomainFigures.devices(live, "hostdev").isEmpty {
                throw LibvirtError.operationInvalid("cannot migrate a domain with <hostdev> devices")
            }
            if !request.has(Flags.unsafe) { try SharedStorage.check(live) { request.copies($0) } }
            cookie.disks = try offeredDisks(domain, live, request)
            form = MigratableDocument.make(live, runFolder: paths.running)
        }
        if let text = request.document {
            let other = try DomainDefaults.parse(text, emulators)
            guard other.uuid == domain.uuid else {
                throw LibvirtError.configUnsupported("the document for the destination is of another domain")
            }
            form = other.tree
        }
        return (cookie.bytes, XMLWriter.write(form))
    }

    /// Sends the machine's state; it then stands here, and is the destination's.
    func performMigration(
        _ domain: Domain, _ request: MigrationRequest, _ cookie: [UInt8], through way: StateWay
    ) throws(LibvirtError) {
        guard !request.has(Flags.offline) else { return }
        let theirs = try MigrationCookie(cookie)
        try domain.job.run { () throws(LibvirtError) in
            let machine = try domain.running()
            let wasRunning = domain.state.withLock { state -> Bool in
                let wasRunning = state.state == VirDomainState.running
                state.migration = Migration(isIncoming: false, wasRunning: wasRunning)
                state.activity = Activity(operation: VirDomainJobOperation.migrationOut)
                return wasRunning
            }
            defer {
                domain.state.withLock { $0.relay = nil }
                // Memory that follows is the same job still.
                if domain.state.withLock({ $0.migration?.isLate != true }) { endJob(domain) }
            }
            if case .address(_, let relay) = way { domain.state.withLock { $0.migration?.relay = relay } }
            var copies: [String] = []
            var (isLate, screenFollows) = (false, false)
            do throws(LibvirtError) {
                let monitor = try machine.qmp()
                try configure(monitor, domain, request)
                try secure(domain, monitor, request, isServer: false)
                let live = domain.state.withLock { $0.live ?? XMLTree("domain") }
                try mirrorDisks(domain, live, request, theirs, &copies)
                screenFollows = try relocateScreen(monitor, live, request, theirs)
                isLate = try sendState(monitor, request, through: way) { () throws(LibvirtError) in
                    try endMirrors(monitor, copies, whole: true)
                    copies = []
                }
            } catch {
                if !copies.isEmpty, let monitor = machine.monitor { try? endMirrors(monitor, copies, whole: false) }
                goOnHere(domain, machine, wasRunning)
                throw error
            }
            machine.settle()
            domain.state.withLock { [isLate, screenFollows] state in
                state.state = VirDomainState.paused
                state.reason = isLate ? VirDomainPausedReason.postcopy : VirDomainPausedReason.migration
                state.migration?.isLate = isLate
                state.migration?.screenFollows = screenFollows
            }
            try? writeStatus(domain)
            if wasRunning {
                typealias Detail = VirDomainEventSuspendedDetailType
                emit(.lifecycle(VirDomainEventType.suspended, isLate ? Detail.postcopy : Detail.migrated), domain)
            }
        }
    }

    /// The job is over: what is left of it is how far it came.
    func endJob(_ domain: Domain) {
        let last = JobProgress(domain)
        domain.state.withLock { state in
            state.activity = nil
            state.lastJob = last
        }
        emit(.jobCompleted(last.parameters), domain)
    }

    private func configure(
        _ monitor: QMPClient, _ domain: Domain, _ request: MigrationRequest
    ) throws(LibvirtError) {
        try agree(
            monitor, request,
            besides: [
                ("auto-converge", Flags.autoConverge), ("xbzrle", Flags.compressed),
                // Mirrors end while the machine stands.
                ("pause-before-switchover", Flags.nonSharedDisk | Flags.nonSharedInc),
            ])
        // Each round over memory is told of; a machine that does not tell goes all the same.
        let rounds: JSONObject = ["capability": "events", "state": true]
        _ = try? monitor.execute("migrate-set-capabilities", ["capabilities": .array([.object(rounds)])])
        for parameter in request.others {
            guard parameter.field == "bandwidth.postcopy", case .ulong(let speed) = parameter.value else { continue }
            try setSpeed(monitor, speed, ofPostcopy: true)
        }
        let speed = request.bandwidth > 0 ? request.bandwidth : domain.state.withLock { $0.migrationSpeed }
        try setSpeed(monitor, speed)
        if let downtime = domain.state.withLock({ $0.migrationDowntime }) {
            try monitor.execute("migrate-set-parameters", ["downtime-limit": .number(downtime)])
        }
    }

    /// MiB a second; 0: as fast as it goes.
    private func setSpeed(_ monitor: QMPClient, _ speed: UInt64, ofPostcopy: Bool = false) throws(LibvirtError) {
        let bytes = speed == 0 || speed >= 1 << 32 ? (ofPostcopy ? 0 : UInt64(1) << 52) : speed << 20
        try monitor.execute(
            "migrate-set-parameters", [ofPostcopy ? "max-postcopy-bandwidth" : "max-bandwidth": .number(bytes)])
    }

    /// Whether the machine runs at the other end before all of its memory is there.
    ///
    /// - Parameter standing: what is done while the machine stands, before the switch, where it is to wait there.
    private func sendState(
        _ monitor: QMPClient, _ request: MigrationRequest, through way: StateWay,
        standing: () throws(LibvirtError) -> Void
    ) throws(LibvirtError) -> Bool {
        let address = try way.open { (descriptor) throws(LibvirtError) in
            try monitor.execute("getfd", ["fdname": "migrate"], passing: descriptor)
        }
        do throws(LibvirtError) {
            try monitor.execute("migrate", ["uri": .string(address)])
            let pause = Bell()
            var stands = false
            loop: while true {
                let answer = try monitor.execute("query-migrate")
                switch answer["status"]?.stringValue {
                case "completed": break loop
                // From here on there is no way back.
                case "postcopy-active", "postcopy-paused": return true
                case "failed":
                    throw LibvirtError.operationFailed(
                        "job 'migration out' failed: " + (answer["error-desc"]?.stringValue ?? "unexpectedly"))
                case "cancelled": throw DomainDriver.migrationAborted
                case "pre-switchover" where !stands:
                    // It may be called so for a moment after it was told to go on.
                    stands = true
                    try standing()
                    try monitor.execute("migrate-continue", ["state": "pre-switchover"])
                default: pause.wait(nanoseconds: 10_000_000)
                }
            }
        } catch {
            _ = try? monitor.execute("migrate_cancel")
            try? way.close(whole: false)
            throw error
        }
        try way.close(whole: true)
        return false
    }

    /// Lets a machine run again that was on its way.
    private func goOnHere(_ domain: Domain, _ machine: RunningMachine, _ wasRunning: Bool) {
        domain.state.withLock { $0.migration = nil }
        if let monitor = machine.monitor { unsecure(domain, monitor) }
        guard wasRunning, let monitor = machine.monitor else { return }
        // A machine whose end failed by itself may go on by itself, in its own time.
        let isRunning = (try? monitor.execute("query-status"))?["running"]?.boolValue ?? false
        if !isRunning { _ = try? monitor.execute("cont") }
        machine.settle()
        let changed = domain.state.withLock { state -> Bool in
            guard state.machine === machine else { return false }
            let stood = state.state == VirDomainState.paused
            state.state = VirDomainState.running
            state.reason = VirDomainRunningReason.migrationCanceled
            return stood
        }
        try? writeStatus(domain)
        if changed { emit(.lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.migrated), domain) }
    }

    /// The destination runs the machine, or (`cancelled`) does not.
    func confirmMigration(_ domain: Domain, _ request: MigrationRequest, cancelled: Bool) throws(LibvirtError) {
        if !request.has(Flags.offline) {
            try domain.job.run { () throws(LibvirtError) in
                guard let migration = domain.state.withLock({ $0.migration }), !migration.isIncoming,
                    let machine = domain.machine
                else { return }
                if migration.isLate {
                    try waitForMemory(domain, machine, cancelled: cancelled)
                } else if cancelled {
                    return goOnHere(domain, machine, migration.wasRunning)
                }
                if migration.screenFollows { awaitScreen(machine) }
                domain.state.withLock { $0.migration = nil }
                try end(
                    domain, machine, VirDomainShutoffReason.migrated, VirDomainEventStoppedDetailType.migrated)
            }
        }
        if !cancelled, request.has(Flags.undefineSource), domain.state.withLock({ $0.definition != nil }) {
            // Variables of its firmware stay, as images do.
            typealias Undefine = VirDomainUndefineFlagsValues
            try undefine(domain, flags: Undefine.managedSave | Undefine.keepNvram)
        }
    }

    // MARK: - Speed

    /// MiB a second; of a machine on its way at once.
    ///
    /// - Parameter ofPostcopy: of memory that follows its machine, and that only while one runs.
    func setMigrationSpeed(_ domain: Domain, _ speed: UInt64, ofPostcopy: Bool) throws(LibvirtError) {
        guard !ofPostcopy else { return try setSpeed(try domain.running().qmp(), speed, ofPostcopy: true) }
        let isUnderWay = domain.state.withLock { state -> Bool in
            state.migrationSpeed = speed
            return state.activity?.operation == VirDomainJobOperation.migrationOut
        }
        if isUnderWay, let monitor = domain.machine?.monitor { try setSpeed(monitor, speed) }
    }

    /// Milliseconds.
    func setMigrationDowntime(_ domain: Domain, _ downtime: UInt64) throws(LibvirtError) {
        guard downtime > 0, downtime <= 2_000_000 else {
            throw LibvirtError.invalidArgument("downtime \(downtime) is out of range")
        }
        let machine = try domain.running()
        try machine.qmp().execute("migrate-set-parameters", ["downtime-limit": .number(downtime)])
        domain.state.withLock { $0.migrationDowntime = downtime }
    }
}
