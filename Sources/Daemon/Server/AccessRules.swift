internal import HostOS
internal import TLS

/// How a client has to prove who it is before anything is done for it: the protocol's `remote_auth_type`.
enum ClientAuthentication: Int32, Sendable {
    case sasl = 1
    case polkit = 2
}

/// Who may use the daemon, by the way on which they come.
public struct AccessRules: Sendable {
    /// Who may use the Unix sockets that change something.
    public var local: SocketAccess
    /// Whether clients over TCP have to prove who they are by SASL; anybody is served otherwise.
    public var asksTCP = false
    /// Whether those over TLS have to, besides their certificate.
    public var asksTLS = false
    /// Whom SASL knows and we serve: names, in which `*` is anything. Empty: all whom SASL knows.
    public var users: [String] = []

    public init(local: SocketAccess = .own) { self.local = local }

    /// What a client has to go through; nil: nothing.
    func authentication(_ origin: ClientOrigin, readOnly: Bool) -> ClientAuthentication? {
        switch origin {
        case .tcp: return asksTCP ? .sasl : nil
        case .tls: return asksTLS ? .sasl : nil
        case .local:
            if local == .sasl { return readOnly ? nil : .sasl }
            return local.mustAsk(origin, readOnly: readOnly) ? .polkit : nil
        }
    }

    /// Whether somebody whom SASL knows is served.
    func serves(_ name: String) -> Bool {
        guard !users.isEmpty else { return true }
        var rules: [String: String] = [:]
        for (index, user) in users.enumerated() {
            rules["rules.\(index).match"] = user
            rules["rules.\(index).policy"] = "allow"
            rules["rules.\(index).format"] = "glob"
        }
        return (try? TLSAuthorization(type: "authz-list", rules).allows(name)) ?? false
    }
}
