/// A kind of network back-end.
public enum NetworkKind: String, CaseIterable, Sendable {
    /// NAT in the process, by libslirp.
    case user
    /// A tap interface.
    case tap
    /// A tap interface on a bridge, by a helper.
    case bridge
    /// A socket, old style.
    case socket
    /// A stream socket.
    case stream
    /// A datagram socket.
    case dgram
    /// A port of a hub.
    case hubport
    /// L2TPv3.
    case l2tpv3
    /// A VDE switch.
    case vde
    /// A vhost-user process.
    case vhostUser = "vhost-user"
    /// vDPA.
    case vhostVDPA = "vhost-vdpa"
    /// A packet socket on an interface of the host; of this program alone.
    case packet = "af-packet"

    /// Whether this release has it.
    public var isSupported: Bool {
        switch self {
        case .user, .tap, .bridge, .socket, .stream, .dgram, .hubport, .packet, .vhostUser: true
        case .l2tpv3, .vde, .vhostVDPA: false
        }
    }
}

/// A network back-end.
public struct NetworkConfiguration: Equatable, Sendable {
    /// Its name, which `-device` uses.
    public var id: String
    /// What it is.
    public var kind: NetworkKind
    /// The options of `user`.
    public var user = UserNetworkConfiguration()
    /// The options of all other kinds.
    public var peer = NetworkPeer.none

    /// A back-end of a kind.
    public init(id: String, kind: NetworkKind) {
        self.id = id
        self.kind = kind
    }
}

/// NAT with DHCP and DNS in the process. What is nil is libslirp's default.
public struct UserNetworkConfiguration: Equatable, Sendable {
    /// Whether IPv4 is there.
    public var ipv4: Bool?
    /// Whether IPv6 is there.
    public var ipv6: Bool?
    /// The guest's network: `10.0.2.0/24`, `10.0.2.0/255.255.255.0`, `10.0.2.0`.
    public var network: String?
    /// The host's address in it.
    public var host: String?
    /// The guest's IPv6 prefix and its length.
    public var ipv6Network: String?
    /// The host's IPv6 address.
    public var ipv6Host: String?
    /// Whether the guest reaches nothing but forwards.
    public var restricted = false
    /// The name that DHCP gives the guest.
    public var hostname: String?
    /// The first address that DHCP gives.
    public var dhcpStart: String?
    /// The name server's address.
    public var dns: String?
    /// The name server's IPv6 address.
    public var ipv6DNS: String?
    /// Domains to search.
    public var dnsSearch: [String] = []
    /// The guest's domain.
    public var domainName: String?
    /// The directory that TFTP serves.
    public var tftp: String?
    /// The TFTP server's name.
    public var tftpServerName: String?
    /// The boot file that DHCP names.
    public var bootFile: String?
    /// The directory that SMB serves.
    public var smb: String?
    /// The SMB server's address.
    public var smbServer: String?
    /// Host ports that lead into the guest.
    public var hostForwards: [HostForward] = []
    /// Guest addresses that lead to the host, as given: `tcp:10.0.2.100:80-cmd:…`.
    public var guestForwards: [String] = []

    /// libslirp's defaults.
    public init() {}
}

/// A port of the host that leads into the guest (`hostfwd=tcp::2222-:22`).
public struct HostForward: Equatable, Sendable {
    /// A UDP port rather than a TCP one.
    public var isUDP = false
    /// The host's address to listen at, empty for all.
    public var hostAddress = ""
    /// The host's port; 0 picks one.
    public var hostPort: UInt16 = 0
    /// The guest's address, empty for the first that DHCP gives.
    public var guestAddress = ""
    /// The guest's port.
    public var guestPort: UInt16 = 0

    /// A forward with nothing set.
    public init() {}
}

/// A network card that the board makes (`-nic`, `-net nic`, or the default).
public struct NICConfiguration: Equatable, Sendable {
    /// The card's model, nil for the board's own: `e1000`, `virtio-net-pci`.
    public var model: String?
    /// Its MAC address as 6 bytes, nil for the next of 52:54:00:12:34:56.
    public var mac: [UInt8]?
    /// The back-end's id, which stands in `networks`; nil for an unplugged card.
    public var network: String?
    /// Its name, nil for none.
    public var name: String?
    /// Its place on the PCI bus: `06.0`.
    public var address: String?
    /// MSI-X vectors.
    public var vectors: Int?

    /// A card of the board's own model.
    public init() {}
}
