internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

/// Virtual networks: their definitions, their lives, and who is on them.
///
/// A network is a process of its own (`NetworkProcesses`), which the daemon starts, watches, and finds again after a
/// restart of its own.
final class NetworkDriver: Sendable {
    private struct State {
        var networks: [UUIDBytes: VirtualNet] = [:]
        /// Names that cards were given, by the cards' addresses: of machines that start at this moment too.
        var cards: [MACAddress: String] = [:]
    }

    private let state = Mutex(State())
    private let definitions: DocumentFolder
    private let running: DocumentFolder
    let processes: NetworkProcesses
    let filters: FilterDriver
    let loop: EventLoop
    let workers: WorkerPool
    private let cards = Mutex<@Sendable () -> [LiveCard]>({ [] })
    /// Tells subscribers of a lifecycle event (`virNetworkEventLifecycleType`).
    private let tell: @Sendable (RemoteNetwork, Int32) -> Void
    let log = Logger("networks")

    init(
        paths: DaemonPaths, processes: NetworkProcesses, filters: FilterDriver, loop: EventLoop, workers: WorkerPool,
        tell: @escaping @Sendable (RemoteNetwork, Int32) -> Void
    ) {
        definitions = DocumentFolder(path: paths.domains + "/networks")
        running = DocumentFolder(path: paths.run + "/network")
        self.processes = processes
        self.filters = filters
        self.loop = loop
        self.workers = workers
        self.tell = tell
    }

    /// Says who knows the cards of machines that run.
    func setCards(_ source: @escaping @Sendable () -> [LiveCard]) { cards.withLock { $0 = source } }

    /// Cards of machines that run.
    var liveCards: [LiveCard] { cards.withLock { $0 }() }

    static func fail(_ error: LibvirtError) -> LibvirtError { error.from(VirErrorDomain.network) }

    // MARK: - Looking up

    /// All, by name.
    var all: [VirtualNet] { state.withLock { Array($0.networks.values) }.sorted { $0.name < $1.name } }

