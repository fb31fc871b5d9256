internal import HostOS
internal import JSON
internal import Machine

/// The parameters of -netdev's kinds but `user`, and what they mean.
enum NetworkPeerOptions {
    private static let tap: [Parameter] = [
        Parameter("ifname", Parameter.Kind.string), Parameter("fd", Parameter.Kind.string),
        Parameter("fds", Parameter.Kind.string), Parameter("script", Parameter.Kind.string),
        Parameter("downscript", Parameter.Kind.string), Parameter("br", Parameter.Kind.string),
        Parameter("helper", Parameter.Kind.string), Parameter("sndbuf", Parameter.size),
        Parameter("vnet_hdr", Parameter.Kind.boolean), Parameter("vhost", Parameter.Kind.boolean),
        Parameter("vhostfd", Parameter.Kind.string), Parameter("vhostfds", Parameter.Kind.string),
        Parameter("vhostforce", Parameter.Kind.boolean), Parameter("queues", Parameter.Kind.number(1...64)),
        Parameter("poll-us", Parameter.natural),
    ]
    private static let stream: [Parameter] = [
        Parameter("addr", Parameter.Kind.any), Parameter("server", Parameter.Kind.boolean),
        Parameter("reconnect", Parameter.natural), Parameter("reconnect-ms", Parameter.natural),
        Parameter("vnet_hdr", Parameter.Kind.boolean),
    ]
    private static let socket: [Parameter] = [
        Parameter("fd", Parameter.Kind.string), Parameter("listen", Parameter.Kind.string),
        Parameter("connect", Parameter.Kind.string), Parameter("mcast", Parameter.Kind.string),
        Parameter("localaddr", Parameter.Kind.string), Parameter("udp", Parameter.Kind.string),
    ]

    /// What a kind takes beside `type` and `id`; `user` has a table of its own.
    static func parameters(_ kind: NetworkKind) -> [Parameter] {
        switch kind {
        case .tap: tap
        case .bridge: [Parameter("br", Parameter.Kind.string), Parameter("helper", Parameter.Kind.string)]
        case .socket: socket
        case .stream: stream
        case .dgram: [Parameter("local", Parameter.Kind.any), Parameter("remote", Parameter.Kind.any)]
        case .hubport: [Parameter("hubid", Parameter.natural), Parameter("netdev", Parameter.Kind.string)]
        case .packet: [Parameter("ifname", Parameter.Kind.string)]
        case .vhostUser:
            [
                Parameter("chardev", Parameter.Kind.string), Parameter("vhostforce", Parameter.Kind.boolean),
                Parameter("queues", Parameter.Kind.number(1...128)),
            ]
        default: []
        }
    }

    static let standardHelper = "/usr/lib/qemu/qemu-bridge-helper"

    /// The options of a kind from its typed values.
    static func peer(_ kind: NetworkKind, _ values: JSONObject) throws(OptionError) -> NetworkPeer {
        switch kind {
        case .tap: return .tap(try tap(values))
        case .bridge:
            return .bridge(name: values.string("br") ?? "br0", helper: values.string("helper") ?? standardHelper)
        case .socket: return try socket(values)
        case .stream: return try stream(values)
        case .dgram: return try datagram(values)
        case .hubport:
            guard let number = values.int("hubid") else { throw .missing("hubid") }
            return .hub(number, joins: values.string("netdev"))
        case .packet:
            guard let name = values.string("ifname") else { throw .missing("ifname") }
            return .packet(interface: name)
        case .vhostUser:
            guard let device = values.string("chardev"), !device.isEmpty else { throw .missing("chardev") }
            var network = VhostUserNetwork(characterDevice: device)
            network.queues = values.int("queues") ?? 1
            return .vhostUser(network)
        default: return .none
        }
    }

    private static func stream(_ values: JSONObject) throws(OptionError) -> NetworkPeer {
        guard let address = try address(values["addr"], "addr") else { throw .missing("addr") }
        let isServer = values.flag("server") ?? false
        let seconds = values.size("reconnect") ?? 0
        let milliseconds = values.size("reconnect-ms") ?? 0
        guard seconds == 0 || milliseconds == 0 else {
            throw .invalid("'reconnect' and 'reconnect-ms' are mutually exclusive")
        }
        let reconnect = milliseconds > 0 ? milliseconds : seconds * 1000
        guard reconnect == 0 || !isServer else {
            throw .invalid("'reconnect' option is incompatible with socket in server mode")
        }
        return .stream(
            address: address, isServer: isServer, reconnect: reconnect,
            hasHeaders: values.flag("vnet_hdr") ?? false)
    }

    private static func datagram(_ values: JSONObject) throws(OptionError) -> NetworkPeer {
        let local = try address(values["local"], "local")
        let remote = try address(values["remote"], "remote")
        switch (local, remote) {
        case (nil, nil): throw .invalid("dgram requires local= or remote= parameter")
        case (.descriptor?, .some): throw .invalid("don't set remote with local.fd")
        case (.internet?, nil), (.unix?, nil): throw .invalid("dgram requires remote= parameter")
        case (nil, .unix?): throw .invalid("dgram requires local= parameter")
        case (_, .descriptor?): throw .invalid("remote cannot be a descriptor")
        case (.internet?, .unix?), (.unix?, .internet?):
            throw .invalid("'local' and 'remote' must have the same type")
        default: return .datagram(local: local, remote: remote)
        }
    }

