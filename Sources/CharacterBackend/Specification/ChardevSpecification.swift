internal import HostOS

/// What a character back-end is to be: the value between the command line, or the monitor, and the port.
public struct ChardevSpecification: Sendable, Equatable {
    /// The kind of back-end and what it needs.
    public enum Backend: Sendable, Equatable {
        /// Takes everything, gives nothing.
        case null
        /// Standard input and output; `signals`: Ctrl-C makes a signal.
        case stdio(signals: Bool)
        /// A file, emptied first unless `append`.
        case file(path: String, append: Bool)
        /// A pseudo-terminal.
        case pty
        /// A stream socket.
        case socket(SocketSpecification)
        /// Datagrams to a peer, from an address of this host's.
        case udp(host: String, port: String, localHost: String, localPort: String)
        /// Named pipes.
        case pipe(path: String)
        /// A buffer for the monitor to read.
        case ringBuffer(size: Int)
        /// A text console in QEMU's window, which there is none of: treated as `null`, with a note in the log.
        case virtualConsole
    }

    /// The name by which devices refer to it; nil: the user of the short form names it.
    public var id: String?
    /// What it is.
    public var backend: Backend
    /// Whether several devices share it (`mux=on`).
    public var isMultiplexed: Bool
    /// A file that records the output.
    public var logFile: String?
    /// Whether the record is added to what the file holds.
    public var logAppends: Bool

    /// A specification.
    public init(
        _ backend: Backend, id: String? = nil, isMultiplexed: Bool = false, logFile: String? = nil,
        logAppends: Bool = false
    ) {
        self.backend = backend
        self.id = id
        self.isMultiplexed = isMultiplexed
        self.logFile = logFile
        self.logAppends = logAppends
    }
}

/// What a stream socket back-end is to be.
public struct SocketSpecification: Sendable, Equatable, CustomStringConvertible {
    /// Where.
    public enum Endpoint: Sendable, Equatable {
        /// A Unix socket.
        case unix(path: String)
        /// A TCP port; an empty host is every address for a server, this host for a client.
        case tcp(host: String, port: String)
        /// A socket that the process was started with: one that listens for a server, a connected one for a client.
        case descriptor(Int32)
    }

    /// Where.
    public var endpoint: Endpoint
    /// Listens instead of connecting.
    public var isServer: Bool
    /// A server holds the machine until its first client is there.
    public var waits: Bool
    /// A client connects again so long after each failure or end; 0: never.
    public var reconnectMilliseconds: Int
    /// Speaks telnet.
    public var isTelnet: Bool
    /// Sends each write at once (TCP_NODELAY).
    public var noDelay: Bool
    /// The addresses that may be used.
    public var family: SocketFamily

    /// IPv4, IPv6 or either.
    public enum SocketFamily: Sendable, Equatable {
        /// Either.
        case any
        /// IPv4 alone.
        case ipv4
        /// IPv6 alone.
        case ipv6
    }

    /// A client without reconnection, or a server that waits as QEMU's do, unless told otherwise.
    public init(
        _ endpoint: Endpoint, isServer: Bool = false, waits: Bool? = nil, reconnectMilliseconds: Int = 0,
        isTelnet: Bool = false, noDelay: Bool = false, family: SocketFamily = SocketFamily.any
    ) {
        self.endpoint = endpoint
        self.isServer = isServer
        self.waits = waits ?? isServer
        self.reconnectMilliseconds = max(0, min(reconnectMilliseconds, 86_400_000))
        self.isTelnet = isTelnet
        self.noDelay = noDelay
        self.family = family
    }

    /// `unix:/path,server=on`, `tcp:127.0.0.1:4444,server=on`, `telnet:…`.
    public var description: String {
        let server = isServer ? ",server=on" : ""
        switch endpoint {
        case .unix(let path): return "unix:\(path)\(server)"
        case .descriptor(let number): return "fd:\(number)\(server)"
        case .tcp(let host, let port):
            let name = host.contains(":") ? "[\(host)]" : host
            return "\(isTelnet ? "telnet" : "tcp"):\(name):\(port)\(server)"
        }
    }

    /// The addresses behind the endpoint, best first.
    func addresses() throws(HostError) -> [SocketAddress] {
        switch endpoint {
        case .unix(let path): return [try SocketAddress.unix(path)]
        case .descriptor: return []
        case .tcp(let host, let port):
            let wanted: SocketAddress.Family =
                switch family {
                case .any: SocketAddress.Family.any
                case .ipv4: SocketAddress.Family.ipv4
                case .ipv6: SocketAddress.Family.ipv6
                }
            return try SocketAddress.resolve(host: host, port: port, family: wanted, listening: isServer)
        }
    }
}

/// What is wrong with a character back-end's description.
public enum ChardevError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No kind of back-end has this name.
    case unknownBackend(String)
    /// The kind has no such option.
    case unknownOption(String, in: String)
    /// An option's value is not of its type.
    case invalidValue(String, option: String, expected: String)
    /// Something is missing.
    case missing(String, in: String)
    /// The host would not.
    case host(String)

    public var description: String {
        switch self {
        case .unknownBackend(let name): "Unknown character back-end '\(name)'"
        case .unknownOption(let name, let text): "Unknown option '\(name)' in '\(text)'"
        case .invalidValue(let value, let option, let expected):
            "Invalid value '\(value)' of '\(option)': \(expected) expected"
        case .missing(let what, let text): "No \(what) in '\(text)'"
        case .host(let reason): reason
        }
    }
}
