public import DomainModel
internal import Network

/// Why a network cannot run.
public struct NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public let description: String
    /// A sentence.
    public init(_ text: String) { description = text }
}

/// What a network's process needs of libvirt's `<network>`.
public struct NetworkPlan: Sendable, Equatable {
    /// How packets leave.
    public enum Forward: Sendable, Equatable {
        /// Not at all.
        case isolated
        /// As this host's own, or by routes; without root all of them are the same.
        case nat, route, open

        /// libvirt's word.
        var word: String { self == .isolated ? "none" : "\(self)" }
    }
    public var name: String
    public var forward: Forward
    /// The gateway's address.
    public var dhcp: DHCPConfiguration
    public var dns: DNSConfiguration
    /// The hardware address of the host's bridge.
    public var bridgeAddress: HardwareAddress?
    public var bridge: String
    public var mtu: Int?
    /// The first address of IPv6 with what is given of it; nil: none.
    public var ipv6: IPv6Plan?
    /// Whether the network has an IPv4 address; without one nobody but machines is on it.
    public var hasAddress = true
    /// Whether ports reach the gateway alone.
    public var isIsolated = false
    public var tftp: String?
    /// The limits of what machines get and send beyond their network.
    public var inbound: RateLimit?
    public var outbound: RateLimit?
    /// What machines show outside, on a bridge of the host: addresses, and ports.
    public var natAddresses: ClosedRange<UInt32>?
    public var natPorts: ClosedRange<UInt16> = 1024...65535
    /// What counts on a bridge of the host alone.
    public var host = HostPlan()

    /// The first two bytes of the addresses that libslirp answers to over IPv6.
    static let gatewayPrefix6: UInt64 = 0x5256
    /// The address that the gateway answers to in our own switch: libslirp's, which follows from its IPv4 address.
    public var gatewayAddress: HardwareAddress { HardwareAddress([0x52, 0x55] + dhcp.server.bytes) }

    /// Reads a definition.
    public init(_ network: VirtualNetwork) throws(NetworkError) {
        name = network.name
        switch network.forward?.mode ?? (network.forward == nil ? "none" : "nat") {
        case "none": forward = .isolated
        case "nat": forward = .nat
        case "route": forward = .route
        case "open": forward = .open
        case let mode: throw NetworkError("network '\(network.name)' of mode '\(mode)' needs no process of its own")
        }
        bridgeAddress = network.mac.map { HardwareAddress($0.bytes) }
        bridge = network.bridge?.name ?? "virbr0"
        mtu = network.mtu.map { Int(clamping: $0) }
        isIsolated = network.isolated == .yes
        host = try HostPlan(network)
        inbound = RateLimit(network.bandwidth?.inbound)
        outbound = RateLimit(network.bandwidth?.outbound)
        if let range = network.forward?.nat?.addresses.first {
            guard let start = IPv4Address(range.start)?.rawValue, let end = IPv4Address(range.end)?.rawValue,
                start <= end
            else {
                throw NetworkError("'\(range.start)' to '\(range.end)' is no range of addresses")
            }
            natAddresses = start...end
        }
        if let range = network.forward?.nat?.ports.first {
            guard let start = UInt16(range.start), let end = UInt16(range.end), start <= end else {
                throw NetworkError("'\(range.start)' to '\(range.end)' is no range of ports")
            }
            natPorts = start...end
        }
        let four = network.addresses.filter { ($0.family ?? "ipv4") == "ipv4" }
        try Self.checkVirtualPort(network, forward)
        ipv6 = try IPv6Plan(network)
        guard let first = four.first, let text = first.address else {
            // Machines find each other, and nothing of ours is there.
            guard forward == .isolated || forward == .open || ipv6 != nil else {
                throw NetworkError("network '\(network.name)' has no IP address")
            }
            if ipv6 == nil { forward = .isolated }
            hasAddress = false
            dhcp = DHCPConfiguration(server: IPv4Address(rawValue: 0), prefixLength: 24)
            dns = ipv6 == nil ? DNSConfiguration() : try Self.dns(network)
            if ipv6 == nil { dns.isEnabled = false }
            return
        }
        guard let address = IPv4Address(text) else { throw NetworkError("'\(text)' is no IPv4 address") }
        var length = first.prefix.map { Int($0) } ?? 24
        if let mask = first.netmask {
            guard let value = IPv4Address(mask)?.rawValue, (~value &+ 1) & ~value == 0 else {
                throw NetworkError("'\(mask)' is no netmask")
            }
            length = value.nonzeroBitCount
        }
        guard (8...29).contains(length) else {
            throw NetworkError("network '\(network.name)' has a prefix of \(length), not one of 8 to 29")
        }
        dhcp = try Self.dhcp(network, first, address, length)
        dns = try Self.dns(network)
        tftp = first.tftpRoot
    }

    /// Ports of other switches than ours mean nothing here.
    private static func checkVirtualPort(_ network: VirtualNetwork, _ forward: Forward) throws(NetworkError) {
        guard network.virtualPort == nil, network.portGroups.allSatisfy({ $0.virtualPort == nil }) else {
            throw NetworkError(
                "<virtualport> element unsupported for network '\(network.name)' with forward mode='\(forward.word)'")
        }
    }

