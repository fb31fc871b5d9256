/// Where a network's socket is (`addr.type=unix,addr.path=…`).
public enum NetworkAddress: Equatable, Sendable {
    /// A host and a port.
    case internet(host: String, port: String)
    /// A Unix socket.
    case unix(path: String)
    /// A descriptor of the process, by number or by the name that `getfd` gave it.
    case descriptor(String)
}

/// The options of the network back-ends but `user`'s, as QEMU's documentation of `-netdev` has them.
public enum NetworkPeer: Equatable, Sendable {
    /// None: the kind is `user`.
    case none
    /// `stream`, and the TCP form of `socket`; `reconnect` is in milliseconds, 0 for never.
    case stream(address: NetworkAddress, isServer: Bool, reconnect: UInt64, hasHeaders: Bool)
    /// `dgram`, and the UDP form of `socket`.
    case datagram(local: NetworkAddress?, remote: NetworkAddress?)
    /// `hubport`: a hub's number, and the back-end that is joined to it.
    case hub(Int, joins: String?)
    /// `tap`.
    case tap(TapConfiguration)
    /// `bridge`: a bridge's name and the program that makes a tap on it.
    case bridge(name: String, helper: String)
    /// `vhost-user`.
    case vhostUser(VhostUserNetwork)
    /// `af-packet`: an interface of the host.
    case packet(interface: String)
}

/// The options of `-netdev vhost-user`.
public struct VhostUserNetwork: Equatable, Sendable {
    /// The socket's character back-end.
    public var characterDevice: String
    /// Pairs of queues, 1 to 128.
    public var queues = 1

    /// A back-end on a socket, with one pair of queues.
    public init(characterDevice: String) { self.characterDevice = characterDevice }
}

/// The options of `-netdev tap`.
public struct TapConfiguration: Equatable, Sendable {
    /// The interface's name, nil for the first free `tap%d`.
    public var interface: String?
    /// Descriptors that somebody else has opened, by number or by the name that `getfd` gave them.
    public var descriptors: [String] = []
    /// A program that is run with the interface's name once it is there; nil for none.
    public var script: String?
    /// A program that is run with the interface's name before it goes; nil for none.
    public var downScript: String?
    /// A bridge that a helper puts the tap on.
    public var bridge: String?
    /// The helper.
    public var helper: String?
    /// Whether headers for offloads go before frames; nil: where the host can.
    public var hasHeaders: Bool?
    /// Queues to open.
    public var queues = 1
    /// The most bytes that wait in the kernel to be sent; nil: the kernel's own limit.
    public var sendBuffer: UInt64?
    /// Whether the kernel is to move the frames of virtio cards (`vhost`), and whether nothing else will do
    /// (`vhostforce`).
    public var usesVhost = false
    public var forcesVhost = false
    /// Devices of `/dev/vhost-net` that somebody else has opened, one a queue.
    public var vhostDescriptors: [String] = []

    /// An interface of a name of the kernel's choice, without scripts.
    public init() {}
}
