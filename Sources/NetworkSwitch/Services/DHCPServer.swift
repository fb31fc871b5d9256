public import Network

/// An address that was given to a machine.
public struct DHCPLease: Sendable, Equatable {
    /// The machine's hardware address.
    public var hardware: HardwareAddress
    /// What it has.
    public var address: IPv4Address
    /// Seconds since 1970 at which it ends; 0: never.
    public var expiry: UInt64
    /// The name that the machine told, or that was set for it.
    public var hostName: String?
    /// What the machine calls itself, in hexadecimal numbers.
    public var clientID: String?

    /// A lease.
    public init(
        hardware: HardwareAddress, address: IPv4Address, expiry: UInt64, hostName: String? = nil,
        clientID: String? = nil
    ) {
        self.hardware = hardware
        self.address = address
        self.expiry = expiry
        self.hostName = hostName
        self.clientID = clientID
    }
}

/// What a DHCP server gives.
public struct DHCPConfiguration: Sendable, Equatable {
    /// An address that is a machine's for ever.
    public struct Host: Sendable, Equatable {
        public var hardware: HardwareAddress?
        public var address: IPv4Address?
        public var name: String?
        /// Seconds; nil: as for others, 0: for ever.
        public var leaseTime: UInt32?
        public init(
            hardware: HardwareAddress?, address: IPv4Address?, name: String? = nil, leaseTime: UInt32? = nil
        ) {
            self.hardware = hardware
            self.address = address
            self.name = name
            self.leaseTime = leaseTime
        }
    }
    /// The server's own address, which is the gateway's.
    public var server: IPv4Address
    /// Leading bits of the network.
    public var prefixLength: Int
    /// Addresses that may be given, both ends included.
    public var ranges: [ClosedRange<UInt32>] = []
    public var hosts: [Host] = []
    /// Seconds; 0: for ever.
    public var leaseTime: UInt32 = 3600
    /// Whether machines are told that the server is their gateway.
    public var hasRouter = true
    /// The name servers that machines are told.
    public var nameServers: [IPv4Address] = []
    public var domain: String?
    public var mtu: UInt16?
    public var bootFile: String?
    public var bootServer: IPv4Address?

    public init(server: IPv4Address, prefixLength: Int) {
        self.server = server
        self.prefixLength = prefixLength
    }

    var mask: UInt32 { prefixLength <= 0 ? 0 : prefixLength >= 32 ? UInt32.max : ~(UInt32.max >> UInt32(prefixLength)) }
    func contains(_ address: IPv4Address) -> Bool { address.rawValue & mask == server.rawValue & mask }
}

/// A DHCP server: messages in, messages out. A pure value; the caller gives the time in seconds since 1970, and keeps
/// the leases when `hasChanged` says so. RFC 2131, 4.3.
public struct DHCPServer: Sendable {
    /// Addresses that one port may hold, so that a machine that asks under many names does not empty the network.
    static let portLimit = 64
    /// Seconds that an offer is kept for.
    private static let offerTime: UInt64 = 60
    /// Seconds that an address is not given to anybody after a machine found it in use.
    private static let declineTime: UInt64 = 600

    private struct Holding: Sendable {
        var lease: DHCPLease
        var isOffer: Bool
        var port: Int
    }
    public var configuration: DHCPConfiguration
    private var byHardware: [HardwareAddress: Holding] = [:]
    private var byAddress: [IPv4Address: HardwareAddress] = [:]
    private var declined: [IPv4Address: UInt64] = [:]
    /// Whether leases have changed since it was last set to false.
    public var hasChanged = false

    /// A server that has given out the leases of an earlier run.
    public init(_ configuration: DHCPConfiguration, leases: [DHCPLease] = [], now: UInt64) {
        self.configuration = configuration
        for lease in leases where lease.expiry == 0 || lease.expiry > now {
            guard configuration.contains(lease.address), byAddress[lease.address] == nil,
                byHardware[lease.hardware] == nil
            else { continue }
            hold(lease, isOffer: false, port: -1)
        }
    }

    /// The leases that hold, by address.
    public func leases(now: UInt64) -> [DHCPLease] {
        byHardware.values.filter { !$0.isOffer && ($0.lease.expiry == 0 || $0.lease.expiry > now) }.map(\.lease)
            .sorted { $0.address.rawValue < $1.address.rawValue }
    }

