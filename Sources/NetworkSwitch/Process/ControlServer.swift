internal import DomainModel
internal import HostOS
internal import JSON
internal import Network
internal import Synchronization

/// The control socket of a network: lines of JSON, `{"command": …}` in, `{"return": …}` or `{"error": "…"}` out.
final class ControlServer: Sendable {
    private static let clientLimit = 32
    private static let lineLimit = 1 << 20

    private final class Client: Sendable {
        let socket: Descriptor
        let state = Mutex<(source: EventSource?, pending: [UInt8])>((nil, []))
        init(_ socket: Descriptor) { self.socket = socket }
    }
    private let network: NetworkInstance
    private let clients = Mutex<[ObjectIdentifier: Client]>([:])
    private let stopped: @Sendable () -> Void

    init(_ network: NetworkInstance, stopped: @escaping @Sendable () -> Void) throws {
        self.network = network
        self.stopped = stopped
        try network.listen(network.paths.control(network.name)) { [weak self] in self?.take($0) }
    }

    private func take(_ socket: Descriptor) {
        let client = Client(socket)
        let isTaken = clients.withLock { clients in
            guard clients.count < Self.clientLimit else { return false }
            clients[ObjectIdentifier(client)] = client
            return true
        }
        guard isTaken,
            let source = try? network.loop.add(
                socket, [.read],
                handler: { [weak self, weak client] _ in
                    if let client { self?.read(client) }
                })
        else { return Socket.shutDown(socket) }
        client.state.withLock { $0.source = source }
    }

