internal import DomainModel
internal import Network

/// What a network's process needs of the IPv6 part of libvirt's `<network>`.
public struct IPv6Plan: Sendable, Equatable {
    /// The gateway's address and what is given of its network.
    public var dhcp: DHCPv6Configuration
    /// Whether machines show the host's address outside (`<nat ipv6='yes'>`); otherwise their own.
    public var isTranslated = false

    /// Reads a definition's first address of IPv6; nil where it has none.
    init?(_ network: VirtualNetwork) throws(NetworkError) {
        guard let six = network.addresses.first(where: { $0.family == "ipv6" }), let text = six.address else {
            return nil
        }
        guard let address = IPv6Address(text), let prefix = six.prefix, (8...126).contains(prefix) else {
            throw NetworkError("'\(text)' is no IPv6 address with a prefix of 8 to 126")
        }
        isTranslated = network.forward?.nat?.ipv6 == .yes
        dhcp = DHCPv6Configuration(server: address, prefixLength: Int(prefix))
        if network.dns?.enable != .no { dhcp.nameServers = [address] }
        dhcp.domain = network.domain.flatMap { DNSName($0.name) }
        dhcp.bootURL = six.dhcp?.bootFile
        for range in six.dhcp?.ranges ?? [] {
            guard let start = IPv6Address(range.start), let end = IPv6Address(range.end), start.number <= end.number,
                dhcp.contains(start), dhcp.contains(end)
            else { throw NetworkError("the DHCP range '\(range.start)' to '\(range.end)' is none of the network") }
            dhcp.ranges.append(start.number...end.number)
            if let lease = range.lease { dhcp.leaseTime = NetworkPlan.seconds(lease) }
        }
        for host in six.dhcp?.hosts ?? [] { dhcp.hosts.append(try Self.host(host, dhcp)) }
    }

    private static func host(
        _ host: DHCPHost, _ dhcp: DHCPv6Configuration
    ) throws(NetworkError) -> DHCPv6Configuration.Host {
        let place = host.ip.flatMap { IPv6Address($0) }
        if let text = host.ip, place == nil { throw NetworkError("'\(text)' is no IPv6 address") }
        if let place, !dhcp.contains(place) { throw NetworkError("'\(place)' is no address of the network") }
        let client = host.id.flatMap { DHCPv6Configuration.identifier($0) }
        if let text = host.id, client == nil { throw NetworkError("'\(text)' is no DHCP identifier") }
        let hardware = host.mac.flatMap { HardwareAddress($0) }
        if let text = host.mac, hardware == nil { throw NetworkError("'\(text)' is no hardware address") }
        return DHCPv6Configuration.Host(
            client: client, hardware: hardware, address: place, name: host.name,
            leaseTime: host.lease.map(NetworkPlan.seconds))
    }
}
