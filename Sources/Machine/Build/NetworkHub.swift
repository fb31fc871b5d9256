internal import Devices
internal import HostOS
internal import JSON
internal import Network
internal import Synchronization

/// The network back-ends of a machine by name.
final class NetworkHub: Sendable {
    private struct Entry: Sendable {
        let backend: WatchedNetwork
        let text: String
        let number: Int
        var isUsed = false
        /// The process that a card of this back-end speaks with.
        var vhostUser: VhostUserNetwork?
        /// The kernel's devices that may move its frames.
        var vhost: VhostTaps?
        var user: UserNetwork? { backend.backend as? UserNetwork }
    }
    private struct State {
        var entries: [String: Entry] = [:]
        var hubs: [Int: FrameHub] = [:]
        var next = 0
    }
    private let state = Mutex(State())
    let lifecycle: LifecyclePort

    /// Makes all back-ends of a configuration, and the captures of its `filter-dump` objects.
    init(_ configuration: MachineConfiguration, lifecycle: LifecyclePort) throws(MachineBuildError) {
        self.lifecycle = lifecycle
        do throws(MachineBuildError) {
            for network in configuration.networks { try add(network) }
            for object in configuration.objects where object.type == "filter-dump" { try addCapture(object) }
        } catch {
            close()
            throw error
        }
    }

    /// Makes one more back-end.
    func add(_ network: NetworkConfiguration) throws(MachineBuildError) {
        guard network.kind.isSupported else {
            throw MachineBuildError("network back-end '\(network.kind.rawValue)' is not supported")
        }
        guard state.withLock({ $0.entries[network.id] == nil }) else {
            throw MachineBuildError("Duplicate ID '\(network.id)' for netdev")
        }
        let made: NetworkMaker.Made
        do throws(UserNetworkError) {
            made = try make(network)
        } catch { throw MachineBuildError("-netdev \(network.kind.rawValue),id=\(network.id): \(error)") }
        state.withLock { state in
            state.entries[network.id] = Entry(
                backend: WatchedNetwork(made.backend), text: "index=0,\(made.text)", number: state.next)
            if case .vhostUser(let other) = network.peer { state.entries[network.id]?.vhostUser = other }
            state.entries[network.id]?.vhost = made.vhost
            state.next += 1
        }
    }

    private func make(_ network: NetworkConfiguration) throws(UserNetworkError) -> NetworkMaker.Made {
        let (lifecycle, id) = (lifecycle, network.id)
        let maker = NetworkMaker(id: id) { change in
            switch change {
            case .connected(let address): lifecycle.send(.networkConnected(id: id, address: address))
            case .disconnected: lifecycle.send(.networkDisconnected(id: id))
            }
        }
        do {
            switch network.peer {
            case .none:
                let options = try Self.options(network.user)
                let restrict = options.isRestricted ? "on" : "off"
                return NetworkMaker.Made(
                    try UserNetwork(options, name: id), "type=user,net=\(options.network),restrict=\(restrict)")
            case .stream(let address, let isServer, let reconnect, let hasHeaders):
                return try maker.stream(address, isServer, reconnect, hasHeaders)
            case .datagram(let local, let remote): return try maker.datagram(local, remote)
            case .tap(let options): return try maker.tap(options)
            case .bridge(let name, let helper): return try maker.bridge(name, helper)
            case .packet(let interface): return try maker.packet(interface)
            // Frames never come here: the card hands its queues to the process.
            case .vhostUser(let other):
                return NetworkMaker.Made(NoNetwork(), "type=vhost-user,vhost-user0 to \(other.characterDevice)")
            case .hub(let number, let other): return try hubPort(number, other, id)
            }
        } catch let error as UserNetworkError {
            throw error
        } catch {
            throw UserNetworkError.host("\(error)")
        }
    }

