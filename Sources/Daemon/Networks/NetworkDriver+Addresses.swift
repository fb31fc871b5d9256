internal import DomainModel
internal import HostOS
internal import JSON
internal import NetworkSwitch
internal import RPCWire
internal import Synchronization

/// Where machines are on networks, and what went by their ports.
extension NetworkDriver {
    /// What `net-dhcp-leases` shows.
    func leases(_ net: VirtualNet, mac: MACAddress?) -> [RemoteNetworkDHCPLease] {
        guard let live = net.state.withLock({ $0.live }) else { return [] }
        let wanted = mac.map { HardwareAddress($0.bytes) }
        let device = live.bridge?.name ?? net.name
        var found: [RemoteNetworkDHCPLease] = []
        if let subnet = IPv4Subnet(live) {
            found += processes.client.leases(net.name).filter { wanted == nil || $0.hardware == wanted }.map { lease in
                RemoteNetworkDHCPLease(
                    iface: device, expirytime: Int64(clamping: lease.expiry), type: VirIPAddrType.ipv4,
                    mac: "\(lease.hardware)", iaid: nil, ipaddr: "\(lease.address)", prefix: subnet.prefix,
                    hostname: lease.hostName, clientid: lease.clientID)
            }
        }
        guard let six = live.addresses.first(where: { $0.family == "ipv6" }), let prefix = six.prefix else {
            return found
        }
        return found
            + processes.client.leases6(net.name).filter { wanted == nil || $0.hardware == wanted }.map { lease in
                RemoteNetworkDHCPLease(
                    iface: device, expirytime: Int64(clamping: lease.expiry), type: VirIPAddrType.ipv6,
                    mac: "\(lease.hardware)", iaid: "\(lease.association)", ipaddr: "\(lease.address)", prefix: prefix,
                    hostname: lease.hostName, clientid: lease.clientID)
            }
    }

    /// Addresses that a card told its neighbours: what its network heard, or the host itself.
    func neighbours(_ card: XMLTree, mac: MACAddress) -> [String] {
        let name = card["type"] == "network" ? card.child("source")?["network"] : nil
        let heard = name.flatMap { try? find(name: $0) }.map { neighbours($0, mac: mac) } ?? []
        let address = HardwareAddress(mac.bytes)
        return heard + HostNeighbours.addresses(of: address).filter { !heard.contains($0) }
    }

    private func neighbours(_ net: VirtualNet, mac: MACAddress) -> [String] {
        guard net.state.withLock({ $0.live.map(NetworkProcesses.hasProcess) ?? false }) else { return [] }
        let answer = (try? processes.client.call(net.name, "addresses"))?.arrayValue ?? []
        return answer.compactMap { entry in
            guard let text = entry["mac"]?.stringValue, MACAddress(xml: text) == mac else { return nil }
            return entry["ip"]?.stringValue
        }
    }

    /// What went by a card's port of a switch; nil where it has none.
    func counters(_ card: XMLTree) -> InterfaceCounters? {
        guard card["type"] == "network", let name = card.child("source")?["network"],
            let device = card.child("target")?["dev"], let net = try? find(name: name),
            let live = net.state.withLock({ $0.live }), NetworkProcesses.hasProcess(live), !processes.usesBridges,
            let ports = (try? processes.client.call(name, "ports"))?.arrayValue,
            let port = ports.first(where: { $0["name"]?.stringValue == device })
        else { return nil }
        func number(_ name: String) -> Int64 { port[name]?.int64Value ?? 0 }
        return InterfaceCounters(
            received: [number("tx-bytes"), number("tx-packets"), 0, number("tx-dropped")],
            sent: [number("rx-bytes"), number("rx-packets"), 0, number("rx-refused")])
    }

    /// Limits a card of a machine that runs as its live form says now.
    func tune(_ card: XMLTree) throws(LibvirtError) {
        let bandwidth = card.child("bandwidth")
        func limit(_ side: String) -> RateLimit? {
            var rate = Bandwidth.Rate()
            let given = bandwidth?.child(side)
            func number(_ name: String) -> UInt64? { given?[name].flatMap { UInt64($0) } }
            (rate.average, rate.peak, rate.burst) = (number("average"), number("peak"), number("burst"))
            return RateLimit(rate)
        }
        let (inbound, outbound) = (limit("inbound"), limit("outbound"))
        guard let device = card.child("target")?["dev"] else {
            throw NetworkDriver.fail(.operationUnsupported("the card has no device to limit"))
        }
        if card["type"] == "network", let name = card.child("source")?["network"], let net = try? find(name: name),
            let live = net.state.withLock({ $0.live }), NetworkProcesses.hasProcess(live), !processes.usesBridges
        {
            var request: JSONObject = ["name": .string(device)]
            if let inbound { request["inbound"] = inbound.json }
            if let outbound { request["outbound"] = outbound.json }
            let wanted = request
            _ = try processes.call { () throws(NetworkError) in
                try processes.client.call(name, "port-limit", wanted)
            }
            return
        }
        let isMacVTap = makesTaps && MacVTap.all(of: macvtapOwner).contains(device)
        if isMacVTap {
            return try processes.call { () throws(NetworkError) in
                try MacVTap.limit(device, inbound: inbound, outbound: outbound)
            }
        }
        guard makesTaps, card["type"] == "network" || card["type"] == "bridge",
            let interface = liveCards.first(where: { $0.interface.target?.dev == device })
        else {
            throw NetworkDriver.fail(.operationUnsupported("the bandwidth of '\(device)' cannot be set on this host"))
        }
        var plain = interface.interface
        // A part of the whole network's is none of the card's own limits.
        plain.bandwidth = nil
        var settings = try settings(plain, interface.machine, VirtualNetwork(), hasHeaders: false)
        (settings.inbound, settings.outbound) = (inbound, outbound)
        let wanted = settings
        try processes.call { () throws(NetworkError) in
            try HostTap.check(wanted)
            try HostTap.protect(device, wanted, unlimited: true)
        }
    }
}
