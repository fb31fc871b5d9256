internal import DomainModel

/// The rules of libvirt's nwfilter for one port. A pure value; the caller gives the time in nanoseconds.
///
/// As there, frames go through the rules for Ethernet first (`mac`, `vlan`, `arp`, `ip`, …): those of the root chain and
/// the other chains, by priority. IP packets then go through those of the protocols (`tcp`, `all`, …), which know
/// connections. What no rule names passes.
struct PortRules {
    enum Item {
        case rule(FilterRule)
        case chain(types: [UInt16], [FilterRule])
    }
    /// What a packet and its answers have in common.
    private struct Flow: Hashable {
        let proto: UInt8
        let low: [UInt8]
        let high: [UInt8]
    }
    /// Connections that are remembered; more are not, and their answers need rules of their own.
    private static let flowLimit = 4096
    /// Nanoseconds without a packet after which a connection is forgotten.
    private static let flowLifetime: UInt64 = 600_000_000_000

    private(set) var ethernet: [(priority: Int32, item: Item)] = []
    private(set) var internet: [FilterRule] = []
    private var flows: [Flow: UInt64] = [:]

    var isEmpty: Bool { ethernet.isEmpty && internet.isEmpty }

    /// Reads `<filter>` documents whose variables have their values.
    init(_ documents: [String]) throws(NetworkError) {
        for text in documents {
            let filter: NetworkFilter
            do throws(DefinitionError) { filter = try NetworkFilter(xml: text) } catch {
                throw NetworkError(error.message)
            }
            var own: [FilterRule] = []
            for case .rule(let rule) in filter.entries { own += try FilterRule.read(rule) }
            internet += own.filter(\.isInternet)
            let frames = own.filter { !$0.isInternet }
            if filter.chain == "root" {
                ethernet += frames.map { ($0.priority, Item.rule($0)) }
            } else if !frames.isEmpty {
                let sorted = frames.enumerated().sorted {
                    ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
                }
                ethernet.append(
                    (filter.priority ?? 0, Item.chain(types: Self.types(filter.chain), sorted.map(\.element))))
            }
        }
        ethernet = ethernet.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }.map(\.element)
        internet = internet.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }.map(\.element)
    }

    /// A chain's name begins with what it is for.
    private static func types(_ chain: String) -> [UInt16] {
        for (name, type) in [("rarp", 0x8035), ("arp", 0x0806), ("ipv4", 0x0800), ("ipv6", 0x86DD)]
            as [(String, UInt16)]
        where chain.hasPrefix(name) { return [type] }
        return []
    }

    /// Whether a frame of 14 bytes or more passes.
    mutating func passes(
        _ frame: UnsafeRawBufferPointer, fromMachine: Bool, now: UInt64, own: ([UInt8]) -> Bool
    ) -> Bool {
        // SAFETY: the frame is valid for the call and has 14 bytes or more, as the caller has seen.
        let fields = unsafe FrameFields(frame)
        let turned = fromMachine ? fields : fields.reversed
        func matches(_ rule: FilterRule) -> Bool {
            switch rule.direction {
            case .fromMachine: return fromMachine && rule.matches(fields, own: own)
            case .toMachine: return !fromMachine && rule.matches(fields, own: own)
            // Both: written as the machine sends it.
            case .both: return rule.matches(turned, own: own)
            }
        }
        switch Self.verdict(ethernet, fields.type, matches) {
        case .drop: return false
        case .accept, .leave, .goOn: break
        }
        guard !internet.isEmpty, let proto = fields.proto else { return true }
        let flow = Self.flow(fields, proto)
        if let seen = flows[flow], now &- seen < Self.flowLifetime {
            flows[flow] = now
            return true
        }
        for rule in internet where matches(rule) {
            switch rule.action {
            case .accept:
                if rule.tracks { note(flow, now) }
                return true
            case .drop: return false
            case .leave: return true
            case .goOn: continue
            }
        }
        return true
    }

    private static func verdict(
        _ items: [(priority: Int32, item: Item)], _ type: UInt16, _ matches: (FilterRule) -> Bool
    ) -> FilterRule.Action {
        for (_, item) in items {
            switch item {
            case .rule(let rule):
                guard matches(rule), rule.action != .goOn else { continue }
                return rule.action
            case .chain(let types, let rules):
                guard types.isEmpty || types.contains(type),
                    let rule = rules.first(where: { $0.action != .goOn && matches($0) }), rule.action != .leave
                else { continue }
                return rule.action
            }
        }
        return .goOn
    }

    private static func flow(_ fields: FrameFields, _ proto: UInt8) -> Flow {
        let ports = fields.ports ?? (0, 0)
        let one = fields.from + [UInt8(ports.from >> 8), UInt8(ports.from & 255)]
        let other = fields.to + [UInt8(ports.to >> 8), UInt8(ports.to & 255)]
        return one.lexicographicallyPrecedes(other)
            ? Flow(proto: proto, low: one, high: other) : Flow(proto: proto, low: other, high: one)
    }

    private mutating func note(_ flow: Flow, _ now: UInt64) {
        if flows.count >= Self.flowLimit {
            flows = flows.filter { now &- $0.value < Self.flowLifetime }
            guard flows.count < Self.flowLimit else { return }
        }
        flows[flow] = now
    }
}