    private func hubPort(_ number: Int, _ other: String?, _ id: String) throws -> NetworkMaker.Made {
        var joined: (any NetworkBackend)?
        if let other {
            guard let taken = take(other) else {
                throw UserNetworkError.host("netdev '\(other)' is not there or already in use")
            }
            joined = taken
        }
        let hub = state.withLock { state in
            if let hub = state.hubs[number] { return hub }
            let hub = FrameHub()
            state.hubs[number] = hub
            return hub
        }
        let words = other.map { ",netdev=\($0)" } ?? ""
        return NetworkMaker.Made(
            try hub.makePort(joining: joined, name: id), "type=hubport,hubid=\(number)\(words)")
    }

    /// Ends a back-end that no card has.
    func remove(_ id: String) throws(MachineError) {
        let entry = try state.withLock { state throws(MachineError) -> Entry in
            guard let entry = state.entries[id] else { throw .deviceNotFound(id) }
            guard !entry.isUsed else { throw .failed("Device '\(id)' is in use by a network card") }
            state.entries[id] = nil
            return entry
        }
        entry.backend.stop()
    }

    private static func options(
        _ user: UserNetworkConfiguration
    ) throws(UserNetworkError) -> Network.UserNetworkConfiguration {
        var options = Network.UserNetworkConfiguration()
        if let ipv4 = user.ipv4 { options.hasIPv4 = ipv4 }
        if let ipv6 = user.ipv6 { options.hasIPv6 = ipv6 }
        options.isRestricted = user.restricted
        let texts = [
            ("net", user.network), ("host", user.host), ("ipv6-net", user.ipv6Network), ("ipv6-host", user.ipv6Host),
            ("hostname", user.hostname), ("dhcpstart", user.dhcpStart), ("dns", user.dns), ("ipv6-dns", user.ipv6DNS),
            ("domainname", user.domainName), ("tftp", user.tftp), ("tftp-server-name", user.tftpServerName),
            ("bootfile", user.bootFile),
        ]
        for (name, value) in texts {
            if let value { try options.set(name, value) }
        }
        for domain in user.dnsSearch { try options.set("dnssearch", domain) }
        for forward in user.hostForwards {
            let kind = forward.isUDP ? "udp" : "tcp"
            let host = "\(kind):\(forward.hostAddress):\(forward.hostPort)"
            try options.set("hostfwd", "\(host)-\(forward.guestAddress):\(forward.guestPort)")
        }
        for forward in user.guestForwards { try options.set("guestfwd", forward) }
        try options.validate()
        return options
    }

    // MARK: - Cards

    /// A card's back-end; nil where the name is not there or another card has it.
    func take(_ id: String) -> (any NetworkBackend)? {
        state.withLock { state in
            guard let entry = state.entries[id], !entry.isUsed else { return nil }
            state.entries[id]?.isUsed = true
            return entry.backend
        }
    }

    /// A card's back-end is free again.
    func giveBack(_ id: String) {
        state.withLock { state in
            state.entries[id]?.isUsed = false
            return state.entries[id]?.vhost
        }?.network.setLent(false)
    }

    /// The kernel's devices that a virtio card has its frames moved by, until it gives the back-end back; nil where there
    /// are none, or the frames are to be seen here.
    func lend(_ id: String) -> [VhostTap]? {
        guard let entry = state.withLock({ $0.entries[id] }), let vhost = entry.vhost, !entry.backend.isCaptured else {
            return nil
        }
        vhost.network.setLent(true)
        return vhost.pairs
    }

    /// The process that a card of this back-end speaks with; nil where there is none.
    func vhostUser(_ id: String) -> VhostUserNetwork? { state.withLock { $0.entries[id]?.vhostUser } }

    /// The line of `info network` for a back-end.
    func text(of id: String) -> String { state.withLock { $0.entries[id]?.text } ?? "" }

