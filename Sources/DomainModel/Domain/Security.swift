/// `<seclabel>` of a domain.
public struct SecurityLabel: XMLMappable {
    public var type: String?
    public var model: String?
    public var relabel: YesNo?
    public var label: String?
    public var imageLabel: String?
    public var baseLabel: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("type", &type, "none dynamic static")
        try m.attribute("model", &model)
        try m.attribute("relabel", &relabel)
        try m.element("label", &label)
        try m.element("imagelabel", &imageLabel)
        try m.element("baselabel", &baseLabel)
    }
}

extension Domain {
    /// Completes and checks labels as libvirt does when a domain is defined.
    mutating func fillInSecurity() throws(DefinitionError) {
        // One that says nothing but its model asks for what is there anyway.
        securityLabels.removeAll { $0.type == nil && $0.label == nil && $0.baseLabel == nil }
        if securityLabels.count > 1, securityLabels.contains(where: { $0.model == nil }) {
            throw DefinitionError.xml("missing security model when using multiple labels")
        }
        for index in securityLabels.indices {
            let label = securityLabels[index]
            switch label.type ?? "dynamic" {
            case "static":
                guard label.label != nil else { throw DefinitionError.xml("security label is missing") }
            case "dynamic":
                guard label.relabel != .no else {
                    throw DefinitionError.unsupported("dynamic label type must use resource relabeling")
                }
                securityLabels[index].label = nil
                securityLabels[index].imageLabel = nil
            default: securityLabels[index].relabel = nil
            }
            if label.type != "none", label.relabel == nil { securityLabels[index].relabel = .yes }
        }
    }
}

/// `<launchSecurity>`.
public struct LaunchSecurity: XMLMappable {
    public var type = ""
    public var kernelHashes: YesNo?
    public var cbitpos: UInt32?
    public var reducedPhysicalBits: UInt32?
    public var policy: Hex<UInt32>?
    public var handle: UInt32?
    public var dhCertificate: String?
    public var session: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type)
        guard XMLMapper.isOne(type, of: "sev s390-pv") else { throw m.invalid("type", type, "") }
        try m.attribute("kernelHashes", &kernelHashes)
        try m.element("cbitpos", &cbitpos)
        try m.element("reducedPhysBits", &reducedPhysicalBits)
        if m.isReading {
            try m.element("policy", &policy)
        } else if let policy {
            var text: String? = "0x" + policy.value.hex(4)
            try m.element("policy", &text)
        }
        try m.element("handle", &handle)
        try m.element("dhCert", &dhCertificate)
        try m.element("session", &session)
    }
}

/// `<keywrap>`.
public struct KeyWrap: XMLMappable {
    public var ciphers: [Cipher] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.children("cipher", &ciphers) }

    public struct Cipher: XMLMappable {
        public var name = ""
        public var state = OnOff.on
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            guard XMLMapper.isOne(name, of: "aes dea") else { throw m.invalid("name", name, "") }
            try m.attribute("state", &state)
        }
    }
}

/// `<resource>`.
public struct Resource: XMLMappable {
    public var partition: String?
    public var appID: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("partition", &partition)
        try m.group("fibrechannel") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("appid", &appID)
        }
    }
}

/// `<idmap>`.
public struct IDMap: XMLMappable {
    public var users: [Range] = []
    public var groups: [Range] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.children("uid", &users)
        try m.children("gid", &groups)
    }

    public struct Range: XMLMappable {
        public var start: UInt32 = 0
        public var target: UInt32 = 0
        public var count: UInt32 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("start", &start)
            try m.attribute("target", &target)
            try m.attribute("count", &count)
        }
    }
}

/// `<sysinfo>`: what the guest's SMBIOS tables or fw_cfg say.
public struct SystemInformation: XMLDocument {
    public static var rootNames: [String] { ["sysinfo"] }

    public var type = "smbios"
    public var bios: [Entry] = []
    public var system: [Entry] = []
    public var baseBoards: [Board] = []
    public var chassis: [Entry] = []
    public var processors: [Board] = []
    public var memories: [Board] = []
    public var oemStrings: [Entry] = []
    /// Of type `fwcfg`.
    public var entries: [Entry] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type)
        guard XMLMapper.isOne(type, of: "smbios fwcfg") else {
            throw DefinitionError.unsupported("unknown sysinfo type '\(type)'", line: m.line)
        }
        try m.group("bios") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("entry", &bios) }
        try m.group("system") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("entry", &system) }
        try m.children("baseBoard", &baseBoards)
        try m.group("chassis") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("entry", &chassis) }
        try m.children("processor", &processors)
        try m.children("memory_device", &memories)
        try m.group("oemStrings") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.children("entry", &oemStrings)
        }
        try m.children("entry", &entries)
    }

    public struct Board: XMLMappable {
        public var entries: [Entry] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.children("entry", &entries) }
    }

    public struct Entry: XMLMappable {
        public var name: String?
        public var file: String?
        public var value: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("file", &file)
            try m.text(&value)
        }
    }
}