    /// The answer to a message that came by a port; nil for none.
    public mutating func answer(_ message: DHCPMessage, port: Int, now: UInt64) -> DHCPMessage? {
        guard !message.isReply, message.relay.rawValue == 0 else { return nil }
        switch message.kind {
        case .discover:
            guard let address = choose(for: message, port: port, now: now) else { return nil }
            if byHardware[message.hardware]?.isOffer != false || byHardware[message.hardware]?.lease.address != address
            {
                release(message.hardware)
                hold(
                    DHCPLease(hardware: message.hardware, address: address, expiry: now + Self.offerTime),
                    isOffer: true,
                    port: port)
            }
            return reply(.offer, to: message, address)
        case .request: return request(message, port: port, now: now)
        case .decline:
            guard let address = message.address(DHCPMessage.Option.requestedAddress),
                byAddress[address] == message.hardware, declined.count < 256
            else { return nil }
            release(message.hardware)
            declined[address] = now + Self.declineTime
            return nil
        case .release:
            if byAddress[message.client] == message.hardware { release(message.hardware) }
            return nil
        case .inform:
            guard configuration.contains(message.client) else { return nil }
            return reply(.ack, to: message, nil)
        case .offer, .ack, .nak: return nil
        }
    }

    private mutating func request(_ message: DHCPMessage, port: Int, now: UInt64) -> DHCPMessage? {
        let server = message.address(DHCPMessage.Option.server)
        // It has taken another server's offer.
        if let server, server != configuration.server {
            if byHardware[message.hardware]?.isOffer == true { release(message.hardware) }
            return nil
        }
        guard
            let wanted = message.address(DHCPMessage.Option.requestedAddress)
                ?? (message.client.rawValue == 0 ? nil : message.client)
        else { return nil }
        let isFree = isAvailable(wanted, to: message.hardware, port: port, now: now)
        let fixed = host(message.hardware)?.address
        guard isFree, fixed == nil || fixed == wanted else { return reply(.nak, to: message, nil) }
        let own = host(message.hardware)
        let time = own?.leaseTime ?? configuration.leaseTime
        var name = own?.name ?? message.option(DHCPMessage.Option.hostName).flatMap(Self.hostName)
        if name == nil, let old = byHardware[message.hardware], !old.isOffer { name = old.lease.hostName }
        release(message.hardware)
        hold(
            DHCPLease(
                hardware: message.hardware, address: wanted, expiry: time == 0 ? 0 : now + UInt64(time), hostName: name,
                clientID: message.option(DHCPMessage.Option.clientID).flatMap { $0.isEmpty ? nil : Self.hex($0) }),
            isOffer: false, port: port)
        return reply(.ack, to: message, wanted)
    }

    // MARK: - Addresses

    private func host(_ hardware: HardwareAddress) -> DHCPConfiguration.Host? {
        configuration.hosts.first { $0.hardware == hardware }
    }

    private mutating func choose(for message: DHCPMessage, port: Int, now: UInt64) -> IPv4Address? {
        if let fixed = host(message.hardware)?.address {
            return isAvailable(fixed, to: message.hardware, port: port, now: now) ? fixed : nil
        }
        if let old = byHardware[message.hardware] { return old.lease.address }
        guard byHardware.values.count(where: { $0.port == port }) < Self.portLimit else { return nil }
        let wanted = message.address(DHCPMessage.Option.requestedAddress)
        if let wanted, isAvailable(wanted, to: message.hardware, port: port, now: now) { return wanted }
        // The same machine finds the same address where it can, also when its lease was lost.
        let total = configuration.ranges.reduce(UInt64(0)) { $0 + UInt64($1.upperBound - $1.lowerBound) + 1 }
        guard total > 0 else { return nil }
        let start = Self.hash(message.hardware.bytes) % total
        for step in 0..<min(total, 65536) {
            let address = self.address((start + step) % total)
            if isAvailable(address, to: message.hardware, port: port, now: now) { return address }
        }
        return nil
    }