    /// Back-ends without a card.
    var unused: [NetworkStatus] {
        state.withLock { state in
            state.entries.filter { !$0.value.isUsed }.sorted { $0.value.number < $1.value.number }.map {
                NetworkStatus(name: "", text: "", backend: $0.key, backendText: $0.value.text)
            }
        }
    }

    /// Plugs a back-end's cable in or out; false where there is none of the name.
    func setLink(_ id: String, isUp: Bool) -> Bool {
        guard let entry = state.withLock({ $0.entries[id] }) else { return false }
        entry.backend.setLink(up: isUp)
        return true
    }

    /// Returns when cards have had what waits in hubs, as far as they have room. The rest is lost where that is wanted.
    func settle(losingRest: Bool) {
        for entry in state.withLock({ $0.entries }).values {
            guard let port = entry.backend.backend as? HubPort else { continue }
            if losingRest { entry.backend.setLink(up: false) }
            port.settle()
            if losingRest { entry.backend.setLink(up: true) }
        }
    }

    // MARK: - Forwards

    /// The `user` back-end of a name, or the only one.
    private func user(_ id: String?) throws(MachineError) -> UserNetwork {
        let entries = state.withLock { $0.entries }
        if let id {
            guard let entry = entries[id] else { throw .deviceNotFound(id) }
            guard let user = entry.user else { throw .failed("'\(id)' is no network of type user") }
            return user
        }
        guard let first = entries.values.sorted(by: { $0.number < $1.number }).compactMap(\.user).first else {
            throw .failed("There is no network of type user")
        }
        return first
    }

    func addForward(_ id: String?, _ rule: String) throws(MachineError) {
        let network = try user(id)
        do throws(UserNetworkError) { try network.addHostForward(try Network.HostForward(rule)) } catch {
            throw .failed("\(error)")
        }
    }

    func removeForward(_ id: String?, _ rule: String) throws(MachineError) {
        let network = try user(id)
        do throws(UserNetworkError) { try network.removeHostForward(try HostForwardKey(rule)) } catch {
            throw .failed("\(error)")
        }
    }

    /// The connections of all `user` back-ends, as `info usernet` has them.
    var connections: String {
        state.withLock { $0.entries }.sorted { $0.value.number < $1.value.number }
            .compactMap { (id, entry) in
                entry.user.map { "Hub 0 (\(id)):\n" + ((try? $0.connectionInfo()) ?? "") }
            }.joined()
    }

    // MARK: - Captures

    /// Begins the capture of a `filter-dump` object.
    func addCapture(_ object: ObjectConfiguration) throws(MachineBuildError) {
        let properties = object.properties
        let words = "-object filter-dump,id=\(object.id)"
        guard let id = properties.string("netdev"), let path = properties.string("file") else {
            throw MachineBuildError("\(words): 'netdev' and 'file' are needed")
        }
        guard let entry = state.withLock({ $0.entries[id] }) else {
            throw MachineBuildError("\(words): netdev '\(id)' not found")
        }
        guard entry.vhost == nil || !entry.isUsed else { throw MachineBuildError("\(words): Vhost is not supported") }
        let queue = properties.string("queue") ?? "all"
        guard let direction = WatchedNetwork.Direction(rawValue: queue) else {
            throw MachineBuildError("\(words): queue '\(queue)' is none of all, rx, tx")
        }
        let capture = try MachineBuildError.wrapping("\(words): ") { () throws(HostError) in
            try PacketCapture(path, limit: properties.number("maxlen") ?? 65536)
        }
        guard properties.string("status") != "off" else { return }
        entry.backend.add(capture, name: object.id, direction)
    }

    func removeCapture(_ id: String) {
        for entry in state.withLock({ $0.entries }).values where entry.backend.removeCapture(id) { return }
    }

    /// Ends the threads of all back-ends.
    func close() {
        let backends = state.withLock { state in
            state.entries.values.sorted { $0.number > $1.number }.map(\.backend)
        }
        for backend in backends { backend.stop() }
    }
}
