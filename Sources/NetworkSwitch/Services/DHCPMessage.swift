public import Network

/// A message of DHCP over IPv4 (RFC 2131, RFC 2132). Reading checks every length.
public struct DHCPMessage: Sendable, Equatable {
    /// Kinds of messages (option 53).
    public enum Kind: UInt8, Sendable {
        case discover = 1
        case offer, request, decline, ack, nak, release, inform
    }
    /// Options by their numbers.
    public enum Option {
        static let mask: UInt8 = 1
        static let router: UInt8 = 3
        static let nameServer: UInt8 = 6
        static let hostName: UInt8 = 12
        static let domain: UInt8 = 15
        static let mtu: UInt8 = 26
        static let broadcast: UInt8 = 28
        static let requestedAddress: UInt8 = 50
        static let leaseTime: UInt8 = 51
        static let kind: UInt8 = 53
        static let server: UInt8 = 54
        static let renewal: UInt8 = 58
        static let rebinding: UInt8 = 59
        static let clientID: UInt8 = 61
        static let bootServer: UInt8 = 66
        static let bootFile: UInt8 = 67
        static let routes: UInt8 = 121
    }
    private static let cookie: [UInt8] = [0x63, 0x82, 0x53, 0x63]
    private static let fixedCount = 236

    public var isReply = false
    public var kind = Kind.discover
    /// The transaction's number.
    public var transaction: UInt32 = 0
    public var seconds: UInt16 = 0
    /// Whether the client can take no reply but a broadcast one.
    public var wantsBroadcast = false
    /// The address that the client has.
    public var client = IPv4Address(rawValue: 0)
    /// The address that it gets.
    public var yours = IPv4Address(rawValue: 0)
    /// The server that it boots from.
    public var next = IPv4Address(rawValue: 0)
    /// The relay.
    public var relay = IPv4Address(rawValue: 0)
    public var hardware = HardwareAddress(rawValue: 0)
    public var bootFile = ""
    /// Options but the kind, in order.
    public var options: [(code: UInt8, bytes: [UInt8])] = []

    public init() {}

    public static func == (left: DHCPMessage, right: DHCPMessage) -> Bool { left.bytes == right.bytes }

    /// Reads the payload of a UDP packet; nil for what is no DHCP over Ethernet.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.fixedCount + 4, bytes.count <= 1500, bytes[0] == 1 || bytes[0] == 2, bytes[1] == 1,
            bytes[2] == 6, Array(bytes[236..<240]) == Self.cookie
        else { return nil }
        func address(_ place: Int) -> IPv4Address {
            IPv4Address(rawValue: bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) })
        }
        isReply = bytes[0] == 2
        transaction = address(4).rawValue
        seconds = UInt16(bytes[8]) << 8 | UInt16(bytes[9])
        wantsBroadcast = bytes[10] & 0x80 != 0
        client = address(12)
        yours = address(16)
        next = address(20)
        relay = address(24)
        hardware = HardwareAddress(bytes[28..<34])
        bootFile = String(decoding: bytes[108..<236].prefix { $0 != 0 }, as: UTF8.self)
        var place = 240
        var kind: Kind?
        while place < bytes.count, bytes[place] != 255 {
            if bytes[place] == 0 {
                place += 1
                continue
            }
            guard place + 1 < bytes.count, place + 2 + Int(bytes[place + 1]) <= bytes.count else { return nil }
            let value = Array(bytes[place + 2..<place + 2 + Int(bytes[place + 1])])
            if bytes[place] == Option.kind {
                guard value.count == 1, let known = Kind(rawValue: value[0]) else { return nil }
                kind = known
            } else {
                options.append((bytes[place], value))
            }
            place += 2 + value.count
        }
        guard let kind, hardware.rawValue != 0, !hardware.isGroup else { return nil }
        self.kind = kind
    }

    /// The first option of a number.
    public func option(_ code: UInt8) -> [UInt8]? { options.first { $0.code == code }?.bytes }

    /// An option that is an address.
    public func address(_ code: UInt8) -> IPv4Address? {
        option(code).flatMap { $0.count == 4 ? IPv4Address(rawValue: $0.reduce(0) { $0 << 8 | UInt32($1) }) : nil }
    }

    /// Adds an option of up to 255 bytes.
    public mutating func add(_ code: UInt8, _ bytes: [UInt8]) { options.append((code, Array(bytes.prefix(255)))) }
    /// Adds an option of addresses.
    public mutating func add(_ code: UInt8, _ addresses: [IPv4Address]) { add(code, addresses.flatMap(\.bytes)) }
    /// Adds an option of a time in seconds.
    public mutating func add(_ code: UInt8, seconds: UInt32) { add(code, IPv4Address(rawValue: seconds).bytes) }

    /// The message as it travels.
    public var bytes: [UInt8] {
        var result: [UInt8] = [isReply ? 2 : 1, 1, 6, 0]
        result += IPv4Address(rawValue: transaction).bytes
        result += [UInt8(seconds >> 8), UInt8(seconds & 255), wantsBroadcast ? 0x80 : 0, 0]
        for address in [client, yours, next, relay] { result += address.bytes }
        result += hardware.bytes + [UInt8](repeating: 0, count: 10 + 64)
        let file = Array(bootFile.utf8.prefix(127))
        result += file + [UInt8](repeating: 0, count: 128 - file.count) + Self.cookie
        result += [Option.kind, 1, kind.rawValue]
        for option in options { result += [option.code, UInt8(option.bytes.count)] + option.bytes }
        result.append(255)
        // BOOTP's least size, which old clients insist on.
        if result.count < 300 { result += [UInt8](repeating: 0, count: 300 - result.count) }
        return result
    }
}

extension IPv4Address {
    /// Its four bytes in the order of the network.
    var bytes: [UInt8] { [24, 16, 8, 0].map { UInt8(rawValue >> UInt32($0) & 255) } }
}
