internal import BlockImage
public import HostOS
public import JSON
internal import Log
internal import MachineState
internal import Synchronization

// A machine that comes: it waits, takes memory, then devices, and runs when the sender will not any more.
extension VirtualMachine {
    public func receiveMigration(from address: String, descriptor: Descriptor?) throws(MachineError) {
        let isDeferred = desk.state.withLock { state in
            defer { state.isDeferred = false }
            return state.isDeferred
        }
        guard runState == .inMigrate, isDeferred else {
            throw configuration.incoming == nil
                ? .failed("'-incoming' was not specified on the command line")
                : .failed("The incoming migration has already been started")
        }
        do throws(MachineError) { try startReceiving(address, descriptor) } catch {
            desk.state.withLock { $0.isDeferred = true }
            throw error
        }
    }

    /// Begins to wait at an address. Errors of the address come at once.
    func startReceiving(_ address: String, _ descriptor: Descriptor?) throws(MachineError) {
        let place = try MigrationAddress(address)
        let source = try place.openForReading(descriptor)
        _ = desk.begin(isIncoming: true)
        if case .listening(_, let name) = source { _ = desk.update { $0.address = name } }
        report(.setup)
        do throws(HostError) {
            desk.keep(try HostThread(name: "incoming") { [self] in receive(source) })
        } catch { throw .failed("\(error)") }
    }

    private func receive(_ source: MigrationAddress.Source) {
        do throws(StateError) {
            let channel = try connect(source)
            desk.use(channel)
            if let status = desk.update({ $0.status = .active }) { report(status) }
            let loaded = try take(source, channel)
            if let missing = loaded.missing, let rest = loaded.rest {
                return try receive(missing, behind: rest, loaded, channel)
            }
            let bitmaps = try bitmaps(of: loaded)
            let stands = try control.withLock { (_) throws(StateError) in try apply(loaded) }
            if loaded.answers {
                guard channel.isSocket else { throw .host("The sender waits for an answer that cannot be given") }
                try channel.send(MigrationWord.ready)
                guard try channel.receiveByte() == MigrationWord.go else {
                    throw .host("The sender has kept the machine")
                }
            }
            try takeImages()
            unload(bitmaps)
            state.withLock { $0.runState = stands ?? .paused }
            if let status = desk.update({ $0.status = .completed }) { report(status) }
            if stands == nil, desk.state.withLock({ $0.startsWhenThere }) { _ = run() }
            if !loaded.isFork { announceArrival() }
        } catch {
            if let status = desk.update({
                $0.status = .failed
                $0.error = error.description
            }) {
                report(status)
            }
            guard !desk.isCancelled else { return }
            log.error("load of migration failed: \(error)")
            end(status: 1, cause: nil)
        }
    }

    /// Takes a machine that runs before its memory is here.
    private func receive(
        _ missing: [PageSet], behind rest: StateReader, _ loaded: LoadedState, _ channel: MigrationChannel
    ) throws(StateError) {
        let late = try LateReceiver(missing, guestPages, channel, token: loaded.journey.token) {
            [self] (status, error) in
            if let error { log.warning("The machine's memory does not come: \(error)") }
            change { $0.status = status }
            if status == .completed {
                desk.state.withLock { state in
                    state.late = nil
                    state.lateReceiver = nil
                }
            }
        }
        desk.state.withLock { state in
            state.late = late
            state.lateReceiver = late
        }
        try late.start(rest)
        // Devices may look at memory that has yet to come: it is there for them like for guests.
        let bitmaps = try bitmaps(of: loaded)
        let stands = try control.withLock { (_) throws(StateError) in try apply(loaded) }
        try late.sayReady()
        try late.awaitWord()
        try takeImages()
        unload(bitmaps)
        state.withLock { $0.runState = stands ?? .paused }
        if stands == nil, desk.state.withLock({ $0.startsWhenThere }) { _ = run() }
        announceArrival()
    }

    public func recoverMigration(at address: String, descriptor: Descriptor?) throws(MachineError) {
        let (status, found) = desk.state.withLock { ($0.information.status, $0.lateReceiver) }
        guard status == .postcopyPaused, let late = found else {
            throw .failed("No migration whose memory follows is paused here")
        }
        let source = try MigrationAddress(address).openForReading(descriptor)
        if case .listening(_, let name) = source { _ = desk.update { $0.address = name } }
        do throws(HostError) {
            desk.keep(
                try HostThread(name: "recover") { [self] in
                    do throws(StateError) {
                        let channel = try connect(source)
                        desk.use(channel)
                        late.use(channel)
                    } catch { log.warning("The machine's memory does not come again: \(error)") }
                })
        } catch { throw .failed("\(error)") }
    }

