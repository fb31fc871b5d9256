internal import JSON
internal import Machine
internal import SPICE

/// The two forms of a character back-end: `-chardev`'s parameters, and the short form of `-serial`.
enum CharacterBackendSyntax {
    /// The back-ends that -chardev takes, `tty` and `parport` being old names.
    static let names = [
        "null", "stdio", "file", "pty", "pipe", "serial", "tty", "parallel", "parport", "socket", "udp", "ringbuf",
        "vc", "qemu-vdagent", "spicevmc", "spiceport",
    ]
    private static let common: [Parameter] = [
        Parameter("backend", Parameter.Kind.string), Parameter("id", Parameter.Kind.string),
        Parameter("mux", Parameter.Kind.boolean), Parameter("logfile", Parameter.Kind.string),
        Parameter("logappend", Parameter.Kind.boolean),
    ]
    private static let socket: [Parameter] = [
        Parameter("server", Parameter.Kind.boolean), Parameter("wait", Parameter.Kind.boolean),
        Parameter("telnet", Parameter.Kind.boolean), Parameter("tn3270", Parameter.Kind.boolean),
        Parameter("websocket", Parameter.Kind.boolean), Parameter("delay", Parameter.Kind.boolean),
        Parameter("nodelay", Parameter.Kind.boolean), Parameter("reconnect", Parameter.natural),
        Parameter("tls-creds", Parameter.Kind.string), Parameter("tls-authz", Parameter.Kind.string),
        Parameter("to", Parameter.Kind.number(0...65535)), Parameter("ipv4", Parameter.Kind.boolean),
        Parameter("ipv6", Parameter.Kind.boolean), Parameter("abstract", Parameter.Kind.boolean),
        Parameter("tight", Parameter.Kind.boolean), Parameter("logfile", Parameter.Kind.string),
        Parameter("logappend", Parameter.Kind.boolean),
    ]
    private static let path: [Parameter] = [Parameter("path", Parameter.Kind.string)]

    private static func parameters(_ backend: String) -> [Parameter] {
        switch backend {
        case "stdio": [Parameter("signal", Parameter.Kind.boolean)]
        case "file":
            path + [Parameter("append", Parameter.Kind.boolean), Parameter("input-path", Parameter.Kind.string)]
        case "pty", "pipe", "serial", "tty", "parallel", "parport": path
        case "socket":
            path + socket + [
                Parameter("host", Parameter.Kind.string), Parameter("port", Parameter.Kind.string),
                Parameter("fd", Parameter.Kind.string),
            ]
        case "udp":
            [
                Parameter("host", Parameter.Kind.string), Parameter("port", Parameter.Kind.string),
                Parameter("localaddr", Parameter.Kind.string), Parameter("localport", Parameter.Kind.string),
                Parameter("ipv4", Parameter.Kind.boolean), Parameter("ipv6", Parameter.Kind.boolean),
            ]
        case "ringbuf": [Parameter("size", Parameter.size)]
        case "vc":
            [
                Parameter("width", Parameter.natural), Parameter("height", Parameter.natural),
                Parameter("cols", Parameter.natural), Parameter("rows", Parameter.natural),
            ]
        case "qemu-vdagent":
            [
                Parameter("clipboard", Parameter.Kind.boolean), Parameter("mouse", Parameter.Kind.boolean),
                Parameter("name", Parameter.Kind.string),
            ]
        case "spicevmc", "spiceport": [Parameter("name", Parameter.Kind.string), Parameter("debug", Parameter.natural)]
        default: []
        }
    }

    /// The parameters of all back-ends, each once.
    static var allParameters: [Parameter] {
        var seen: Set<String> = []
        return (common + names.flatMap(parameters)).filter { seen.insert($0.name).inserted }
    }

