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
        for (index, network) in configuration.networks.enumerated() {
            guard network.kind == .user else {
                throw MachineBuildError("network back-end '\(network.kind.rawValue)' is not supported")
            }
            do throws(UserNetworkError) {
                let options = try Self.options(network.user)
                let backend = try UserNetwork(options, name: network.id)
                let restrict = options.isRestricted ? "on" : "off"
                let text = "index=\(index),type=user,net=\(options.network),restrict=\(restrict)"
                entries.withLock { $0[network.id] = Entry(backend: backend, text: text) }
            } catch {
                close()
                throw MachineBuildError("-netdev user,id=\(network.id): \(error)")
            }
        }
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
