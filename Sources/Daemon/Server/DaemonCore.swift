internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

/// What all parts of the daemon share: the connections' loop, the workers, who answers what, and the drivers.
final class DaemonCore: Sendable {
    let loop: EventLoop
    let workers = WorkerPool()
    let handlers: HandlerTable
    let paths: DaemonPaths
    let access: AccessRules
    let host: HostDescription
    let emulators: EmulatorList
    let domains: DomainDriver
    let networks: NetworkDriver
    let secrets: SecretDriver
    let filters: FilterDriver
    let storage: StorageDriver
    let log = Logger("daemon")
    private let core = Reference()
    private let sessions = Mutex<(next: UInt64, all: [UInt64: ClientSession])>((1, [:]))
    /// The core, for drivers that are made before it.
    private final class Reference: Sendable {
        private let held = Mutex<Weak>(Weak())
        private struct Weak { weak var core: DaemonCore? }
        var value: DaemonCore? {
            get { held.withLock { $0.core } }
            set { held.withLock { $0.core = newValue } }
        }
    }

    /// Connections at one time; more are closed at once.
    static let maximumSessions = 5000
    /// Of those, clients that have yet to prove who they are: they take nobody else's place.
    static let maximumStrangers = 1000

    init(
        paths: DaemonPaths, loop: EventLoop, emulators: [String], usesBridges: Bool? = nil,
        access: AccessRules = AccessRules()
    ) throws(HostError) {
        self.loop = loop
        self.access = access
        self.paths = paths
        host = HostDescription()
        self.emulators = EmulatorList(
            paths: emulators, cache: paths.state + "/qemu/capabilities",
            firmware: FirmwareCatalog(variables: paths.variables))
        handlers = HandlerTable.all
        let core = self.core
        let processes = NetworkProcesses(paths: paths, emulators: emulators, usesBridges: usesBridges)
        filters = FilterDriver(paths: paths)
        networks = NetworkDriver(paths: paths, processes: processes, filters: filters, loop: loop, workers: workers) {
            network, event in
            core.value?.deliver(.network, VirNetworkEventID.lifecycle, of: network.uuid) { number in
                try? Frame.event(
                    Remote.NetworkEventLifecycle.self, .init(callbackID: number, net: network, event: event, detail: 0))
            }
        }
        secrets = SecretDriver(paths: paths) { secret, event in
            let isValue = event == nil
            let id = isValue ? VirSecretEventID.valueChanged : VirSecretEventID.lifecycle
            core.value?.deliver(.secret, id, of: secret.uuid) { number in
                isValue
                    ? try? Frame.event(
                        Remote.SecretEventValueChanged.self, .init(callbackID: number, secret: secret))
                    : try? Frame.event(
                        Remote.SecretEventLifecycle.self,
                        .init(callbackID: number, secret: secret, event: event ?? 0, detail: 0))
            }
        }
        domains = DomainDriver(
            paths: paths, emulators: self.emulators, networks: networks, loop: loop, workers: workers,
            secrets: secrets,
            outlet: DomainDriver.Outlet(
                event: { event, domain in core.value?.deliver(event, of: domain) },
                monitor: { name, details, domain in core.value?.deliverMonitor(name, details, of: domain) }))
        storage = StorageDriver(paths: paths, secrets: secrets)
        core.value = self
        networks.setCards { [domains] in domains.liveCards }
    }

    /// Takes up what is on the disk.
    func load() {
        secrets.load()
        storage.load()
        filters.load()
        networks.load()
        domains.load()
        networks.plugAgain()
    }

    // MARK: - Sessions

    /// Takes up a connection that a listener accepted. On the loop's thread.
    func accept(_ transport: FrameTransport, _ origin: ClientOrigin, readOnly: Bool) {
        let session = sessions.withLock { sessions -> ClientSession? in
            guard sessions.all.count < DaemonCore.maximumSessions else { return nil }
            let session = ClientSession(number: sessions.next, daemon: self, origin: origin, readOnly: readOnly)
            if session.isStranger {
                let strangers = sessions.all.values.count { $0.isStranger }
                guard strangers < DaemonCore.maximumStrangers else { return nil }
            }
            sessions.all[sessions.next] = session
            sessions.next += 1
            return session
        }
        guard let session else { return log.warning("Too many connections: one was closed") }
        do { try session.start(transport) } catch {
            log.warning("\(error)")
            remove(session)
        }
    }

    func remove(_ session: ClientSession) { sessions.withLock { $0.all[session.number] = nil } }

    var sessionCount: Int { sessions.withLock { $0.all.count } }

    // MARK: - Events

    private var everybody: [ClientSession] { sessions.withLock { Array($0.all.values) } }

    /// Tells all subscribers of an event of a domain.
    func deliver(_ event: DomainEvent, of domain: RemoteDomain) {
        for session in everybody {
            let wanted = session.state.withLock { state in
                state.subscriptions.filter {
                    $0.value.family == .domain && $0.value.event == event.id
                        && ($0.value.object == nil || $0.value.object == domain.uuid)
                }
            }
            for (number, subscription) in wanted.sorted(by: { $0.key < $1.key }) {
                if let frame = event.frame(domain, callback: subscription.isLegacy ? nil : number) {
                    session.send(frame)
                }
            }
        }
    }

    /// Tells all subscribers of an event of another family; `frame` makes the message for a callback's number.
    func deliver(
        _ family: Subscription.Family, _ event: Int32, of object: UUIDBytes?, _ frame: (Int32) -> Frame?
    ) {
        for session in everybody {
            let wanted = session.state.withLock { state in
                state.subscriptions.filter {
                    $0.value.family == family && $0.value.event == event
                        && ($0.value.object == nil || $0.value.object == object)
                }
            }
            for number in wanted.keys.sorted() { if let frame = frame(number) { session.send(frame) } }
        }
    }

    /// Tells those who asked for QEMU's own events.
    func deliverMonitor(_ event: String, _ details: MonitorEventDetails, of domain: RemoteDomain) {
        for session in everybody {
            let wanted = session.state.withLock { state in
                state.subscriptions.filter {
                    guard case .monitor(let name) = $0.value.family else { return false }
                    return (name == nil || name == event) && ($0.value.object == nil || $0.value.object == domain.uuid)
                }
            }
            for number in wanted.keys.sorted() {
                let body = RemoteQEMU.DomainMonitorEvent.Body(
                    callbackID: number, dom: domain, event: event, seconds: details.seconds,
                    micros: details.microseconds,
                    details: details.data)
                if let frame = try? Frame.event(RemoteQEMU.DomainMonitorEvent.self, body) { session.send(frame) }
            }
        }
    }

    /// Before the daemon ends.
    func closeSessions() {
        for session in everybody { session.close() }
    }
}

/// The rest of an event of a machine's monitor.
struct MonitorEventDetails: Sendable {
    let seconds: Int64
    let microseconds: UInt32
    /// JSON.
    let data: String?
}
