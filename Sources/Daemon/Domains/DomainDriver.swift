internal import DomainModel
internal import HostOS
internal import Log
internal import NetworkSwitch
internal import RPCWire
internal import Synchronization

/// Domains: their definitions, their machines, and what is told of both. Called by workers, questions also by the loop.
final class DomainDriver: Sendable {
    /// Who passes events on.
    struct Outlet: Sendable {
        let event: @Sendable (DomainEvent, RemoteDomain) -> Void
        let monitor: @Sendable (String, MonitorEventDetails, RemoteDomain) -> Void
    }

    let paths: DaemonPaths
    let store: DomainStore
    let emulators: EmulatorList
    let networks: NetworkDriver
    let secrets: SecretDriver
    let snapshots: SnapshotStore
    let checkpoints: SnapshotStore
    let list = DomainList()
    let fileServers = FileServers()
    let tpms: TPMServers
    let owners: ImageOwners
    let imageLabels: ImageLabels
    let labels = MachineLabels()
    let loop: EventLoop
    let workers: WorkerPool
    let outlet: Outlet
    let log = Logger("domains")
    /// Tells this daemon from others, also of the same host.
    let identity = UUIDBytes.random().description

    init(
        paths: DaemonPaths, emulators: EmulatorList, networks: NetworkDriver, loop: EventLoop, workers: WorkerPool,
        secrets: SecretDriver, outlet: Outlet
    ) {
        self.secrets = secrets
        tpms = TPMServers(paths: paths, secrets: secrets)
        self.networks = networks
        self.paths = paths
        store = DomainStore(paths: paths)
        snapshots = SnapshotStore(path: paths.state + "/qemu/snapshot")
        checkpoints = SnapshotStore(path: paths.state + "/qemu/checkpoint")
        owners = ImageOwners(path: paths.run + "/owners")
        imageLabels = ImageLabels(path: paths.run + "/labels")
        self.emulators = emulators
        self.loop = loop
        self.workers = workers
        self.outlet = outlet
    }

    func emit(_ event: DomainEvent, _ domain: Domain) { outlet.event(event, domain.reference) }

    // MARK: - Looking up

    func find(_ reference: RemoteDomain) throws(LibvirtError) -> Domain {
        if let domain = list.find(uuid: reference.uuid) { return domain }
        throw LibvirtError.noDomain("no domain with matching uuid '\(reference.uuid)' (\(reference.name))")
    }

    func find(uuid: UUIDBytes) throws(LibvirtError) -> Domain {
        if let domain = list.find(uuid: uuid) { return domain }
        throw LibvirtError.noDomain("no domain with matching uuid '\(uuid)'")
    }

    func find(name: String) throws(LibvirtError) -> Domain {
        if let domain = list.find(name: name) { return domain }
        throw LibvirtError.noDomain("no domain with matching name '\(name)'")
    }

    func find(id: Int32) throws(LibvirtError) -> Domain {
        if let domain = list.find(id: id) { return domain }
        throw LibvirtError.noDomain("no domain with matching id \(id)")
    }

    // MARK: - Definitions

    /// Defines a domain, or defines it anew. A running one takes the new form up at its next start.
    func define(_ text: String) throws(LibvirtError) -> Domain {
        let parsed = try DomainDefaults.parse(text, emulators)
        while true {
            let (domain, isNew) = try list.findOrAdd(parsed.uuid, parsed.name)
            let done = try domain.job.run { () throws(LibvirtError) -> Bool in
                // Another client may have undefined it meanwhile.
                guard !domain.state.withLock({ $0.removed }) else { return false }
                do throws(LibvirtError) {
                    try store.save(parsed.name, parsed.tree)
                } catch {
                    if isNew { list.remove(domain) }
                    throw error
                }
                let tree = parsed.tree
                let updated = domain.state.withLock { state -> Bool in
                    defer { state.definition = tree }
                    if isNew { state.reason = VirDomainShutoffReason.unknown }
                    return state.definition != nil
                }
                emit(
                    .lifecycle(
                        VirDomainEventType.defined,
                        updated ? VirDomainEventDefinedDetailType.updated : VirDomainEventDefinedDetailType.added),
                    domain)
                return true
            }
            if done { return domain }
        }
    }

