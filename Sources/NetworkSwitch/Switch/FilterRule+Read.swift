internal import DomainModel
internal import Network

/// Reads a rule's XML. Attributes that are not known are errors: a filter that lets more through than it says is worse
/// than none.
extension FilterRule {
    private static let protocols: [String: UInt8] = [
        "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132, "udplite": 136,
    ]
    private static let types: [String: UInt16] = [
        "ipv4": 0x0800, "ip": 0x0800, "arp": 0x0806, "rarp": 0x8035, "ipv6": 0x86DD, "vlan": 0x8100,
    ]
    private static let operations: [String: UInt16] = [
        "request": 1, "reply": 2, "request_reverse": 3, "reply_reverse": 4, "drarp_request": 5, "drarp_reply": 6,
        "drarp_error": 7, "inarp_request": 8, "arp_nak": 9,
    ]

    /// The rules that one `<rule>` is: one for each of its matches.
    static func read(_ rule: NetworkFilter.Rule) throws(NetworkError) -> [FilterRule] {
        var base = FilterRule()
        switch rule.action {
        case "accept": base.action = .accept
        case "return": base.action = .leave
        case "continue": base.action = .goOn
        default: base.action = .drop
        }
        base.direction = rule.direction == "in" ? .toMachine : rule.direction == "out" ? .fromMachine : .both
        base.priority = rule.priority ?? 500
        base.tracks = rule.stateMatch != "0" && rule.stateMatch != "false"
        // A rule without a match is for every frame.
        if rule.matches.isEmpty { return [base] }
        var rules: [FilterRule] = []
        for tree in rule.matches {
            var one = base
            try one.read(tree)
            rules.append(one)
        }
        return rules
    }

    private mutating func read(_ tree: XMLTree) throws(NetworkError) {
        let isSix = tree.name.hasSuffix("v6")
        switch tree.name {
        case "mac": break
        case "vlan": types = []
        case "arp": types = [0x0806]
        case "rarp": types = [0x8035]
        case "ip": types = [0x0800]
        case "ipv6": types = [0x86DD]
        case "stp": throw NetworkError("rules for 'stp' are not supported")
        default:
            isInternet = true
            types = [isSix ? 0x86DD : 0x0800]
            let name = tree.name == "icmpv6" ? "icmpv6" : tree.name.replacing("-ipv6", with: "")
            if name != "all" {
                guard let number = Self.protocols[name] else {
                    throw NetworkError("rules for '\(tree.name)' are not supported")
                }
                proto = number
            }
        }
        isNegated = tree["match"] == "no"
        for attribute in tree.attributes where attribute.name != "match" && attribute.name != "comment" {
            try read(attribute.name, attribute.value, tree, isSix)
        }
        if tree.name == "vlan", tree["vlanid"] == nil {
            conditions.append(Condition.type(0x8100))
        }
    }

