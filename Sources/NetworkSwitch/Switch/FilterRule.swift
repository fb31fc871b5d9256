internal import DomainModel

/// One rule of libvirt's nwfilter, ready to be asked.
struct FilterRule: Sendable {
    enum Action: Sendable { case accept, drop, leave, goOn }
    enum Direction: Sendable { case toMachine, fromMachine, both }

    /// What one attribute asks of a frame.
    enum Condition: Sendable {
        case source(HardwareAddress, mask: UInt64)
        case destination(HardwareAddress, mask: UInt64)
        case type(UInt16)
        case vlan(UInt16)
        case operation(UInt16)
        case sender(HardwareAddress, mask: UInt64)
        case target(HardwareAddress, mask: UInt64)
        case senderAddress(Prefix)
        case targetAddress(Prefix)
        case from(Prefix)
        case to(Prefix)
        case fromRange([UInt8], [UInt8])
        case toRange([UInt8], [UInt8])
        case proto(UInt8)
        case fromPorts(ClosedRange<UInt16>)
        case toPorts(ClosedRange<UInt16>)
        case icmpType(UInt8)
        case icmpCode(UInt8)
        /// The machine's own address, which it was given or has shown.
        case ownSender, ownFrom, ownTo, ownTarget
    }

    /// An address of 4 or 16 bytes and its mask.
    struct Prefix: Sendable {
        let address: [UInt8]
        let mask: [UInt8]
        func contains(_ other: [UInt8]) -> Bool {
            guard other.count == address.count, mask.count == address.count else { return false }
            return zip(zip(address, mask), other).allSatisfy { $0.0.0 & $0.0.1 == $0.1 & $0.0.1 }
        }
    }

    var action = Action.drop
    var direction = Direction.both
    var priority: Int32 = 500
    /// Types of frames that it looks at; empty: all.
    var types: [UInt16] = []
    /// The protocol of IP that it looks at; nil: all.
    var proto: UInt8?
    /// Whether it is for IP packets, behind those for frames, and knows connections.
    var isInternet = false
    /// Whether what belongs to an accepted connection passes in the other direction.
    var tracks = true
    var isNegated = false
    var conditions: [Condition] = []

    /// Whether a frame is meant. `own` tells whether an address is the machine's.
    func matches(_ fields: FrameFields, own: ([UInt8]) -> Bool) -> Bool {
        guard types.isEmpty || types.contains(fields.type) else { return false }
        if let proto { guard fields.proto == proto else { return false } }
        // With match='no' each of them is turned round, as ebtables does.
        return conditions.allSatisfy { matches($0, fields, own) != isNegated }
    }

    private func matches(_ condition: Condition, _ fields: FrameFields, _ own: ([UInt8]) -> Bool) -> Bool {
        func same(_ one: HardwareAddress, _ other: HardwareAddress, _ mask: UInt64) -> Bool {
            one.rawValue & mask == other.rawValue & mask
        }
        func isWithin(_ value: [UInt8], _ first: [UInt8], _ last: [UInt8]) -> Bool {
            value.count == first.count && !value.lexicographicallyPrecedes(first)
                && !last.lexicographicallyPrecedes(value)
        }
        switch condition {
        case .source(let address, let mask): return same(fields.source, address, mask)
        case .destination(let address, let mask): return same(fields.destination, address, mask)
        case .type(let type): return fields.type == type
        case .vlan(let vlan): return fields.vlan == vlan
        case .operation(let operation): return fields.arp?.operation == operation
        case .sender(let address, let mask): return fields.arp.map { same($0.sender, address, mask) } ?? false
        case .target(let address, let mask): return fields.arp.map { same($0.target, address, mask) } ?? false
        case .senderAddress(let prefix): return fields.arp.map { prefix.contains($0.senderAddress) } ?? false
        case .targetAddress(let prefix): return fields.arp.map { prefix.contains($0.targetAddress) } ?? false
        case .from(let prefix): return prefix.contains(fields.from)
        case .to(let prefix): return prefix.contains(fields.to)
        case .fromRange(let first, let last): return isWithin(fields.from, first, last)
        case .toRange(let first, let last): return isWithin(fields.to, first, last)
        case .proto(let proto): return fields.proto == proto
        case .fromPorts(let range): return fields.ports.map { range.contains($0.from) } ?? false
        case .toPorts(let range): return fields.ports.map { range.contains($0.to) } ?? false
        case .icmpType(let type): return fields.icmp?.type == type
        case .icmpCode(let code): return fields.icmp?.code == code
        case .ownSender: return fields.arp.map { own($0.senderAddress) } ?? false
        case .ownTarget: return fields.arp.map { own($0.targetAddress) } ?? false
        case .ownFrom: return own(fields.from)
        case .ownTo: return own(fields.to)
        }
    }
}
