internal import Network

/// A DHCP server for IPv6: messages in, messages out. A pure value; the caller gives the time in seconds since 1970, and
/// keeps the leases when `hasChanged` says so. RFC 8415, section 18.3.
public struct DHCPv6Server: Sendable {
    /// Addresses that one port may hold.
    static let portLimit = 64
    /// Leases of all ports.
    static let limit = 8192
    /// Seconds that an address is not given to anybody after a machine found it in use.
    private static let declineTime: UInt64 = 600

    private struct Key: Hashable {
        let client: [UInt8]
        let association: UInt32
    }
    private struct Holding {
        var lease: DHCPv6Lease
        var port: Int
    }
    public var configuration: DHCPv6Configuration
    /// What the server calls itself (`DUID`).
    private let identifier: [UInt8]
    private var byClient: [Key: Holding] = [:]
    private var byAddress: [UInt128: Key] = [:]
    private var declined: [UInt128: UInt64] = [:]
    /// Whether leases have changed since it was last set to false.
    public var hasChanged = false

    /// A server that has given out the leases of an earlier run. `hardware` is what it is known by.
    public init(
        _ configuration: DHCPv6Configuration, hardware: HardwareAddress, leases: [DHCPv6Lease] = [], now: UInt64
    ) {
        self.configuration = configuration
        // By the address of its card (section 11.4).
        identifier = [0, 3, 0, 1] + hardware.bytes
        for lease in leases.prefix(Self.limit) where lease.expiry == 0 || lease.expiry > now {
            guard configuration.contains(lease.address), byAddress[lease.address.number] == nil else { continue }
            hold(lease, port: -1)
        }
    }

    /// The leases that hold, by address.
    public func leases(now: UInt64) -> [DHCPv6Lease] {
        byClient.values.map(\.lease).filter { $0.expiry == 0 || $0.expiry > now }
            .sorted { $0.address.number < $1.address.number }
    }

    /// The answer to a message that a machine sent by a port; nil for none.
    public mutating func answer(
        _ message: DHCPv6Message, hardware: HardwareAddress, port: Int, now: UInt64
    ) -> DHCPv6Message? {
        let client = message.option(DHCPv6Message.Option.client)
        if let client { guard (1...130).contains(client.count) else { return nil } }
        let server = message.option(DHCPv6Message.Option.server)
        switch message.kind {
        case .solicit, .confirm, .rebind: guard client != nil, server == nil else { return nil }
        case .request, .renew, .release, .decline: guard client != nil, server == identifier else { return nil }
        case .informationRequest: guard server == nil || server == identifier else { return nil }
        case .advertise, .reply, .reconfigure: return nil
        }
        let isQuick = message.kind == .solicit && message.option(DHCPv6Message.Option.rapidCommit) != nil
        var reply = DHCPv6Message(
            message.kind == .solicit && !isQuick ? .advertise : .reply, transaction: message.transaction)
        reply.add(DHCPv6Message.Option.server, identifier)
        if let client { reply.add(DHCPv6Message.Option.client, client) }
        if isQuick { reply.add(DHCPv6Message.Option.rapidCommit, []) }
        let who = Client(
            identifier: client ?? [], hardware: hardware, name: message.clientName, port: port, now: now)
        switch message.kind {
        case .solicit, .request, .renew, .rebind:
            guard configuration.isStateful else {
                if message.kind == .rebind { return nil }
                reply.add(DHCPv6Message.Status.noAddresses)
                return reply
            }
            give(message, who, &reply, keeps: message.kind != .solicit || isQuick)
        case .confirm:
            let addresses = message.associations.flatMap(\.addresses)
            guard !addresses.isEmpty else { return nil }
            reply.add(addresses.allSatisfy { configuration.contains($0.address) } ? .success : .notOnLink)
        case .release, .decline:
            for association in message.associations {
                let key = Key(client: who.identifier, association: association.number)
                for (address, _) in association.addresses where byAddress[address.number] == key {
                    remove(key)
                    if message.kind == .decline, declined.count < 256 {
                        declined[address.number] = now + Self.declineTime
                    }
                }
            }
            reply.add(DHCPv6Message.Status.success)
        default: break
        }
        addSettings(&reply)
        return reply
    }

    private func addSettings(_ reply: inout DHCPv6Message) {
        typealias Option = DHCPv6Message.Option
        if !configuration.nameServers.isEmpty {
            reply.add(Option.nameServers, configuration.nameServers.flatMap(\.bytes))
        }
        if let domain = configuration.domain { reply.add(Option.domains, domain.bytes) }
        if let url = configuration.bootURL { reply.add(Option.bootFile, Array(url.utf8.prefix(512))) }
    }

    // MARK: - Addresses

    private struct Client {
        let identifier: [UInt8]
        let hardware: HardwareAddress
        let name: String?
        let port: Int
        let now: UInt64
    }

