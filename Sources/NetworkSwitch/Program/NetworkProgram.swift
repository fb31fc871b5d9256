internal import DomainModel
internal import HostOS
internal import JSON
internal import Network

/// `apus network`: virtual networks from the command line, with or without a daemon.
public enum NetworkProgram {
    private static let help = """
        usage: apus network COMMAND [options]

        list                      Networks that are defined or run
        define FILE               Keeps a network's definition (libvirt's network XML)
        undefine NAME             Forgets it
        start NAME | --xml FILE   Starts a network; 'default' needs no definition
        destroy NAME              Ends a network
        info NAME                 What it is, and where machines connect
        dumpxml NAME              Its definition
        leases NAME               Which machine has which address
        addresses NAME            Addresses by leases and by what machines say
        ports NAME                Its ports, with what went by
        port-add NAME PORT        A port of its own (--mac MAC, --machine NAME, --ip ADDRESS, --filter NAME,
                                  --isolated, --vlan N, --inbound KIB, --outbound KIB, --headers); prints its socket
        port-remove NAME PORT     Ends a port
        forward NAME RULE         [tcp|udp]:[address]:port-machine:port leads from this host to a machine
        unforward NAME RULE       Ends a forward: [tcp|udp]:[address]:port
        capture NAME FILE         Writes what goes by to a file for Wireshark (--port PORT)
        capture-stop NAME         Ends that
        cleanup                   Removes what networks that were killed have left on this host
        bridge BRIDGE --nic NIC   As root: puts a bridge under the address of a card of this host; all goes back where
                                  the gateway does not answer by it (--wait SECONDS, 30). With --write STYLE: only
                                  writes the configuration of ifupdown, networkmanager, netplan, systemd-networkd or
                                  ifcfg below --root DIR (--address A/PREFIX, --gateway A, --dns A,A)
        update FILE               Takes over changed names and fixed addresses of a network that runs

        --run DIR, --state DIR    Other folders than the usual ones
        --host                    With 'start', as root: a bridge of this host instead of a switch of our own

        A machine is on a network by  -netdev stream,id=n,addr.type=unix,addr.path=SOCKET,reconnect=1

        """

    private struct Options {
        var words: [String] = []
        var values: [String: String] = [:]
        var flags: Set<String> = []
    }
    private static let flags: Set<String> = ["--host", "--isolated", "--headers", "--help"]

    /// Runs a command; the status is the process's.
    public static func run(_ arguments: [String]) -> Int32 {
        do {
            let options = try parse(arguments)
            guard let command = options.words.first, !options.flags.contains("--help") else {
                write(help)
                return arguments.isEmpty ? 2 : 0
            }
            var paths = NetworkPaths.standard
            if let run = options.values["--run"] { paths.run = run }
            if let state = options.values["--state"] { paths.state = state }
            if command == "serve" {
                guard options.words.count == 2 else { throw NetworkError("'serve' needs a name") }
                return NetworkServer.run(
                    options.words[1], paths, usesHost: options.flags.contains("--host"),
                    report: Descriptor(borrowing: 1))
            }
            try perform(command, options, NetworkClient(paths: paths, program: try ownProgram()))
            return 0
        } catch {
            try? Descriptor(borrowing: 2).writeAll(Array("apus network: \(error)\n".utf8))
            return 1
        }
    }

