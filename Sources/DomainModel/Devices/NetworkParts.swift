/// `<vlan>`.
public struct VLAN: XMLMappable {
    public var trunk: YesNo?
    public var tags: [Tag] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading || trunk == .yes { try m.attribute("trunk", &trunk) }
        try m.children("tag", &tags)
    }

    public struct Tag: XMLMappable {
        public var id: UInt32 = 0
        public var nativeMode: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            guard id < 4096 else {
                throw DefinitionError.xml("vlan tag id \(id) too large (maximum 4095)", line: m.line)
            }
            try m.word("nativeMode", &nativeMode, "tagged untagged")
        }
    }
}

/// `<virtualport>`: how the port presents itself to the switch.
public struct VirtualPort: XMLMappable {
    public var type: String?
    public var parameters = Parameters()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("type", &type, "802.1Qbg 802.1Qbh openvswitch midonet none")
        try m.child("parameters", &parameters)
    }

    public struct Parameters: XMLMappable {
        public var managerID: UInt32?
        public var typeID: UInt32?
        public var typeIDVersion: UInt32?
        public var instanceID: UniqueID?
        public var interfaceID: UniqueID?
        public var profileID: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("managerid", &managerID)
            try m.attribute("typeid", &typeID)
            try m.attribute("typeidversion", &typeIDVersion)
            try m.attribute("instanceid", &instanceID)
            try m.attribute("interfaceid", &interfaceID)
            try m.attribute("profileid", &profileID)
        }
    }
}

/// `<bandwidth>`, in KiB and KiB a second.
public struct Bandwidth: XMLMappable {
    public var classID: UInt32?
    public var inbound: Rate?
    public var outbound: Rate?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("classID", &classID)
        try m.child("inbound", &inbound)
        try m.child("outbound", &outbound)
    }

    public struct Rate: XMLMappable {
        public var average: UInt64?
        public var peak: UInt64?
        public var floor: UInt64?
        public var burst: UInt64?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("average", &average)
            try m.attribute("peak", &peak)
            try m.attribute("floor", &floor)
            try m.attribute("burst", &burst)
        }
    }
}

/// `<filterref>`: a network filter with its parameters.
public struct FilterReference: XMLMappable {
    public var filter = ""
    public var parameters: [Parameter] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("filter", &filter)
        try m.children("parameter", &parameters)
    }

    public struct Parameter: XMLMappable {
        public var name = ""
        public var value = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("value", &value)
        }
    }
}
