internal import Network
internal import Synchronization

/// The network back-ends of a machine by name.
final class NetworkHub: Sendable {
    private struct Entry: Sendable {
        let backend: UserNetwork
        let text: String
        var isUsed = false
    }
    private let entries = Mutex<[String: Entry]>([:])

    /// Makes all back-ends of a configuration.
    init(_ configuration: MachineConfiguration) throws(MachineBuildError) {
        do throws(MachineBuildError) {
            for network in configuration.networks { try add(network) }
        } catch {
            close()
            throw error
        }
    }

    /// Makes one more back-end.
    func add(_ network: NetworkConfiguration) throws(MachineBuildError) {
        guard network.kind == .user else {
            throw MachineBuildError("network back-end '\(network.kind.rawValue)' is not supported")
        }
        guard entries.withLock({ $0[network.id] == nil }) else {
            throw MachineBuildError("Duplicate ID '\(network.id)' for netdev")
        }
        do throws(UserNetworkError) {
            let options = try Self.options(network.user)
            let backend = try UserNetwork(options, name: network.id)
            let restrict = options.isRestricted ? "on" : "off"
            entries.withLock { entries in
                let text = "index=\(entries.count),type=user,net=\(options.network),restrict=\(restrict)"
                entries[network.id] = Entry(backend: backend, text: text)
            }
        } catch { throw MachineBuildError("-netdev user,id=\(network.id): \(error)") }
    }

    /// Ends a back-end that no card has.
    func remove(_ id: String) throws(MachineError) {
        let entry = try entries.withLock { entries throws(MachineError) -> Entry in
            guard let entry = entries[id] else { throw .deviceNotFound(id) }
            guard !entry.isUsed else { throw .failed("Device '\(id)' is in use by a network card") }
            entries[id] = nil
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

    /// A card's back-end; nil where the name is not there or another card has it.
    func take(_ id: String) -> (any NetworkBackend)? {
        entries.withLock { entries in
            guard let entry = entries[id], !entry.isUsed else { return nil }
            entries[id]?.isUsed = true
            return entry.backend
        }
    }

    /// A card's back-end is free again.
    func giveBack(_ id: String) { entries.withLock { $0[id]?.isUsed = false } }

    /// The line of `info network` for a back-end.
    func text(of id: String) -> String { entries.withLock { $0[id]?.text } ?? "" }

    /// Back-ends without a card.
    var unused: [NetworkStatus] {
        entries.withLock { entries in
            entries.sorted { $0.key < $1.key }.filter { !$0.value.isUsed }.map {
                NetworkStatus(name: "", text: "", backend: $0.key, backendText: $0.value.text)
            }
        }
    }

    /// Ends the threads of all back-ends.
    func close() {
        for (_, entry) in entries.withLock({ $0 }) { entry.backend.stop() }
    }
}