    func undefine(_ domain: Domain, flags: UInt32) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let (name, persistent, active) = domain.state.withLock { ($0.name, $0.definition != nil, $0.isActive) }
            guard persistent else { throw LibvirtError.operationInvalid("cannot undefine transient domain") }
            typealias Flags = VirDomainUndefineFlagsValues
            guard flags & (Flags.tpm | Flags.keepTpm) != Flags.tpm | Flags.keepTpm else {
                throw LibvirtError.invalidArgument(
                    "Flags 'VIR_DOMAIN_UNDEFINE_TPM' and 'VIR_DOMAIN_UNDEFINE_KEEP_TPM' are mutually exclusive")
            }
            let definition = domain.state.withLock { $0.definition }
            var variables: String?
            if let definition {
                variables = try checkVariables(definition, flags)
            }
            let count = domain.state.withLock { $0.snapshots.entries.count }
            if count > 0 {
                guard active || flags & VirDomainUndefineFlagsValues.snapshotsMetadata != 0 else {
                    throw LibvirtError.operationInvalid("cannot delete inactive domain with \(count) snapshots")
                }
                snapshots.removeAll(name)
                domain.state.withLock { $0.snapshots = SnapshotTree() }
            }
            let times = domain.state.withLock { $0.checkpoints.entries.count }
            if times > 0 {
                guard active || flags & VirDomainUndefineFlagsValues.checkpointsMetadata != 0 else {
                    throw LibvirtError.operationInvalid("cannot delete inactive domain with \(times) checkpoints")
                }
                checkpoints.removeAll(name)
                domain.state.withLock { $0.checkpoints = SnapshotTree() }
            }
            if store.hasSaved(name) {
                guard flags & VirDomainUndefineFlagsValues.managedSave != 0 else {
                    throw LibvirtError.operationInvalid(
                        "Refusing to undefine while domain managed save image exists")
                }
                try? HostFile.remove(store.savedPath(name))
            }
            if let variables { try onHost { () throws(HostError) in try HostFile.remove(variables) } }
            try store.remove(name)
            if let definition, !active { tpms.forget(domain.uuid, definition, flags: flags) }
            domain.state.withLock { state in
                state.definition = nil
                state.autostart = false
            }
            emit(.lifecycle(VirDomainEventType.undefined, VirDomainEventUndefinedDetailType.removed), domain)
            if !active { list.remove(domain) }
        }
    }

    func rename(_ domain: Domain, to name: String) throws(LibvirtError) {
        guard !name.isEmpty, !name.contains("/"), !name.contains("\n") else {
            throw LibvirtError.invalidArgument("name '\(name)' cannot be a domain's")
        }
        try domain.job.run { () throws(LibvirtError) in
            let (old, definition, active) = domain.state.withLock { ($0.name, $0.definition, $0.isActive) }
            guard var definition else { throw LibvirtError.operationInvalid("cannot rename a transient domain") }
            guard !active else { throw LibvirtError.operationInvalid("cannot rename active domain") }
            guard !store.hasSaved(old) else {
                throw LibvirtError.operationInvalid("cannot rename a domain with a managed save image")
            }
            let before = domain.reference
            try list.rename(domain, to: name)
            definition.setText("name", name)
            let autostart = store.hasAutostart(old)
            do throws(LibvirtError) { try store.save(name, definition) } catch {
                try? list.rename(domain, to: old)
                throw error
            }
            try? store.remove(old)
            if autostart { try? store.setAutostart(name, true) }
            renameVariables(definition, from: old, to: name)
            snapshots.rename(old, name)
            checkpoints.rename(old, name)
            domain.state.withLock { [definition] in $0.definition = definition }
            outlet.event(
                .lifecycle(VirDomainEventType.undefined, VirDomainEventUndefinedDetailType.renamed), before)
            emit(.lifecycle(VirDomainEventType.defined, VirDomainEventDefinedDetailType.renamed), domain)
        }
    }

    func setAutostart(_ domain: Domain, _ on: Bool) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let (name, persistent) = domain.state.withLock { ($0.name, $0.definition != nil) }
            guard persistent else { throw LibvirtError.operationInvalid("cannot set autostart for transient domain") }
            try store.setAutostart(name, on)
            domain.state.withLock { $0.autostart = on }
        }
    }

    // MARK: - The daemon's start

    /// Reads what is on the disk, takes up the machines that run, and starts those that are to be started by
    /// themselves.
    func load() {
        for tree in store.definitions() {
            guard let parsed = try? DomainDefaults.read(tree),
                let domain = try? list.findOrAdd(parsed.uuid, parsed.name).domain
            else {
                log.error("A definition of a domain cannot be used: \(tree.child("name")?.text ?? "")")
                continue
            }
            let autostart = store.hasAutostart(parsed.name)
            let known = snapshots.load(parsed.name)
            let times = checkpoints.load(parsed.name)
            domain.state.withLock { state in
                state.definition = parsed.tree
                state.snapshots = known
                state.checkpoints = times
                state.autostart = autostart
            }
        }
        for status in store.statuses() { takeUp(status) }
        endOrphans()
        let running = Set(list.all.filter(\.isActive).map(\.uuid))
        owners.releaseAll(except: running)
        imageLabels.releaseAll(except: running)
        if list.all.contains(where: \.isActive) { keepLogs() }
        for domain in list.all where domain.state.withLock({ $0.autostart && !$0.isActive }) {
            workers.submit { [self] in
                do { try start(domain, flags: 0) } catch {
                    log.error("Cannot start '\(domain.name)' by itself: \(error)")
                }
            }
        }
    }

    /// Has somebody keep the machines' logs small for as long as any runs.
    func keepLogs() { LogKeeper.start(program: networks.processes.client.program, paths) }
}
