internal import HostOS

/// Where a machine's state goes to or comes from, in QEMU's words: `file:PATH`, `exec:COMMAND`, `unix:PATH`,
/// `tcp:HOST:PORT`, `fd:NAME`.
enum MigrationAddress: Equatable, Sendable {
    case file(path: String, offset: UInt64)
    case exec(command: String)
    case unix(path: String)
    case tcp(host: String, port: String)
    case descriptor(name: String)

    init(_ text: String) throws(MachineError) {
        func rest(_ prefix: String) -> String? { text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil }
        if let path = rest("file:"), !path.isEmpty {
            let marker = ",offset="
            // The last one counts: a path may hold the words too.
            if let comma = path.lastIndex(of: ","), path[comma...].hasPrefix(marker) {
                let number = path[path.index(comma, offsetBy: marker.count)...]
                let offset = number.hasPrefix("0x") ? UInt64(number.dropFirst(2), radix: 16) : UInt64(number)
                guard let offset, offset < 1 << 62 else { throw .failed("file: offset '\(number)' is no number") }
                self = .file(path: String(path[..<comma]), offset: offset)
            } else {
                self = .file(path: path, offset: 0)
            }
        } else if let command = rest("exec:"), !command.isEmpty {
            self = .exec(command: command)
        } else if let path = rest("unix:"), !path.isEmpty {
            self = .unix(path: path)
        } else if let name = rest("fd:"), !name.isEmpty {
            self = .descriptor(name: name)
        } else if let address = rest("tcp:"), let colon = address.lastIndex(of: ":") {
            var host = String(address[..<colon])
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            let port = String(address[address.index(after: colon)...])
            guard !port.isEmpty else { throw .failed("Parameter 'uri' expects tcp:HOST:PORT, not '\(text)'") }
            self = .tcp(host: host, port: port)
        } else {
            throw .failed("unknown migration protocol: \(text)")
        }
    }

    /// Whether the other end can answer.
    var isSocket: Bool {
        switch self {
        case .unix, .tcp: true
        default: false
        }
    }
    /// Whether bytes of others are not held up by ours.
    var isUnlimited: Bool { if case .file = self { true } else { false } }
}