    private func address(_ number: UInt64) -> IPv4Address {
        var rest = number
        for range in configuration.ranges {
            let count = UInt64(range.upperBound - range.lowerBound) + 1
            if rest < count { return IPv4Address(rawValue: range.lowerBound + UInt32(rest)) }
            rest -= count
        }
        return configuration.server
    }

    private func isAvailable(_ address: IPv4Address, to hardware: HardwareAddress, port: Int, now: UInt64) -> Bool {
        let hosts = ~configuration.mask
        guard configuration.contains(address), address != configuration.server,
            address.rawValue & hosts != 0, address.rawValue & hosts != hosts
        else { return false }
        let fixed = configuration.hosts.first { $0.address == address }
        if let fixed, fixed.hardware != nil { guard fixed.hardware == hardware else { return false } }
        guard fixed != nil || configuration.ranges.contains(where: { $0.contains(address.rawValue) }) else {
            return false
        }
        if let until = declined[address], until > now { return false }
        guard let holder = byAddress[address], holder != hardware, let held = byHardware[holder] else {
            return byHardware[hardware] != nil || byHardware.values.count(where: { $0.port == port }) < Self.portLimit
        }
        return held.lease.expiry != 0 && held.lease.expiry <= now
    }

    private mutating func hold(_ lease: DHCPLease, isOffer: Bool, port: Int) {
        // Whoever had the address let its time run out.
        if let holder = byAddress[lease.address], holder != lease.hardware { release(holder) }
        byHardware[lease.hardware] = Holding(lease: lease, isOffer: isOffer, port: port)
        byAddress[lease.address] = lease.hardware
        if !isOffer { hasChanged = true }
    }

    private mutating func release(_ hardware: HardwareAddress) {
        guard let old = byHardware.removeValue(forKey: hardware) else { return }
        byAddress[old.lease.address] = nil
        if !old.isOffer { hasChanged = true }
    }

    /// Lets go of what a port that has gone only was offered.
    public mutating func forget(port: Int) {
        for (hardware, holding) in byHardware where holding.port == port && holding.isOffer { release(hardware) }
    }

    /// FNV-1a: where the search for a client's address begins, the same each time.
    static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }

    /// A machine's own name, where it is one label or several of the letters that names have.
    static func hostName(_ bytes: [UInt8]) -> String? {
        let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self).lowercased()
        return DNSName(text) == nil || text.utf8.count > 63 ? nil : text
    }

    // MARK: - Messages

    private func reply(_ kind: DHCPMessage.Kind, to message: DHCPMessage, _ address: IPv4Address?) -> DHCPMessage {
        typealias Option = DHCPMessage.Option
        var reply = DHCPMessage()
        reply.isReply = true
        reply.kind = kind
        reply.transaction = message.transaction
        reply.wantsBroadcast = message.wantsBroadcast
        reply.hardware = message.hardware
        reply.add(Option.server, [configuration.server])
        guard kind != .nak else { return reply }
        reply.client = message.client
        reply.yours = address ?? IPv4Address(rawValue: 0)
        if address != nil {
            let time = host(message.hardware)?.leaseTime ?? configuration.leaseTime
            let seconds = time == 0 ? UInt32.max : time
            reply.add(Option.leaseTime, seconds: seconds)
            if time != 0 {
                reply.add(Option.renewal, seconds: seconds / 2)
                reply.add(Option.rebinding, seconds: seconds / 8 * 7)
            }
        }
        reply.add(Option.mask, [IPv4Address(rawValue: configuration.mask)])
        reply.add(Option.broadcast, [IPv4Address(rawValue: configuration.server.rawValue | ~configuration.mask)])
        if configuration.hasRouter { reply.add(Option.router, [configuration.server]) }
        if !configuration.nameServers.isEmpty { reply.add(Option.nameServer, configuration.nameServers) }
        if let domain = configuration.domain { reply.add(Option.domain, Array(domain.utf8)) }
        if let name = host(message.hardware)?.name { reply.add(Option.hostName, Array(name.utf8)) }
        if let mtu = configuration.mtu { reply.add(Option.mtu, [UInt8(mtu >> 8), UInt8(mtu & 255)]) }
        if let file = configuration.bootFile {
            reply.bootFile = file
            reply.next = configuration.bootServer ?? configuration.server
            reply.add(Option.bootFile, Array(file.utf8))
        }
        return reply
    }
}
