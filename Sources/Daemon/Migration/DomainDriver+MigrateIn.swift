internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// Machines that come from another daemon: the destination's part of libvirt's third protocol, Prepare and Finish.
extension DomainDriver {
    private typealias Flags = VirDomainMigrateFlags

    /// How the state comes.
    enum Arrival {
        /// Over a socket of its own; `address` is this host's for the source.
        case socket(address: String)
        /// Through a stream of a client.
        case tunnel(ClientSession)
    }

    /// What a client is told of a machine that is waited for.
    struct Prepared {
        var domain: Domain
        var cookie: [UInt8]
        var uri: String?
        var tunnel: TunnelStream?
        /// There is no machine: only a definition comes.
        var isOffline = false
    }

    /// Starts a machine that waits for its state.
    func prepareMigration(
        _ request: MigrationRequest, _ bytes: [UInt8], _ arrival: Arrival
    ) throws(LibvirtError) -> Prepared {
        try request.check()
        let theirs = try MigrationCookie(bytes)
        guard theirs.hostUUID.isEmpty || theirs.hostUUID != identity else {
            throw LibvirtError.internalError("Attempt to migrate guest to the same host \(theirs.hostUUID)")
        }
        let parsed = try parse(request.document, name: request.name)
        var cookie = MigrationCookie()
        cookie.name = parsed.name
        cookie.uuid = parsed.uuid.description
        cookie.hostName = HostIdentity.hostName
        cookie.hostUUID = identity
        let (domain, isNew) = try list.findOrAdd(parsed.uuid, parsed.name)
        if request.has(Flags.offline) {
            if isNew { list.remove(domain) }
            // Clients look for an address even where nothing goes there.
            var uri: String?
            if case .socket(let address) = arrival {
                uri = "tcp:\(address.contains(":") ? "[\(address)]" : address):49152"
            }
            return Prepared(domain: domain, cookie: cookie.bytes, uri: uri, isOffline: true)
        }
        return try domain.job.run { () throws(LibvirtError) in
            guard !domain.isActive else {
                throw LibvirtError.operationInvalid("domain '\(parsed.name)' is already active")
            }
            var made: [String] = []
            do throws(LibvirtError) {
                made = try makeImages(parsed.tree, request, theirs.disks)
                let machine = try launchIncoming(domain, parsed.tree, isLate: request.has(Flags.postcopy))
                cookie.screen = domain.state.withLock { $0.live }.flatMap { ScreenPlace(live: $0) }
                var migration = Migration(isIncoming: true)
                migration.made = made
                var prepared = Prepared(domain: domain, cookie: cookie.bytes)
                do throws(LibvirtError) {
                    let monitor = try machine.qmp()
                    try agree(monitor, request)
                    try secure(domain, monitor, request, isServer: true)
                    switch arrival {
                    case .tunnel(let session):
                        let tunnel = try receive(machine, from: session)
                        migration.tunnel = tunnel
                        prepared.tunnel = tunnel
                    case .socket(let address):
                        if request.has(Flags.parallel) {
                            migration.relay = try listenInFolder(domain, machine)
                        }
                        let listener = try listen(request, address, machine, migration.relay)
                        migration.listener = listener
                        prepared.uri = listener.uri
                        cookie.disksPort = try exportDisks(
                            domain, machine, request, address: listener.host, link: &migration.disksLink)
                        migration.exportsDisks = request.copiesDisks
                        prepared.cookie = cookie.bytes
                    }
                } catch {
                    if let link = migration.disksLink { try? HostFile.remove(link) }
                    migration.listener?.close()
                    try? end(domain, machine, VirDomainShutoffReason.failed, VirDomainEventStoppedDetailType.failed)
                    throw error
                }
                domain.state.withLock { [migration] in $0.migration = migration }
                return prepared
            } catch {
                for path in made { try? HostFile.remove(path) }
                if isNew { list.remove(domain) }
                throw error
            }
        }
    }