    /// The members of a back-end's `data` in QMP, but for the address of a socket.
    static func dataParameters(_ backend: String) -> [Parameter] {
        let log = common.filter { $0.name.hasPrefix("log") }
        switch backend {
        case "file":
            return [
                Parameter("in", Parameter.Kind.string), Parameter("out", Parameter.Kind.string),
                Parameter("append", Parameter.Kind.boolean),
            ] + log
        case "pipe", "serial", "tty", "parallel", "parport": return [Parameter("device", Parameter.Kind.string)] + log
        case "socket": return socket.filter { !["to", "ipv4", "ipv6", "abstract", "tight"].contains($0.name) }
        case "udp":
            return [Parameter("remote", Parameter.Kind.any), Parameter("local", Parameter.Kind.any)] + log
        case "spicevmc": return [Parameter("type", Parameter.Kind.string)] + log
        case "spiceport": return [Parameter("fqdn", Parameter.Kind.string)] + log
        default: return parameters(backend) + log
        }
    }

    /// The back-end of QMP's `chardev-add`, of which each member becomes the parameter of -chardev that it is.
    static func device(_ id: String, _ backend: JSONObject) throws(OptionError) -> CharacterDeviceConfiguration {
        let type = backend.string("type") ?? ""
        var pairs = OptionPairs()
        func add(_ name: String, _ value: JSONValue?) {
            guard let value else { return }
            let text = value.boolValue.map { $0 ? "on" : "off" } ?? value.stringValue ?? value.description
            pairs.pairs.append(OptionPairs.Pair(key: name, value: text))
        }
        func address(_ value: JSONValue?, _ host: String, _ port: String) {
            let data = value?["data"] ?? value
            add("path", data?["path"])
            add(host, data?["host"])
            add(port, data?["port"])
            for name in ["to", "ipv4", "ipv6", "abstract", "tight"] { add(name, data?[name]) }
            add("fd", data?["str"])
        }
        add("backend", .string(type))
        add("id", .string(id))
        let known = dataParameters(type)
        for member in backend["data"]?.objectValue?.members ?? [] {
            _ = try known.first { $0.name == member.name }?.typed(member.value, path: "backend.data.")
            switch (type, member.name) {
            case ("file", "out"), ("pipe", "device"), ("serial", "device"), ("tty", "device"),
                ("parallel", "device"), ("parport", "device"):
                add("path", member.value)
            case ("file", "in"): add("input-path", member.value)
            case ("socket", "addr"): address(member.value, "host", "port")
            case ("udp", "remote"): address(member.value, "host", "port")
            case ("udp", "local"): address(member.value, "localaddr", "localport")
            // As the schema of chardev-add calls them.
            case ("spicevmc", "type"), ("spiceport", "fqdn"): add("name", member.value)
            default: add(member.name, member.value)
            }
        }
        return try device(pairs)
    }

    /// The back-end of -chardev's parameters.
    static func device(_ pairs: OptionPairs) throws(OptionError) -> CharacterDeviceConfiguration {
        guard let backend = pairs["backend"] else { throw .missing("backend") }
        guard names.contains(backend) else {
            throw .unknown("invalid character back-end", backend, among: names)
        }
        let table = ParameterTable(implied: "backend", common + parameters(backend))
        let values = try table.values(pairs)
        guard let id = values.string("id") else { throw .missing("id") }
        guard DeviceOptions.isIdentifier(id) else { throw .value("id", id, expects: DeviceOptions.identifierWords) }
        var device = CharacterDeviceConfiguration(id: id, kind: try kind(backend, values))
        device.isMultiplexed = values.flag("mux") ?? false
        device.logFile = values.string("logfile")
        device.logAppend = values.flag("logappend") ?? false
        return device
    }

