public import Network

/// An IPv6 address that was given to a machine.
public struct DHCPv6Lease: Sendable, Equatable {
    /// What the client calls itself (`DUID`).
    public var client: [UInt8]
    /// The client's number for its interface (`IAID`).
    public var association: UInt32
    public var address: IPv6Address
    /// The machine's hardware address, as its frames had it.
    public var hardware: HardwareAddress
    /// Seconds since 1970 at which it ends; 0: never.
    public var expiry: UInt64
    /// The name that the machine told, or that was set for it.
    public var hostName: String?

    /// A lease.
    public init(
        client: [UInt8], association: UInt32, address: IPv6Address, hardware: HardwareAddress, expiry: UInt64,
        hostName: String? = nil
    ) {
        self.client = client
        self.association = association
        self.address = address
        self.hardware = hardware
        self.expiry = expiry
        self.hostName = hostName
    }

    /// The client's name for itself in hexadecimal numbers.
    public var clientID: String { DHCPv6Configuration.text(client) }
}

/// What a DHCP server for IPv6 gives.
public struct DHCPv6Configuration: Sendable, Equatable {
    /// A client that is known: its address, its name, or both.
    public struct Host: Sendable, Equatable {
        /// What the client calls itself; nil: it is known by its hardware address or its name.
        public var client: [UInt8]?
        public var hardware: HardwareAddress?
        public var address: IPv6Address?
        public var name: String?
        /// Seconds; nil: as for others, 0: for ever.
        public var leaseTime: UInt32?
        public init(
            client: [UInt8]? = nil, hardware: HardwareAddress? = nil, address: IPv6Address?, name: String? = nil,
            leaseTime: UInt32? = nil
        ) {
            self.client = client
            self.hardware = hardware
            self.address = address
            self.name = name
            self.leaseTime = leaseTime
        }
    }
    /// The gateway's address.
    public var server: IPv6Address
    /// Leading bits of the network.
    public var prefixLength: Int
    /// Addresses that may be given, as numbers, both ends included.
    public var ranges: [ClosedRange<UInt128>] = []
    public var hosts: [Host] = []
    /// Seconds; 0: for ever.
    public var leaseTime: UInt32 = 3600
    /// The name servers that machines are told.
    public var nameServers: [IPv6Address] = []
    public var domain: DNSName?
    /// Where firmware that boots over the network finds its program.
    public var bootURL: String?

    public init(server: IPv6Address, prefixLength: Int) {
        self.server = server
        self.prefixLength = prefixLength
    }

    /// Whether addresses are given here; otherwise machines make their own.
    public var isStateful: Bool { !ranges.isEmpty || hosts.contains { $0.address != nil } }

    var mask: UInt128 {
        prefixLength <= 0 ? 0 : prefixLength >= 128 ? UInt128.max : ~(UInt128.max >> UInt128(prefixLength))
    }
    /// Whether an address is of the network.
    public func contains(_ address: IPv6Address) -> Bool { address.number & mask == server.number & mask }

    /// `0:4:7e:7d`, as libvirt writes what a client calls itself; nil for anything else.
    static func identifier(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { (1...2).contains($0.utf8.count) ? UInt8($0, radix: 16) : nil }
        return bytes.count == parts.count && (1...130).contains(bytes.count) ? bytes : nil
    }
    static func text(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

extension IPv6Address {
    /// The address as a number.
    var number: UInt128 { bytes.reduce(0) { $0 << 8 | UInt128($1) } }
    /// An address from its number.
    init(number: UInt128) {
        self.init(bytes: (0..<16).map { UInt8(truncatingIfNeeded: number >> UInt128(120 - $0 * 8)) })
    }
    /// The address of the link that follows from a card's (RFC 4291, appendix A).
    init(linkOf hardware: HardwareAddress) {
        let own = hardware.bytes
        self.init(
            bytes: [0xFE, 0x80, 0, 0, 0, 0, 0, 0, own[0] ^ 2, own[1], own[2], 0xFF, 0xFE, own[3], own[4], own[5]])
    }
    /// To all on the link.
    static let allNodes = IPv6Address(bytes: [0xFF, 2] + [UInt8](repeating: 0, count: 13) + [1])
    /// Whether it is of the link alone.
    var isLinkLocal: Bool { bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }
}