    private static func socket(_ values: JSONObject) throws(OptionError) -> NetworkPeer {
        let given = ["fd", "listen", "connect", "mcast", "udp"].filter { values[$0] != nil }
        guard given.count == 1, let which = given.first, let text = values.string(which) else {
            throw .invalid("exactly one of listen=, connect=, mcast=, udp=, and fd= is required")
        }
        let local = values.string("localaddr")
        guard local == nil || which == "mcast" || which == "udp" else {
            throw .invalid("localaddr= is only valid with mcast= or udp=")
        }
        switch which {
        case "fd": return .stream(address: .descriptor(text), isServer: false, reconnect: 0, hasHeaders: false)
        case "listen", "connect":
            return .stream(
                address: try internet(text, which), isServer: which == "listen", reconnect: 0, hasHeaders: false)
        case "udp":
            guard let local else { throw .invalid("localaddr= is mandatory with udp=") }
            return .datagram(local: try internet(local, "localaddr"), remote: try internet(text, which))
        default:
            return .datagram(local: local.map { .internet(host: $0, port: "") }, remote: try internet(text, which))
        }
    }

    /// `host:port`, the host of which may be missing.
    private static func internet(_ text: String, _ name: String) throws(OptionError) -> NetworkAddress {
        guard let colon = text.lastIndex(of: ":"), UInt16(text[text.index(after: colon)...]) != nil else {
            throw .value(name, text, expects: "[host]:port")
        }
        return .internet(host: String(text[..<colon]), port: String(text[text.index(after: colon)...]))
    }

    /// Whether the kernel is to move frames; by the words that `vhost=` has in QEMU.
    private static func setVhost(_ tap: inout TapConfiguration, _ values: JSONObject) throws(OptionError) {
        tap.forcesVhost = values.flag("vhostforce") == true
        if let one = values.string("vhostfd") { tap.vhostDescriptors = [one] }
        if let many = values.string("vhostfds") {
            guard tap.vhostDescriptors.isEmpty else { throw .invalid("vhostfd= and vhostfds= are mutually exclusive") }
            tap.vhostDescriptors = many.split(separator: ":").map(String.init)
        }
        tap.usesVhost = values.flag("vhost") ?? (tap.forcesVhost || !tap.vhostDescriptors.isEmpty)
        guard !tap.vhostDescriptors.isEmpty else { return }
        guard tap.usesVhost else { throw .invalid("vhostfd(s)= is not valid without vhost") }
        let queues = max(tap.descriptors.count, tap.queues)
        guard tap.vhostDescriptors.count == queues else {
            throw .value("vhostfds", tap.vhostDescriptors.joined(separator: ":"), expects: "one for each of \(queues) queues")
        }
    }
    /// What is to be said of a tap whose frames the kernel cannot move; nil: nothing. In QEMU's words.
    static func vhostWarning(_ peer: NetworkPeer) throws(OptionError) -> String? {
        guard case .tap(let tap) = peer, tap.usesVhost, tap.vhostDescriptors.isEmpty,
            HostFile.status(KernelVhost.networkPath).kind == .nothing
        else { return nil }
        let words = "tap: open vhost char device failed: No such file or directory"
        if tap.forcesVhost { throw .invalid(words) }
        return words
    }

    private static func tap(_ values: JSONObject) throws(OptionError) -> TapConfiguration {
        var tap = TapConfiguration()
        tap.interface = values.string("ifname")
        if let one = values.string("fd") { tap.descriptors = [one] }
        if let many = values.string("fds") {
            guard tap.descriptors.isEmpty else { throw .invalid("fd= and fds= are mutually exclusive") }
            tap.descriptors = many.split(separator: ":").map(String.init)
            guard (1...64).contains(tap.descriptors.count) else { throw .value("fds", many, expects: "1 to 64 numbers") }
        }
        let others = ["ifname", "script", "downscript", "helper", "br", "queues"].filter { values[$0] != nil }
        if !tap.descriptors.isEmpty, let other = others.first(where: { $0 != "queues" }) {
            throw .invalid("\(other)= is invalid with fd= or fds=")
        }
        tap.helper = values.string("helper")
        tap.bridge = values.string("br")
        func program(_ name: String) -> String? {
            values.string(name).flatMap { $0 == "no" || $0.isEmpty ? nil : $0 }
        }
        tap.script = program("script")
        tap.downScript = program("downscript")
        tap.hasHeaders = values.flag("vnet_hdr")
        tap.queues = values.int("queues") ?? 1
        tap.sendBuffer = values.size("sndbuf")
        try setVhost(&tap, values)
        return tap
    }

    /// An address as QAPI's SocketAddress has it.
    private static func address(_ value: JSONValue?, _ name: String) throws(OptionError) -> NetworkAddress? {
        guard let value else { return nil }
        guard let object = value.objectValue, let type = object.string("type") else { throw .missing("\(name).type") }
        func text(_ member: String) throws(OptionError) -> String {
            guard let text = object.string(member) else { throw .missing("\(name).\(member)") }
            return text
        }
        let known: [String]
        let result: NetworkAddress
        switch type {
        case "inet":
            known = ["host", "port", "ipv4", "ipv6", "numeric", "keep-alive", "to", "mptcp"]
            let port = object.string("port") ?? object.int("port").map(String.init) ?? ""
            guard UInt16(port) != nil else { throw .value("\(name).port", port, expects: "a port") }
            result = .internet(host: try text("host"), port: port)
        case "unix":
            known = ["path", "abstract", "tight"]
            result = .unix(path: try text("path"))
        case "fd":
            known = ["str"]
            result = .descriptor(try text("str"))
        default:
            throw .unknown("Parameter '\(name).type' does not accept value", type, among: ["inet", "unix", "fd"])
        }
        for member in object.members where member.name != "type" && !known.contains(member.name) {
            throw .unknown("Invalid parameter", "\(name).\(member.name)", among: known.map { "\(name).\($0)" })
        }
        return result
    }
}
