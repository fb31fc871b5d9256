public import JSON

/// What the process of a machine is given besides its definition.
public struct LaunchPlan: Sendable {
    /// Where the monitor listens.
    public enum Monitor: Equatable, Sendable {
        /// A socket's path.
        case path(String)
        /// A listening socket that the process inherits.
        case descriptor(Int32)
    }

    /// What a network card is plugged into, when that is not in the definition itself.
    public enum Attachment: Equatable, Sendable {
        /// User-mode NAT.
        case user
        /// User-mode NAT with the addresses of a network of the host.
        case userNetwork(UserNetwork)
        /// A tap that is open, by the number of its descriptor or by the name that `getfd` gave it; of several queues, with
        /// colons between them. Likewise devices of `/dev/vhost-net`, where the kernel is to move frames.
        case openTap(String, vhost: String? = nil)
        /// A tap by its name; QEMU opens it.
        case tapName(String)
        /// A bridge of the host, by QEMU's helper.
        case bridge(String)
        /// A stream socket to a switch, with further options of `-netdev stream`.
        case stream(path: String, options: JSONObject = [:])
        /// A datagram socket that is open.
        case datagram(descriptor: Int32)
    }

    /// The addresses of user-mode NAT.
    public struct UserNetwork: Equatable, Sendable {
        /// With its prefix, `192.168.122.0/24`.
        public var network: String
        /// The host's address.
        public var host: String
        /// The address that answers questions for names.
        public var nameServer: String
        /// The address that the guest is given; `nil`: the program's choice.
        public var dhcpStart: String?
        public var domainName: String?
        /// The guest reaches nothing outside.
        public var isRestricted = false

        public init(network: String, host: String, nameServer: String) {
            self.network = network
            self.host = host
            self.nameServer = nameServer
        }
    }

    /// The machine's own folder, for sockets that the definition does not name.
    public var folder: String
    public var monitor: Monitor
    /// A key file for secrets, `nil` without secrets.
    public var masterKeyFile: String?
    /// An address for migration, or `defer`; `nil` for a fresh start.
    public var incoming: String?
    /// The attachment of each network card that needs one, by its place in the definition.
    public var attachments: [Int: Attachment]
    /// The process forbids itself what it does not need.
    public var isSandboxed: Bool
    /// For QEMU alone: names of threads, the memory's own object, and what else our machine has no use for.
    public var usesQEMUExtras: Bool

    /// What serial ports and consoles with a terminal say is also written to `<folder>/char<alias>.log`, from the
    /// machine's first byte on.
    public var logsConsoles = false

    /// The device drivers that the program has; others are left out and reported. `nil` takes any.
    public var knownDrivers: Set<String>?

    public init(
        folder: String, monitor: Monitor, masterKeyFile: String? = nil, incoming: String? = nil,
        attachments: [Int: Attachment] = [:], isSandboxed: Bool = true, usesQEMUExtras: Bool = true,
        knownDrivers: Set<String>? = nil
    ) {
        self.folder = folder
        self.monitor = monitor
        self.masterKeyFile = masterKeyFile
        self.incoming = incoming
        self.attachments = attachments
        self.isSandboxed = isSandboxed
        self.usesQEMUExtras = usesQEMUExtras
        self.knownDrivers = knownDrivers
    }
}
