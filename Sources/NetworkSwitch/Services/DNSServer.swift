public import Network

/// The names of a network.
public struct DNSConfiguration: Sendable, Equatable {
    /// A service (RFC 2782).
    public struct Service: Sendable, Equatable {
        public var name: DNSName
        public var priority: UInt16
        public var weight: UInt16
        public var port: UInt16
        public var target: DNSName
        public init(name: DNSName, priority: UInt16, weight: UInt16, port: UInt16, target: DNSName) {
            self.name = name
            self.priority = priority
            self.weight = weight
            self.port = port
            self.target = target
        }
    }
    public var isEnabled = true
    /// The domain that short names are in.
    public var domain: DNSName?
    /// Whether names of the domain that are not known here are known nowhere.
    public var isDomainLocal = false
    /// Whether names without a dot are asked of others.
    public var forwardsPlainNames = false
    /// Names with their IPv4 addresses.
    public var addresses: [DNSName: [IPv4Address]] = [:]
    /// Names with their IPv6 addresses.
    public var addresses6: [DNSName: [IPv6Address]] = [:]
    public var texts: [DNSName: [String]] = [:]
    public var services: [Service] = []
    /// Servers for names of a domain; nil: for all other names.
    public var forwarders: [(domain: DNSName?, address: String?)] = []
    /// Whether nobody else is asked for the names of the network's own addresses (`localPtr`).
    public var localNetworks: [ClosedRange<UInt128>] = []
    public init() {}

    /// Whether the network's own name server alone knows an address's name.
    func isLocal(_ address: IPv4Address) -> Bool { isLocal(UInt128(address.rawValue)) }
    func isLocal(_ address: IPv6Address) -> Bool { isLocal(address.number) }
    private func isLocal(_ number: UInt128) -> Bool { localNetworks.contains { $0.contains(number) } }

    public static func == (left: DNSConfiguration, right: DNSConfiguration) -> Bool {
        left.isEnabled == right.isEnabled && left.domain == right.domain && left.isDomainLocal == right.isDomainLocal
            && left.forwardsPlainNames == right.forwardsPlainNames && left.addresses == right.addresses
            && left.addresses6 == right.addresses6
            && left.localNetworks == right.localNetworks && left.texts == right.texts && left.services == right.services
            && left.forwarders.elementsEqual(right.forwarders) { $0.domain == $1.domain && $0.address == $1.address }
    }
}

/// A name server for a network's machines: queries in, answers or others to ask out. A pure value.
public struct DNSServer: Sendable {
    /// What becomes of a query.
    public enum Verdict: Sendable, Equatable {
        /// This is the answer.
        case answer([UInt8])
        /// Others know: these, or where there are none the host's own servers.
        case forward([String])
        /// It is no query.
        case drop
    }
    public var configuration: DNSConfiguration
    /// The machines' names, without their domain.
    public var machines: [DNSName: IPv4Address] = [:]
    /// The same for IPv6.
    public var machines6: [DNSName: [IPv6Address]] = [:]

    public init(_ configuration: DNSConfiguration) { self.configuration = configuration }

