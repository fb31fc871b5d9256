public import RPCWire

/// What went wrong, in libvirt's terms: either the daemon's own answer, or something on the way to it.
public struct ClientError: Error, Sendable, CustomStringConvertible {
    /// A `virErrorNumber`.
    public let code: Int32
    /// A `virErrorDomain`.
    public let domain: Int32
    /// One line or several, as the daemon words them.
    public let message: String
    /// The daemon answered; otherwise nothing is known of what it did.
    public let isAnswer: Bool

    /// An error of this end.
    public init(_ code: Int32, _ message: String, domain: Int32 = VirErrorDomain.rpc) {
        self.code = code
        self.domain = domain
        self.message = message
        isAnswer = false
    }

    /// The daemon's answer.
    init(_ answer: RemoteError) {
        code = answer.code
        domain = answer.domain
        message = answer.message ?? "unknown error"
        isAnswer = true
    }

    public var description: String { message }

    /// The daemon does not have the call: an older one, or another driver.
    public var isUnsupported: Bool {
        code == VirErrorNumber.noSupport || code == VirErrorNumber.rpc && message.hasPrefix("unknown procedure")
    }

    /// The connection is of no more use.
    public var endsConnection: Bool { !isAnswer && domain == VirErrorDomain.rpc }

    /// An internal error of this end.
    static func broken(_ text: String) -> ClientError {
        ClientError(VirErrorNumber.internalError, "internal error: \(text)")
    }
}