    private mutating func read(
        _ name: String, _ value: String, _ tree: XMLTree, _ isSix: Bool
    ) throws(NetworkError) {
        func fail() -> NetworkError { NetworkError("'\(value)' is no value of '\(name)' in a rule for '\(tree.name)'") }
        func number(_ most: UInt64) throws(NetworkError) -> UInt64 {
            let hex = value.lowercased().hasPrefix("0x")
            guard let number = hex ? UInt64(value.dropFirst(2), radix: 16) : UInt64(value), number <= most else {
                throw fail()
            }
            return number
        }
        func hardware(_ mask: String) throws(NetworkError) -> (HardwareAddress, UInt64) {
            guard let address = HardwareAddress(value) else { throw fail() }
            guard let text = tree[mask] else { return (address, 0xFFFF_FFFF_FFFF) }
            guard let bits = HardwareAddress(text) else { throw NetworkError("'\(text)' is no mask of an address") }
            return (address, bits.rawValue)
        }
        func prefix(_ mask: String) throws(NetworkError) -> Prefix {
            try Self.prefix(value, tree[mask])
        }
        func ports(_ end: String) throws(NetworkError) -> ClosedRange<UInt16> {
            let first = UInt16(try number(65535))
            guard let text = tree[end] else { return first...first }
            guard let last = UInt16(text), last >= first else { throw NetworkError("'\(text)' ends no range of ports") }
            return first...last
        }
        let isOwn = value == "$IP"
        switch name {
        case "srcmacaddr":
            let (address, mask) = try hardware("srcmacmask")
            conditions.append(.source(address, mask: mask))
        case "dstmacaddr":
            let (address, mask) = try hardware("dstmacmask")
            conditions.append(.destination(address, mask: mask))
        case "arpsrcmacaddr":
            let (address, mask) = try hardware("arpsrcmacmask")
            conditions.append(.sender(address, mask: mask))
        case "arpdstmacaddr":
            let (address, mask) = try hardware("arpdstmacmask")
            conditions.append(.target(address, mask: mask))
        case "protocolid", "encap-protocol":
            if let type = Self.types[value.lowercased()] { conditions.append(.type(type)) } else {
                conditions.append(.type(UInt16(try number(65535))))
            }
        case "vlanid": conditions.append(.vlan(UInt16(try number(4095))))
        case "opcode":
            if let known = Self.operations[value.lowercased()] { conditions.append(.operation(known)) } else {
                conditions.append(.operation(UInt16(try number(65535))))
            }
        case "arpsrcipaddr": conditions.append(isOwn ? .ownSender : .senderAddress(try prefix("arpsrcipmask")))
        case "arpdstipaddr": conditions.append(isOwn ? .ownTarget : .targetAddress(try prefix("arpdstipmask")))
        case "srcipaddr": conditions.append(isOwn ? .ownFrom : .from(try prefix("srcipmask")))
        case "dstipaddr": conditions.append(isOwn ? .ownTo : .to(try prefix("dstipmask")))
        case "srcipfrom": conditions.append(.fromRange(try prefix("").address, try end(tree["srcipto"] ?? value)))
        case "dstipfrom": conditions.append(.toRange(try prefix("").address, try end(tree["dstipto"] ?? value)))
        case "protocol":
            if let known = Self.protocols[value.lowercased()] { conditions.append(.proto(known)) } else {
                conditions.append(.proto(UInt8(try number(255))))
            }
        case "srcportstart": conditions.append(.fromPorts(try ports("srcportend")))
        case "dstportstart": conditions.append(.toPorts(try ports("dstportend")))
        case "type" where proto == 1 || proto == 58: conditions.append(.icmpType(UInt8(try number(255))))
        case "code" where proto == 1 || proto == 58: conditions.append(.icmpCode(UInt8(try number(255))))
        case "srcmacmask", "dstmacmask", "arpsrcmacmask", "arpdstmacmask", "arpsrcipmask", "arpdstipmask", "srcipmask",
            "dstipmask", "srcipto", "dstipto", "srcportend", "dstportend":
            break
        // Every message here is Ethernet's and IP's; connections are known by `tracks`.
        case "hwtype", "protocoltype", "state": break
        default: throw NetworkError("'\(name)' in a rule for '\(tree.name)' is not supported")
        }
    }

    private func end(_ text: String) throws(NetworkError) -> [UInt8] { try Self.prefix(text, nil).address }

    private static func prefix(_ text: String, _ mask: String?) throws(NetworkError) -> Prefix {
        guard let address = IPv4Address(text)?.bytes ?? IPv6Address(text)?.bytes else {
            throw NetworkError("'\(text)' is no IP address")
        }
        guard let mask else { return Prefix(address: address, mask: address.map { _ in 255 }) }
        if let bits = Int(mask), bits >= 0, bits <= address.count * 8 {
            let bytes = address.indices.map { place -> UInt8 in
                let kept = min(max(bits - place * 8, 0), 8)
                return kept == 8 ? 255 : ~(0xFF >> UInt8(kept))
            }
            return Prefix(address: address, mask: bytes)
        }
        guard let bytes = IPv4Address(mask)?.bytes ?? IPv6Address(mask)?.bytes, bytes.count == address.count else {
            throw NetworkError("'\(mask)' is no mask of '\(text)'")
        }
        return Prefix(address: address, mask: bytes)
    }
}
