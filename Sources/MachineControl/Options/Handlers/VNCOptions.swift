internal import JSON
internal import Machine
internal import VNC

/// -vnc and -display vnc=.
enum VNCOptions {
    /// The port of display 0, and that of its WebSocket.
    private static let firstPort = 5900
    private static let firstWebSocket = 5700

    static func vnc(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        try add(argument.text, to: &builder)
    }

    /// Adds the server of an argument such as `:1,password=on`.
    static func add(_ text: String, to builder: inout ConfigurationBuilder) throws(OptionError) {
        builder.hasDisplay = true
        let pairs = try OptionPairs(text, implied: "vnc")
        if pairs.asksForHelp {
            throw .information(
                "host:display[,to=L][,password=on|off][,password-secret=id][,websocket=on|port][,share=policy]"
                    + "[,tls-creds=id][,lossy=on|off][,connections=n][,id=name]\nunix:path[,…]\nnone[,…]\n")
        }
        var place = ""
        var server = VNCConfiguration()
        var last: Int?
        var webSocket: String?
        var limit = server.connectionLimit
        if !builder.configuration.vncServers.isEmpty {
            server.id = "vnc\(builder.configuration.vncServers.count + 1)"
        }
        for pair in pairs.pairs {
            func flag() throws(OptionError) -> Bool {
                guard let value = OptionValue.boolean(pair.value ?? "on") else {
                    throw .value(pair.key, pair.value ?? "", expects: "'on' or 'off'")
                }
                return value
            }
            func number(_ range: ClosedRange<Int>) throws(OptionError) -> Int {
                guard let value = pair.value.flatMap({ Int($0) }), range.contains(value) else {
                    throw .value(
                        pair.key, pair.value ?? "", expects: "a number from \(range.lowerBound) to \(range.upperBound)")
                }
                return value
            }
            switch pair.key {
            case "vnc": place = pair.value ?? ""
            case "id": server.id = pair.value ?? server.id
            case "to": last = try number(0...65535)
            case "password": server.needsPassword = try flag()
            case "password-secret":
                server.needsPassword = true
                server.passwordSecret = pair.value
            case "websocket": webSocket = pair.value ?? "on"
            case "share":
                guard let sharing = pair.value.flatMap({ VNCConfiguration.Sharing(rawValue: $0) }) else {
                    throw .unknown(
                        "unknown vnc share= option", pair.value ?? "", among: VNCConfiguration.Sharing.words)
                }
                server.sharing = sharing
            case "lossy": server.isLossy = try flag()
            case "connections": limit = try number(1...1024)
            // Wishes that change nothing here, and what management always says.
            case "non-adaptive", "power-control", "ipv4", "ipv6", "acl": _ = try flag()
            case "key-delay-ms": _ = try number(0...60_000)
            case "audiodev", "display", "head": break
            case "tls-creds":
                guard let id = pair.value, !id.isEmpty else { throw .value(pair.key, "", expects: "an object's id") }
                server.tlsCredentials = id
            case "tls-authz", "sasl", "sasl-authz", "reverse":
                if pair.key == "sasl" || pair.key == "reverse", try !flag() { break }
                throw .invalid("'\(pair.key)' is not supported yet")
            default: throw .invalid("Invalid parameter '\(printable(pair.key))'")
            }
        }
        server.connectionLimit = limit
        server.listener = try listener(place, last)
        if let webSocket { server.webSocket = try self.webSocket(webSocket, server.listener) }
        guard !builder.configuration.vncServers.contains(where: { $0.id == server.id }) else {
            throw .invalid("Duplicate ID '\(printable(server.id))' for vnc")
        }
        builder.configuration.vncServers.append(server)
        if builder.configuration.display != .curses { builder.configuration.display = .vnc }
    }

    private static func listener(_ text: String, _ last: Int?) throws(OptionError) -> VNCConfiguration.Listener {
        if text == "none" { return .nowhere }
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { throw .invalid("the path after 'unix:' is missing") }
            return .unix(path: path)
        }
        guard let colon = text.lastIndex(of: ":") else {
            throw .invalid("'\(printable(text))' is no display; expects host:N, :N, unix:path or none")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard let display = Int(text[text.index(after: colon)...]), 0...(65535 - firstPort) ~= display else {
            throw .invalid(
                "'\(printable(text))' is no display; expects a number from 0 to \(65535 - firstPort) after the colon")
        }
        let port = firstPort + display
        return .tcp(host: host, port: port, last: last.map { min(firstPort + $0, 65535) } ?? port)
    }

    private static func webSocket(
        _ text: String, _ own: VNCConfiguration.Listener
    ) throws(OptionError) -> VNCConfiguration.Listener? {
        if text == "off" { return nil }
        var host = ""
        var number = text
        if case .tcp(let name, let port, _) = own {
            host = name
            if text == "on" || text.isEmpty {
                let first = firstWebSocket + port - firstPort
                return .tcp(host: host, port: first, last: first)
            }
        }
        if let colon = text.lastIndex(of: ":") {
            host = String(text[..<colon])
            number = String(text[text.index(after: colon)...])
        }
        guard let port = Int(number), 0...65535 ~= port else {
            throw .value("websocket", text, expects: "'on' or a port")
        }
        return .tcp(host: host, port: port, last: port)
    }
}
