/// `<interface>` of the host: how a network card, bridge, bond or VLAN is set up.
public struct HostInterface: XMLMappable {
    public var type = "ethernet"
    public var name: String?
    public var startMode: String?
    public var mtu: UInt32?
    public var mac: MACAddress?
    public var linkState: String?
    public var linkSpeed: String?
    public var protocols: [AddressFamily] = []
    public var bridge: Bridge?
    public var bond: Bond?
    public var vlan: VLANTag?
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, let text = m.peek("type"), !XMLMapper.isOne(text, of: "ethernet bridge bond vlan") {
            throw DefinitionError.xml("unknown interface type \(text)", line: m.line)
        }
        try m.attribute("type", &type)
        try m.attribute("name", &name)
        try m.choice("start", "mode", &startMode, "onboot none hotplug")
        try m.group("mtu") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("size", &mtu) }
        try m.mac(&mac)
        try m.group("link") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("speed", &linkSpeed)
            try m.attribute("state", &linkState)
        }
        try m.children("protocol", &protocols)
        try m.child("bridge", &bridge)
        try m.child("bond", &bond)
        try m.child("vlan", &vlan)
    }

    public struct AddressFamily: XMLMappable {
        public var family = "ipv4"
        public var hasDHCP = false
        public var dhcpPeerDNS: YesNo?
        public var autoconf = false
        public var addresses: [GuestAddress] = []
        public var gateways: [Gateway] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("family", &family)
            try m.flag("autoconf", &autoconf)
            if m.isReading ? m.has("dhcp") : hasDHCP {
                hasDHCP = true
                try m.group("dhcp", evenEmpty: true) { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.attribute("peerdns", &dhcpPeerDNS)
                }
            }
            try m.children("ip", &addresses)
            try m.children("route", &gateways)
        }
    }

    public struct Gateway: XMLMappable {
        public var gateway = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.attribute("gateway", &gateway) }
    }

    public struct Bridge: XMLMappable {
        public var stp: OnOff?
        public var delay: String?
        public var interfaces: [HostInterface] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("stp", &stp)
            try m.attribute("delay", &delay)
            try m.children("interface", &interfaces)
        }
    }

    public struct Bond: XMLMappable {
        public var mode: String?
        public var monitor: XMLTree?
        public var arpMonitor: XMLTree?
        public var interfaces: [HostInterface] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("mode", &mode)
            try m.subtree("miimon", &monitor)
            try m.subtree("arpmon", &arpMonitor)
            try m.children("interface", &interfaces)
        }
    }

    public struct VLANTag: XMLMappable {
        public var tag = ""
        public var interface: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("tag", &tag)
            try m.group("interface") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("name", &interface)
            }
        }
    }
}

extension HostInterface: XMLDocument {
    public static var rootNames: [String] { ["interface"] }
    public static var documentName: String { "(interface_definition)" }
}