    private func drop(_ client: Client) {
        client.state.withLock { $0.source }?.remove()
        Socket.shutDown(client.socket)
        clients.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(client)) }
    }

    private func read(_ client: Client) {
        var bytes = [UInt8](repeating: 0, count: 65536)
        // SAFETY: the array lives for the call, which writes no more than it holds.
        let result = unsafe bytes.withUnsafeMutableBytes { unsafe client.socket.read(into: $0) }
        guard case .moved(let count) = result else {
            if result != .wouldBlock { drop(client) }
            return
        }
        let lines = client.state.withLock { state -> [[UInt8]]? in
            state.pending += bytes[..<count]
            guard state.pending.count <= Self.lineLimit else { return nil }
            var lines = state.pending.split(separator: 10, omittingEmptySubsequences: false).map(Array.init)
            state.pending = lines.removeLast()
            return lines
        }
        guard let lines else { return drop(client) }
        for line in lines where !line.isEmpty {
            let (answer, ends) = respond(line)
            let bytes = Array((answer.description + "\n").utf8)
            // A client that does not read its answers is let go.
            let sent = unsafe bytes.withUnsafeBytes { unsafe Socket.send(client.socket, $0) }
            guard sent == .moved(bytes.count) else { return drop(client) }
            if ends { stopped() }
        }
    }

    private func respond(_ line: [UInt8]) -> (answer: JSONValue, ends: Bool) {
        do {
            guard let request = try JSONReader.parse(String(decoding: line, as: UTF8.self)).objectValue,
                let command = request["command"]?.stringValue
            else { throw NetworkError("no command") }
            if command == "stop" { return (["return": [:]], true) }
            return (["return": try perform(command, request)], false)
        } catch {
            return (["error": .string("\(error)")], false)
        }
    }

    private func perform(_ command: String, _ request: JSONObject) throws -> JSONValue {
        func text(_ name: String) throws -> String {
            guard let text = request[name]?.stringValue else { throw NetworkError("'\(command)' needs '\(name)'") }
            return text
        }
        switch command {
        case "info": return info()
        case "ports": return .array(network.vswitch.ports.map(\.json))
        case "leases":
            return .array(network.services.leases.map(\.json) + (network.services.six?.leases.map(\.json) ?? []))
        case "addresses":
            var seen = network.services.seen.mapValues { ["\($0)"] }
            for lease in network.services.leases { seen[lease.hardware] = ["\(lease.address)"] }
            for lease in network.services.six?.leases ?? [] {
                seen[lease.hardware, default: []].append("\(lease.address)")
            }
            for (hardware, addresses) in network.services.six?.seen ?? [:] {
                for text in addresses.map({ "\($0)" }) where seen[hardware]?.contains(text) != true {
                    seen[hardware, default: []].append(text)
                }
            }
            return .array(
                seen.sorted { $0.key.rawValue < $1.key.rawValue }.flatMap { entry in
                    entry.value.map { ["mac": .string("\(entry.key)"), "ip": .string($0)] as JSONValue }
                })
        case "resolve":
            let name = try text("name")
            let four = network.services.address(of: name).map { "\($0)" }
            guard let address = four ?? network.services.address6(of: name).map({ "\($0)" }) else {
                throw NetworkError("there is no machine '\(name)'")
            }
            return ["ip": .string(address), "on-host": .bool(network.isOnHost)]
        case "port-add":
            guard let settings = request["port"]?.objectValue.flatMap({ PortSettings($0) }) else {
                throw NetworkError("'port-add' needs a port")
            }
            try network.addPort(settings)
            return ["socket": .string(network.paths.portSocket(network.name, settings.name))]
        case "port-limit":
            try network.setLimits(
                port: try text("name"), inbound: RateLimit(request["inbound"]), outbound: RateLimit(request["outbound"])
            )
        case "port-remove": try network.removePort(try text("name"))
        case "forward-add": try network.addForward(try text("rule"))
        case "forward-remove": try network.removeForward(try text("rule"))
        case "forwards": return .array(network.forwards.withLock { $0.map { .string("\($0)") } })
        case "name":
            guard let hardware = HardwareAddress(try text("mac")) else { throw NetworkError("no hardware address") }
            network.services.setName(request["name"]?.stringValue, of: hardware)
        case "capture":
            var port: Int?
            if let name = request["port"]?.stringValue {
                port = network.vswitch.port(named: name)
                guard port != nil else { throw NetworkError("there is no port '\(name)'") }
            }
            let file = try PacketCapture(try text("file"), limit: request["maxlen"]?.intValue ?? 65536)
            network.vswitch.addCapture(file, name: request["name"]?.stringValue ?? "capture", port: port)
        case "capture-stop":
            guard network.vswitch.removeCapture(request["name"]?.stringValue ?? "capture") else {
                throw NetworkError("there is no such capture")
            }
        case "update":
            let xml = try text("xml")
            let plan = try NetworkPlan(try VirtualNetwork(xml: xml))
            let old = network.plan.withLock { $0 }
            guard plan.dhcp.server == old.dhcp.server, plan.dhcp.prefixLength == old.dhcp.prefixLength,
                plan.forward == old.forward, plan.name == old.name, plan.ipv6?.dhcp.server == old.ipv6?.dhcp.server,
                plan.ipv6?.dhcp.prefixLength == old.ipv6?.dhcp.prefixLength
            else { throw NetworkError("a network that runs keeps its name, its addresses and its way out") }
            network.services.update(dhcp: plan.dhcp, dns: plan.dns, six: plan.ipv6?.dhcp)
            let mayChange = plan.inbound != old.inbound || plan.outbound != old.outbound
            if mayChange { try network.setLimits(plan) }
            network.plan.withLock { $0 = plan }
            try HostFile.replace(network.paths.definition(network.name), with: Array(xml.utf8))
        default: throw NetworkError("there is no command '\(command)'")
        }
        return [:]
    }

    private func info() -> JSONValue {
        let plan = network.plan.withLock { $0 }
        return [
            "name": .string(plan.name), "pid": .integer(Int64(HostIdentity.processID)),
            "gateway": .string("\(plan.dhcp.server)"), "prefix": .integer(Int64(plan.dhcp.prefixLength)),
            "mac": .string("\(plan.gatewayAddress)"), "forward": .string("\(plan.forward)"),
            "connections": .integer(Int64(network.vswitch.ports.count(where: \.isConnected))),
            "bridge": .string(plan.bridge), "on-host": .bool(network.isOnHost),
            "socket": .string(network.paths.socket(plan.name)),
            "offload-socket": .string(network.paths.offloadSocket(plan.name)),
        ]
    }
}

extension PortStatus {
    /// The status as the control socket has it.
    var json: JSONValue {
        var object = settings.json
        object["connected"] = .bool(isConnected)
        object["addresses"] = .array(addresses.map { .string("\($0)") })
        let numbers: [(String, UInt64)] = [
            ("rx-packets", counters.received), ("rx-bytes", counters.receivedBytes), ("rx-refused", counters.refused),
            ("tx-packets", counters.sent), ("tx-bytes", counters.sentBytes), ("tx-dropped", counters.dropped),
        ]
        for (name, number) in numbers { object[name] = .number(number) }
        return .object(object)
    }
}
