public import HostOS

/// A machine's card on a card of the host: a `macvtap` of the kernel. As root.
public enum MacVTap {
    /// Makes the interface and opens it; it stays until `remove`, whatever becomes of the descriptor.
    ///
    /// - Parameters:
    ///   - name: of the new interface.
    ///   - link: the host's card.
    ///   - mode: `bridge`, `vepa`, `private` or `passthrough`.
    ///   - owner: what `all` finds it by.
    public static func open(
        _ name: String, on link: String, mode: String, address: HardwareAddress, mtu: Int?, owner: String
    ) throws(NetworkError) -> Descriptor {
        guard ["bridge", "vepa", "private", "passthrough"].contains(mode) else {
            throw NetworkError("'\(mode)' is no mode of macvtap")
        }
        for text in [name, link] where !isName(text) { throw NetworkError("'\(text)' is no name of an interface") }
        guard HostLink.exists(link) else { throw NetworkError("there is no interface '\(link)'") }
        // passthru is the kernel's word.
        let word = mode == "passthrough" ? "passthru" : mode
        do {
            try HostTools.run(
                "ip",
                ["link", "add", "link", link, "name", name] + (mtu.map { ["mtu", "\($0)"] } ?? [])
                    + ["type", "macvtap", "mode", word])
            do {
                try HostTools.run("ip", ["link", "set", "dev", name, "alias", owner])
                // In passthrough the card of the host gets it too.
                try HostTools.run("ip", ["link", "set", "dev", name, "address", "\(address)"])
                try HostTools.run("ip", ["link", "set", "dev", name, "up"])
                let index = try HostFile.contents("/sys/class/net/\(name)/ifindex", limit: 64)
                let number = String(decoding: index.prefix { $0 != 10 }, as: UTF8.self)
                return try HostFile.open("/dev/tap\(number)", .readWrite)
            } catch {
                remove(name)
                throw error
            }
        } catch {
            throw NetworkError("\(error)")
        }
    }

    /// Limits what a machine gets and sends by one, in the place of what was there; nil: without limit.
    public static func limit(
        _ name: String, inbound: RateLimit?, outbound: RateLimit?
    ) throws(NetworkError) {
        guard isName(name), isMacVTap(name) else { throw NetworkError("'\(name)' is no macvtap") }
        do {
            // What the kernel sends out here is what the machine sends.
            try HostBridge.limit(name, to: outbound)
            unlimit(name)
            guard let inbound else { return }
            // What comes in here is what the machine gets: nftables', as kernels without tc's policers have it too.
            let lines = [
                "table netdev \(table)\(name) {", "  chain ingress {",
                "    type filter hook ingress device \"\(name)\" priority filter; policy accept;",
                "    \(FirewallRules.over(inbound)) drop", "  }", "}",
            ]
            try HostTools.run("nft", ["-f", "-"], input: lines.joined(separator: "\n") + "\n")
        } catch {
            throw NetworkError("\(error)")
        }
    }

    /// What the tables of limits are called, before the interface's name.
    private static let table = "apus_port_"

    private static func unlimit(_ name: String) {
        guard limited.contains(name) else { return }
        _ = try? HostTools.run("nft", ["delete", "table", "netdev", table + name])
    }

    /// The interfaces that have limits.
    private static var limited: [String] {
        let list = (try? HostTools.run("nft", ["list", "tables", "netdev"])) ?? ""
        return list.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix(table) }
            .map { String($0.dropFirst(table.count)) }
    }

    /// Removes one; nothing happens where there is none.
    public static func remove(_ name: String) {
        guard isName(name), HostLink.exists(name), isMacVTap(name) else { return }
        unlimit(name)
        _ = try? HostTools.run("ip", ["link", "del", "dev", name])
    }

    /// Takes limits away whose interfaces are gone.
    public static func releaseStale() { for name in limited where !HostLink.exists(name) { unlimit(name) } }

    /// Those that an owner has made.
    public static func all(of owner: String) -> [String] {
        ((try? HostFolder.names(in: "/sys/class/net")) ?? []).filter { name in
            guard isMacVTap(name), let bytes = try? HostFile.contents("/sys/class/net/\(name)/ifalias", limit: 512)
            else { return false }
            return String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self) == owner
        }
    }

    private static func isMacVTap(_ name: String) -> Bool {
        HostFile.status("/sys/class/net/\(name)/macvtap").kind == .folder
    }

    private static func isName(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count) && !text.utf8.contains(0x2F) && !text.hasPrefix(".") && !text.hasPrefix("-")
            && PortFirewall.isName(text)
    }
}
