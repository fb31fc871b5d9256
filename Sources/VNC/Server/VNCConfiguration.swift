/// What a VNC server is asked to be.
public struct VNCConfiguration: Equatable, Sendable {
    /// Where it listens.
    public enum Listener: Equatable, Sendable {
        /// TCP ports from `port` to `last`: the first that is free. An empty host is every local address.
        case tcp(host: String, port: Int, last: Int)
        /// A Unix socket.
        case unix(path: String)
        /// Nowhere: viewers come by a monitor's hand.
        case nowhere
    }
    /// What becomes of other viewers when one asks to be alone.
    public enum Sharing: String, CaseIterable, Sendable {
        /// Others are sent away.
        case allowExclusive = "allow-exclusive"
        /// Who asks to be alone is refused while there are others.
        case forceShared = "force-shared"
        /// Nobody is sent away.
        case ignore
    }
    /// Its name, for monitors.
    public var id = "default"
    /// Where it listens.
    public var listener = Listener.nowhere
    /// Where browsers connect; nil for nowhere.
    public var webSocket: Listener?
    /// Whether viewers need a password; until one is set, none is let in.
    public var needsPassword = false
    /// The object that holds the password; nil where a monitor sets it.
    public var passwordSecret: String?
    /// The object that has the certificates of TLS; nil for none.
    public var tlsCredentials: String?
    /// What becomes of other viewers.
    public var sharing = Sharing.allowExclusive
    /// Whether JPEG may be used.
    public var isLossy = false
    /// Most viewers at a time.
    public var connectionLimit = 32
    /// Whether viewers' keys and pointers are ignored.
    public var isViewOnly = false
    /// Whether who listens where is told on standard output.
    public var isAnnounced = false

    /// A server that listens nowhere.
    public init() {}
}

/// Why a server cannot be.
public struct VNCError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    /// An error in words.
    public init(_ description: String) { self.description = description }
}

/// A viewer, for monitors.
public struct VNCViewer: Equatable, Sendable {
    /// Where it comes from.
    public var host: String
    public var service: String
    /// `ipv4`, `ipv6` or `unix`.
    public var family: String
    /// Whether it comes by a WebSocket.
    public var isWebSocket: Bool
}

/// What a server tells of its viewers.
public enum VNCEvent: Equatable, Sendable {
    /// One has connected.
    case connected(VNCViewer)
    /// It is let in.
    case initialized(VNCViewer)
    /// It is gone.
    case disconnected(VNCViewer)
}

/// A server's state, for monitors.
public struct VNCStatus: Equatable, Sendable {
    /// Its name.
    public var id: String
    /// Where it listens; nil for nowhere.
    public var host: String?
    public var service: String?
    public var family: String
    /// Where it listens for browsers; nil for nowhere.
    public var webSocketService: String?
    /// `none`, `vnc` or `vencrypt`, and of the last the kind: `x509-none`, `x509-vnc`.
    public var authentication: String
    public var subAuthentication: String?
    /// Who is there.
    public var viewers: [VNCViewer]
}