    /// A document as the source sent it, under the name that it has here.
    private func parse(_ text: String?, name: String?) throws(LibvirtError) -> DomainDefaults.Parsed {
        guard let text else { throw LibvirtError.internalError("no domain XML passed") }
        guard let name else { return try DomainDefaults.parse(text, emulators) }
        var tree: XMLTree
        do throws(DefinitionError) { tree = try XMLReader.parse(text, document: "(domain_definition)") } catch {
            throw LibvirtError(error, VirErrorDomain.none)
        }
        tree.setText("name", name)
        return try DomainDefaults.parse(XMLWriter.write(tree), emulators)
    }

    private func listen(
        _ request: MigrationRequest, _ address: String, _ machine: RunningMachine, _ relay: SocketRelay?
    ) throws(LibvirtError) -> IncomingState {
        var place = MigrationPlace.tcp(ListenerOptions.Place(host: request.listenAddress ?? "", port: 0))
        var address = address
        if let uri = request.uri {
            place = try MigrationRequest.place(uri)
            if case .tcp(let wanted) = place {
                // A name that others know this host by is not always one to listen on.
                if !wanted.host.isEmpty { address = wanted.host }
                place = .tcp(ListenerOptions.Place(host: request.listenAddress ?? "", port: wanted.port))
            }
        }
        return try onHost { () throws(HostError) in
            try IncomingState(place, address: address, loop: loop, takesOne: relay == nil) { [workers, log] socket in
                // Others wait for what comes: they must not be in its way.
                workers.submit(urgent: true) {
                    if let relay { return relay.join(socket) }
                    do throws(LibvirtError) { try DomainDriver.hand(socket, to: machine) } catch {
                        log.warning("A machine's state cannot come: \(error)")
                    }
                }
            }
        }
    }

    private static func hand(_ descriptor: Descriptor, to machine: RunningMachine) throws(LibvirtError) {
        let monitor = try machine.qmp()
        try monitor.execute("getfd", ["fdname": "migrate"], passing: descriptor)
        try monitor.execute("migrate-incoming", ["uri": "fd:migrate"])
    }

    private func receive(_ machine: RunningMachine, from session: ClientSession) throws(LibvirtError) -> TunnelStream {
        let (input, tunnel) = try onHost { () throws(HostError) -> (Descriptor, TunnelStream) in
            let (input, output) = try DescriptorPair.pipe()
            try output.setNonBlocking()
            return (input, TunnelStream(session, output))
        }
        try DomainDriver.hand(input, to: machine)
        try onHost { () throws(HostError) in try tunnel.start() }
        return tunnel
    }

