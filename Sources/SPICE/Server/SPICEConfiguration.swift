/// What a SPICE server is asked to be (`-spice`).
public struct SPICEConfiguration: Equatable, Sendable {
    /// Channels that must be on TLS, or must not.
    public enum Protection: Sendable, Equatable { case tls, plain }
    /// How images are sent.
    public enum Compression: String, CaseIterable, Sendable {
        case autoGLZ = "auto_glz"
        case autoLZ = "auto_lz"
        case quic, glz, lz
        /// As they are.
        case off
    }
    /// The address to listen at; empty for every local one.
    public var host = ""
    /// TCP ports; nil for none.
    public var port: Int?
    public var tlsPort: Int?
    /// The path of a Unix socket, in place of `port`.
    public var path: String?
    /// The folder of `ca-cert.pem`, `server-cert.pem` and `server-key.pem`, or these files.
    public var certificates = Certificates()
    /// Who comes needs no password.
    public var needsNoTicket = false
    public var password: String?
    /// The object that holds the password.
    public var passwordSecret: String?
    /// What is asked of channels; `nil` stands for all that are not named.
    public var protections: [ChannelKind?: Protection] = [:]
    public var compression = Compression.autoGLZ
    /// Whether the guest's agent is told where the pointer is.
    public var usesAgentMouse = true
    /// What guest and client do not share.
    public var hasCopyPaste = true
    public var hasFileTransfer = true

    /// Files for TLS.
    public struct Certificates: Equatable, Sendable {
        public var folder = ""
        public var authority: String?
        public var certificate: String?
        public var key: String?
        public init() {}
    }

    /// A server that listens nowhere.
    public init() {}
}

/// Why a server cannot be.
public struct SPICEError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    /// An error in words.
    public init(_ description: String) { self.description = description }
}

/// A channel that a client has opened, for monitors.
public struct SPICEChannelStatus: Equatable, Sendable {
    /// Where the client is.
    public var host: String
    public var port: String
    /// `ipv4`, `ipv6` or `unix`.
    public var family: String
    /// The session's number.
    public var session: UInt32
    public var kind: ChannelKind
    public var channel: Int
    public var isSecure: Bool
}

/// What a server tells of its clients.
public enum SPICEEvent: Equatable, Sendable {
    /// A channel was opened.
    case connected(SPICEChannelStatus)
    /// A channel's client was let in.
    case initialized(SPICEChannelStatus)
    /// A channel is gone.
    case disconnected(SPICEChannelStatus)
    /// The machine has moved, and the client was sent after it.
    case migrated
}

/// A server's state, for monitors.
public struct SPICEStatus: Equatable, Sendable {
    /// Where it listens.
    public var host: String
    public var port: Int?
    public var tlsPort: Int?
    /// `ipv4`, `ipv6` or `unix`.
    public var family: String
    /// `none` or `spice`.
    public var authentication: String
    /// `server` or `client`: who draws the pointer and says where it is.
    public var mouseMode: String
    /// Whether the client was sent after the machine.
    public var hasMoved: Bool
    public var channels: [SPICEChannelStatus]
}

/// What becomes of who is there when a password is set.
public enum SPICEPasswordAction: String, CaseIterable, Sendable { case keep, fail, disconnect }
