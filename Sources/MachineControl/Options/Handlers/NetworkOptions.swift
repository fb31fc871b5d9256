internal import JSON
internal import Machine

/// -netdev, -nic, -net.
enum NetworkOptions {
    private static let user: [Parameter] = [
        Parameter("ipv4", Parameter.Kind.boolean), Parameter("ipv6", Parameter.Kind.boolean),
        Parameter("net", Parameter.Kind.string), Parameter("host", Parameter.Kind.string),
        Parameter("ipv6-net", Parameter.Kind.string), Parameter("ipv6-prefix", Parameter.Kind.string),
        Parameter("ipv6-prefixlen", Parameter.Kind.number(0...128)), Parameter("ipv6-host", Parameter.Kind.string),
        Parameter("restrict", Parameter.Kind.boolean), Parameter("hostname", Parameter.Kind.string),
        Parameter("dhcpstart", Parameter.Kind.string), Parameter("dns", Parameter.Kind.string),
        Parameter("ipv6-dns", Parameter.Kind.string), Parameter("dnssearch", Parameter.Kind.string, repeats: true),
        Parameter("domainname", Parameter.Kind.string), Parameter("tftp", Parameter.Kind.string),
        Parameter("tftp-server-name", Parameter.Kind.string), Parameter("bootfile", Parameter.Kind.string),
        Parameter("smb", Parameter.Kind.string), Parameter("smbserver", Parameter.Kind.string),
        Parameter("hostfwd", Parameter.Kind.string, repeats: true),
        Parameter("guestfwd", Parameter.Kind.string, repeats: true),
    ]
    private static let common: [Parameter] = [
        Parameter("type", Parameter.Kind.string), Parameter("id", Parameter.Kind.string),
    ]
    private static let card: [Parameter] = [
        Parameter("model", Parameter.Kind.string), Parameter("mac", Parameter.Kind.string),
        Parameter("macaddr", Parameter.Kind.string), Parameter("name", Parameter.Kind.string),
        Parameter("addr", Parameter.Kind.string), Parameter("vectors", Parameter.Kind.number(0...2048)),
        Parameter("netdev", Parameter.Kind.string),
    ]
    private static var supported: [String] { NetworkKind.allCases.filter(\.isSupported).map(\.rawValue) }
    private static var help: String {
        "Available netdev backend types:\n" + supported.map { "\($0)\n" }.joined()
    }

    static func netdev(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasNetwork = true
        let json = try jsonArgument(argument.text)
        let pairs = json == nil ? try OptionPairs(argument.text, implied: "type") : OptionPairs()
        if pairs.asksForHelp { throw .information(help) }
        let kind = try kind(json?.string("type") ?? pairs["type"])
        let values: JSONObject
        if let json {
            values = try ParameterTable(implied: "type", common + parameters(kind)).values(json, isTyped: true)
        } else {
            values = try Self.values(kind, pairs, common)
        }
        guard let id = values.string("id") else { throw .missing("id") }
        guard DeviceOptions.isIdentifier(id) else { throw .value("id", id, expects: DeviceOptions.identifierWords) }
        try add(kind, id, values, to: &builder)
    }

    /// What a kind takes beside `type` and `id`.
    static func parameters(_ kind: NetworkKind) -> [Parameter] {
        kind == .user ? user : NetworkPeerOptions.parameters(kind)
    }

    /// The typed values of parts, whose keys may be dotted.
    private static func values(
        _ kind: NetworkKind, _ pairs: OptionPairs, _ more: [Parameter]
    ) throws(OptionError) -> JSONObject {
        // A kind's own names come first: `addr` is a slot only where it is no socket.
        let table = ParameterTable(implied: "type", parameters(kind) + more)
        guard pairs.pairs.contains(where: { $0.key.utf8.contains(UInt8(ascii: ".")) }) else {
            return try table.values(pairs)
        }
        return try table.values(try pairs.nested())
    }

