public import Network

/// A message of DHCP over IPv6 (RFC 8415, sections 7, 8 and 21). Reading checks every length.
public struct DHCPv6Message: Sendable, Equatable {
    /// Kinds of messages.
    public enum Kind: UInt8, Sendable {
        case solicit = 1
        case advertise, request, confirm, renew, rebind, reply, release, decline, reconfigure, informationRequest
    }
    /// Options by their numbers.
    public enum Option {
        static let client: UInt16 = 1
        static let server: UInt16 = 2
        static let association: UInt16 = 3
        static let address: UInt16 = 5
        static let status: UInt16 = 13
        static let rapidCommit: UInt16 = 14
        static let nameServers: UInt16 = 23
        static let domains: UInt16 = 24
        static let prefixDelegation: UInt16 = 25
        static let clientName: UInt16 = 39
        static let bootFile: UInt16 = 59
    }
    /// What became of a request (section 21.13).
    public enum Status: UInt16, Sendable {
        case success = 0
        case failure, noAddresses, noBinding, notOnLink, useMulticast, noPrefix
    }

    /// The addresses of one interface of a client (`IA_NA`).
    public struct Association: Sendable, Equatable {
        /// The client's number for it.
        public var number: UInt32
        /// The addresses, with the seconds that they hold; `UInt32.max`: for ever.
        public var addresses: [(address: IPv6Address, lifetime: UInt32)] = []
        public var status: Status?

        public init(number: UInt32) { self.number = number }

        public static func == (left: Association, right: Association) -> Bool { left.bytes == right.bytes }

        /// Addresses of one association; more are not read.
        private static let limit = 16

        init?(_ bytes: [UInt8]) {
            guard bytes.count >= 12, let options = DHCPv6Message.options(bytes[12...]) else { return nil }
            number = DHCPv6Message.number(bytes[..<4])
            for option in options where option.code == Option.address && option.bytes.count >= 24 {
                guard addresses.count < Self.limit else { break }
                addresses.append(
                    (IPv6Address(bytes: Array(option.bytes[..<16])), DHCPv6Message.number(option.bytes[20..<24])))
            }
        }

        var bytes: [UInt8] {
            // The least of the lifetimes says when to ask again (section 21.4).
            let least = addresses.map(\.lifetime).filter { $0 > 0 }.min() ?? 0
            let renewal = least == UInt32.max ? least : least / 2
            let rebinding = least == UInt32.max ? least : least / 5 * 4
            var result = DHCPv6Message.bytes(number) + DHCPv6Message.bytes(renewal) + DHCPv6Message.bytes(rebinding)
            for (address, lifetime) in addresses {
                let times = DHCPv6Message.bytes(lifetime)
                result += DHCPv6Message.option(Option.address, address.bytes + times + times)
            }
            if let status { result += DHCPv6Message.option(Option.status, DHCPv6Message.bytes(status.rawValue)) }
            return result
        }
    }

    public var kind: Kind
    /// The transaction's number, of 24 bits.
    public var transaction: UInt32
    /// All options, in order.
    public var options: [(code: UInt16, bytes: [UInt8])] = []
    /// Options of one message; with more it is none.
    private static let optionLimit = 64

    public init(_ kind: Kind, transaction: UInt32) {
        self.kind = kind
        self.transaction = transaction & 0xFF_FFFF
    }

    public static func == (left: DHCPv6Message, right: DHCPv6Message) -> Bool { left.bytes == right.bytes }

    /// Reads the payload of a UDP packet; nil for what is no message of a client or server, such as a relay's.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= 4, bytes.count <= 4096, let kind = Kind(rawValue: bytes[0]),
            let options = Self.options(bytes[4...])
        else { return nil }
        self.kind = kind
        transaction = Self.number(bytes[1..<4])
        self.options = options
    }

    private static func options(_ bytes: ArraySlice<UInt8>) -> [(code: UInt16, bytes: [UInt8])]? {
        var result: [(UInt16, [UInt8])] = []
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= 4, result.count < optionLimit else { return nil }
            let code = UInt16(truncatingIfNeeded: number(rest.prefix(2)))
            let count = Int(number(rest.dropFirst(2).prefix(2)))
            rest = rest.dropFirst(4)
            guard rest.count >= count else { return nil }
            result.append((code, Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
        return result
    }

    // MARK: - Options

    /// The first option of a number.
    public func option(_ code: UInt16) -> [UInt8]? { options.first { $0.code == code }?.bytes }

    /// Adds an option of up to 65535 bytes.
    public mutating func add(_ code: UInt16, _ bytes: [UInt8]) { options.append((code, bytes)) }

    /// The associations that the client speaks of, up to 8.
    public var associations: [Association] {
        options.lazy.filter { $0.code == Option.association }.prefix(8).compactMap { Association($0.bytes) }
    }

    /// Adds an association.
    public mutating func add(_ association: Association) { add(Option.association, association.bytes) }
    /// Adds what became of the request.
    public mutating func add(_ status: Status) { add(Option.status, Self.bytes(status.rawValue)) }

    /// What became of the request; nil: nothing is said.
    public var status: Status? {
        option(Option.status).flatMap { $0.count >= 2 ? Status(rawValue: UInt16($0[0]) << 8 | UInt16($0[1])) : nil }
    }

    /// The first label of the name that the client says it has (RFC 4704).
    var clientName: String? {
        guard let bytes = option(Option.clientName), bytes.count >= 3 else { return nil }
        let count = Int(bytes[1])
        guard (1...63).contains(count), bytes.count >= 2 + count else { return nil }
        return DHCPServer.hostName(Array(bytes[2..<2 + count]))
    }

    /// The message as it travels.
    public var bytes: [UInt8] {
        [kind.rawValue] + Self.bytes(transaction)[1...] + options.flatMap { Self.option($0.code, $0.bytes) }
    }

    private static func option(_ code: UInt16, _ bytes: [UInt8]) -> [UInt8] {
        Self.bytes(code) + Self.bytes(UInt16(truncatingIfNeeded: bytes.count)) + bytes
    }
    private static func number(_ bytes: some Sequence<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
    private static func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    private static func bytes(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(value >> UInt32($0) & 255) } }
}
