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
        try HostLink.addBridge(bridge)
        try HostLink.setHardwareAddress(bridge, address(plan).bytes)
        if let mtu = plan.mtu { try HostLink.setMTU(bridge, mtu) }
        if plan.hasAddress { try HostLink.setAddress(bridge, plan.dhcp.server.rawValue, mask: plan.dhcp.mask) }
        // Its address of the link is the one that follows from its card's, and no router's word counts here.
        for (name, value) in [
            ("disable_ipv6", plan.ipv6 == nil ? "1" : "0"), ("addr_gen_mode", "0"), ("accept_ra", "0"),
            ("autoconf", "0"),
        ] {
            try? write(value, "/proc/sys/net/ipv6/conf/\(bridge)/\(name)")
        }
        if let ipv6 = plan.ipv6 {
            let place = "\(ipv6.dhcp.server)/\(ipv6.dhcp.prefixLength)"
            try HostTools.run("ip", ["-6", "addr", "add", place, "dev", bridge, "nodad"])
        }
        try HostLink.setUp(bridge, true)
        if plan.inbound != nil { try limit(bridge, to: plan.inbound) }
        guard plan.forward != .isolated else { return }
        if plan.hasAddress { try write("1", "/proc/sys/net/ipv4/ip_forward") }
        if plan.ipv6 != nil { try write("1", "/proc/sys/net/ipv6/conf/all/forwarding") }
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
    static func limit(_ device: String, to rate: RateLimit?) throws {
        // There may be none; and one of this kind cannot be changed.
        if HostTools.path("tc") != nil { _ = try? HostTools.run("tc", ["qdisc", "del", "dev", device, "root"]) }
        guard let rate else { return }
        func bits(_ bytes: UInt64) -> String { "\(min(bytes, 1 << 40) * 8)bit" }
        try HostTools.run("tc", ["qdisc", "add", "dev", device, "root", "handle", "1:", "htb", "default", "1"])
        try HostTools.run(
            "tc",
            ["class", "replace", "dev", device, "parent", "1:", "classid", "1:1", "htb", "rate", bits(rate.average)]
                + ["ceil", bits(max(rate.peak ?? 0, rate.average))] + (rate.burst.map { ["burst", "\($0)b"] } ?? []))
    }
}