    private static func kind(_ type: String?) throws(OptionError) -> NetworkKind {
        guard let type, !type.isEmpty else { throw .missing("type") }
        guard let kind = NetworkKind(rawValue: type) else {
            throw .unknown("Parameter 'type' does not accept value", type, among: supported)
        }
        guard kind.isSupported else {
            throw .invalid(
                "network back-end '\(type)' is not supported yet; valid: " + supported.joined(separator: ", "))
        }
        return kind
    }

    /// The back-end that QMP's `netdev_add` describes.
    static func network(_ object: JSONObject) throws(OptionError) -> NetworkConfiguration {
        var builder = ConfigurationBuilder(program: "")
        let kind = try kind(object.string("type"))
        let values = try ParameterTable(common + parameters(kind)).values(object, isTyped: true)
        guard let id = values.string("id") else { throw .missing("id") }
        guard DeviceOptions.isIdentifier(id) else { throw .value("id", id, expects: DeviceOptions.identifierWords) }
        try add(kind, id, values, to: &builder)
        guard let network = builder.configuration.networks.first else { throw .missing("type") }
        return network
    }
    private static func add(
        _ kind: NetworkKind, _ id: String, _ values: JSONObject, to builder: inout ConfigurationBuilder
    ) throws(OptionError) {
        guard !builder.configuration.networks.contains(where: { $0.id == id }) else {
            throw .invalid("Duplicate ID '\(id)' for netdev")
        }
        var network = NetworkConfiguration(id: id, kind: kind)
        if kind == .user {
            network.user = try userNetwork(values)
        } else {
            network.peer = try NetworkPeerOptions.peer(kind, values)
            if let warning = try NetworkPeerOptions.vhostWarning(network.peer) { builder.warn(warning) }
        }
        builder.configuration.networks.append(network)
    }

    private static func userNetwork(_ values: JSONObject) throws(OptionError) -> UserNetworkConfiguration {
        var network = UserNetworkConfiguration()
        network.ipv4 = values.flag("ipv4")
        network.ipv6 = values.flag("ipv6")
        network.network = values.string("net")
        network.host = values.string("host")
        network.ipv6Network = values.string("ipv6-net")
        if network.ipv6Network == nil, let prefix = values.string("ipv6-prefix") {
            network.ipv6Network = prefix + "/\(values.int("ipv6-prefixlen") ?? 64)"
        }
        network.ipv6Host = values.string("ipv6-host")
        network.restricted = values.flag("restrict") ?? false
        network.hostname = values.string("hostname")
        network.dhcpStart = values.string("dhcpstart")
        network.dns = values.string("dns")
        network.ipv6DNS = values.string("ipv6-dns")
        network.dnsSearch = values.strings("dnssearch")
        network.domainName = values.string("domainname")
        network.tftp = values.string("tftp")
        network.tftpServerName = values.string("tftp-server-name")
        network.bootFile = values.string("bootfile")
        network.smb = values.string("smb")
        network.smbServer = values.string("smbserver")
        for name in ["smb", "smbserver"] where values[name] != nil {
            throw .invalid("'\(name)' is not supported: sharing a directory needs a server of SMB")
        }
        for name in ["host", "dhcpstart", "dns", "smbserver"] {
            if let address = values.string(name), !isIPv4(address) {
                throw .value(name, address, expects: "an IPv4 address, such as 10.0.2.3")
            }
        }
        if let net = network.network {
            let parts = net.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let mask = parts.count < 2 || isIPv4(parts[1]) || (OptionValue.unsigned(parts[1]) ?? 99) <= 32
            guard isIPv4(parts[0]), mask else { throw .value("net", net, expects: "a network, such as 10.0.2.0/24") }
        }
        for rule in values.strings("hostfwd") { network.hostForwards.append(try forward(rule)) }
        network.guestForwards = values.strings("guestfwd")
        return network
    }