    private static func none(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.noNetwork, domain: VirErrorDomain.network, message: "Network not found: " + detail,
            detail: detail)
    }

    func find(_ reference: RemoteNetwork) throws(LibvirtError) -> VirtualNet {
        if let found = state.withLock({ $0.networks[reference.uuid] }) { return found }
        throw NetworkDriver.none("no network with matching uuid '\(reference.uuid)' (\(reference.name))")
    }

    func find(uuid: UUIDBytes) throws(LibvirtError) -> VirtualNet {
        if let found = state.withLock({ $0.networks[uuid] }) { return found }
        throw NetworkDriver.none("no network with matching uuid '\(uuid)'")
    }

    func find(name: String) throws(LibvirtError) -> VirtualNet {
        if let found = all.first(where: { $0.name == name }) { return found }
        throw NetworkDriver.none("no network with matching name '\(name)'")
    }

    // MARK: - Definitions

    private func parse(_ text: String) throws(LibvirtError) -> VirtualNetwork {
        do throws(DefinitionError) {
            var network = try VirtualNetwork(xml: text)
            var generator = SystemRandomNumberGenerator()
            network.fillIn(bridge: freeBridge(except: network), using: &generator)
            network.connections = nil
            try NetworkDriver.check(network)
            return network
        } catch {
            throw LibvirtError(error, VirErrorDomain.network)
        }
    }

    /// What the schema cannot say.
    private static func check(_ network: VirtualNetwork) throws(DefinitionError) {
        let mode = network.forward?.mode
        if mode == "bridge" || mode == "hostdev" || mode == "private" || mode == "vepa" || mode == "passthrough" {
            if !network.addresses.isEmpty {
                throw DefinitionError(
                    .configUnsupported,
                    "unsupported configuration: Unsupported <ip> element in network \(network.name) in forward mode "
                        + "'\(mode ?? "")'")
            }
        } else if mode == "nat" || mode == "route", network.addresses.isEmpty {
            throw DefinitionError(
                .xmlError,
                "XML error: \(mode ?? "") forwarding requested, but no IP address provided for network "
                    + "'\(network.name)'")
        }
        for entry in network.addresses where entry.family != "ipv6" {
            guard let address = entry.address.flatMap({ IPv4Subnet.number($0) }) else {
                throw DefinitionError(
                    .xmlError, "XML error: Invalid address '\(entry.address ?? "")' in network '\(network.name)'")
            }
            var alone = VirtualNetwork()
            alone.addresses = [entry]
            guard let subnet = IPv4Subnet(alone), let dhcp = entry.dhcp else { continue }
            for range in dhcp.ranges {
                guard let first = IPv4Subnet.number(range.start), let last = IPv4Subnet.number(range.end) else {
                    throw DefinitionError(.xmlError, "XML error: invalid dhcp range in network '\(network.name)'")
                }
                let mask = subnet.prefix == 0 ? 0 : ~UInt32(0) << (32 - subnet.prefix)
                guard first <= last, first & mask == address & mask, last & mask == address & mask else {
                    throw DefinitionError(
                        .internalError,
                        "internal error: range \(range.start) - \(range.end) is not entirely within network "
                            + "\(entry.address ?? "")/\(subnet.prefix)")
                }
            }
        }
    }

    /// A bridge's name that no other network has.
    private func freeBridge(except network: VirtualNetwork) -> String {
        let used = Set(
            all.flatMap { net in
                net.state.withLock { [$0.definition?.bridge?.name, $0.live?.bridge?.name].compactMap { $0 } }
            })
        return (0...).lazy.map { "virbr\($0)" }.first { !used.contains($0) } ?? "virbr0"
    }

    /// Enters a definition; an error if its name, UUID or bridge belongs to another network.
    private func enter(_ network: VirtualNetwork) throws(LibvirtError) -> VirtualNet {
        guard let uuid = network.uuid.flatMap({ UUIDBytes($0.bytes) }) else {
            throw NetworkDriver.fail(.internalError("malformed uuid element"))
        }
        let result = state.withLock { state -> Result<VirtualNet, LibvirtError> in
            for (other, net) in state.networks where other != uuid {
                if net.name == network.name {
                    return .failure(
                        .operationFailed("network '\(network.name)' already exists with uuid \(other)"))
                }
                let bridges = net.state.withLock { [$0.definition?.bridge?.name, $0.live?.bridge?.name] }
                if let bridge = network.bridge?.name, bridges.contains(bridge) {
                    return .failure(.internalError("bridge name '\(bridge)' already in use."))
                }
            }
            if let net = state.networks[uuid] {
                guard net.name == network.name else {
                    return .failure(
                        .operationFailed("network '\(net.name)' is already defined with uuid \(uuid)"))
                }
                return .success(net)
            }
            let net = VirtualNet(uuid: uuid, state: VirtualNet.State(name: network.name))
            state.networks[uuid] = net
            return .success(net)
        }
        do { return try result.get() } catch { throw NetworkDriver.fail(error) }
    }

    /// A name for a card that no other has.
    func name(_ mac: MACAddress?, prefix: String, besides taken: Set<String>) -> String {
        state.withLock { state in
            let used = taken.union(state.cards.filter { $0.key != mac }.values)
            let name = (0...).lazy.map { "\(prefix)\($0)" }.first { !used.contains($0) } ?? "\(prefix)0"
            if let mac { state.cards[mac] = name }
            return name
        }
    }

    /// A card has a name of its definition's choice.
    func note(_ mac: MACAddress, _ name: String) { state.withLock { $0.cards[mac] = name } }

    /// The name that a card was given.
    func name(of mac: MACAddress) -> String? { state.withLock { $0.cards[mac] } }

    /// Names that cards have, of machines that start at this moment too.
    var names: Set<String> { state.withLock { Set($0.cards.values) } }

    /// The card has gone.
    func forget(_ mac: MACAddress) { state.withLock { $0.cards[mac] = nil } }

    private func drop(_ net: VirtualNet) { state.withLock { $0.networks[net.uuid] = nil } }

    func define(_ text: String, validateOnly: Bool = false) throws(LibvirtError) -> VirtualNet {
        let network = try parse(text)
        let net = try enter(network)
        try net.job.run { () throws(LibvirtError) in try keep(net, network) }
        tell(net.reference, VirNetworkEventLifecycleType.defined)
        return net
    }

    /// Writes a definition down.
    func keep(_ net: VirtualNet, _ network: VirtualNetwork) throws(LibvirtError) {
        do throws(LibvirtError) { try definitions.save(network.name, network.tree(options: [.inactive])) } catch {
            if !net.isActive, !net.isPersistent { drop(net) }
            throw error
        }
        net.state.withLock { $0.definition = network }
    }

    /// Changes what runs.
    func keepLive(_ net: VirtualNet, _ network: VirtualNetwork) throws(LibvirtError) {
        net.state.withLock { $0.live = network }
        try running.save(network.name, network.tree())
    }

    func undefine(_ net: VirtualNet) throws(LibvirtError) {
        try net.job.run { () throws(LibvirtError) in
            guard net.isPersistent else {
                throw NetworkDriver.fail(.operationInvalid("can't undefine transient network"))
            }
            try definitions.remove(net.name)
            let active = net.state.withLock { state in
                state.definition = nil
                state.autostart = false
                return state.live != nil
            }
            tell(net.reference, VirNetworkEventLifecycleType.undefined)
            if !active { drop(net) }
        }
    }

    func setAutostart(_ net: VirtualNet, _ on: Bool) throws(LibvirtError) {
        guard net.isPersistent else {
            throw NetworkDriver.fail(.operationInvalid("cannot set autostart for transient network"))
        }
        try definitions.setAutostart(net.name, on)
        net.state.withLock { $0.autostart = on }
    }

    // MARK: - Lives

    func create(_ text: String) throws(LibvirtError) -> VirtualNet {
        let network = try parse(text)
        let net = try enter(network)
        do throws(LibvirtError) {
            try net.job.run { () throws(LibvirtError) in
                guard !net.isActive else {
                    throw NetworkDriver.fail(.operationInvalid("network '\(net.name)' is already active"))
                }
                try begin(net, network)
            }
        } catch {
            if !net.isActive, !net.isPersistent { drop(net) }
            throw error
        }
        return net
    }

    func start(_ net: VirtualNet) throws(LibvirtError) {
        try net.job.run { () throws(LibvirtError) in
            guard !net.isActive else {
                throw NetworkDriver.fail(.operationInvalid("network is already active"))
            }
            guard let network = net.state.withLock({ $0.definition }) else { throw NetworkDriver.none("'\(net.uuid)'") }
            try begin(net, network)
        }
    }

    private func begin(_ net: VirtualNet, _ network: VirtualNetwork) throws(LibvirtError) {
        var live = network
        live.fillInStarted()
        try processes.start(live)
        do throws(LibvirtError) { try keepLive(net, live) } catch {
            try? processes.stop(live)
            throw error
        }
        watch(net)
        plugAgain(net)
        tell(net.reference, VirNetworkEventLifecycleType.started)
    }

    func stop(_ net: VirtualNet) throws(LibvirtError) {
        try net.job.run { () throws(LibvirtError) in
            guard let live = net.state.withLock({ $0.live }) else {
                throw NetworkDriver.fail(.operationInvalid("network '\(net.name)' is not active"))
            }
            net.unwatch()
            try processes.stop(live)
            try hasStopped(net)
        }
    }

    /// Notes that a network runs no more.
    func hasStopped(_ net: VirtualNet) throws(LibvirtError) {
        try running.remove(net.name)
        let persistent = net.state.withLock { state in
            state.live = nil
            return state.definition != nil
        }
        tell(net.reference, VirNetworkEventLifecycleType.stopped)
        if !persistent { drop(net) }
    }

    // MARK: - The daemon's start

    /// Reads what is defined and what was running, and starts what starts by itself. A host that never had networks
    /// gets the one that clients expect.
    func load() {
        if !definitions.exists { makeDefault() }
        for (name, tree) in definitions.all {
            guard let network = try? VirtualNetwork(tree: tree), let net = try? enter(network) else {
                log.error("A network cannot be used: '\(name)'")
                continue
            }
            let starts = definitions.hasAutostart(name)
            net.state.withLock { state in
                state.definition = network
                state.autostart = starts
            }
        }
        for (name, tree) in running.all {
            guard let network = try? VirtualNetwork(tree: tree), let net = try? enter(network) else {
                log.error("A running network cannot be taken up: '\(name)'")
                continue
            }
            net.state.withLock { $0.live = network }
            takeUp(net, network)
        }
        startByThemselves()
    }

    private func makeDefault() {
        let text = """
            <network><name>default</name><forward mode='nat'/><bridge name='virbr0' stp='on' delay='0'/>\
            <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp>\
            <range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>
            """
        do {
            let net = try define(text)
            try setAutostart(net, true)
        } catch {
            log.error("Cannot make the default network: \(error)")
        }
    }
}
