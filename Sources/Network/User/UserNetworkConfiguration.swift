/// What a user-mode network is to be (`-netdev user`): a network of the guest's own, with a gateway, a DHCP server, a
/// name server and a TFTP server that are this process.
public struct UserNetworkConfiguration: Sendable, Equatable {
    /// Whether there is IPv4.
    public var hasIPv4 = true
    /// The guest's network.
    public var network = IPv4Address(rawValue: 0x0A00_0200)
    /// Its leading bits.
    public var prefixLength = 24
    /// The gateway, which is this host; nil: see `effectiveHost`.
    public var host: IPv4Address?
    /// The first of 16 addresses that DHCP gives; nil: see `effectiveDHCPStart`.
    public var dhcpStart: IPv4Address?
    /// The name server, which asks this host's; nil: see `effectiveDNS`.
    public var dns: IPv4Address?
    /// Whether there is IPv6.
    public var hasIPv6 = true
    /// The guest's IPv6 network.
    public var ipv6Network = IPv6Address(bytes: [0xFE, 0xC0])
    /// Its leading bits.
    public var ipv6PrefixLength = 64
    /// The IPv6 gateway; nil: the network's address 2.
    public var ipv6Host: IPv6Address?
    /// The IPv6 name server; nil: the network's address 3.
    public var ipv6DNS: IPv6Address?
    /// The domains in which the guest looks for short names.
    public var dnsSearch: [String] = []
    /// The guest's domain.
    public var domainName: String?
    /// The name that DHCP gives the guest.
    public var hostname: String?
    /// The folder whose files TFTP gives; nil: there is no TFTP.
    public var tftpFolder: String?
    /// The TFTP server's name in DHCP.
    public var tftpServerName: String?
    /// The file that the guest's firmware boots, in the TFTP folder.
    public var bootFile: String?
    /// Whether the guest is cut off from everything but forwards.
    public var isRestricted = false
    /// Ports of this host that lead to the guest.
    public var hostForwards: [HostForward] = []
    /// Addresses on the guest's network behind which this host answers.
    public var guestForwards: [GuestForward] = []

    /// QEMU's network: 10.0.2.0/24 and fec0::/64.
    public init() {}

    /// The gateway: as given, or 2.2 in the host part (10.0.2.2).
    public var effectiveHost: IPv4Address { host ?? hostPart(0x0202) }
    /// The first DHCP address: as given, or 2.15 in the host part (10.0.2.15).
    public var effectiveDHCPStart: IPv4Address { dhcpStart ?? hostPart(0x020F) }
    /// The name server: as given, or 2.3 in the host part (10.0.2.3).
    public var effectiveDNS: IPv4Address { dns ?? hostPart(0x0203) }

    private func hostPart(_ number: UInt32) -> IPv4Address {
        let mask = IPv4Address.mask(prefixLength)
        return IPv4Address(rawValue: network.rawValue & mask | number & ~mask)
    }

    /// Sets the option of a name of `-netdev user` from its text. Options that may be repeated add to a list.
    public mutating func set(_ name: String, _ value: String) throws(UserNetworkError) {
        switch name {
        case "ipv4": hasIPv4 = try Self.boolean(name, value)
        case "ipv6": hasIPv6 = try Self.boolean(name, value)
        case "net": try setNetwork(value)
        case "host": host = try Self.address(name, value)
        case "dhcpstart": dhcpStart = try Self.address(name, value)
        case "dns": dns = try Self.address(name, value)
        case "ipv6-net": try setIPv6Network(value)
        case "ipv6-prefix": ipv6Network = try Self.ipv6Address(name, value)
        case "ipv6-prefixlen": ipv6PrefixLength = try Self.number(name, value, 0...126)
        case "ipv6-host": ipv6Host = try Self.ipv6Address(name, value)
        case "ipv6-dns": ipv6DNS = try Self.ipv6Address(name, value)
        case "dnssearch": dnsSearch.append(try Self.domain(name, value))
        case "domainname": domainName = try Self.domain(name, value)
        case "hostname": hostname = try Self.text(name, value, limit: 32)
        case "tftp": tftpFolder = try Self.text(name, value, limit: 4095)
        case "tftp-server-name": tftpServerName = try Self.text(name, value, limit: 127)
        case "bootfile": bootFile = try Self.text(name, value, limit: 127)
        case "restrict": isRestricted = try Self.boolean(name, value)
        case "hostfwd": hostForwards.append(try HostForward(value))
        case "guestfwd": guestForwards.append(try GuestForward(value))
        default: throw UserNetworkError.unknownOption(name)
        }
    }