    private mutating func give(_ message: DHCPv6Message, _ who: Client, _ reply: inout DHCPv6Message, keeps: Bool) {
        let host = host(of: who)
        let time = host?.leaseTime ?? configuration.leaseTime
        var isFixedTaken = false
        var hasAny = false
        for association in message.associations {
            let key = Key(client: who.identifier, association: association.number)
            var answer = DHCPv6Message.Association(number: association.number)
            // A host's own address is for the first of its interfaces.
            let fixed = isFixedTaken ? nil : host?.address
            if fixed != nil { isFixedTaken = true }
            let address = choose(key, fixed, association.addresses.map(\.address), who)
            if let address {
                hasAny = true
                answer.addresses.append((address, time == 0 ? UInt32.max : time))
                if keeps {
                    hold(
                        DHCPv6Lease(
                            client: who.identifier, association: association.number, address: address,
                            hardware: who.hardware, expiry: time == 0 ? 0 : who.now + UInt64(time),
                            hostName: host?.name ?? who.name ?? byClient[key]?.lease.hostName), port: who.port)
                }
            } else {
                answer.status = message.kind == .renew || message.kind == .rebind ? .noBinding : .noAddresses
            }
            // What it had and has no more ends at once (section 18.3.4).
            for (old, _) in association.addresses where keeps && old != address && answer.addresses.count < 16 {
                guard message.kind == .renew || message.kind == .rebind else { break }
                answer.addresses.append((old, 0))
            }
            reply.add(answer)
        }
        for option in message.options where option.code == DHCPv6Message.Option.prefixDelegation {
            guard option.bytes.count >= 12 else { continue }
            reply.add(option.code, option.bytes[..<12] + [0, 13, 0, 2, 0, 6])
        }
        if !hasAny, message.kind == .solicit { reply.add(DHCPv6Message.Status.noAddresses) }
    }

    private func host(of who: Client) -> DHCPv6Configuration.Host? {
        configuration.hosts.first { $0.client == who.identifier }
            ?? configuration.hosts.first { $0.client == nil && $0.hardware == who.hardware }
            ?? configuration.hosts.first {
                $0.client == nil && $0.hardware == nil && $0.name != nil && $0.name?.lowercased() == who.name
            }
    }

    private func choose(_ key: Key, _ fixed: IPv6Address?, _ wanted: [IPv6Address], _ who: Client) -> IPv6Address? {
        if let fixed { return isAvailable(fixed.number, to: key, who, isFixed: true) ? fixed : nil }
        if let old = byClient[key]?.lease.address, isAvailable(old.number, to: key, who) { return old }
        guard byClient[key] != nil || isRoom(who) else { return nil }
        if let first = wanted.first(where: { isAvailable($0.number, to: key, who) }) { return first }
        var total: UInt128 = 0
        for range in configuration.ranges {
            let (sum, overflow) = total.addingReportingOverflow(range.upperBound - range.lowerBound)
            total = overflow ? UInt128.max >> 1 : min(sum, UInt128.max >> 1) + 1
        }
        guard total > 0 else { return nil }
        // The same client finds the same address where it can.
        let start = UInt128(Self.hash(key)) % total
        for step in 0..<UInt128(min(total, 4096)) {
            let number = address((start + step) % total)
            if isAvailable(number, to: key, who) { return IPv6Address(number: number) }
        }
        return nil
    }

    private func isRoom(_ who: Client) -> Bool {
        byClient.count < Self.limit && byClient.values.count(where: { $0.port == who.port }) < Self.portLimit
    }

    private func address(_ number: UInt128) -> UInt128 {
        var rest = number
        for range in configuration.ranges {
            let span = range.upperBound - range.lowerBound
            if rest <= span { return range.lowerBound + rest }
            rest -= span + 1
        }
        return configuration.server.number
    }

    private func isAvailable(_ number: UInt128, to key: Key, _ who: Client, isFixed: Bool = false) -> Bool {
        guard number != configuration.server.number, configuration.contains(IPv6Address(number: number)) else {
            return false
        }
        if !isFixed {
            guard configuration.ranges.contains(where: { $0.contains(number) }),
                !configuration.hosts.contains(where: { $0.address?.number == number })
            else { return false }
        }
        if let until = declined[number], until > who.now { return false }
        guard let holder = byAddress[number], holder != key, let held = byClient[holder]?.lease else { return true }
        // A host's own address goes to it, whichever number its interface has now: a new system, an installer.
        if isFixed, holder.client == key.client || held.hardware == who.hardware { return true }
        return held.expiry != 0 && held.expiry <= who.now
    }

    private mutating func hold(_ lease: DHCPv6Lease, port: Int) {
        let key = Key(client: lease.client, association: lease.association)
        if let holder = byAddress[lease.address.number], holder != key { remove(holder) }
        remove(key)
        byClient[key] = Holding(lease: lease, port: port)
        byAddress[lease.address.number] = key
        hasChanged = true
    }

    private mutating func remove(_ key: Key) {
        guard let old = byClient.removeValue(forKey: key) else { return }
        byAddress[old.lease.address.number] = nil
        hasChanged = true
    }

    private static func hash(_ key: Key) -> UInt64 {
        DHCPServer.hash(key.client + [24, 16, 8, 0].map { UInt8(key.association >> UInt32($0) & 255) })
    }
}
