/// `<networkport>`: one machine's plug in a network.
public struct NetworkPort: XMLDocument {
    public static var rootNames: [String] { ["networkport"] }
    public static var documentName: String { "(networkport)" }
    public var uuid: UniqueID?
    public var ownerName: String?
    public var ownerUUID: UniqueID?
    public var group: String?
    public var mac: MACAddress?
    public var virtualPort: VirtualPort?
    public var bandwidth: Bandwidth?
    public var vlan: VLAN?
    public var isolated: YesNo?
    public var trustGuest: YesNo?
    public var plug: Plug?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("uuid", &uuid)
        try m.group("owner") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.element("name", &ownerName)
            try m.element("uuid", &ownerUUID)
        }
        try m.element("group", &group)
        try m.mac(&mac)
        try m.child("virtualport", &virtualPort)
        try m.child("bandwidth", &bandwidth)
        try m.child("vlan", &vlan)
        try m.group("port") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("isolated", &isolated) }
        try m.group("rxfilters") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("trustGuest", &trustGuest)
        }
        try m.child("plug", &plug)
    }

    public struct Plug: XMLMappable {
        public var type: String?
        public var bridge: String?
        public var macTableManager: String?
        public var dev: String?
        public var mode: String?
        public var managed: YesNo?
        public var driverName: String?
        public var address: PCIAddress?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "none network bridge direct hostdev-pci")
            try m.attribute("bridge", &bridge)
            try m.word("macTableManager", &macTableManager, "kernel libvirt")
            try m.attribute("dev", &dev)
            try m.word("mode", &mode, "bridge passthrough private vepa")
            try m.attribute("managed", &managed)
            try m.choice("driver", "name", &driverName, "kvm vfio")
            try m.child("address", &address)
        }
    }
}

/// `<filterbinding>`: a network filter in force on a port.
public struct FilterBinding: XMLDocument {
    public static var rootNames: [String] { ["filterbinding"] }
    public static var documentName: String { "(nwfilterbinding_definition)" }
    public var ownerName: String?
    public var ownerUUID: UniqueID?
    public var portDevice: String?
    public var linkDevice: String?
    public var mac: MACAddress?
    public var filter = FilterReference()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.group("owner") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.element("name", &ownerName)
            try m.element("uuid", &ownerUUID)
        }
        try m.group("portdev") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &portDevice) }
        try m.group("linkdev") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &linkDevice) }
        try m.mac(&mac)
        try m.child("filterref", &filter)
    }
}