    /// Checks that the addresses fit each other.
    public func validate() throws(UserNetworkError) {
        guard hasIPv4 || hasIPv6 else { throw UserNetworkError.inconsistent("Both IPv4 and IPv6 are off") }
        guard prefixLength >= 1, prefixLength <= 29 else {
            throw UserNetworkError.invalidValue("\(network)/\(prefixLength)", option: "net", expected: "/1 to /29")
        }
        let mask = IPv4Address.mask(prefixLength)
        let named = [("host", effectiveHost), ("dhcpstart", effectiveDHCPStart), ("dns", effectiveDNS)]
        for (name, address) in named where address.rawValue & mask != network.rawValue & mask {
            // A name server elsewhere is QEMU's to allow: the guest is told of it, and asks it through the gateway.
            if name == "dns" { continue }
            throw UserNetworkError.inconsistent("'\(name)' \(address) is not in network \(network)/\(prefixLength)")
        }
        if effectiveHost == effectiveDNS {
            throw UserNetworkError.inconsistent("'host' and 'dns' are both \(effectiveDNS)")
        }
        // DHCP gives 16 addresses from the first on.
        let first = effectiveDHCPStart.rawValue
        for (name, address) in [("host", effectiveHost), ("dns", effectiveDNS)]
        where address.rawValue >= first && address.rawValue - first < 16 {
            throw UserNetworkError.inconsistent("'\(name)' \(address) is one of the addresses that DHCP gives")
        }
        guard ipv6PrefixLength >= 0, ipv6PrefixLength <= 126 else {
            throw UserNetworkError.invalidValue("\(ipv6PrefixLength)", option: "ipv6-prefixlen", expected: "0 to 126")
        }
        for forward in guestForwards where forward.address.rawValue & mask != network.rawValue & mask {
            throw UserNetworkError.inconsistent("'guestfwd' \(forward.address) is not in \(network)/\(prefixLength)")
        }
    }

    /// `addr/bits`, `addr/mask`, or an address whose class tells the bits.
    private mutating func setNetwork(_ value: String) throws(UserNetworkError) {
        let parts = value.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let base = try Self.address("net", parts.first ?? "")
        if parts.count < 2 {
            prefixLength = Self.classLength(base)
        } else if let mask = IPv4Address(parts[1]) {
            prefixLength = mask.rawValue.nonzeroBitCount
            guard mask.rawValue == IPv4Address.mask(prefixLength) else {
                throw UserNetworkError.invalidValue(value, option: "net", expected: "a mask of leading ones")
            }
        } else {
            prefixLength = try Self.number("net", parts[1], 1...29)
        }
        network = IPv4Address(rawValue: base.rawValue & IPv4Address.mask(prefixLength))
    }

    /// RFC 791's classes, and RFC 1918's private blocks where they are larger.
    private static func classLength(_ address: IPv4Address) -> Int {
        let value = address.rawValue
        if value >> 31 == 0 { return 8 }
        if value >> 20 == 0xAC1 { return 12 }
        if value >> 30 == 2 || value >> 16 == 0xC0A8 { return 16 }
        return 24
    }

    private mutating func setIPv6Network(_ value: String) throws(UserNetworkError) {
        let parts = value.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        ipv6Network = try Self.ipv6Address("ipv6-net", parts.first ?? "")
        ipv6PrefixLength = parts.count < 2 ? 64 : try Self.number("ipv6-net", parts[1], 0...126)
    }
}

// MARK: - Values

extension UserNetworkConfiguration {
    private static func boolean(_ option: String, _ value: String) throws(UserNetworkError) -> Bool {
        switch value {
        case "on", "yes", "true", "y": return true
        case "off", "no", "false", "n": return false
        default: throw UserNetworkError.invalidValue(value, option: option, expected: "'on' or 'off'")
        }
    }

    private static func address(_ option: String, _ value: String) throws(UserNetworkError) -> IPv4Address {
        guard let address = IPv4Address(value) else {
            throw UserNetworkError.invalidValue(value, option: option, expected: "an IPv4 address")
        }
        return address
    }

    private static func ipv6Address(_ option: String, _ value: String) throws(UserNetworkError) -> IPv6Address {
        guard let address = IPv6Address(value) else {
            throw UserNetworkError.invalidValue(value, option: option, expected: "an IPv6 address")
        }
        return address
    }

    private static func number(
        _ option: String, _ value: String, _ range: ClosedRange<Int>
    ) throws(UserNetworkError) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw UserNetworkError.invalidValue(
                value, option: option, expected: "a number of \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func text(_ option: String, _ value: String, limit: Int) throws(UserNetworkError) -> String {
        guard !value.isEmpty, value.utf8.count <= limit, !value.utf8.contains(0) else {
            throw UserNetworkError.invalidValue(value, option: option, expected: "1 to \(limit) bytes")
        }
        return value
    }

    /// Labels of 1 to 63 bytes, at most 253 together (RFC 1035, 2.3.4).
    private static func domain(_ option: String, _ value: String) throws(UserNetworkError) -> String {
        let labels = value.split(separator: ".", omittingEmptySubsequences: false)
        guard value.utf8.count <= 253, !value.utf8.contains(0), labels.allSatisfy({ (1...63).contains($0.utf8.count) })
        else { throw UserNetworkError.invalidValue(value, option: option, expected: "a domain name") }
        return value
    }
}
