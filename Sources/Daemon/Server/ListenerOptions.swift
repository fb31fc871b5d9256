public import TLS

/// Where the daemon can be reached besides its Unix sockets.
public struct ListenerOptions: Sendable {
    /// A place to listen: a host's name or number, empty for all addresses; a port, 0 for any that is free.
    public struct Place: Sendable, Equatable {
        public var host: String
        public var port: UInt16

        public init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }

        /// `HOST:PORT`, `[::1]:PORT`, `:PORT`, `PORT`, or a host alone, with the usual port then. Nil: none of these.
        public init?(_ text: String, usualPort: UInt16) {
            if let port = UInt16(text) {
                self.init(host: "", port: port)
                return
            }
            var host = text
            var port = usualPort
            if let colon = text.lastIndex(of: ":"), text.hasSuffix("]") == false,
                text.hasPrefix("[") || text.firstIndex(of: ":") == colon
            {
                guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
                port = number
                host = String(text[..<colon])
            }
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            // Colons are in numbers of IPv6 alone.
            guard !host.contains("/"), !host.contains(" "),
                !host.contains(":") || host.allSatisfy({ $0.isHexDigit || ":.%".contains($0) })
            else { return nil }
            self.init(host: host, port: port)
        }
    }

    /// Anybody who reaches it is let in: for networks that are trusted.
    public var tcp: Place?
    /// Whoever has a certificate of the authority's is let in.
    public var tls: Place?
    /// What the daemon proves itself with to those, and whom it believes.
    public var credentials: TLSCredentials?

    public init() {}

    /// libvirt's ports.
    public static let (tcpPort, tlsPort): (UInt16, UInt16) = (16509, 16514)

    /// Where libvirt's daemon has its own.
    public static let standardCertificates = TLSCredentials.Files(
        authority: "/etc/pki/CA/cacert.pem", certificate: "/etc/pki/libvirt/servercert.pem",
        key: "/etc/pki/libvirt/private/serverkey.pem")

    /// The same names in one folder.
    public static func certificates(in folder: String) -> TLSCredentials.Files {
        TLSCredentials.Files(
            authority: "\(folder)/cacert.pem", certificate: "\(folder)/servercert.pem", key: "\(folder)/serverkey.pem")
    }
}