    private static func kind(_ backend: String, _ values: JSONObject) throws(OptionError) -> CharacterBackendKind {
        func path() throws(OptionError) -> String {
            guard let path = values.string("path"), !path.isEmpty else { throw .missing("path") }
            return path
        }
        switch backend {
        case "null": return .null
        case "stdio": return .stdio(signal: values.flag("signal"))
        case "file":
            return .file(
                path: try path(), append: values.flag("append") ?? false, input: values.string("input-path"))
        case "pty": return .pty(path: values.string("path"))
        case "pipe": return .pipe(path: try path())
        case "serial", "tty": return .serial(path: try path())
        case "parallel", "parport": return .parallel(path: try path())
        case "udp":
            guard let port = values.string("port") else { throw .missing("port") }
            try checkPort(port)
            return .udp(
                host: values.string("host") ?? "", port: port, localHost: values.string("localaddr"),
                localPort: values.string("localport"))
        case "ringbuf":
            let size = values.size("size") ?? 65536
            guard size > 0, size & (size - 1) == 0, size <= 1 << 30 else {
                throw .value("size", "\(size)", expects: "a power of two of at most 1G")
            }
            return .ringBuffer(size: size)
        case "vc":
            let words = [values.int("cols").map { "\($0)C" }, values.int("rows").map { "\($0)C" }].compactMap { $0 }
            return .virtualConsole(size: words.joined(separator: "x"))
        case "qemu-vdagent":
            // Its name is always the same, and may be given all the same.
            return .agent(clipboard: values.flag("clipboard") ?? false, mouse: values.flag("mouse") ?? true)
        case "spicevmc":
            switch values.string("name") ?? "vdagent" {
            case "vdagent": return .spice(.agent)
            case "usbredir": return .spice(.usbRedirection)
            case let other: throw .unknown("invalid name of a SPICE channel", other, among: ["vdagent", "usbredir"])
            }
        case "spiceport":
            guard let name = values.string("name"), !name.isEmpty else { throw .missing("name") }
            return .spice(.port(name))
        default: return .socket(try socket(values))
        }
    }

    private static func socket(_ values: JSONObject) throws(OptionError) -> SocketConfiguration {
        if let fd = values.string("fd") { return try socketOptions(values, .descriptor(fd)) }
        if let path = values.string("path") {
            guard values["host"] == nil, values["port"] == nil else {
                throw .invalid("'path' and 'host' or 'port' exclude each other")
            }
            return try socketOptions(values, unix(path, values))
        }
        guard let port = values.string("port") else { throw .missing("port") }
        return try socketOptions(values, inet(values.string("host") ?? "", port, values))
    }

    private static func unix(_ path: String, _ values: JSONObject) throws(OptionError) -> SocketAddressConfiguration {
        // sun_path of unix(7) holds 108 bytes with its terminator.
        guard !path.isEmpty, path.utf8.count < 108, !path.utf8.contains(0) else {
            throw .value("path", path, expects: "1 to 107 bytes")
        }
        return .unix(path: path, abstract: values.flag("abstract") ?? false, tight: values.flag("tight") ?? true)
    }
    private static func inet(
        _ host: String, _ port: String, _ values: JSONObject
    ) throws(OptionError) -> SocketAddressConfiguration {
        try checkPort(port)
        return .inet(
            host: host, port: port, to: values.int("to"), ipv4: values.flag("ipv4"), ipv6: values.flag("ipv6"))
    }
    private static func checkPort(_ port: String) throws(OptionError) {
        guard let number = OptionValue.unsigned(port), number <= 65535 else {
            throw .value("port", port, expects: "a number from 0 to 65535")
        }
    }

    private static func socketOptions(
        _ values: JSONObject, _ address: SocketAddressConfiguration
    ) throws(OptionError) -> SocketConfiguration {
        var socket = SocketConfiguration(address: address)
        socket.isServer = values.flag("server") ?? false
        socket.waits = values.flag("wait") ?? true
        socket.telnet = values.flag("telnet") ?? false
        socket.webSocket = values.flag("websocket") ?? false
        socket.noDelay = values.flag("nodelay") ?? values.flag("delay").map { !$0 } ?? false
        socket.reconnect = values.int("reconnect") ?? 0
        socket.tlsCredentials = values.string("tls-creds")
        socket.tlsAuthorization = values.string("tls-authz")
        if case .descriptor = address, socket.reconnect > 0 {
            throw .invalid("'reconnect' option is incompatible with 'fd'")
        }
        if !socket.isServer, values["wait"] != nil {
            throw .invalid("'wait' option is incompatible with a client socket")
        }
        if socket.isServer, socket.reconnect > 0 {
            throw .invalid("'reconnect' option is incompatible with a server socket")
        }
        return socket
    }

