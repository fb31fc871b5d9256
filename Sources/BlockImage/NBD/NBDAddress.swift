/// Where an NBD server is.
public enum NBDAddress: Sendable, Hashable, CustomStringConvertible {
    /// A Unix socket.
    case unix(path: String)
    /// A host's name or number and a port.
    case tcp(host: String, port: String)

    public var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let host, let port): "\(host):\(port)"
        }
    }
}

/// An export of an NBD server, as the various kinds of file names write it.
public struct NBDLocation: Sendable, Hashable {
    /// The server.
    public var address: NBDAddress
    /// The export's name.
    public var export: String
    /// Whether the name asks for TLS (`nbds`).
    public var isSecure: Bool

    /// An export at an address.
    public init(address: NBDAddress, export: String = "", isSecure: Bool = false) {
        self.address = address
        self.export = export
        self.isSecure = isSecure
    }

    /// Whether a file name is one of an NBD export.
    public static func isLocation(_ text: String) -> Bool {
        ["nbd:", "nbds:", "nbd+unix:", "nbd+tcp:", "nbds+unix:", "nbds+tcp:"].contains { text.hasPrefix($0) }
    }

    /// `nbd://host[:port][/export]`, `nbd+unix:///[export]?socket=path`, the same with `nbds`, and QEMU's older
    /// `nbd:host:port[:exportname=name]` and `nbd:unix:path[:exportname=name]`. nil for anything else.
    public init?(_ text: String) {
        if let (scheme, rest) = NBDLocation.split(text[...], at: "://") {
            self.init(scheme: scheme, rest: rest)
        } else if text.hasPrefix("nbd:") {
            self.init(old: text.dropFirst(4))
        } else {
            return nil
        }
    }

    private init?(scheme: Substring, rest: Substring) {
        let isUnix: Bool
        switch scheme {
        case "nbd", "nbd+tcp", "nbds", "nbds+tcp": isUnix = false
        case "nbd+unix", "nbds+unix": isUnix = true
        default: return nil
        }
        isSecure = scheme.hasPrefix("nbds")
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let slash = parts[0].firstIndex(of: "/") ?? parts[0].endIndex
        let authority = parts[0][..<slash]
        var path = parts[0][slash...]
        if path.hasPrefix("/") { path = path.dropFirst() }
        guard let export = NBDLocation.decoded(path) else { return nil }
        self.export = export
        let query = parts.count > 1 ? parts[1] : ""
        if isUnix {
            guard authority.isEmpty, query.hasPrefix("socket="), !query.contains("&"),
                let socket = NBDLocation.decoded(query.dropFirst(7)), !socket.isEmpty
            else { return nil }
            address = .unix(path: socket)
        } else {
            guard query.isEmpty, !authority.isEmpty, let server = NBDLocation.server(authority) else { return nil }
            address = server
        }
    }

    /// `host`, `host:port`, `[::1]:port`.
    private static func server(_ authority: Substring) -> NBDAddress? {
        var host = authority
        if let at = host.lastIndex(of: "@") { host = host[host.index(after: at)...] }
        var port = NBD.defaultPort[...]
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let after = host[host.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { return nil }
            if !after.dropFirst().isEmpty { port = after.dropFirst() }
            host = host[host.index(after: host.startIndex)..<end]
        } else if let colon = host.lastIndex(of: ":") {
            if host.index(after: colon) < host.endIndex { port = host[host.index(after: colon)...] }
            host = host[..<colon]
        }
        guard let host = decoded(host), !port.isEmpty, UInt64(port).map({ $0 <= 65535 }) ?? true else { return nil }
        return .tcp(host: host.isEmpty ? "localhost" : host, port: String(port))
    }

    private init?(old text: Substring) {
        isSecure = false
        var rest = text
        export = ""
        if let (before, name) = NBDLocation.split(rest, at: ":exportname=") {
            export = String(name)
            rest = before
        }
        if rest.hasPrefix("unix:") {
            let path = rest.dropFirst(5)
            guard !path.isEmpty else { return nil }
            address = .unix(path: String(path))
        } else {
            guard let colon = rest.lastIndex(of: ":"), rest.index(after: colon) < rest.endIndex else { return nil }
            var host = rest[..<colon]
            if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
            address = .tcp(host: String(host), port: String(rest[rest.index(after: colon)...]))
        }
    }

    /// What is before and after the first separator; nil without one.
    private static func split(_ text: Substring, at separator: String) -> (Substring, Substring)? {
        var rest = text
        while !rest.isEmpty {
            if rest.hasPrefix(separator) { return (text[..<rest.startIndex], rest.dropFirst(separator.count)) }
            rest.removeFirst()
        }
        return nil
    }

    /// Text with its `%xx` resolved; nil where that is no text.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), value != 0
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The name of the export as QEMU writes it.
    public var name: String {
        switch address {
        case .unix(let path): "nbd+unix://\(export.isEmpty ? "" : "/\(export)")?socket=\(path)"
        case .tcp(let host, let port): "nbd://\(host):\(port)\(export.isEmpty ? "" : "/\(export)")"
        }
    }
}
