internal import HostOS
internal import Network

/// The bridge of a network in the host's kernel, with its addresses and limits. As root.
enum HostBridge {
    /// The bridge's hardware address: as the definition says, or one that follows from its name.
    static func address(_ plan: NetworkPlan) -> HardwareAddress {
        if let given = plan.bridgeAddress { return given }
        let hash = plan.name.utf8.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
        return HardwareAddress([0x52, 0x54, 0, UInt8(hash >> 16 & 255), UInt8(hash >> 8 & 255), UInt8(hash & 255)])
    }

    /// Makes it and switches it on, with the host's forwarding of packets where the network leads anywhere.
    static func make(_ plan: NetworkPlan) throws {
        let bridge = plan.bridge
        if plan.ipv6 != nil, plan.forward != .isolated { try checkRoutes() }
        if let zone = plan.host.zone {
            throw NetworkError(
                "zone \(zone) requested for network \(plan.name): rules of this host are nftables', not firewalld's")
        }
        try HostLink.addBridge(bridge)
        try setSpanningTree(plan)
        try HostLink.setHardwareAddress(bridge, address(plan).bytes)
        if let mtu = plan.mtu { try HostLink.setMTU(bridge, mtu) }
        if plan.hasAddress { try HostLink.setAddress(bridge, plan.dhcp.server.rawValue, mask: plan.dhcp.mask) }
        // Its address of the link is the one that follows from its card's, and no router's word counts here.
        let has6 = plan.ipv6 != nil
        for (name, value) in [
            ("disable_ipv6", has6 ? "0" : "1"), ("addr_gen_mode", "0"), ("accept_ra", "0"),
            ("autoconf", "0"),
        ] {
            try? write(value, "/proc/sys/net/ipv6/conf/\(bridge)/\(name)")
        }
        if let ipv6 = plan.ipv6 {
            let place = "\(ipv6.dhcp.server)/\(ipv6.dhcp.prefixLength)"
            try HostTools.run("ip", ["-6", "addr", "add", place, "dev", bridge, "nodad"])
        }
        for more in plan.host.addresses {
            let rest = more.isIPv6 ? ["nodad"] : ["brd", "+"]
            try HostTools.run("ip", [more.isIPv6 ? "-6" : "-4", "addr", "add", more.text, "dev", bridge] + rest)
        }
        try HostLink.setUp(bridge, true)
        for (family, routes) in [("-4", plan.host.routes), ("-6", plan.host.routes6)] {
            for route in routes { try HostTools.run("ip", [family, "route", "add"] + route + ["dev", bridge]) }
        }
        if plan.inbound != nil { try limit(bridge, to: plan.inbound) }
        guard plan.forward != .isolated else { return }
        if plan.hasAddress { try write("1", "/proc/sys/net/ipv4/ip_forward") }
        if plan.ipv6 != nil { try write("1", "/proc/sys/net/ipv6/conf/all/forwarding") }
    }

    /// The delay goes first: with spanning trees on, the kernel takes no less than two seconds (IEEE 802.1D).
    private static func setSpanningTree(_ plan: NetworkPlan) throws {
        guard plan.host.usesSTP else { return }
        try HostTools.run(
            "ip",
            ["link", "set", "dev", plan.bridge, "type", "bridge", "forward_delay", "\(plan.host.delay * 100)"]
                + ["stp_state", "1"])
    }

    private static func write(_ text: String, _ path: String) throws(HostError) {
        try HostFile.open(path, .write).writeAll(Array((text + "\n").utf8))
    }

    /// A host that forwards IPv6 takes no routes from routers (`accept_ra` 1): it would lose those that it has.
    private static func checkRoutes() throws {
        guard let bytes = try? HostFile.contents("/proc/net/ipv6_route", limit: 4 << 20) else { return }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            // RTF_ADDRCONF: a router has told it.
            guard words.count >= 10, let flags = UInt32(words[8], radix: 16), flags & 0x4_0000 != 0,
                let value = try? HostFile.contents("/proc/sys/net/ipv6/conf/\(words[9])/accept_ra", limit: 16),
                value.first == UInt8(ascii: "1")
            else { continue }
            throw NetworkError(
                "forwarding of IPv6 would end the routes that '\(words[9])' has by router advertisements: "
                    + "set net.ipv6.conf.\(words[9]).accept_ra to 2 first")
        }
    }

    /// Limits what the kernel sends out by an interface; nil takes the limit away.
    ///
    /// - Parameter floors: bytes a second that machines have for themselves whatever the others get, by their addresses.
    static func limit(
        _ device: String, to rate: RateLimit?, floors: [(address: HardwareAddress, rate: UInt64)] = []
    ) throws {
        // There may be none; and one of this kind cannot be changed.
        if HostTools.path("tc") != nil { _ = try? HostTools.run("tc", ["qdisc", "del", "dev", device, "root"]) }
        guard let rate else { return }
        func bits(_ bytes: UInt64) -> String { "\(min(bytes, 1 << 40) * 8)bit" }
        let usual = floors.isEmpty ? "1" : "2"
        try HostTools.run("tc", ["qdisc", "add", "dev", device, "root", "handle", "1:", "htb", "default", usual])
        let burst = rate.burst.map { ["burst", "\($0)b"] } ?? []
        func addClass(_ parent: String, _ number: Int, _ least: UInt64) throws {
            try HostTools.run(
                "tc",
                ["class", "add", "dev", device, "parent", parent, "classid", "1:" + String(number, radix: 16), "htb"]
                    + ["rate", bits(least), "ceil", bits(max(rate.peak ?? 0, rate.average))] + burst)
        }
        try addClass("1:", 1, rate.average)
        guard !floors.isEmpty else { return }
        let promised = floors.reduce(0) { $0 &+ $1.rate }
        try addClass("1:1", 2, rate.average > promised ? rate.average - promised : 1024)
        for (index, floor) in floors.enumerated() {
            try addClass("1:1", 3 + index, floor.rate)
            try HostTools.run(
                "tc",
                [
                    "filter", "add", "dev", device, "parent", "1:", "protocol", "all", "prio", "1", "u32", "match",
                    "ether",
                ]
                    + ["dst", "\(floor.address)", "flowid", "1:" + String(3 + index, radix: 16)])
        }
    }
}