    /// The back-end of a short form: `stdio`, `file:path`, `tcp:host:port,server=on`.
    static func short(_ text: String) throws(OptionError) -> CharacterBackendKind {
        switch text {
        case "null": return .null
        case "stdio": return .stdio(signal: nil)
        case "pty": return .pty(path: nil)
        case "vc": return .virtualConsole(size: "")
        default: break
        }
        if text.hasPrefix("/dev/parport") { return .parallel(path: text) }
        if text.hasPrefix("/dev/") { return .serial(path: text) }
        guard let colon = text.firstIndex(of: ":"), colon < text.endIndex else { throw unknownShort(text) }
        let rest = String(text[text.index(after: colon)...])
        switch text[..<colon] {
        case "vc": return .virtualConsole(size: rest)
        case "pty": return .pty(path: rest)
        case "file", "pipe":
            guard !rest.isEmpty else { throw .missing("path") }
            return text.hasPrefix("file") ? .file(path: rest, append: false, input: nil) : .pipe(path: rest)
        case "unix":
            let (path, values) = try options(rest)
            return .socket(try socketOptions(values, try unix(path, values)))
        case "tcp", "telnet", "websocket":
            let (address, values) = try options(rest)
            let (host, port) = try hostAndPort(address)
            var socket = try socketOptions(values, try inet(host, port, values))
            socket.telnet = socket.telnet || text.hasPrefix("telnet")
            socket.webSocket = socket.webSocket || text.hasPrefix("websocket")
            return .socket(socket)
        case "udp": return try udp(rest)
        default: throw unknownShort(text)
        }
    }

    private static func unknownShort(_ text: String) -> OptionError {
        .unknown(
            "invalid character back-end", text,
            among: [
                "null", "none", "stdio", "mon:stdio", "pty", "vc", "file:path", "pipe:path", "unix:path",
                "tcp:host:port", "telnet:host:port", "udp:host:port", "chardev:id",
            ])
    }

    /// What stands before the first comma, and the socket options after it.
    private static func options(_ text: String) throws(OptionError) -> (String, JSONObject) {
        let pairs = try OptionPairs(text.hasPrefix("=") ? "" : text, implied: "address")
        guard let first = pairs.pairs.first, first.key == "address", let address = first.value else {
            // A path with '=' in it is not read as a key.
            let cut = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return (cut[0], try ParameterTable(socket).values(cut.count > 1 ? cut[1] : ""))
        }
        var rest = pairs
        rest.pairs.removeFirst()
        return (address, try ParameterTable(socket).values(rest))
    }

    private static func hostAndPort(_ text: String) throws(OptionError) -> (String, String) {
        guard let colon = text.lastIndex(of: ":") else {
            throw .invalid("address '\(printable(text))' has no port; it takes host:port")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host, String(text[text.index(after: colon)...]))
    }

    /// `[host]:port[@[localhost]:localport]`
    private static func udp(_ text: String) throws(OptionError) -> CharacterBackendKind {
        let sides = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let (host, port) = try hostAndPort(sides[0])
        try checkPort(port)
        guard sides.count > 1 else { return .udp(host: host, port: port, localHost: nil, localPort: nil) }
        let (localHost, localPort) = try hostAndPort(sides[1])
        try checkPort(localPort)
        return .udp(host: host, port: port, localHost: localHost, localPort: localPort)
    }
}
