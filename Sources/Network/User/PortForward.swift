/// A port of the host that leads to one of the guest.
public struct HostForward: Sendable, Hashable, CustomStringConvertible {
    /// UDP instead of TCP.
    public var isUDP: Bool
    /// The host's address to listen on; nil: all of them.
    public var hostAddress: IPv4Address?
    /// The host's port.
    public var hostPort: UInt16
    /// The guest's address; nil: the first that DHCP gives.
    public var guestAddress: IPv4Address?
    /// The guest's port.
    public var guestPort: UInt16

    /// A forward.
    public init(
        isUDP: Bool = false, hostAddress: IPv4Address? = nil, hostPort: UInt16, guestAddress: IPv4Address? = nil,
        guestPort: UInt16
    ) {
        self.isUDP = isUDP
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.guestAddress = guestAddress
        self.guestPort = guestPort
    }

    /// Reads `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`.
    public init(_ text: String) throws(UserNetworkError) {
        let sides = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2 else { throw UserNetworkError.invalidForward(text, "no '-' before the guest's side") }
        let key = try HostForwardKey(String(sides[0]), whole: text)
        let guest = sides[1].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard guest.count == 2 else { throw UserNetworkError.invalidForward(text, "no guest port") }
        isUDP = key.isUDP
        hostAddress = key.hostAddress
        hostPort = key.hostPort
        guestAddress = try HostForwardKey.address(guest[0], whole: text)
        guestPort = try HostForwardKey.port(guest[1], whole: text, allowsZero: false)
    }

    /// What names it when it is removed.
    public var key: HostForwardKey { HostForwardKey(isUDP: isUDP, hostAddress: hostAddress, hostPort: hostPort) }

    public var description: String {
        "\(key)-\(guestAddress.map { "\($0)" } ?? ""):\(guestPort)"
    }
}

/// The host's side of a forward.
public struct HostForwardKey: Sendable, Hashable, CustomStringConvertible {
    /// UDP instead of TCP.
    public var isUDP: Bool
    /// The host's address; nil: all of them.
    public var hostAddress: IPv4Address?
    /// The host's port.
    public var hostPort: UInt16

    /// A key.
    public init(isUDP: Bool = false, hostAddress: IPv4Address? = nil, hostPort: UInt16) {
        self.isUDP = isUDP
        self.hostAddress = hostAddress
        self.hostPort = hostPort
    }

    /// Reads `[tcp|udp]:[hostaddr]:hostport`, the argument of `hostfwd_remove`.
    public init(_ text: String) throws(UserNetworkError) { try self.init(text, whole: text) }

    init(_ text: String, whole: String) throws(UserNetworkError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else {
            throw UserNetworkError.invalidForward(whole, "'[tcp|udp]:[hostaddr]:hostport' expected")
        }
        switch parts[0] {
        case "", "tcp": isUDP = false
        case "udp": isUDP = true
        default: throw UserNetworkError.invalidForward(whole, "unknown protocol '\(parts[0])'")
        }
        hostAddress = try HostForwardKey.address(parts[1], whole: whole)
        hostPort = try HostForwardKey.port(parts[2], whole: whole, allowsZero: true)
    }

    static func address(_ text: String, whole: String) throws(UserNetworkError) -> IPv4Address? {
        if text.isEmpty { return nil }
        guard let address = IPv4Address(text) else {
            throw UserNetworkError.invalidForward(whole, "'\(text)' is no IPv4 address")
        }
        return address
    }

    static func port(_ text: String, whole: String, allowsZero: Bool) throws(UserNetworkError) -> UInt16 {
        guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(text), port > 0 || allowsZero else {
            throw UserNetworkError.invalidForward(whole, "'\(text)' is no port")
        }
        return port
    }

    public var description: String { "\(isUDP ? "udp" : "tcp"):\(hostAddress.map { "\($0)" } ?? ""):\(hostPort)" }
}

/// An address and port of the guest's network behind which a program or socket of the host answers.
public struct GuestForward: Sendable, Hashable {
    /// Who answers.
    public enum Target: Sendable, Hashable {
        /// A command, run for each connection with the stream as its standard input and output.
        case command(String)
        /// A Unix socket, connected to for each connection.
        case unix(path: String)
    }

    /// The address on the guest's network.
    public var address: IPv4Address
    /// The TCP port there.
    public var port: UInt16
    /// Who answers.
    public var target: Target

    /// A forward.
    public init(address: IPv4Address, port: UInt16, target: Target) {
        self.address = address
        self.port = port
        self.target = target
    }

    /// Reads `[tcp]:address:port-cmd:COMMAND` or `[tcp]:address:port-unix:PATH`.
    public init(_ text: String) throws(UserNetworkError) {
        let sides = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard sides.count == 2 else { throw UserNetworkError.invalidForward(text, "no '-' before the target") }
        let key = try HostForwardKey(sides[0], whole: text)
        guard !key.isUDP, let address = key.hostAddress, key.hostPort != 0 else {
            throw UserNetworkError.invalidForward(text, "a TCP address and port expected")
        }
        if sides[1].hasPrefix("cmd:"), sides[1].utf8.count > 4 {
            target = Target.command(String(sides[1].dropFirst(4)))
        } else if sides[1].hasPrefix("unix:"), sides[1].utf8.count > 5 {
            target = Target.unix(path: String(sides[1].dropFirst(5)))
        } else {
            throw UserNetworkError.invalidForward(text, "'cmd:COMMAND' or 'unix:PATH' expected")
        }
        self.address = address
        port = key.hostPort
    }
}
