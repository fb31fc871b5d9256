/// `<filter>`: rules for the packets of a network card.
public struct NetworkFilter: XMLDocument {
    public static var rootNames: [String] { ["filter"] }
    public static var documentName: String { "(nwfilter_definition)" }

    /// A rule, or another filter's rules at this place.
    public enum Entry: Equatable, Sendable {
        case rule(Rule)
        case include(FilterReference)
    }

    public var name = ""
    public var chain = "root"
    public var priority: Int32?
    public var uuid: UniqueID?
    public var entries: [Entry] = []

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, m.peek("name") == nil {
            throw DefinitionError(.internalError, "internal error: filter has no name", line: m.line)
        }
        try m.attribute("name", &name)
        try m.attribute("chain", &chain, default: "root")
        try m.attribute("priority", &priority)
        try m.element("uuid", &uuid, refusal: "malformed uuid element")
        if m.isReading {
            var trees: [XMLTree] = []
            try m.subtrees(&trees) { $0 == "rule" || $0 == "filterref" }
            for tree in trees {
                entries.append(
                    tree.name == "rule" ? .rule(try m.read(tree)) : .include(try m.read(tree)))
            }
        } else {
            for entry in entries {
                switch entry {
                case .rule(let rule):
                    var one = [rule]
                    try m.children("rule", &one)
                case .include(let reference):
                    var one = [reference]
                    try m.children("filterref", &one)
                }
            }
        }
    }

    /// `<rule>`: what happens to the packets that its matches describe.
    public struct Rule: XMLMappable {
        public var action = "drop"
        public var direction = "inout"
        public var priority: Int32?
        public var stateMatch: String?
        /// One element for each match, named by its protocol.
        public var matches: [XMLTree] = []
        public init() {}

        static let protocols =
            "mac vlan stp arp rarp ip ipv6 tcp udp sctp icmp igmp all esp ah udplite tcp-ipv6 udp-ipv6 sctp-ipv6 "
            + "icmpv6 all-ipv6 esp-ipv6 ah-ipv6 udplite-ipv6"

        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("action", &action)
            guard XMLMapper.isOne(action, of: "drop accept reject return continue") else {
                throw DefinitionError(
                    .internalError, "internal error: unknown rule action attribute value", line: m.line)
            }
            try m.attribute("direction", &direction)
            guard XMLMapper.isOne(direction, of: "in out inout") else {
                throw DefinitionError(
                    .internalError, "internal error: unknown rule direction attribute value", line: m.line)
            }
            if m.isReading { priority = 500 }
            try m.attribute("priority", &priority)
            try m.attribute("statematch", &stateMatch)
            try m.subtrees(&matches) { XMLMapper.isOne($0, of: Self.protocols) }
        }
    }
}
