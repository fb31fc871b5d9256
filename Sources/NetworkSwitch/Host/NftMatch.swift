internal import Network

/// A rule of nwfilter as a match of nftables.
struct NftMatch {
    /// Protocols whose packets begin with ports: TCP, UDP, SCTP, UDP-Lite.
    static let withPorts: Set<UInt8> = [6, 17, 132, 136]
    private let key: String
    init(_ key: String) { self.key = key }

    static func name(_ type: UInt16) -> String {
        switch type {
        case 0x0800: "ip"
        case 0x0806: "arp"
        case 0x86DD: "ip6"
        case 0x8100: "vlan"
        default: "0x" + String(type, radix: 16)
        }
    }

    /// The match for frames from the machine (`from`) or to it; nil: the rule is not for that direction.
    func text(_ rule: FilterRule, _ side: String) throws(NetworkError) -> String? {
        switch rule.direction {
        case .fromMachine: guard side == "from" else { return nil }
        case .toMachine: guard side == "to" else { return nil }
        case .both: break
        }
        // Rules for both directions are written as the machine sends.
        let isTurned = rule.direction == .both && side == "to"
        var parts = rule.types.map { "meta protocol \(Self.name($0))" }
        if let proto = rule.proto { parts.append("meta l4proto \(proto)") }
        for condition in rule.conditions {
            parts.append(try text(isTurned ? Self.turned(condition) : condition, rule))
        }
        return parts.joined(separator: " ")
    }

    private static func turned(_ condition: FilterRule.Condition) -> FilterRule.Condition {
        switch condition {
        case .source(let address, let mask): .destination(address, mask: mask)
        case .destination(let address, let mask): .source(address, mask: mask)
        case .sender(let address, let mask): .target(address, mask: mask)
        case .target(let address, let mask): .sender(address, mask: mask)
        case .senderAddress(let prefix): .targetAddress(prefix)
        case .targetAddress(let prefix): .senderAddress(prefix)
        case .from(let prefix): .to(prefix)
        case .to(let prefix): .from(prefix)
        case .fromRange(let first, let last): .toRange(first, last)
        case .toRange(let first, let last): .fromRange(first, last)
        case .fromPorts(let range): .toPorts(range)
        case .toPorts(let range): .fromPorts(range)
        case .ownSender: .ownTarget
        case .ownTarget: .ownSender
        case .ownFrom: .ownTo
        case .ownTo: .ownFrom
        default: condition
        }
    }

    private func text(_ condition: FilterRule.Condition, _ rule: FilterRule) throws(NetworkError) -> String {
        let sign = rule.isNegated ? "!= " : ""
        let isARP = rule.types == [0x0806]
        func hardware(_ place: String, _ address: HardwareAddress, _ mask: UInt64) -> String {
            if mask == 0xFFFF_FFFF_FFFF { return "\(place) \(sign)\(address)" }
            let kept = HardwareAddress(rawValue: address.rawValue & mask)
            return "\(place) & \(HardwareAddress(rawValue: mask)) \(rule.isNegated ? "!=" : "==") \(kept)"
        }
        func prefix(_ place: String, _ prefix: FilterRule.Prefix) -> String {
            if prefix.mask.allSatisfy({ $0 == 255 }) { return "\(place) \(sign)\(Self.address(prefix.address))" }
            let kept = zip(prefix.address, prefix.mask).map { $0 & $1 }
            return "\(place) & \(Self.address(prefix.mask)) \(rule.isNegated ? "!=" : "==") \(Self.address(kept))"
        }
        func own(_ place: String) -> String { "\(place) \(sign)@own_\(key)" }
        func ports(_ place: String, _ range: ClosedRange<UInt16>) -> String {
            let kinds =
                rule.proto.map { Self.withPorts.contains($0) } == true ? "" : "meta l4proto { 6, 17, 132, 136 } "
            return "\(kinds)\(place) \(sign)\(range.lowerBound)-\(range.upperBound)"
        }
        // nftables knows fields of ARP, and RARP by their places.
        func field(_ name: String, _ place: Int, _ bits: Int) -> String {
            isARP ? "arp \(name)" : "@nh,\(place),\(bits)"
        }
        func inARP(_ place: String, _ body: (String) -> String) throws(NetworkError) -> String {
            guard isARP else { throw NetworkError("rules for addresses of 'rarp' are not supported on a bridge") }
            return body(place)
        }
        func ip(_ count: Int) -> String { count == 4 ? "ip" : "ip6" }
        switch condition {
        case .source(let address, let mask): return hardware("ether saddr", address, mask)
        case .destination(let address, let mask): return hardware("ether daddr", address, mask)
        case .type(0x8100): return "ether type \(sign)vlan"
        case .type(let type): return "meta protocol \(sign)\(Self.name(type))"
        case .vlan(let vlan): return "vlan id \(sign)\(vlan)"
        case .operation(let operation): return "\(field("operation", 48, 16)) \(sign)\(operation)"
        case .sender(let address, let mask):
            return try inARP("arp saddr ether") { hardware($0, address, mask) }
        case .target(let address, let mask):
            return try inARP("arp daddr ether") { hardware($0, address, mask) }
        case .senderAddress(let address): return try inARP("arp saddr ip") { prefix($0, address) }
        case .targetAddress(let address): return try inARP("arp daddr ip") { prefix($0, address) }
        case .from(let address): return prefix("\(ip(address.address.count)) saddr", address)
        case .to(let address): return prefix("\(ip(address.address.count)) daddr", address)
        case .fromRange(let first, let last):
            return "\(ip(first.count)) saddr \(sign)\(Self.address(first))-\(Self.address(last))"
        case .toRange(let first, let last):
            return "\(ip(first.count)) daddr \(sign)\(Self.address(first))-\(Self.address(last))"
        case .proto(let proto): return "meta l4proto \(sign)\(proto)"
        case .fromPorts(let range): return ports("th sport", range)
        case .toPorts(let range): return ports("th dport", range)
        case .icmpType(let type): return "\(rule.types == [0x86DD] ? "icmpv6" : "icmp") type \(sign)\(type)"
        case .icmpCode(let code): return "\(rule.types == [0x86DD] ? "icmpv6" : "icmp") code \(sign)\(code)"
        case .ownSender: return try inARP("arp saddr ip", own)
        case .ownTarget: return try inARP("arp daddr ip", own)
        case .ownFrom: return own("ip saddr")
        case .ownTo: return own("ip daddr")
        }
    }

    private static func address(_ bytes: [UInt8]) -> String {
        bytes.count == 4
            ? "\(IPv4Address(rawValue: bytes.reduce(0) { $0 << 8 | UInt32($1) }))" : "\(IPv6Address(bytes: bytes))"
    }
}