    /// Reads the stream. Memory in a plain file may stay there until it is touched, and that of a parent is shared.
    private func take(
        _ source: MigrationAddress.Source, _ channel: MigrationChannel
    ) throws(StateError) -> LoadedState {
        let progress = { (count: UInt64) throws(StateError) in
            if self.desk.isCancelled { throw .cancelled }
            _ = self.desk.update { $0.transferred = count }
        }
        guard case .open(let file, nil) = source, let plain = FileStateSource(file) else {
            var loaded = try readState(
                channel,
                lanes: { (plan) throws(StateError) in
                    guard case .listening(let listener, _) = source, channel.isSocket else {
                        throw .host("Several connections come over 'unix:' or 'tcp:'")
                    }
                    return try ReceivingLanes(plan.lanes, token: plan.token, beside: channel) {
                        () throws(StateError) in try self.accept(listener)
                    }
                }, progress: progress)
            if loaded.isFork { try takeFrozenMemory(channel, &loaded) }
            return loaded
        }
        // Where the host does not allow it all is read first.
        let faults = configuration.lifecycle.restoresOnDemand ? try? PageFaults() : nil
        let loaded = try readState(plain, staysInFile: faults != nil, progress: progress)
        guard !loaded.isFork else { throw .host("A forked machine comes over a socket") }
        if let faults, let plan = loaded.late, !plan.isEmpty {
            do throws(HostError) {
                let late = try LateMemory(
                    plan, guestPages, file: plain.file, start: plain.start, faults: faults
                ) { [log] error in
                    log.error("load of migration failed: \(error)")
                    RawTerminal.restoreAny()
                    exitProcess(1)
                }
                desk.state.withLock { $0.late = late }
            } catch { throw .host("\(error)") }
        }
        return loaded
    }

    private func connect(_ source: MigrationAddress.Source) throws(StateError) -> MigrationChannel {
        switch source {
        case .open(let descriptor, let process):
            let channel = MigrationChannel(descriptor, process: process)
            if channel.isSocket { try secureIncoming(channel) }
            return channel
        case .listening(let listener, _): return try accept(listener)
        }
    }

    private func accept(_ listener: Descriptor) throws(StateError) -> MigrationChannel {
        while true {
            if desk.isCancelled || state.withLock({ $0.hasEnded }) { throw .cancelled }
            guard listener.wait(for: [.read], milliseconds: 100).contains(.read) else { continue }
            var socket: Descriptor?
            do throws(HostError) { socket = try Socket.accept(listener) } catch { throw .host("\(error)") }
            guard let socket else { continue }
            Socket.setNoDelay(socket)
            let channel = MigrationChannel(socket)
            try secureIncoming(channel)
            return channel
        }
    }

    private func secureIncoming(_ channel: MigrationChannel) throws(StateError) {
        guard let id = desk.settings.credentials else { return }
        try channel.startTLS(try credentials(id, isServer: true), host: nil)
    }

    // MARK: Images

    /// Takes the disks' images from the machine that had them.
    func takeImages() throws(StateError) {
        do throws(BlockError) { try board.storage.graph.activate() } catch { throw .host("\(error)") }
        board.storage.live.guestTakesDisks()
        desk.state.withLock { $0.hasGivenImages = false }
    }

    /// Lets another machine have them.
    func giveImages() throws(StateError) {
        do throws(BlockError) { try board.storage.graph.inactivate() } catch { throw .host("\(error)") }
        desk.state.withLock { $0.hasGivenImages = true }
    }

    // MARK: Settings

    public var migrationParameters: JSONObject { desk.settings.parameters }
    public func setMigrationParameters(_ parameters: JSONObject) throws(MachineError) {
        var settings = desk.settings
        try settings.set(parameters)
        let changed = settings
        desk.state.withLock { $0.settings = changed }
    }
    public var migrationCapabilities: [(name: String, isOn: Bool)] { desk.settings.capabilities }
    public func setMigrationCapabilities(_ capabilities: [(name: String, isOn: Bool)]) throws(MachineError) {
        guard !desk.information.status.isUnderWay else { throw .failed("There's a migration process in progress") }
        var settings = desk.settings
        try settings.set(capabilities)
        let changed = settings
        desk.state.withLock { $0.settings = changed }
    }
}
