internal import RPCWire

/// Where a daemon is, as a user writes it: `qemu:///session`, `qemu+ssh://user@host/system?keyfile=…`.
///
/// The form is libvirt's: `driver[+transport]://[user@][host][:port]/[path][?parameter=value&…]`.
public struct ConnectionURI: Equatable, Sendable {
    /// How bytes get to the daemon.
    public enum Transport: String, Sendable {
        case unix, tcp, tls, ssh, ext
    }

    /// The text as it was given.
    public let text: String
    /// The hypervisor's driver, `qemu`.
    public let driver: String
    public let transport: Transport
    public let user: String?
    public let host: String
    public let port: String?
    /// `/system`, `/session`.
    public let path: String
    /// Parameters in their order, with what is for this end only.
    public let parameters: [Parameter]

    public struct Parameter: Equatable, Sendable {
        public let name: String
        public let value: String
    }

    /// Parameters that the daemon never sees.
    private static let ours: Set<String> = [
        "socket", "mode", "command", "netcat", "keyfile", "known_hosts", "known_hosts_verify", "no_verify", "no_sanity",
        "no_tty", "pkipath", "tls_priority", "sshauth", "proxy", "name", "auth", "authfile",
    ]

    /// Reads a URI. An error names what is wrong with it.
    public init(_ text: String) throws(ClientError) {
        self.text = text
        guard let colon = text.range(of: "://") else {
            throw ClientError(VirErrorNumber.invalidArg, "Cannot parse URI '\(text)'")
        }
        let scheme = text[..<colon.lower].split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        driver = String(scheme[0])
        var rest = text[colon.upper...]
        var parameters: [Parameter] = []
        if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
        if let question = rest.firstIndex(of: "?") {
            for part in rest[rest.index(after: question)...].split(whereSeparator: { $0 == "&" || $0 == ";" }) {
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                parameters.append(
                    Parameter(
                        name: ConnectionURI.unescaped(pair[0]),
                        value: pair.count == 2 ? ConnectionURI.unescaped(pair[1]) : ""))
            }
            rest = rest[..<question]
        }
        self.parameters = parameters
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<slash]
        path = ConnectionURI.unescaped(rest[slash...])
        if let at = authority.lastIndex(of: "@") {
            user = ConnectionURI.unescaped(authority[..<at])
            authority = authority[authority.index(after: at)...]
        } else {
            user = nil
        }
        var port: Substring?
        if authority.first == "[", let close = authority.firstIndex(of: "]") {
            let after = authority[authority.index(after: close)...]
            if after.first == ":" { port = after.dropFirst() }
            authority = authority[authority.index(after: authority.startIndex)..<close]
        } else if let mark = authority.lastIndex(of: ":") {
            port = authority[authority.index(after: mark)...]
            authority = authority[..<mark]
        }
        host = ConnectionURI.unescaped(authority)
        self.port = port.flatMap { $0.isEmpty ? nil : String($0) }
        if let number = self.port, UInt16(number) == nil {
            throw ClientError(VirErrorNumber.invalidArg, "Cannot parse URI '\(text)': port '\(number)' is no number")
        }
        if scheme.count == 2 {
            guard let named = Transport(rawValue: String(scheme[1])) else {
                throw ClientError(
                    VirErrorNumber.invalidArg,
                    "invalid argument: unable to parse URI transport '\(scheme[1])': remote_open: transport in URL not recognised "
                        + "(should be tls|unix|ssh|ext|tcp)")
            }
            transport = named
        } else {
            transport = host.isEmpty && self.port == nil ? Transport.unix : Transport.tls
        }
        guard !driver.isEmpty, text.utf8.count < 4096, !text.utf8.contains(0) else {
            throw ClientError(VirErrorNumber.invalidArg, "Cannot parse URI '\(text)'")
        }
    }

    /// A parameter's value; of several the last one counts.
    public subscript(_ name: String) -> String? { parameters.last { $0.name == name }?.value }

    /// What the daemon is told: without the transport, the host and this end's parameters.
    public var remoteName: String {
        if let name = self["name"] { return name }
        let rest = parameters.filter { !Self.ours.contains($0.name) }
        return "\(driver)://\(path)" + (rest.isEmpty ? "" : "?")
            + rest.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
    }

    /// Whether it is the user's own daemon.
    public var isSession: Bool { path.hasPrefix("/session") }

    private static func unescaped(_ text: some StringProtocol) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), value != 0
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    /// Where a short text stands first.
    func range(of part: String) -> (lower: String.Index, upper: String.Index)? {
        let (all, wanted) = (utf8, Array(part.utf8))
        var index = all.startIndex
        while index != all.endIndex {
            if all[index...].starts(with: wanted) { return (index, all.index(index, offsetBy: wanted.count)) }
            index = all.index(after: index)
        }
        return nil
    }
}