    /// The source will not run the machine any more, or (`cancelled`) still does.
    func finishMigration(
        _ request: MigrationRequest, _ bytes: [UInt8], cancelled: Bool
    ) throws(LibvirtError) -> (domain: Domain, cookie: [UInt8]) {
        guard let name = request.name else { throw LibvirtError.invalidArgument("the domain's name is missing") }
        let theirs = try MigrationCookie(bytes)
        if request.has(Flags.offline) {
            guard !cancelled else { throw DomainDriver.givenUp }
            return (try definePersistent(request, theirs, name: name), [])
        }
        // A machine that has ended already ends nothing but this step.
        if cancelled, list.find(name: name)?.state.withLock({ $0.migration?.isIncoming }) != true {
            throw DomainDriver.givenUp
        }
        let domain = try find(name: name)
        return try domain.job.run { () throws(LibvirtError) in
            guard let migration = domain.state.withLock({ $0.migration }), migration.isIncoming,
                let machine = domain.machine
            else { throw LibvirtError.operationFailed("domain '\(name)' is not processing incoming migration") }
            defer { migration.listener?.close() }
            var isLate = false
            do throws(LibvirtError) {
                guard !cancelled else { throw DomainDriver.givenUp }
                guard migration.listener?.hasCome(within: 5_000_000_000) != false else {
                    throw LibvirtError.operationFailed("no state of '\(name)' came")
                }
                migration.tunnel?.release()
                try waitForArrival(machine)
                isLate = request.has(Flags.postcopy) ? try self.isLate(machine) : false
                if migration.exportsDisks { try machine.qmp().execute("nbd-server-stop") }
                if !isLate { unsecure(domain, try machine.qmp()) }
                domain.state.withLock { $0.relay = nil }
                if let link = migration.disksLink { try? HostFile.remove(link) }
                if request.has(Flags.persistDest) { _ = try definePersistent(request, theirs, name: name) }
                if !request.has(Flags.paused) {
                    try machine.qmp().execute("cont")
                    machine.settle()
                }
            } catch {
                try? end(domain, machine, VirDomainShutoffReason.failed, VirDomainEventStoppedDetailType.failed)
                throw error
            }
            let paused = request.has(Flags.paused)
            if isLate {
                if !paused {
                    change(domain, VirDomainState.running, VirDomainRunningReason.postcopy)
                    emit(.lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.postcopy), domain)
                }
                try waitForMemory(ofArrived: domain, machine)
                unsecure(domain, try machine.qmp())
            }
            domain.state.withLock { state in
                state.migration = nil
                guard state.machine === machine else { return }
                state.state = paused ? VirDomainState.paused : VirDomainState.running
                state.reason = paused ? VirDomainPausedReason.user : VirDomainRunningReason.migrated
            }
            try? writeStatus(domain)
            emit(
                paused
                    ? .lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.paused)
                    : .lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.migrated), domain)
            return (domain, [])
        }
    }

    /// The end of a migration that the source has ended. Clients look for its number: then they tell the source's error.
    private static let givenUp = LibvirtError(
        code: VirErrorNumber.migrateFinishOk, message: "migration successfully aborted")

    /// Defines what the source has defined, beside what came.
    private func definePersistent(
        _ request: MigrationRequest, _ cookie: MigrationCookie, name: String
    ) throws(LibvirtError) -> Domain {
        let running = list.find(name: name)?.state.withLock { $0.live }
        guard
            let text = request.persistentDocument ?? cookie.persistent.map({ XMLWriter.write($0) })
                ?? (request.has(Flags.offline) ? request.document : nil)
                ?? running.map({ XMLWriter.write(MigratableDocument.make($0, runFolder: paths.running)) })
        else { throw LibvirtError.internalError("no persistent definition passed") }
        let parsed = try parse(text, name: name)
        let (domain, _) = try list.findOrAdd(parsed.uuid, parsed.name)
        try store.save(parsed.name, parsed.tree)
        let updated = domain.state.withLock { state -> Bool in
            defer { state.definition = parsed.tree }
            return state.definition != nil
        }
        emit(
            .lifecycle(
                VirDomainEventType.defined,
                updated ? VirDomainEventDefinedDetailType.updated : VirDomainEventDefinedDetailType.added), domain)
        return domain
    }

    /// Starts a process that waits for a machine's state. The job is held.
    private func launchIncoming(
        _ domain: Domain, _ definition: XMLTree, isLate: Bool
    ) throws(LibvirtError) -> RunningMachine {
        if isLate { try DomainDriver.checkPageFaults() }
        let path = definition.at("devices", "emulator")?.text ?? emulators.standard?.path ?? ""
        guard let emulator = emulators.emulator(path) else {
            throw LibvirtError.configUnsupported("Emulator '\(path)' cannot be used on this host")
        }
        let id = list.activate(domain)
        do throws(LibvirtError) {
            let (machine, live, messages) = try startProcess(
                domain, definition, emulator, id, domain.name,
                isLate ? .lateMigration("defer") : .migration("defer"))
            domain.state.withLock { state in
                state.machine = machine
                state.live = live
                state.state = VirDomainState.paused
                state.reason = VirDomainPausedReason.migration
                state.ending = nil
                state.restartsOnShutdown = false
                state.messages = messages
            }
            try? writeStatus(domain)
            emit(.lifecycle(VirDomainEventType.started, VirDomainEventStartedDetailType.migrated), domain)
            watchEnd(domain, machine)
            return machine
        } catch {
            list.deactivate(domain)
            releaseImages(domain)
            store.removeStatus(domain.name)
            for card in DomainFigures.devices(definition, "interface") { networks.release(card) }
            domain.state.withLock { state in
                state.machine = nil
                state.live = nil
                state.state = VirDomainState.shutoff
                state.reason = VirDomainShutoffReason.failed
            }
            throw error
        }
    }
}
