internal import HostOS

/// How a client came.
enum ClientOrigin: Sendable {
    /// Over a Unix socket, whose permissions let it in.
    case local(PeerCredentials?)
    /// Over TCP, as anybody.
    case tcp
    /// Over TLS, with a certificate of the authority's.
    case tls

    /// Whether nobody on the way can read along.
    var isSecure: Bool { if case .tcp = self { false } else { true } }
    /// Whether descriptors can be passed.
    var isLocal: Bool { if case .local = self { true } else { false } }
}
