/// The argument of `-serial`, `-monitor` and `-parallel`: QEMU's short form of a back-end.
public enum SerialArgument: Sendable, Equatable {
    /// `none`: no device at all.
    case none
    /// `chardev:ID`: one that `-chardev` makes.
    case reference(String)
    /// A back-end of its own, shared with the monitor after `mon:`.
    case chardev(ChardevSpecification, withMonitor: Bool)

    /// Reads a short form.
    public init(_ text: String) throws(ChardevError) {
        if text == "none" {
            self = .none
        } else if let id = SerialArgument.rest(of: text, after: "chardev:") {
            guard !id.isEmpty else { throw ChardevError.missing("id", in: text) }
            self = .reference(id)
        } else if let shared = SerialArgument.rest(of: text, after: "mon:") {
            var specification = try SerialArgument.specification(shared, whole: text)
            specification.isMultiplexed = true
            // With the monitor at hand, Ctrl-C belongs to the guest.
            if case .stdio = specification.backend { specification.backend = .stdio(signals: false) }
            self = .chardev(specification, withMonitor: true)
        } else {
            self = .chardev(try SerialArgument.specification(text, whole: text), withMonitor: false)
        }
    }

    private static func rest(of text: String, after prefix: String) -> String? {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }

    private static func specification(_ text: String, whole: String) throws(ChardevError) -> ChardevSpecification {
        switch text {
        case "null": return ChardevSpecification(.null)
        case "stdio": return ChardevSpecification(.stdio(signals: true))
        case "pty": return ChardevSpecification(.pty)
        default: break
        }
        if text == "vc" || text.hasPrefix("vc:") { return ChardevSpecification(.virtualConsole) }
        // A path is taken as it is, commas and all.
        if let path = rest(of: text, after: "file:") {
            guard !path.isEmpty else { throw ChardevError.missing("path", in: whole) }
            return ChardevSpecification(.file(path: path, append: false))
        }
        if let path = rest(of: text, after: "pipe:") {
            guard !path.isEmpty else { throw ChardevError.missing("path", in: whole) }
            return ChardevSpecification(.pipe(path: path))
        }
        if let socket = rest(of: text, after: "unix:") { return try SocketArgument(socket, whole).unix() }
        if let socket = rest(of: text, after: "tcp:") { return try SocketArgument(socket, whole).tcp(telnet: false) }
        if let socket = rest(of: text, after: "telnet:") { return try SocketArgument(socket, whole).tcp(telnet: true) }
        if let socket = rest(of: text, after: "udp:") { return try datagram(socket, whole: whole) }
        throw ChardevError.unknownBackend(String(text.prefix { $0 != ":" && $0 != "," }))
    }

    /// `[host]:port[@[host]:port]`.
    private static func datagram(_ text: String, whole: String) throws(ChardevError) -> ChardevSpecification {
        let ends = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let remote = try SocketArgument.hostAndPort(ends.first ?? "", whole)
        var local = (host: "", port: "")
        if ends.count == 2 { local = try SocketArgument.hostAndPort(ends[1], whole) }
        return ChardevSpecification(
            .udp(host: remote.host, port: remote.port, localHost: local.host, localPort: local.port))
    }
}

/// The rest of a socket's short form: an address, then options between commas, a doubled comma being one of the text.
struct SocketArgument {
    private let address: String
    private var options: [(name: String, value: String?)] = []
    private let whole: String

    init(_ text: String, _ whole: String) {
        self.whole = whole
        var parts: [[Character]] = [[]]
        let characters = Array(text)
        var index = 0
        while index < characters.count {
            if characters[index] != "," {
                parts[parts.count - 1].append(characters[index])
            } else if index + 1 < characters.count, characters[index + 1] == "," {
                parts[parts.count - 1].append(",")
                index += 1
            } else {
                parts.append([])
            }
            index += 1
        }
        address = String(parts[0])
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
            options.append((pair.first ?? "", pair.count == 2 ? pair[1] : nil))
        }
    }

    func unix() throws(ChardevError) -> ChardevSpecification {
        guard !address.isEmpty else { throw ChardevError.missing("path", in: whole) }
        return try finish(SocketSpecification(.unix(path: address)), isInternet: false)
    }

    func tcp(telnet: Bool) throws(ChardevError) -> ChardevSpecification {
        let (host, port) = try SocketArgument.hostAndPort(address, whole)
        return try finish(SocketSpecification(.tcp(host: host, port: port), isTelnet: telnet), isInternet: true)
    }

    /// `host:port`, the host empty, a name, a number, or IPv6 in brackets.
    static func hostAndPort(_ text: String, _ whole: String) throws(ChardevError) -> (host: String, port: String) {
        guard let colon = text.lastIndex(of: ":") else { throw ChardevError.missing("port", in: whole) }
        let port = String(text[text.index(after: colon)...])
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !port.isEmpty else { throw ChardevError.missing("port", in: whole) }
        if port.allSatisfy({ $0.isASCII && $0.isNumber }), UInt16(port) == nil {
            throw ChardevError.invalidValue(port, option: "port", expected: "a number up to 65535")
        }
        return (host, port)
    }

    private func finish(_ begun: SocketSpecification, isInternet: Bool) throws(ChardevError) -> ChardevSpecification {
        var socket = begun
        var result = ChardevSpecification(.null)
        var waits: Bool?
        for (name, value) in options {
            switch name {
            case "server": socket.isServer = try on(name, value)
            case "wait": waits = try on(name, value)
            case "nowait": waits = try !on(name, value)
            case "telnet" where isInternet: socket.isTelnet = try on(name, value)
            case "nodelay" where isInternet: socket.noDelay = try on(name, value)
            case "delay" where isInternet: socket.noDelay = try !on(name, value)
            case "ipv4" where isInternet: if try on(name, value) { socket.family = .ipv4 }
            case "ipv6" where isInternet: if try on(name, value) { socket.family = .ipv6 }
            case "reconnect": socket.reconnectMilliseconds = try number(name, value, limit: 86400) * 1000
            case "reconnect-ms": socket.reconnectMilliseconds = try number(name, value, limit: 86_400_000)
            case "logfile": result.logFile = value
            case "logappend": result.logAppends = try on(name, value)
            case "mux": result.isMultiplexed = try on(name, value)
            default: throw ChardevError.unknownOption(name, in: whole)
            }
        }
        if socket.isServer, socket.reconnectMilliseconds > 0 {
            throw ChardevError.invalidValue("reconnect", option: "server", expected: "a client")
        }
        socket.waits = socket.isServer && waits != false
        result.backend = .socket(socket)
        return result
    }

    private func on(_ name: String, _ value: String?) throws(ChardevError) -> Bool {
        switch value {
        case nil, "on", "yes", "true", "y": return true
        case "off", "no", "false", "n": return false
        case .some(let text): throw ChardevError.invalidValue(text, option: name, expected: "'on' or 'off'")
        }
    }

    private func number(_ name: String, _ value: String?, limit: Int) throws(ChardevError) -> Int {
        guard let number = value.flatMap({ Int($0) }), number >= 0, number <= limit else {
            throw ChardevError.invalidValue(value ?? "", option: name, expected: "a number up to \(limit)")
        }
        return number
    }
}
