/// `<capabilities>`: the host, and what guests it can run.
public struct Capabilities: XMLDocument {
    public static var rootNames: [String] { ["capabilities"] }
    public static var documentName: String { "(capabilities)" }

    public var host = Host()
    public var guests: [Guest] = []

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.child("host", &host, evenEmpty: true)
        try m.children("guest", &guests)
    }

    /// The document, with libvirt's empty lines around its parts.
    public func text() -> String {
        var parts = "<capabilities>\n\n"
        for child in tree().children { parts += XMLWriter.write(child, indent: 2) + "\n" }
        return parts + "</capabilities>\n"
    }

    public struct Host: XMLMappable {
        public var uuid: UniqueID?
        public var cpu: CPU?
        public var powerManagement: PowerStates?
        public var iommuSupport: YesNo?
        public var migratesLive = true
        public var migrationTransports: [String] = []
        public var cells: [Cell] = []
        public var cacheBanks: [CacheBank] = []
        public var securityModels: [SecurityModel] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("uuid", &uuid)
            try m.child("cpu", &cpu)
            try m.child("power_management", &powerManagement)
            try m.group("iommu") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("support", &iommuSupport)
            }
            try m.group("migration_features") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.flag("live", &migratesLive)
                try m.group("uri_transports") { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.elements("uri_transport", &migrationTransports)
                }
            }
            if m.isReading || !cells.isEmpty {
                try m.group("topology") { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.group("cells") { (m: inout XMLMapper) throws(DefinitionError) in
                        var count: UInt32? = UInt32(cells.count)
                        try m.attribute("num", &count)
                        try m.children("cell", &cells)
                    }
                }
            }
            try m.group("cache") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.children("bank", &cacheBanks)
            }
            try m.children("secmodel", &securityModels)
        }
    }

    public struct PowerStates: XMLMappable {
        public var memory = false
        public var disk = false
        public var hybrid = false
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.flag("suspend_mem", &memory)
            try m.flag("suspend_disk", &disk)
            try m.flag("suspend_hybrid", &hybrid)
        }
    }

    /// One NUMA node of the host.
    public struct Cell: XMLMappable {
        public var id: UInt32 = 0
        public var memory: ScaledSize?
        public var pages: [Pages] = []
        public var distances: [NUMA.Sibling] = []
        public var caches: [NUMA.Cache] = []
        public var cpus: [Processor] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            try m.size("memory", &memory)
            try m.children("pages", &pages)
            try m.group("distances") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.children("sibling", &distances)
            }
            try m.children("cache", &caches)
            if m.isReading || !cpus.isEmpty {
                try m.group("cpus") { (m: inout XMLMapper) throws(DefinitionError) in
                    var count: UInt32? = UInt32(cpus.count)
                    try m.attribute("num", &count)
                    try m.children("cpu", &cpus)
                }
            }
        }
    }

    public struct Pages: XMLMappable {
        public var unit = "KiB"
        public var size: UInt64 = 4
        public var count: UInt64 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("unit", &unit)
            try m.attribute("size", &size)
            try m.text(&count)
        }
    }

    public struct Processor: XMLMappable {
        public var id: UInt32 = 0
        public var socket: UInt32?
        public var die: UInt32?
        public var core: UInt32?
        public var siblings: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            try m.attribute("socket_id", &socket)
            try m.attribute("die_id", &die)
            try m.attribute("core_id", &core)
            try m.attribute("siblings", &siblings)
        }
    }

    public struct CacheBank: XMLMappable {
        public var id: UInt32 = 0
        public var level: UInt32 = 3
        public var type = "both"
        public var size: UInt64 = 0
        public var unit = "KiB"
        public var cpus = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            try m.attribute("level", &level)
            try m.attribute("type", &type)
            try m.attribute("size", &size)
            try m.attribute("unit", &unit)
            try m.attribute("cpus", &cpus)
        }
    }

    public struct SecurityModel: XMLMappable {
        public var model = ""
        public var doi = ""
        public var baseLabels: [BaseLabel] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            var model: String? = self.model
            var doi: String? = self.doi
            try m.element("model", &model)
            try m.element("doi", &doi)
            self.model = model ?? ""
            self.doi = doi ?? ""
            try m.children("baselabel", &baseLabels)
        }

        public struct BaseLabel: XMLMappable {
            public var type = ""
            public var label = ""
            public init() {}
            public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
                try m.attribute("type", &type)
                try m.text(&label)
            }
        }
    }

    /// One architecture that guests can have.
    public struct Guest: XMLMappable {
        public var osType: String?
        public var arch = ""
        public var wordSize: UInt32?
        public var emulator: String?
        public var loader: String?
        public var machines: [Machine] = []
        public var domains: [DomainKind] = []
        public var hasFeatures = false
        public var features: [XMLTree] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("os_type", &osType)
            try m.group("arch") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("name", &arch)
                try m.element("wordsize", &wordSize)
                try m.element("emulator", &emulator)
                try m.element("loader", &loader)
                try m.children("machine", &machines)
                try m.children("domain", &domains)
            }
            try m.group("features") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.subtrees(&features) { _ in true }
            }
        }
    }

    public struct Machine: XMLMappable {
        public var name = ""
        public var canonical: String?
        public var maxCPUs: UInt32?
        public var deprecated: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("canonical", &canonical)
            try m.attribute("maxCpus", &maxCPUs)
            try m.attribute("deprecated", &deprecated)
            try m.text(&name)
        }
    }

    public struct DomainKind: XMLMappable {
        public var type = DomainType.qemu
        public var emulator: String?
        public var machines: [Machine] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.element("emulator", &emulator)
            try m.children("machine", &machines)
        }
    }
}