    private static func parse(_ arguments: [String]) throws -> Options {
        var options = Options()
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("--") else {
                options.words.append(word)
                continue
            }
            if flags.contains(word) {
                options.flags.insert(word)
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
                throw NetworkError("'\(word)' needs a value")
            }
            options.values[parts[0]] = value
        }
        return options
    }

    private static func write(_ text: String) { try? Descriptor(borrowing: 1).writeAll(Array(text.utf8)) }

    private static func ownProgram() throws -> String { try HostFile.target(ofLink: "/proc/self/exe") }

    private static func perform(_ command: String, _ options: Options, _ client: NetworkClient) throws {
        let words = Array(options.words.dropFirst())
        func word(_ place: Int, _ what: String) throws -> String {
            guard words.indices.contains(place) else { throw NetworkError("'\(command)' needs \(what)") }
            return words[place]
        }
        func name() throws -> String {
            let name = try word(0, "a network's name")
            guard NetworkPaths.isName(name) else { throw NetworkError("'\(name)' is no name of a network") }
            return name
        }
        switch command {
        case "list": list(client)
        case "define":
            let network = try read(try word(0, "a file"))
            try HostFolder.make(client.paths.state, permissions: 0o700)
            try HostFile.replace(client.paths.kept(network.name), with: Array(network.xml().utf8))
            write("Network \(network.name) defined\n")
        case "undefine":
            try HostFile.remove(client.paths.kept(try name()))
            write("Network \(try name()) has been undefined\n")
        case "start":
            let network = try options.values["--xml"].map(read) ?? definition(try name(), client)
            try client.start(network, onHost: options.flags.contains("--host"))
            write("Network \(network.name) started\n")
        case "destroy":
            try client.stop(try name())
            write("Network \(try name()) destroyed\n")
        case "cleanup": client.cleanUpAll()
        case "bridge": try bridge(try word(0, "a bridge's name"), options)
        case "update": try client.update(try read(try word(0, "a file")))
        case "dumpxml": write(try (client.definition(try name()) ?? definition(try name(), client)).xml())
        case "leases": leases(client.leases(try name()), client.leases6(try name()))
        case "info", "addresses", "ports", "forwards":
            write(try client.call(try name(), command).description + "\n")
        case "port-add": write(try client.addPort(try name(), try port(try word(1, "a port's name"), options)) + "\n")
        case "port-remove": try client.removePort(try name(), try word(1, "a port's name"))
        case "forward": try client.call(try name(), "forward-add", ["rule": .string(try word(1, "a rule"))])
        case "unforward": try client.call(try name(), "forward-remove", ["rule": .string(try word(1, "a rule"))])
        case "capture":
            var request: JSONObject = ["file": .string(try word(1, "a file"))]
            if let port = options.values["--port"] { request["port"] = .string(port) }
            try client.call(try name(), "capture", request)
        case "capture-stop": try client.call(try name(), "capture-stop")
        default: throw NetworkError("unknown command '\(command)'; 'apus network --help' lists them")
        }
    }

    private static func read(_ path: String) throws -> VirtualNetwork {
        let network = try VirtualNetwork(
            xml: String(decoding: try HostFile.contents(path, limit: 4 << 20), as: UTF8.self))
        guard NetworkPaths.isName(network.name) else { throw NetworkError("'\(network.name)' is no name of a network") }
        return network
    }

    private static func definition(_ name: String, _ client: NetworkClient) throws -> VirtualNetwork {
        if HostFile.status(client.paths.kept(name)).kind == .file { return try read(client.paths.kept(name)) }
        guard name == "default" else { throw NetworkError("there is no network '\(name)'") }
        return try VirtualNetwork(xml: NetworkPlan.defaultXML)
    }

    private static func bridge(_ name: String, _ options: Options) throws {
        guard let nic = options.values["--nic"] else { throw NetworkError("'bridge' needs --nic") }
        for text in [name, nic] where !(1...15).contains(text.utf8.count) || text.utf8.contains(0x2F) || text == ".." {
            throw NetworkError("'\(text)' is no name of an interface")
        }
        guard let text = options.values["--write"] else {
            guard let wait = Int(options.values["--wait"] ?? "30"), (1...3600).contains(wait) else {
                throw NetworkError("--wait takes 1 to 3600 seconds")
            }
            try BridgeMove(bridge: name, nic: nic).run(seconds: wait)
            return write("Bridge \(name) has interface \(nic)\n")
        }
        guard let style = BridgeConfiguration.Style(rawValue: text) else {
            let known = BridgeConfiguration.Style.allCases.map(\.rawValue).joined(separator: ", ")
            throw NetworkError("'\(text)' is none of \(known)")
        }
        var configuration = BridgeConfiguration(bridge: name, nic: nic)
        func address(_ text: String) throws -> IPv4Address {
            guard let address = IPv4Address(text) else { throw NetworkError("'\(text)' is no IPv4 address") }
            return address
        }
        if let text = options.values["--address"] {
            let parts = text.split(separator: "/").map(String.init)
            guard parts.count == 2, let length = Int(parts[1]), (1...32).contains(length) else {
                throw NetworkError("'\(text)' is no address with a prefix")
            }
            configuration.address = (try address(parts[0]), length)
        }
        configuration.gateway = try options.values["--gateway"].map(address)
        configuration.nameServers = try (options.values["--dns"] ?? "").split(separator: ",").map {
            try address(String($0))
        }
        let root = options.values["--root"] ?? ""
        if let bytes = try? HostFile.contents("/sys/class/net/\(nic)/address", limit: 64) {
            configuration.hardware = HardwareAddress(String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self))
        }
        for file in configuration.files(style) {
            let path = root + file.path
            if let slash = path.lastIndex(of: "/") { try HostFolder.make(String(path[..<slash])) }
            // Key files may hold secrets: NetworkManager and netplan want them for root alone.
            let isSecret = style == .networkManager || style == .netplan
            try HostFile.replace(path, with: Array(file.text.utf8), permissions: isSecret ? 0o600 : 0o644)
            write("\(path)\n")
        }
        guard let bytes = try? HostFile.contents(root + "/etc/network/interfaces", limit: 1 << 20) else { return }
        let own = String(decoding: bytes, as: UTF8.self)
        for note in BridgeConfiguration.conflicts(style, nic: nic, interfaces: own) {
            try? Descriptor(borrowing: 2).writeAll(Array("apus network: \(note)\n".utf8))
        }
    }

    private static func list(_ client: NetworkClient) {
        let running = Set(client.running)
        let kept = ((try? HostFolder.names(in: client.paths.state)) ?? []).filter { $0.hasSuffix(".xml") }
            .map { String($0.dropLast(4)) }
        write(" Name             State\n-------------------------\n")
        for name in Set(kept).union(running).union(["default"]).sorted() {
            let padding = String(repeating: " ", count: max(1, 17 - name.count))
            write(" \(name)\(padding)\(running.contains(name) ? "active" : "inactive")\n")
        }
    }

    private static func leases(_ leases: [DHCPLease], _ leases6: [DHCPv6Lease]) {
        write(" MAC address         IP address        Name             Expires (seconds since 1970)\n")
        func line(_ hardware: HardwareAddress, _ address: String, _ name: String?, _ expiry: UInt64) {
            write(" \(hardware)   \(address.padded(18))\((name ?? "-").padded(17))\(expiry)\n")
        }
        for lease in leases { line(lease.hardware, "\(lease.address)", lease.hostName, lease.expiry) }
        for lease in leases6 { line(lease.hardware, "\(lease.address)", lease.hostName, lease.expiry) }
    }

    private static func port(_ name: String, _ options: Options) throws -> PortSettings {
        var port = PortSettings(name: name)
        port.machine = options.values["--machine"]
        if let text = options.values["--mac"] {
            guard let address = HardwareAddress(text) else { throw NetworkError("'\(text)' is no hardware address") }
            port.address = address
        }
        if let text = options.values["--ip"] {
            guard let address = IPv4Address(text) else { throw NetworkError("'\(text)' is no IPv4 address") }
            port.ipAddresses = [address]
        }
        if let text = options.values["--filter"] {
            guard let filter = PortFilter(name: text) else { throw NetworkError("'\(text)' is no filter") }
            port.filter = filter
        }
        if let text = options.values["--vlan"] {
            guard let vlan = UInt16(text) else { throw NetworkError("'\(text)' is no VLAN") }
            port.vlan = vlan
        }
        func limit(_ name: String) throws -> RateLimit? {
            guard let text = options.values[name] else { return nil }
            guard let rate = UInt64(text), rate > 0, rate < 1 << 30 else { throw NetworkError("'\(text)' is no rate") }
            return RateLimit(average: rate * 1024)
        }
        port.inbound = try limit("--inbound")
        port.outbound = try limit("--outbound")
        port.isIsolated = options.flags.contains("--isolated")
        port.hasHeaders = options.flags.contains("--headers")
        return port
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
