internal import HostOS
internal import JSON
internal import Network

/// `apus ssh NAME`: finds the machine on whatever network it is, and becomes `ssh` to it. Where the host does not reach the
/// network itself, a port of the loopback leads there.
public enum SSHProgram {
    private static let help = """
        usage: apus ssh [--network NAME] [--port PORT] [--run DIR] [--state DIR] [USER@]MACHINE [what ssh takes]

        Logs in to a machine of a virtual network, by the machine's name.

        """

    /// Runs the command; it returns only where it cannot.
    ///
    /// - Parameter others: the addresses of a machine that is on no network of ours.
    public static func run(_ arguments: [String], others: (String) -> [String] = { _ in [] }) -> Int32 {
        do {
            try start(arguments, others)
        } catch {
            try? Descriptor(borrowing: 2).writeAll(Array("apus ssh: \(error)\n".utf8))
            return 255
        }
        return 0
    }

    private static func start(_ arguments: [String], _ others: (String) -> [String]) throws {
        var paths = NetworkPaths.standard
        var (network, port): (String?, UInt16) = (nil, 22)
        var rest = arguments[...]
        while let word = rest.first, word.hasPrefix("--") {
            rest.removeFirst()
            if word == "--help" { return try Descriptor(borrowing: 1).writeAll(Array(help.utf8)) }
            guard let value = rest.popFirst() else { throw NetworkError("'\(word)' needs a value") }
            switch word {
            case "--network": network = value
            case "--run": paths.run = value
            case "--state": paths.state = value
            case "--port":
                guard let number = UInt16(value), number > 0 else { throw NetworkError("'\(value)' is no port") }
                port = number
            default: throw NetworkError("unknown option '\(word)'")
            }
        }
        guard let target = rest.popFirst(), !target.hasPrefix("-") else { throw NetworkError("no machine is named") }
        let place = target.lastIndex(of: "@")
        let user = place.map { String(target[...$0]) } ?? ""
        let name = place.map { String(target[target.index(after: $0)...]) } ?? target
        let client = NetworkClient(paths: paths, program: "")
        let networks = network.map { [$0] } ?? client.running
        let found = try find(name, networks, client, network == nil ? others : { _ in [] })
        var words = ["-o", "HostKeyAlias=\(name)"]
        if found.isOnHost {
            words += ["-p", "\(port)", user + found.address]
        } else {
            words += ["-p", "\(try way(to: found.address, port, on: found.network, client))", user + "127.0.0.1"]
        }
        let program = try self.program()
        try HostProcess.become(program, arguments: [program] + words + rest)
    }

    private static func find(
        _ name: String, _ networks: [String], _ client: NetworkClient, _ others: (String) -> [String]
    ) throws -> (network: String, address: String, isOnHost: Bool) {
        for network in networks {
            guard let answer = try? client.call(network, "resolve", ["name": .string(name)]),
                let address = answer["ip"]?.stringValue
            else { continue }
            return (network, address, answer["on-host"]?.boolValue ?? false)
        }
        if let address = others(name).first { return ("", address, true) }
        let places = networks.isEmpty ? "any network" : networks.sorted().joined(separator: ", ")
        throw NetworkError("no machine '\(name)' has an address on \(places)")
    }

    /// A port of this host's loopback that leads to a machine: one that is there already, or a new one.
    private static func way(
        to address: String, _ port: UInt16, on network: String, _ client: NetworkClient
    ) throws -> UInt16 {
        guard IPv4Address(address) != nil else {
            throw NetworkError("the machine has \(address) alone, and ports of this host lead to addresses of IPv4")
        }
        let rules = try client.call(network, "forwards").arrayValue ?? []
        for case let rule? in rules.map(\.stringValue) {
            guard let forward = try? HostForward(rule), !forward.isUDP,
                forward.hostAddress == IPv4Address(rawValue: 0x7F00_0001),
                forward.guestAddress.map({ "\($0)" }) == address, forward.guestPort == port
            else { continue }
            return forward.hostPort
        }
        var failure = NetworkError("no port of this host is free")
        for _ in 0..<16 {
            // Another program may take it in between: then the next one.
            let free: UInt16 = try {
                let socket = try Socket.listen(SocketAddress.ipv4(0x7F00_0001, port: 0))
                return try Socket.localAddress(socket).port
            }()
            do throws(NetworkError) {
                try client.call(
                    network, "forward-add", ["rule": .string("tcp:127.0.0.1:\(free)-\(address):\(port)")])
                return free
            } catch { failure = error }
        }
        throw failure
    }

    private static func program() throws -> String {
        let folders = (HostIdentity.environment("PATH") ?? "/usr/bin:/bin").split(separator: ":")
        guard let path = folders.map({ "\($0)/ssh" }).first(where: { HostFile.status($0).kind == .file }) else {
            throw NetworkError("this host has no 'ssh'")
        }
        return path
    }
}
