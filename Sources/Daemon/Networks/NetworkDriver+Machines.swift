internal import DomainCommandLine
internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

/// Machines' cards on networks.
extension NetworkDriver {
    /// Plugs the cards of a machine that starts into their networks: what the machine is to be told of each, by the
    /// card's place. The domain gets the names that clients look for.
    ///
    /// - Parameter taken: names of cards that run already.
    func attach(
        _ domain: inout DomainModel.Domain, taken: Set<String>
    ) throws(LibvirtError) -> [Int: LaunchPlan.Attachment] {
        var attachments: [Int: LaunchPlan.Attachment] = [:]
        var taken = taken
        for index in domain.devices.interfaces.indices where domain.devices.interfaces[index].type == .network {
            attachments[index] = try attach(&domain.devices.interfaces[index], taken: &taken)
        }
        return attachments
    }

    /// Plugs one card in.
    func attach(
        _ interface: inout NetworkInterface, taken: inout Set<String>
    ) throws(LibvirtError) -> LaunchPlan.Attachment {
        let name = interface.source?.network ?? "default"
        let net = try find(name: name)
        let (live, lease) = net.state.withLock { state -> (VirtualNetwork?, LeaseTable.Lease?) in
            guard let live = state.live else { return (nil, nil) }
            return (live, interface.mac.flatMap { state.leases.address(for: $0, in: live) })
        }
        guard let live else { throw NetworkDriver.fail(.operationInvalid("network '\(name)' is not active")) }
        if ["bridge", "private", "vepa", "passthrough", "hostdev"].contains(live.forward?.mode) {
            throw NetworkDriver.fail(
                .configUnsupported("network '\(name)' of forward mode '\(live.forward?.mode ?? "")' needs devices of the host"))
        }
        interface.source?.bridge = live.bridge?.name
        if interface.source?.portID == nil { interface.source?.portID = UUIDBytes.random().description }
        let device = (0...).lazy.map { "vnet\($0)" }.first { !taken.contains($0) } ?? "vnet0"
        if interface.target?.dev == nil || interface.target?.dev?.hasPrefix("vnet") == true {
            if interface.target == nil { interface.target = NetworkInterface.Target() }
            interface.target?.dev = device
        }
        taken.insert(interface.target?.dev ?? device)
        save(net)
        guard let subnet = IPv4Subnet(live) else { return .user }
        var user = LaunchPlan.UserNetwork(
            network: "\(IPv4Subnet.text(subnet.network))/\(subnet.prefix)", host: IPv4Subnet.text(subnet.address),
            nameServer: IPv4Subnet.text(subnet.spare))
        user.dhcpStart = lease.map { IPv4Subnet.text($0.address) }
        user.domainName = live.domain?.name
        // Without forwarding the guest reaches the host and its neighbours only.
        user.isRestricted = live.forward?.mode == nil || live.forward?.mode == "none"
        return .userNetwork(user)
    }

    /// The machine of a live form has ended, or one of its cards is gone.
    func release(_ interface: XMLTree) {
        guard interface["type"] == "network", let name = interface.child("source")?["network"],
            let mac = interface.child("mac")?["address"].flatMap({ MACAddress(xml: $0) }),
            let net = try? find(name: name)
        else { return }
        net.state.withLock { $0.leases.release(mac) }
        save(net)
    }

    // MARK: - Leases on the disk

    private func path(_ net: VirtualNet) -> String { "\(leaseFolder)/\(net.name).leases" }

    /// Writes down who has which address, for the next daemon.
    func save(_ net: VirtualNet) {
        let lines = net.state.withLock { state in
            state.leases.leases.values.map {
                "\($0.mac.xml) \(IPv4Subnet.text($0.address)) \($0.hostName ?? "*")\n"
            }
        }.sorted()
        try? HostFile.replace(path(net), with: Array(lines.joined().utf8))
    }

    /// Reads what a daemon before this one wrote.
    func readLeases(_ net: VirtualNet) {
        guard let bytes = try? HostFile.contents(path(net), limit: 1 << 20) else { return }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, let mac = MACAddress(xml: words[0]), let address = IPv4Subnet.number(words[1])
            else { continue }
            let host = words[2] == "*" ? nil : words[2]
            net.state.withLock { $0.leases.enter(.init(mac: mac, address: address, hostName: host)) }
        }
    }

    /// What `net-dhcp-leases` shows.
    func leases(_ net: VirtualNet, mac: MACAddress?) -> [RemoteNetworkDHCPLease] {
        let (live, leases) = net.state.withLock { ($0.live, Array($0.leases.leases.values)) }
        guard let live, let subnet = IPv4Subnet(live) else { return [] }
        return leases.filter { mac == nil || $0.mac == mac }.sorted { $0.address < $1.address }.map { lease in
            RemoteNetworkDHCPLease(
                iface: live.bridge?.name ?? net.name, expirytime: 0, type: VirIPAddrType.ipv4, mac: lease.mac.xml,
                iaid: nil, ipaddr: IPv4Subnet.text(lease.address), prefix: subnet.prefix, hostname: lease.hostName,
                clientid: nil)
        }
    }
}