    /// What becomes of a query. `overTCP`: an answer of any length is taken.
    public func verdict(_ bytes: [UInt8], overTCP: Bool = false) -> Verdict {
        guard configuration.isEnabled else { return .drop }
        guard let query = DNSQuery(bytes).map({ $0.taking(overTCP ? 65535 : $0.room) }) else {
            // What has an unusual name may still be asked of others; what is no query at all may not.
            guard bytes.count >= 17, bytes.count <= 1400, bytes[2] & 0xF8 == 0 else { return .drop }
            return .forward(forwarders(nil))
        }
        typealias Kind = DNSQuery.Kind
        let names = [query.name] + local(query.name)
        var records: [DNSQuery.Record] = []
        var isKnown = false
        func wants(_ kind: UInt16) -> Bool { query.kind == kind || query.kind == Kind.any }
        for name in names {
            let (first, second) = (configuration.addresses[name] ?? [], configuration.addresses6[name] ?? [])
            isKnown = isKnown || !first.isEmpty || !second.isEmpty
            if wants(Kind.a) { records += first.map { .init(kind: Kind.a, bytes: $0.bytes) } }
            if wants(Kind.aaaa) { records += second.map { .init(kind: Kind.aaaa, bytes: $0.bytes) } }
            if let address = machines[name] {
                isKnown = true
                if wants(Kind.a) { records.append(.init(kind: Kind.a, bytes: address.bytes)) }
            }
            if let addresses = machines6[name] {
                isKnown = true
                if wants(Kind.aaaa) { records += addresses.map { .init(kind: Kind.aaaa, bytes: $0.bytes) } }
            }
            for text in configuration.texts[name] ?? [] {
                isKnown = true
                let bytes = Array(text.utf8.prefix(255))
                if wants(Kind.txt) { records.append(.init(kind: Kind.txt, bytes: [UInt8(bytes.count)] + bytes)) }
            }
            for service in configuration.services where service.name == name {
                isKnown = true
                guard wants(Kind.srv) else { continue }
                let numbers = [service.priority, service.weight, service.port].flatMap {
                    [UInt8($0 >> 8), UInt8($0 & 255)]
                }
                records.append(.init(kind: Kind.srv, bytes: numbers + service.target.bytes))
            }
            if isKnown { break }
        }
        if isKnown { return .answer(query.answer(.found, records)) }
        if let address = Self.reverse(query.name) {
            if let name = self.name(of: address) {
                return .answer(query.answer(.found, wants(Kind.ptr) ? [.init(kind: Kind.ptr, bytes: name.bytes)] : []))
            }
            // Who has a private address is nobody else's business (RFC 6303).
            if Self.isPrivate(address) || configuration.isLocal(address) { return .answer(query.answer(.noName)) }
        }
        if let address = Self.reverse6(query.name) {
            if let name = self.name(of: address) {
                return .answer(query.answer(.found, wants(Kind.ptr) ? [.init(kind: Kind.ptr, bytes: name.bytes)] : []))
            }
            if address.bytes[0] & 0xFE == 0xFC || address.isLinkLocal || configuration.isLocal(address) {
                return .answer(query.answer(.noName))
            }
        }
        if query.name.labels.count == 1, !configuration.forwardsPlainNames { return .answer(query.answer(.noName)) }
        if let domain = configuration.domain, configuration.isDomainLocal, query.name.isIn(domain) {
            return .answer(query.answer(.noName))
        }
        return .forward(forwarders(query.name))
    }

    /// A name of the domain without it.
    private func local(_ name: DNSName) -> [DNSName] {
        guard let domain = configuration.domain, name.isIn(domain), name.labels.count > domain.labels.count else {
            return []
        }
        return [DNSName(labels: Array(name.labels.dropLast(domain.labels.count)))]
    }

    private func forwarders(_ name: DNSName?) -> [String] {
        let special = configuration.forwarders.filter { entry in
            entry.domain.map { domain in name?.isIn(domain) == true } ?? false
        }
        let general = configuration.forwarders.filter { $0.domain == nil }
        return (special.isEmpty ? general : special).compactMap(\.address)
    }

    /// `4.3.2.1.in-addr.arpa` as an address.
    private static func reverse(_ name: DNSName) -> IPv4Address? {
        guard name.labels.count == 6, name.labels[4] == "in-addr", name.labels[5] == "arpa" else { return nil }
        return IPv4Address(name.labels[..<4].reversed().joined(separator: "."))
    }

    /// 32 hexadecimal digits before `ip6.arpa`, the last first, as an address (RFC 3596, 2.5).
    private static func reverse6(_ name: DNSName) -> IPv6Address? {
        guard name.labels.count == 34, name.labels[32] == "ip6", name.labels[33] == "arpa" else { return nil }
        let digits = name.labels[..<32].compactMap { $0.utf8.count == 1 ? UInt8($0, radix: 16) : nil }
        guard digits.count == 32 else { return nil }
        let ordered = Array(digits.reversed())
        return IPv6Address(bytes: (0..<16).map { ordered[$0 * 2] << 4 | ordered[$0 * 2 + 1] })
    }

    private static func isPrivate(_ address: IPv4Address) -> Bool {
        let value = address.rawValue
        return value >> 24 == 10 || value >> 20 == 0xAC1 || value >> 16 == 0xC0A8
    }

    private func name(of address: IPv4Address) -> DNSName? {
        let names = configuration.addresses.filter { $0.value.contains(address) }.map(\.key)
        if let name = names.min(by: { $0.description < $1.description }) { return name }
        return full(machines.filter { $0.value == address }.map(\.key))
    }

    private func name(of address: IPv6Address) -> DNSName? {
        let names = configuration.addresses6.filter { $0.value.contains(address) }.map(\.key)
        if let name = names.min(by: { $0.description < $1.description }) { return name }
        return full(machines6.filter { $0.value.contains(address) }.map(\.key))
    }

    /// The first of machines' names, in its domain.
    private func full(_ names: [DNSName]) -> DNSName? {
        guard let short = names.min(by: { $0.description < $1.description }) else { return nil }
        return configuration.domain.map { DNSName(labels: short.labels + $0.labels) } ?? short
    }
}
