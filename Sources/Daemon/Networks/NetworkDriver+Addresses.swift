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
        guard let live = net.state.withLock({ $0.live }), let subnet = IPv4Subnet(live) else { return [] }
        let wanted = mac.map { HardwareAddress($0.bytes) }
        return processes.client.leases(net.name).filter { wanted == nil || $0.hardware == wanted }.map { lease in
            RemoteNetworkDHCPLease(
                iface: live.bridge?.name ?? net.name, expirytime: Int64(clamping: lease.expiry),
                type: VirIPAddrType.ipv4, mac: "\(lease.hardware)", iaid: nil, ipaddr: "\(lease.address)",
                prefix: subnet.prefix, hostname: lease.hostName, clientid: lease.clientID)
        }
    }

    /// Addresses that a card told its neighbours.
    func neighbours(_ net: VirtualNet, mac: MACAddress) -> [String] {
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
}
