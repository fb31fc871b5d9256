internal import CLinux
internal import HostOS
internal import SystemPackage
public import TLS

extension BlockDriver {
    /// The driver `nbd`.
    static var nbd: BlockDriver {
        BlockDriver(name: "nbd") { graph, options, node, nodeName throws(BlockError) in
            let location = try NBDLocation.taken(from: &options)
            var plan = NBDClientPlan(location: location)
            if let bitmap = options.take("x-dirty-bitmap") { plan.context = bitmap }
            plan.patience = try options.takeSize("open-timeout") ?? 0
            plan.reconnectDelay = try options.takeSize("reconnect-delay") ?? 0
            if let count = try options.takeSize("x-connections") {
                guard count > 0, count <= 16 else {
                    throw .invalidOption(option: "x-connections", value: "\(count)", expected: "1 to 16")
                }
                plan.connections = Int(count)
            }
            if let id = options.take("tls-creds") {
                let credentials = try graph.secrets.credentials(id)
                guard !credentials.isForServers else {
                    throw .message("Expecting TLS credentials with a client endpoint")
                }
                plan.credentials = credentials
            }
            plan.hostName = options.take("tls-hostname")
            try options.finish(driver: "nbd")
            return try NBDNode(
                try plan.connectLinks(), location: location, context: plan.context, nodeName: nodeName, node: node)
        }
    }
}

extension NBDLocation {
    /// The location that a driver's options give: `filename`, or `server.…`, or QEMU's older `host`, `port`, `path`.
    static func taken(from options: inout BlockOptions) throws(BlockError) -> NBDLocation {
        if let name = options.take("filename") {
            guard let found = NBDLocation(name) else { throw NBDLocation.malformed(name) }
            return found
        }
        let export = options.take("export") ?? ""
        let address: NBDAddress
        if export.utf8.count > NBD.maximumString { throw .message("export name too long to send to server") }
        if var server = options.takeChild("server") {
            let type = server.take("type") ?? ""
            switch type {
            case "unix": address = .unix(path: try server.require("path", driver: "nbd"))
            case "inet":
                let host = try server.require("host", driver: "nbd")
                address = .tcp(host: host, port: try server.require("port", driver: "nbd"))
                for name in ["numeric", "to", "ipv4", "ipv6", "keep-alive", "mptcp"] { _ = server.take(name) }
            default: throw .message("Parameter 'type' does not accept value '\(type)'")
            }
            try server.finish(driver: "nbd")
        } else if let path = options.take("path") {
            guard options.value("host") == nil else { throw .message("path and host may not be used at the same time") }
            address = .unix(path: path)
        } else if let host = options.take("host") {
            address = .tcp(host: host, port: options.take("port") ?? NBD.defaultPort)
        } else {
            throw .message("NBD server address missing")
        }
        return NBDLocation(address: address, export: export)
    }

    /// The error for a name that is none.
    public static func malformed(_ name: String) -> BlockError {
        if name.hasPrefix("nbd:") && !name.hasPrefix("nbd://") {
            if name == "nbd:" { return .message("NBD server address missing") }
            return .message("error parsing address '\(name.dropFirst(4))'")
        }
        return .message("No valid URL specified")
    }
}

/// How a client reaches an export.
public struct NBDClientPlan: Sendable {
    /// The server and the export.
    public var location: NBDLocation
    /// The metadata context that `extents` asks for.
    public var context = NBD.allocationContext
    /// How long a server may take to listen, in seconds.
    public var patience: UInt64 = 0
    /// How long requests wait for another connection when theirs is lost, in seconds; 0: not at all.
    public var reconnectDelay: UInt64 = 0
    /// How many connections are made where the server allows several.
    public var connections = 1
    /// What TLS is done with.
    public var credentials: TLSCredentials?
    /// The name that the server's certificate must bear, where it is not the address's.
    public var hostName: String?

    /// The defaults for a location.
    public init(location: NBDLocation) { self.location = location }

    /// Makes the connections, which come again when they are lost. Blocks.
    func connectLinks() throws(BlockError) -> [NBDLink] {
        var again = self
        again.patience = 0
        return try connect().map { [again] connection in
            NBDLink(connection, delaySeconds: reconnectDelay) { () throws(BlockError) in try again.connectOnce() }
        }
    }