    private static func dhcp(
        _ network: VirtualNetwork, _ first: VirtualNetwork.Address, _ address: IPv4Address, _ length: Int
    ) throws(NetworkError) -> DHCPConfiguration {
        var result = DHCPConfiguration(server: address, prefixLength: length)
        result.hasRouter = network.forward != nil && network.forward?.mode != "none"
        if network.dns?.enable != .no { result.nameServers = [address] }
        result.domain = network.domain?.name
        result.mtu = network.mtu.flatMap { UInt16(exactly: $0) }
        result.bootFile = first.dhcp?.bootFile
        if let text = first.dhcp?.bootServer {
            guard let address = IPv4Address(text) else {
                throw NetworkError("the boot server '\(text)' is no IPv4 address")
            }
            result.bootServer = address
        }
        for range in first.dhcp?.ranges ?? [] {
            guard let start = IPv4Address(range.start), let end = IPv4Address(range.end),
                start.rawValue <= end.rawValue,
                result.contains(start), result.contains(end)
            else { throw NetworkError("the DHCP range '\(range.start)' to '\(range.end)' is none of the network") }
            result.ranges.append(start.rawValue...end.rawValue)
            if let lease = range.lease { result.leaseTime = seconds(lease) }
        }
        for host in first.dhcp?.hosts ?? [] {
            let place = host.ip.flatMap { IPv4Address($0) }
            if let text = host.ip, place == nil { throw NetworkError("'\(text)' is no IPv4 address") }
            if let place, !result.contains(place) { throw NetworkError("'\(place)' is no address of the network") }
            let hardware = host.mac.flatMap { HardwareAddress($0) }
            if let text = host.mac, hardware == nil { throw NetworkError("'\(text)' is no hardware address") }
            result.hosts.append(
                DHCPConfiguration.Host(
                    hardware: hardware, address: place, name: host.name, leaseTime: host.lease.map(seconds)))
        }
        return result
    }

    static func seconds(_ lease: VirtualNetwork.Lease) -> UInt32 {
        let factor: UInt64 = lease.unit == "seconds" ? 1 : lease.unit == "hours" ? 3600 : 60
        // libvirt's least is two minutes, as dnsmasq's.
        return lease.expiry == 0 ? 0 : UInt32(clamping: max(120, min(lease.expiry, 1 << 30) * factor))
    }

    private static func dns(_ network: VirtualNetwork) throws(NetworkError) -> DNSConfiguration {
        var result = DNSConfiguration()
        result.domain = network.domain.flatMap { DNSName($0.name) }
        result.isDomainLocal = network.domain?.localOnly == .yes
        for entry in network.addresses where entry.localPointer == .yes {
            if let range = HostPlan.range(entry) { result.localNetworks.append(range) }
        }
        guard let dns = network.dns else { return result }
        result.isEnabled = dns.enable != .no
        result.forwardsPlainNames = dns.forwardPlainNames == .yes
        func name(_ text: String) throws(NetworkError) -> DNSName {
            guard let name = DNSName(text) else { throw NetworkError("'\(text)' is no domain name") }
            return name
        }
        for host in dns.hosts {
            for text in host.hostnames {
                let name = try name(text)
                if let address = IPv4Address(host.ip) {
                    result.addresses[name, default: []].append(address)
                } else if let address = IPv6Address(host.ip) {
                    result.addresses6[name, default: []].append(address)
                } else {
                    throw NetworkError("'\(host.ip)' is no IP address")
                }
            }
        }
        for text in dns.texts { result.texts[try name(text.name), default: []].append(text.value) }
        for service in dns.services {
            let domain = service.domain ?? network.domain?.name
            let full = "_\(service.service)._\(service.networkProtocol)" + (domain.map { ".\($0)" } ?? "")
            guard let target = service.target, let port = service.port.flatMap({ UInt16(exactly: $0) }) else {
                continue
            }
            result.services.append(
                DNSConfiguration.Service(
                    name: try name(full), priority: UInt16(clamping: service.priority ?? 0),
                    weight: UInt16(clamping: service.weight ?? 0), port: port, target: try name(target)))
        }
        for forwarder in dns.forwarders {
            var domain: DNSName?
            if let text = forwarder.domain { domain = try name(text) }
            if let text = forwarder.address, IPv4Address(text) == nil, IPv6Address(text) == nil {
                throw NetworkError("'\(text)' is no IP address of a name server")
            }
            result.forwarders.append((domain, forwarder.address))
        }
        return result
    }

    /// libvirt's network `default`.
    public static let defaultXML = """
        <network>
          <name>default</name>
          <forward mode='nat'/>
          <bridge name='virbr0' stp='on' delay='0'/>
          <ip address='192.168.122.1' netmask='255.255.255.0'>
            <dhcp>
              <range start='192.168.122.2' end='192.168.122.254'/>
            </dhcp>
          </ip>
        </network>

        """
}
