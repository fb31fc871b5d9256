internal import Network

/// The rules of a network in nftables, in a table of its own that goes with it.
struct FirewallRules {
    let plan: NetworkPlan

    /// The table's name.
    static func table(_ network: String) -> String {
        "apus_" + String(network.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    private var network: String {
        "\(IPv4Address(rawValue: plan.dhcp.server.rawValue & plan.dhcp.mask))/\(plan.dhcp.prefixLength)"
    }

    /// What `nft -f -` takes: the table anew, whatever was there. Empty for a network without rules.
    var script: String {
        let name = Self.table(plan.name)
        guard plan.forward != .open, plan.hasAddress else { return "" }
        var lines = ["table ip \(name)", "delete table ip \(name)", "table ip \(name) {"]
        lines += ["  chain forward {", "    type filter hook forward priority filter; policy accept;"]
        let bridge = "\"\(plan.bridge)\""
        lines.append("    iifname \(bridge) oifname \(bridge) accept")
        switch plan.forward {
        case .nat:
            lines.append("    oifname \(bridge) ip daddr \(network) ct state established,related accept")
            lines.append("    iifname \(bridge) ip saddr \(network) accept")
        case .route:
            lines.append("    oifname \(bridge) ip daddr \(network) accept")
            lines.append("    iifname \(bridge) ip saddr \(network) accept")
        case .isolated, .open: break
        }
        lines += ["    iifname \(bridge) reject", "    oifname \(bridge) reject", "  }"]
        if plan.forward == .nat {
            lines += [
                "  chain postrouting {", "    type nat hook postrouting priority srcnat; policy accept;",
                "    ip saddr \(network) ip daddr { 224.0.0.0/24, 255.255.255.255 } return",
                "    ip saddr \(network) ip daddr != \(network) meta l4proto { tcp, udp } masquerade to :1024-65535",
                "    ip saddr \(network) ip daddr != \(network) masquerade", "  }",
            ]
        }
        return (lines + ["}", ""]).joined(separator: "\n")
    }
}
