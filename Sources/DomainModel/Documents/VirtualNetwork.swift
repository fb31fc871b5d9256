/// `<network>`: a virtual network of the host.
public struct VirtualNetwork: XMLDocument {
    public static var rootNames: [String] { ["network"] }

    /// Of a running network: how many machines are on it.
    public var connections: UInt32?
    public var ipv6: YesNo?
    public var trustGuestRxFilters: YesNo?
    public var name = ""
    public var uuid: UniqueID?
    public var metadata: Metadata?
    public var forward: Forward?
    public var bridge: Bridge?
    public var mtu: UInt32?
    public var mac: MACAddress?
    public var domain: DNSDomain?
    public var dns: DNS?
    public var vlan: VLAN?
    public var bandwidth: Bandwidth?
    public var isolated: YesNo?
    public var addresses: [Address] = []
    public var routes: [GuestRoute] = []
    public var virtualPort: VirtualPort?
    public var portGroups: [PortGroup] = []
    /// What goes to dnsmasq as it is.
    public var dnsmasqOptions: [String] = []
    /// The namespace of dnsmasq's options.
    public static let dnsmasqURI = "http://libvirt.org/schemas/network/dnsmasq/1.0"

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isWriting, !dnsmasqOptions.isEmpty { m.put("xmlns:dnsmasq", Self.dnsmasqURI) }
        if m.isReading || !m.options.contains(.inactive) { try m.attribute("connections", &connections) }
        try m.attribute("ipv6", &ipv6)
        try m.attribute("trustGuestRxFilters", &trustGuestRxFilters)
        try m.name(&name)
        try m.element("uuid", &uuid, refusal: "malformed uuid element")
        try m.child("metadata", &metadata)
        try m.child("forward", &forward)
        try m.child("bridge", &bridge)
        try m.group("mtu") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("size", &mtu) }
        try m.mac(&mac)
        try m.child("domain", &domain)
        try m.child("dns", &dns)
        try m.child("vlan", &vlan)
        try m.child("bandwidth", &bandwidth)
        try m.group("port") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("isolated", &isolated) }
        try m.children("ip", &addresses)
        try m.children("route", &routes)
        try m.child("virtualport", &virtualPort)
        try m.children("portgroup", &portGroups)
        try mapOptions(&m)
    }

    private mutating func mapOptions(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            var trees: [XMLTree] = []
            try m.subtrees(&trees) { $0.hasSuffix(":options") }
            dnsmasqOptions = trees.flatMap(\.children).compactMap { $0["value"] }
        } else if !dnsmasqOptions.isEmpty {
            m.tree.append(
                XMLTree(
                    "dnsmasq:options",
                    nodes: dnsmasqOptions.map {
                        .element(XMLTree("dnsmasq:option", attributes: [XMLAttribute("value", $0)]))
                    }))
        }
    }

    public struct Bridge: XMLMappable {
        public var name: String?
        public var zone: String?
        public var stp: OnOff?
        public var delay: UInt32?
        public var macTableManager: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("zone", &zone)
            try m.attribute("stp", &stp)
            try m.attribute("delay", &delay)
            try m.word("macTableManager", &macTableManager, "kernel libvirt")
        }
    }

    /// `<forward>`: how packets leave.
    public struct Forward: XMLMappable {
        public var mode: String?
        public var dev: String?
        public var managed: YesNo?
        public var driverName: String?
        public var nat: NAT?
        public var interfaces: [Interface] = []
        public var addresses: [PCI] = []
        public var physicalFunctions: [Interface] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("dev", &dev)
            try m.word("mode", &mode, "none nat route open bridge private vepa passthrough hostdev")
            try m.attribute("managed", &managed)
            try m.choice("driver", "name", &driverName, "kvm vfio")
            try m.child("nat", &nat)
            try m.children("pf", &physicalFunctions)
            try m.children("interface", &interfaces)
            try m.children("address", &addresses)
        }
    }

    public struct NAT: XMLMappable {
        public var ipv6: YesNo?
        public var addresses: [Range] = []
        public var ports: [Range] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("ipv6", &ipv6)
            try m.children("address", &addresses)
            try m.children("port", &ports)
        }
    }

    public struct Interface: XMLMappable {
        public var dev = ""
        public var connections: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("dev", &dev)
            if m.isReading || !m.options.contains(.inactive) { try m.attribute("connections", &connections) }
        }
    }

    public struct PCI: XMLMappable {
        public var type: String?
        public var address = PCIAddress()
        public var connections: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "pci")
            try address.map(&m)
            if m.isReading || !m.options.contains(.inactive) { try m.attribute("connections", &connections) }
        }
    }

    /// A range of addresses, ports or leases.
    public struct Range: XMLMappable {
        public var start = ""
        public var end = ""
        public var lease: Lease?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("start", &start)
            try m.attribute("end", &end)
            try m.child("lease", &lease)
        }
    }

    public struct Lease: XMLMappable {
        public var expiry: UInt64 = 0
        public var unit: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("expiry", &expiry)
            try m.word("unit", &unit, "seconds minutes hours")
        }
    }

    public struct DNSDomain: XMLMappable {
        public var name = ""
        public var localOnly: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("localOnly", &localOnly)
        }
    }

    public struct DNS: XMLMappable {
        public var enable: YesNo?
        public var forwardPlainNames: YesNo?
        public var forwarders: [Forwarder] = []
        public var texts: [Text] = []
        public var services: [Service] = []
        public var hosts: [DNSHost] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("enable", &enable)
            try m.attribute("forwardPlainNames", &forwardPlainNames)
            try m.children("forwarder", &forwarders)
            try m.children("txt", &texts)
            try m.children("srv", &services)
            try m.children("host", &hosts)
        }
    }

    public struct Forwarder: XMLMappable {
        public var domain: String?
        public var address: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("domain", &domain)
            try m.attribute("addr", &address)
        }
    }

    public struct Text: XMLMappable {
        public var name = ""
        public var value = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("value", &value)
        }
    }

    public struct Service: XMLMappable {
        public var service = ""
        public var networkProtocol = ""
        public var domain: String?
        public var target: String?
        public var port: UInt32?
        public var priority: UInt32?
        public var weight: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("service", &service)
            try m.attribute("protocol", &networkProtocol)
            try m.attribute("domain", &domain)
            try m.attribute("target", &target)
            try m.attribute("port", &port)
            try m.attribute("priority", &priority)
            try m.attribute("weight", &weight)
        }
    }

    public struct DNSHost: XMLMappable {
        public var ip = ""
        public var hostnames: [String] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("ip", &ip)
            try m.elements("hostname", &hostnames)
        }
    }

    /// `<ip>`: the host's address on the network, and what DHCP gives away.
    public struct Address: XMLMappable {
        public var family: String?
        public var address: String?
        public var netmask: String?
        public var prefix: UInt32?
        public var localPointer: YesNo?
        public var tftpRoot: String?
        public var dhcp: DHCP?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            m.alwaysOpen()
            try m.word("family", &family, "ipv4 ipv6")
            try m.attribute("address", &address)
            try m.attribute("netmask", &netmask)
            try m.attribute("prefix", &prefix)
            try m.attribute("localPtr", &localPointer)
            try m.group("tftp") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("root", &tftpRoot)
            }
            try m.child("dhcp", &dhcp)
        }
    }

    public struct DHCP: XMLMappable {
        public var ranges: [Range] = []
        public var hosts: [DHCPHost] = []
        public var bootFile: String?
        public var bootServer: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.children("range", &ranges)
            try m.children("host", &hosts)
            try m.group("bootp") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("file", &bootFile)
                try m.attribute("server", &bootServer)
            }
        }
    }

    public struct PortGroup: XMLMappable {
        public var name = ""
        public var isDefault: YesNo?
        public var trustGuestRxFilters: YesNo?
        public var vlan: VLAN?
        public var virtualPort: VirtualPort?
        public var bandwidth: Bandwidth?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("default", &isDefault)
            try m.attribute("trustGuestRxFilters", &trustGuestRxFilters)
            try m.child("vlan", &vlan)
            try m.child("virtualport", &virtualPort)
            try m.child("bandwidth", &bandwidth)
        }
    }

    /// Completes a definition: identifiers, a bridge's name and address.
    ///
    /// - Parameter bridge: a name that no other network has, `virbr0`.
    public mutating func fillIn(bridge name: String, using generator: inout some RandomNumberGenerator) {
        if uuid == nil { uuid = UniqueID.random(using: &generator) }
        if forward != nil, forward?.mode == nil { forward?.mode = "nat" }
        let mode = forward?.mode
        guard mode == nil || mode == "nat" || mode == "route" || mode == "open" || mode == "none" else { return }
        if bridge == nil { bridge = Bridge() }
        if bridge?.name == nil { bridge?.name = name }
        if bridge?.stp == nil { bridge?.stp = .on }
        if bridge?.delay == nil { bridge?.delay = 0 }
        if mac == nil { mac = MACAddress.random(using: &generator) }
    }

    /// Completes the state of a started network: the ports that NAT uses.
    public mutating func fillInStarted() {
        guard forward?.mode == "nat" else { return }
        if forward?.nat == nil { forward?.nat = NAT() }
        if forward?.nat?.ports.isEmpty == true {
            var range = Range()
            range.start = "1024"
            range.end = "65535"
            forward?.nat?.ports = [range]
        }
    }
}

/// `<host>` of a network's DHCP, also a document of its own when one is added or removed.
public struct DHCPHost: XMLDocument {
    public static var rootNames: [String] { ["host"] }
    public var mac: String?
    public var id: String?
    public var name: String?
    public var ip: String?
    public var lease: VirtualNetwork.Lease?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("mac", &mac)
        try m.attribute("id", &id)
        try m.attribute("name", &name)
        try m.attribute("ip", &ip)
        try m.child("lease", &lease)
    }
}

extension XMLMapper {
    /// `<name>`, which must be there and be no path.
    mutating func name(_ name: inout String) throws(DefinitionError) {
        var text: String? = name
        try element("name", &text)
        name = text ?? ""
        guard isReading else { return }
        guard !name.isEmpty else { throw DefinitionError(.noName, "missing name information", line: line) }
        guard !name.contains("/") else { throw DefinitionError.xml("name \(name) cannot contain '/'", line: line) }
        guard !name.contains("\n") else { throw DefinitionError.xml("name \(name) cannot contain '\\n'", line: line) }
    }

    /// `<mac address='…'/>`.
    mutating func mac(_ mac: inout MACAddress?) throws(DefinitionError) {
        try group("mac") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("address", &mac) }
    }
}
