internal import HostOS
internal import Network

/// What `PortGuard` keeps out of a switch, as rules of nftables for a tap on a bridge of the host.
///
/// One table of the bridge family holds the rules of all taps. Two maps lead from an interface's name to its chains, so
/// that a frame costs one look-up however many taps there are. The kernel need not know connections of bridges: what was
/// accepted is remembered in sets, by addresses and ports.
struct PortFirewall {
    static let table = "apus_ports"
    /// Connections of a port that are remembered, each for ten minutes without a packet.
    private static let flows = "size 4096; timeout 10m; flags dynamic,timeout;"

    let device: String
    private let settings: PortSettings
    private let rules: PortRules
    private let key: String

    /// Rules for a tap of a name. Nothing is changed yet.
    init(_ device: String, _ settings: PortSettings) throws(NetworkError) {
        guard Self.isName(device) else { throw NetworkError("'\(device)' is no name of an interface with filters") }
        self.device = device
        self.settings = settings
        rules = try PortRules(settings.rules)
        key = Self.key(device)
    }

    static func isName(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39)
                    || [0x2D, 0x2E, 0x5F].contains($0)
            }
    }

    /// The name as part of those of chains and sets, which have letters and digits alone.
    private static func key(_ device: String) -> String {
        device.utf8.map { byte in
            let isPlain = (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39)
            return isPlain ? String(UnicodeScalar(byte)) : "_" + String(byte, radix: 16)
        }.joined()
    }

    private static let chains = ["from", "to"].flatMap { side in [side, side + "_frames", side + "_packets"] }
    private static let sets = [("ports4", 4, true), ("ports6", 6, true), ("hosts4", 4, false), ("hosts6", 6, false)]

    private var isEmpty: Bool { settings.filter.isEmpty && rules.isEmpty && settings.outbound == nil }

    // MARK: - Scripts

    /// The table, its maps and where frames come by; no more than is there already.
    private static let base = [
        "table bridge \(table) {", "  map from { type ifname : verdict; }", "  map to { type ifname : verdict; }",
        "  chain prerouting { type filter hook prerouting priority -310; policy accept; }",
        "  chain input { type filter hook input priority -310; policy accept; }",
        "  chain postrouting { type filter hook postrouting priority -310; policy accept; }", "}",
        "flush chain bridge \(table) prerouting", "flush chain bridge \(table) input",
        "flush chain bridge \(table) postrouting",
        "add rule bridge \(table) prerouting iifname vmap @from",
        // What is for the bridge itself by IEEE 802.1D goes there at once, and does not come by the hook before.
        "add rule bridge \(table) input ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 iifname vmap @from",
        "add rule bridge \(table) postrouting oifname vmap @to",
    ]

    /// What takes the rules of a tap away that has some.
    private static func removal(_ device: String) -> [String] {
        let key = key(device)
        let elements = ["from", "to"].map { "delete element bridge \(table) \($0) { \"\(device)\" }" }
        let names = chains.map { "\($0)_\(key)" }
        return elements + names.map { "flush chain bridge \(table) \($0)" }
            + names.map { "delete chain bridge \(table) \($0)" }
            + (sets.map(\.0) + ["own"]).map { "delete set bridge \(table) \($0)_\(key)" }
    }

    private static func declaration(_ set: (String, Int, Bool), _ key: String) -> String {
        let address = "ipv\(set.1)_addr"
        let type = "\(address) . \(address) . inet_proto" + (set.2 ? " . inet_service . inet_service" : "")
        return "add set bridge \(table) \(set.0)_\(key) { type \(type); \(flows) }"
    }

    /// What `nft -f` takes to put these rules in the place of those that are there, in one step.
    func script(replacing isThere: Bool = false) throws(NetworkError) -> String {
        var lines = (isThere ? Self.removal(device) : []) + Self.base
        for side in ["from", "to"] { for end in ["", "_frames", "_packets"] { lines.append(add(side + end)) } }
        for set in Self.sets { lines.append(Self.declaration(set, key)) }
        let own = settings.ipAddresses
        lines.append(
            own.isEmpty
                ? "add set bridge \(Self.table) own_\(key) { type ipv4_addr; size 1; flags dynamic; }"
                : "add set bridge \(Self.table) own_\(key) { type ipv4_addr; size 64; flags dynamic; }")
        if !own.isEmpty {
            let list = own.prefix(64).map { "\($0)" }.joined(separator: ", ")
            lines.append("add element bridge \(Self.table) own_\(key) { \(list) }")
        }
        for rule in guards { lines.append(add(rule: rule, to: "from")) }
        for side in ["from", "to"] {
            lines.append(add(rule: "goto \(side)_frames_\(key)", to: side))
            for rule in try frames(side) { lines.append(add(rule: rule, to: side + "_frames")) }
            lines.append(add(rule: "goto \(side)_packets_\(key)", to: side + "_frames"))
            for rule in try packets(side) { lines.append(add(rule: rule, to: side + "_packets")) }
            // Here it ends, whoever jumped: what no rule names passes.
            lines.append(add(rule: "accept", to: side + "_packets"))
            lines.append("add element bridge \(Self.table) \(side) { \"\(device)\" : jump \(side)_\(key) }")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func add(_ chain: String) -> String { "add chain bridge \(Self.table) \(chain)_\(key)" }
    private func add(rule: String, to chain: String) -> String {
        "add rule bridge \(Self.table) \(chain)_\(key) \(rule)"
    }

    /// libvirt's filters by name, and the limit of what the machine sends.
    private var guards: [String] {
        var lines: [String] = []
        let filter = settings.filter
        if let limit = settings.outbound { lines.append("\(FirewallRules.over(limit)) drop") }
        if filter.contains(.noMACSpoofing), let address = settings.address {
            lines.append("ether saddr != \(address) drop")
        }
        if filter.contains(.noMACBroadcast) {
            lines.append("ether daddr ff:ff:ff:ff:ff:ff meta protocol != arp drop")
        }
        if filter.contains(.noIPMulticast) { lines.append("meta protocol ip ip daddr 224.0.0.0/4 drop") }
        // Where no address was given, the first that the machine shows is its own: the set has room for one.
        let learns = settings.ipAddresses.isEmpty
        if learns, usesOwn || filter.contains(.noIPSpoofing) {
            lines.append("meta protocol ip ip saddr != 0.0.0.0 add @own_\(key) { ip saddr }")
        }
        if learns, usesOwn || filter.contains(.noARPSpoofing) {
            lines.append("meta protocol arp arp saddr ip != 0.0.0.0 add @own_\(key) { arp saddr ip }")
        }
        if filter.contains(.noIPSpoofing) {
            lines.append("meta protocol ip ip saddr 0.0.0.0 udp dport != 67 drop")
            lines.append("meta protocol ip ip saddr 0.0.0.0 meta l4proto != udp drop")
            lines.append("meta protocol ip ip saddr != 0.0.0.0 ip saddr != @own_\(key) drop")
        }
        if filter.contains(.noARPSpoofing) {
            if let address = settings.address { lines.append("meta protocol arp arp saddr ether != \(address) drop") }
            lines.append("meta protocol arp arp saddr ip != 0.0.0.0 arp saddr ip != @own_\(key) drop")
        }
        if filter.contains(.noOtherL2Traffic) { lines.append("ether type != { ip, arp, 0x8035 } drop") }
        return lines
    }

    private var usesOwn: Bool {
        func uses(_ rule: FilterRule) -> Bool {
            rule.conditions.contains {
                switch $0 {
                case .ownFrom, .ownTo, .ownSender, .ownTarget: true
                default: false
                }
            }
        }
        return rules.internet.contains(where: uses)
            || rules.ethernet.contains {
                switch $0.item {
                case .rule(let rule): uses(rule)
                case .chain(_, let rules): rules.contains(where: uses)
                }
            }
    }

    /// The rules for frames. A chain of libvirt's is one of nftables without a name: what leaves it goes on behind it.
    private func frames(_ side: String) throws(NetworkError) -> [String] {
        var lines: [String] = []
        let next = "goto \(side)_packets_\(key)"
        for (_, item) in rules.ethernet {
            switch item {
            case .rule(let rule):
                guard let match = try NftMatch(key).text(rule, side) else { continue }
                lines.append(match + " " + (rule.action == .drop ? "drop" : next))
            case .chain(let types, let rules):
                let condition = types.map { "meta protocol \(NftMatch.name($0)) " }.first ?? ""
                var inner: [String] = []
                for rule in rules where rule.action != .goOn {
                    guard let match = try NftMatch(key).text(rule, side) else { continue }
                    inner.append(
                        match + " " + (rule.action == .drop ? "drop" : rule.action == .leave ? "return" : next))
                }
                if !inner.isEmpty { lines.append("\(condition)jump { \(inner.joined(separator: "; ")); }") }
            }
        }
        return lines
    }

    /// The rules of protocols: first what belongs to a connection that was accepted, in either direction.
    private func packets(_ side: String) throws(NetworkError) -> [String] {
        guard !rules.internet.isEmpty else { return [] }
        var lines: [String] = []
        for (name, family, hasPorts) in Self.sets {
            let ip = family == 4 ? "ip" : "ip6"
            for (one, other) in [("s", "d"), ("d", "s")] {
                let ends = hasPorts ? " . th \(one)port . th \(other)port" : ""
                let flow = "\(ip) \(one)addr . \(ip) \(other)addr . meta l4proto\(ends)"
                lines.append("meta protocol \(ip) \(flow) @\(name)_\(key) update @\(name)_\(key) { \(flow) } accept")
            }
        }
        for rule in rules.internet where rule.action != .goOn {
            guard let match = try NftMatch(key).text(rule, side) else { continue }
            if rule.action == .accept, rule.tracks, let type = rule.types.first {
                let (ip, family) = type == 0x0800 ? ("ip", "4") : ("ip6", "6")
                let what = "\(ip) saddr . \(ip) daddr . meta l4proto"
                let hasPorts = rule.proto.map { NftMatch.withPorts.contains($0) }
                if hasPorts != false {
                    let ports = rule.proto == nil ? "meta l4proto { 6, 17, 132, 136 } " : ""
                    lines.append("\(match) \(ports)update @ports\(family)_\(key) { \(what) . th sport . th dport }")
                }
                if hasPorts != true { lines.append("\(match) update @hosts\(family)_\(key) { \(what) }") }
            }
            lines.append(match + " " + (rule.action == .drop ? "drop" : "accept"))
        }
        return lines
    }

    // MARK: - The host

    /// Puts the rules in; where there are none, takes those away that were there.
    func install() throws(NetworkError) {
        if isEmpty { return Self.remove(device) }
        try Self.run(try script(replacing: Self.installed.contains(device)))
    }

    /// The interfaces that have rules.
    private static var installed: [String] {
        names((try? HostTools.run("nft", ["list", "map", "bridge", table, "from"])) ?? "")
    }

    /// Takes a tap's rules away, and the table with those of the last.
    static func remove(_ device: String) {
        let names = installed
        guard names.contains(device) else { return }
        let isLast = names.allSatisfy { $0 == device }
        try? run(isLast ? "delete table bridge \(table)\n" : removal(device).joined(separator: "\n") + "\n")
    }

    /// Takes rules away whose interfaces are gone.
    static func removeStale() { for name in installed where !HostLink.exists(name) { remove(name) } }

    /// The interfaces that a map names.
    static func names(_ list: String) -> [String] {
        list.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .compactMap { $0.offset % 2 == 1 ? String($0.element) : nil }.filter(isName)
    }

    private static func run(_ script: String) throws(NetworkError) {
        do {
            let folder = try HostFile.makeTemporaryFolder()
            defer { HostFile.removeTree(folder) }
            try HostFile.replace(folder + "/rules", with: Array(script.utf8))
            try HostTools.run("nft", ["-f", folder + "/rules"])
        } catch {
            throw NetworkError("\(error)")
        }
    }
}
