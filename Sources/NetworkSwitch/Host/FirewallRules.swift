internal import Network

/// The rules of a network in nftables, in tables of its own that go with it.
struct FirewallRules {
    let plan: NetworkPlan

    /// The tables' name.
    static func table(_ network: String) -> String {
        "apus_" + String(network.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    /// Puts them in, whatever was there.
    func install() throws {
        if !script.isEmpty { try HostTools.run("nft", ["-f", "-"], input: script) }
    }

    /// Takes the limit of a network away, if it has one.
    static func removeLimit(_ network: String) {
        let table = table(network)
        _ = try? HostTools.run("nft", ["-f", "-"], input: "table netdev \(table)\ndelete table netdev \(table)\n")
    }

    /// What `nft -f -` takes: the tables anew. Empty for a network without rules.
    var script: String {
        var lines: [String] = []
        if plan.forward != .open {
            if plan.hasAddress {
                let network = "\(IPv4Address(rawValue: plan.dhcp.server.rawValue & plan.dhcp.mask))"
                lines += table(
                    "ip", networks("\(network)/\(plan.dhcp.prefixLength)", isIPv6: false),
                    isTranslated: plan.forward == .nat, groups: "{ 224.0.0.0/24, 255.255.255.255 }")
            }
            if let ipv6 = plan.ipv6 {
                let network = "\(ipv6.dhcp.server.masked(ipv6.dhcp.prefixLength))"
                lines += table(
                    "ip6", networks("\(network)/\(ipv6.dhcp.prefixLength)", isIPv6: true),
                    isTranslated: plan.forward == .nat && ipv6.isTranslated, groups: "ff02::/16")
            }
        }
        if let limit = plan.outbound {
            lines +=
                begin("netdev") + [
                    // What machines send to the host, and through it; what they send each other is theirs.
                    "  chain ingress {",
                    "    type filter hook ingress device \"\(plan.bridge)\" priority filter; policy accept;",
                    "    \(Self.over(limit)) drop", "  }", "}",
                ]
        }
        return lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n"
    }

    /// All networks of the bridge's addresses of a family.
    private func networks(_ first: String, isIPv6: Bool) -> String {
        let others = plan.host.addresses.filter { $0.isIPv6 == isIPv6 && $0.network != first }.map(\.network)
        return others.isEmpty ? first : "{ \(([first] + Set(others).sorted()).joined(separator: ", ")) }"
    }

    private func begin(_ family: String) -> [String] {
        let name = "\(family) \(Self.table(plan.name))"
        return ["table \(name)", "delete table \(name)", "table \(name) {"]
    }

    /// A match of what goes beyond a limit. The burst has room for segments that travel whole.
    static func over(_ limit: RateLimit) -> String {
        let burst = max(limit.burst ?? limit.average / 8, 1 << 17)
        return "limit rate over \(limit.average) bytes/second burst \(min(burst, 1 << 31)) bytes"
    }

    private func table(_ family: String, _ network: String, isTranslated: Bool, groups: String) -> [String] {
        let bridge = "\"\(plan.bridge)\""
        var lines =
            begin(family) + [
                "  chain forward {", "    type filter hook forward priority filter; policy accept;",
                "    iifname \(bridge) oifname \(bridge) accept",
            ]
        if plan.forward != .isolated {
            // Nobody outside knows the way to addresses that are translated.
            let answers = isTranslated ? "ct state established,related " : ""
            let devices = plan.host.devices.map { "\"\($0)\"" }.joined(separator: ", ")
            let (comes, goes) = devices.isEmpty ? ("", "") : ("iifname { \(devices) } ", "oifname { \(devices) } ")
            lines += [
                "    \(comes)oifname \(bridge) \(family) daddr \(network) \(answers)accept",
                "    iifname \(bridge) \(goes)\(family) saddr \(network) accept",
            ]
        }
        lines += ["    iifname \(bridge) reject", "    oifname \(bridge) reject", "  }"]
        if isTranslated {
            let leaves = "    \(family) saddr \(network) \(family) daddr != \(network)"
            let ports = ":\(plan.natPorts.lowerBound)-\(plan.natPorts.upperBound)"
            var (with, without) = ("masquerade to \(ports)", "masquerade")
            if family == "ip", let range = plan.natAddresses {
                let (first, last) = (IPv4Address(rawValue: range.lowerBound), IPv4Address(rawValue: range.upperBound))
                let place = first == last ? "\(first)" : "\(first)-\(last)"
                (with, without) = ("snat to \(place)\(ports)", "snat to \(place)")
            }
            lines += [
                "  chain postrouting {", "    type nat hook postrouting priority srcnat; policy accept;",
                "    \(family) saddr \(network) \(family) daddr \(groups) return",
                "\(leaves) meta l4proto { tcp, udp } \(with)", "\(leaves) \(without)", "  }",
            ]
        }
        return lines + ["}"]
    }
}
