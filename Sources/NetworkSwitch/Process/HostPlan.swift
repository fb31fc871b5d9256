internal import DomainModel
internal import Network

/// What a `<network>` asks of a bridge of the host and of nothing else.
public struct HostPlan: Sendable, Equatable {
    /// An address of the bridge beside the first of its family.
    public struct Address: Sendable, Equatable {
        public var isIPv6: Bool
        /// With the length of the prefix: `10.1.0.1/24`.
        public var text: String
        /// Its network: `10.1.0.0/24`.
        public var network: String
    }
    /// Spanning trees, and the seconds that a new port listens and learns.
    public var usesSTP = true
    public var delay = 0
    /// firewalld's zone.
    public var zone: String?
    /// The interfaces by which packets leave; none: all.
    public var devices: [String] = []
    public var addresses: [Address] = []
    /// Static routes as `ip route add` takes them, by family.
    public var routes: [[String]] = []
    public var routes6: [[String]] = []

    init() {}

    /// Reads a definition.
    init(_ network: VirtualNetwork) throws(NetworkError) {
        usesSTP = network.bridge?.stp != .off
        delay = Int(clamping: network.bridge?.delay ?? 0)
        guard delay <= 30 else { throw NetworkError("the bridge's delay of \(delay) s is none of 0 to 30") }
        zone = network.bridge?.zone
        let forward = network.forward
        // libvirt writes the first of them twice.
        for device in [forward?.dev ?? ""] + (forward?.interfaces.map(\.dev) ?? [])
        where !device.isEmpty && !devices.contains(device) {
            guard PortFirewall.isName(device) else { throw NetworkError("'\(device)' is no name of an interface") }
            devices.append(device)
        }
        for family in ["ipv4", "ipv6"] {
            for entry in network.addresses.filter({ ($0.family ?? "ipv4") == family }).dropFirst() {
                addresses.append(try Self.address(entry, isIPv6: family == "ipv6"))
            }
        }
        for route in network.routes { try add(route) }
    }

    private static func address(
        _ entry: VirtualNetwork.Address, isIPv6: Bool
    ) throws(NetworkError) -> Address {
        let text = entry.address ?? ""
        if isIPv6 {
            guard let address = IPv6Address(text), let prefix = entry.prefix, prefix <= 128 else {
                throw NetworkError("'\(text)' is no IPv6 address with a prefix")
            }
            return Address(
                isIPv6: true, text: "\(address)/\(prefix)", network: "\(address.masked(Int(prefix)))/\(prefix)")
        }
        let length = try prefix(entry.prefix, entry.netmask, 24)
        guard let address = IPv4Address(text) else { throw NetworkError("'\(text)' is no IPv4 address") }
        let mask = length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length)
        return Address(
            isIPv6: false, text: "\(address)/\(length)",
            network: "\(IPv4Address(rawValue: address.rawValue & mask))/\(length)")
    }

    /// All addresses of an entry's network, as numbers; nil where it has none.
    static func range(_ entry: VirtualNetwork.Address) -> ClosedRange<UInt128>? {
        if let address = entry.address.flatMap({ IPv6Address($0) }), let prefix = entry.prefix, prefix <= 128 {
            let rest = prefix == 0 ? UInt128.max : (UInt128(1) << UInt128(128 - prefix)) - 1
            return (address.number & ~rest)...(address.number | rest)
        }
        guard let address = entry.address.flatMap({ IPv4Address($0) }),
            let length = try? prefix(entry.prefix, entry.netmask, 24)
        else { return nil }
        let rest = length == 0 ? UInt32.max : UInt32((UInt64(1) << UInt64(32 - length)) - 1)
        return UInt128(address.rawValue & ~rest)...UInt128(address.rawValue | rest)
    }

    private static func prefix(
        _ prefix: UInt32?, _ netmask: String?, _ usual: Int
    ) throws(NetworkError) -> Int {
        if let prefix {
            guard prefix <= 32 else { throw NetworkError("\(prefix) is no prefix of IPv4") }
            return Int(prefix)
        }
        guard let netmask else { return usual }
        guard let value = IPv4Address(netmask)?.rawValue, (~value &+ 1) & ~value == 0 else {
            throw NetworkError("'\(netmask)' is no netmask")
        }
        return value.nonzeroBitCount
    }

    private mutating func add(_ route: GuestRoute) throws(NetworkError) {
        let (target, gateway) = (route.address ?? "", route.gateway ?? "")
        let metric = route.metric.map { ["metric", "\($0)"] } ?? []
        if route.family == "ipv6" {
            guard let address = IPv6Address(target), let next = IPv6Address(gateway), route.prefix ?? 128 <= 128 else {
                throw NetworkError("a route to '\(target)' by '\(gateway)' is none of IPv6")
            }
            let length = Int(route.prefix ?? (address.number == 0 ? 0 : 128))
            routes6.append(["\(address.masked(length))/\(length)", "via", "\(next)"] + metric)
            return
        }
        guard let address = IPv4Address(target), let next = IPv4Address(gateway) else {
            throw NetworkError("a route to '\(target)' by '\(gateway)' is none of IPv4")
        }
        let length = try Self.prefix(route.prefix, route.netmask, address.rawValue == 0 ? 0 : 32)
        let mask = length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length)
        routes.append(
            ["\(IPv4Address(rawValue: address.rawValue & mask))/\(length)", "via", "\(next)"] + metric)
    }
}