    /// A dotted quad.
    static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                !part.isEmpty && part.utf8.count <= 3 && part.utf8.allSatisfy { (48...57).contains($0) }
                    && Int(part) ?? 256 < 256
            }
    }

    /// `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`
    static func forward(_ rule: String) throws(OptionError) -> HostForward {
        let wrong = OptionError.value("hostfwd", rule, expects: "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport")
        let sides = rule.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2 else { throw wrong }
        let host = sides[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let guest = sides[1].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard host.count == 3, guest.count == 2, ["", "tcp", "udp"].contains(host[0]),
            let hostPort = UInt16(host[2]), let guestPort = UInt16(guest[1]), guestPort > 0,
            host[1].isEmpty || isIPv4(host[1]), guest[0].isEmpty || isIPv4(guest[0])
        else { throw wrong }
        var forward = HostForward()
        forward.isUDP = host[0] == "udp"
        forward.hostAddress = host[1]
        forward.hostPort = hostPort
        forward.guestAddress = guest[0]
        forward.guestPort = guestPort
        return forward
    }

    static func nic(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasNetwork = true
        var pairs = try OptionPairs(argument.text, implied: "type")
        // A card without a word of its network is in one of its user.
        if pairs["type"] == nil { pairs.pairs.append(OptionPairs.Pair(key: "type", value: NetworkKind.user.rawValue)) }
        if isHelp(pairs["model"] ?? "") {
            throw .information("Supported NIC models:\n" + DeviceCatalogue.networkModels.map { "\($0)\n" }.joined())
        }
        if pairs.asksForHelp { throw .information(help) }
        if pairs["type"] == "none" {
            guard pairs.pairs.count == 1 else { throw .invalid("'none' stands alone") }
            return
        }
        let kind = try kind(pairs["type"])
        let values = try Self.values(kind, pairs, common + card)
        var nic = try card(values)
        let id = values.string("id") ?? "#nic\(builder.configuration.networks.count)"
        try add(kind, id, values, to: &builder)
        nic.network = id
        nic.name = values.string("id")
        builder.configuration.nics.append(nic)
    }

    private static func card(_ values: JSONObject) throws(OptionError) -> NICConfiguration {
        var nic = NICConfiguration()
        if let given = values.string("model") {
            let model = given == "virtio" ? "virtio-net-pci" : given
            guard let description = DeviceCatalogue.find(model), description.category == .network,
                description.bus == "PCI"
            else { throw .unknown("Unsupported NIC model:", model, among: DeviceCatalogue.networkModels) }
            nic.model = description.name
        }
        if let text = values.string("mac") ?? values.string("macaddr") {
            guard let mac = OptionValue.mac(text) else {
                throw .value("mac", text, expects: "a MAC address, such as 52:54:00:12:34:56")
            }
            guard mac[0] & 1 == 0 else { throw .invalid("NIC cannot have multicast MAC address (odd 1st byte)") }
            nic.mac = mac
        }
        nic.name = values.string("name")
        if let address = values.string("addr") {
            guard let canonical = OptionValue.pciAddress(address) else {
                throw .value("addr", address, expects: "a slot, such as 06.0")
            }
            nic.address = canonical
        }
        nic.vectors = values.int("vectors")
        nic.network = values.string("netdev")
        return nic
    }

    static func net(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasNetwork = true
        let pairs = try OptionPairs(argument.text, implied: "type")
        switch pairs["type"] {
        case "none": return
        case "nic":
            builder.legacyNICs.append(try card(try ParameterTable(implied: "type", common + card).values(pairs)))
        case let type:
            if pairs.asksForHelp { throw .information(help) }
            let kind = try kind(type)
            let values = try Self.values(kind, pairs, common + [Parameter("name", Parameter.Kind.string)])
            let id = values.string("id") ?? "#net\(builder.configuration.networks.count)"
            try add(kind, id, values, to: &builder)
            builder.legacyNetworks.append(id)
        }
    }
}