    /// Makes the connections. Blocks.
    func connect() throws(BlockError) -> [NBDConnection] {
        let first = try connectOnce()
        var all = [first]
        do throws(BlockError) {
            while all.count < connections, first.result.info.flags & NBD.TransmissionFlag.multipleConnections != 0 {
                let next = try connectOnce()
                all.append(next)
                guard next.result.info.size == first.result.info.size else {
                    throw .message("The export's size changes")
                }
            }
        } catch {
            for connection in all { connection.close() }
            throw error
        }
        return all
    }

    private func connectOnce() throws(BlockError) -> NBDConnection {
        var negotiation = try begin()
        do throws(NBDFailure) {
            var result = NBDNegotiation.Result()
            if let old = try enter(&negotiation) {
                result.info = old
            } else {
                result.isStructured = try negotiation.structure()
                if result.isStructured {
                    for found in try negotiation.contexts(location.export, [context]) where found.name == context {
                        result.contexts[found.name] = found.number
                    }
                }
                guard context == NBD.allocationContext || result.contexts[context] != nil else {
                    negotiation.abort()
                    throw NBDFailure("requested x-dirty-bitmap \(context) not found")
                }
                result.info = try negotiation.choose(location.export)
            }
            return try open(negotiation, result)
        } catch {
            negotiation.channel.shutDown()
            throw .message(error.description)
        }
    }

    private func open(
        _ negotiation: NBDNegotiation, _ result: NBDNegotiation.Result
    ) throws(NBDFailure) -> NBDConnection {
        do throws(HostError) {
            return try NBDConnection(negotiation, result)
        } catch {
            throw NBDFailure("\(error)")
        }
    }

    /// The greeting, and TLS where it is asked for.
    private func enter(_ negotiation: inout NBDNegotiation) throws(NBDFailure) -> NBDExportInfo? {
        let old = try negotiation.greet()
        guard location.isSecure || credentials != nil else { return old }
        guard let credentials else { throw NBDFailure("TLS needs credentials (tls-creds)") }
        guard old == nil else { throw NBDFailure("Server does not support STARTTLS") }
        var host = hostName
        if host == nil, case .tcp(let name, _) = location.address { host = name }
        try negotiation.startTLS(credentials, host: host)
        return nil
    }

    /// Connects and waits out a server that does not listen yet.
    private func begin() throws(BlockError) -> NBDNegotiation {
        let deadline = HostClock.monotonic + min(patience, 86_400) * 1_000_000_000
        while true {
            do throws(HostError) {
                let socket = try Socket.connect(anyOf: try addresses())
                return NBDNegotiation(try NBDChannel(NBDSocket(socket)))
            } catch {
                if HostClock.monotonic >= deadline {
                    throw .message("Failed to connect to '\(location.address)': \(NBDClientPlan.reason(error))")
                }
                Bell().wait(nanoseconds: 200_000_000)
            }
        }
    }

    private static func reason(_ error: HostError) -> String {
        // SAFETY: the text is the C library's own and copied at once.
        unsafe strerror(error.errno.rawValue).map { unsafe String(cString: $0) } ?? "\(error)"
    }

    private func addresses() throws(HostError) -> [SocketAddress] {
        switch location.address {
        case .unix(let path): [try SocketAddress.unix(path)]
        case .tcp(let host, let port): try SocketAddress.resolve(host: host, port: port)
        }
    }

    /// What a server exports (`qemu-nbd --list`). Blocks.
    public func list() throws(BlockError) -> [NBDExportInfo] {
        var negotiation = try begin()
        defer { negotiation.channel.shutDown() }
        do throws(NBDFailure) {
            if let old = try enter(&negotiation) { return [old] }
            let isStructured = try negotiation.structure()
            var exports: [NBDExportInfo] = []
            for (name, text) in try negotiation.list() {
                var info = NBDExportInfo()
                do throws(NBDFailure) {
                    info = try negotiation.choose(name, onlyAsks: true)
                } catch {
                    info.name = name
                }
                if info.description == nil && !text.isEmpty { info.description = text }
                if isStructured {
                    info.contexts = try negotiation.contexts(name, [], onlyLists: true).map(\.name)
                }
                exports.append(info)
            }
            negotiation.abort()
            return exports
        } catch {
            throw .message(error.description)
        }
    }
}
