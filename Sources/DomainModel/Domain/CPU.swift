/// `<cpu>`: the processor that the guest sees, and its topology.
public struct CPU: XMLDocument {
    public static var rootNames: [String] { ["cpu"] }
    public static var documentName: String { "(CPU_definition)" }

    public var mode: String?
    public var match: String?
    public var check: String?
    public var migratable: OnOff?
    /// Of a host's processor, which has no mode.
    public var arch: String?
    public var model: Model?
    public var vendor: String?
    public var microcodeVersion: UInt32?
    public var signature: Signature?
    public var counter: Counter?
    public var topology: Topology?
    public var cache: Cache?
    public var maxPhysicalAddress: MaxPhysicalAddress?
    public var features: [Feature] = []
    public var numa = NUMA()
    /// Sizes of pages that a host's processor offers.
    public var pages: [PageSize] = []
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("mode", &mode, "custom host-model host-passthrough maximum")
        try m.word("match", &match, "minimum exact strict")
        try m.word("check", &check, "none partial full")
        try m.attribute("migratable", &migratable)
        try m.element("arch", &arch)
        try m.child("model", &model)
        try m.element("vendor", &vendor)
        try m.group("microcode") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("version", &microcodeVersion)
        }
        try m.child("signature", &signature)
        try m.child("counter", &counter)
        try m.child("topology", &topology)
        try m.child("cache", &cache)
        try m.child("maxphysaddr", &maxPhysicalAddress)
        try m.children("feature", &features)
        try m.child("numa", &numa)
        try m.children("pages", &pages)
        if m.isReading { try check(m) }
    }

    private func check(_ m: XMLMapper) throws(DefinitionError) {
        var names: Set<String> = []
        for feature in features where !names.insert(feature.name).inserted {
            throw DefinitionError(
                .internalError, "internal error: CPU feature '\(feature.name)' specified more than once", line: m.line)
        }
        if let topology, topology.sockets == 0 || topology.cores == 0 || topology.threads == 0 {
            throw DefinitionError(.internalError, "internal error: Invalid CPU topology", line: m.line)
        }
    }

    public struct Model: XMLMappable {
        public var fallback: String?
        public var vendorID: String?
        public var name: String?
        public init() {}
        public init(_ name: String, fallback: String) {
            self.name = name
            self.fallback = fallback
        }
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("fallback", &fallback, "allow forbid")
            try m.attribute("vendor_id", &vendorID)
            if m.isReading, let vendorID, vendorID.utf8.count != 12 || vendorID.contains(",") {
                throw DefinitionError.xml("vendor_id must be exactly 12 characters long", line: m.line)
            }
            try m.text(&name)
        }
    }

    public struct Signature: XMLMappable {
        public var family: UInt32 = 0
        public var model: UInt32 = 0
        public var stepping: UInt32 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("family", &family)
            try m.attribute("model", &model)
            try m.attribute("stepping", &stepping)
        }
    }

    public struct Counter: XMLMappable {
        public var name = "tsc"
        public var frequency: UInt64 = 0
        public var scaling: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("frequency", &frequency)
            try m.attribute("scaling", &scaling)
        }
    }

    public struct Topology: XMLMappable {
        public var sockets: UInt32 = 1
        public var dies: UInt32 = 1
        public var clusters: UInt32?
        public var cores: UInt32 = 1
        public var threads: UInt32 = 1
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("sockets", &sockets)
            try m.attribute("dies", &dies, default: 1)
            try m.attribute("clusters", &clusters)
            try m.attribute("cores", &cores)
            try m.attribute("threads", &threads)
        }
    }

    public struct Cache: XMLMappable {
        public var level: UInt32?
        public var mode: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("level", &level)
            try m.word("mode", &mode, "emulate passthrough disable")
        }
    }

    public struct MaxPhysicalAddress: XMLMappable {
        public var mode: String?
        public var bits: UInt32?
        public var limit: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("mode", &mode, "emulate passthrough")
            try m.attribute("bits", &bits)
            try m.attribute("limit", &limit)
        }
    }

    public struct Feature: XMLMappable {
        public var policy: String?
        public var name = ""
        /// Of a host: the migration is refused with it.
        public var migratable: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("policy", &policy, "force require optional disable forbid")
            try m.attribute("name", &name)
            try m.attribute("migratable", &migratable)
        }
    }

    public struct PageSize: XMLMappable {
        public var unit: String?
        public var size: UInt64 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("unit", &unit)
            try m.attribute("size", &size)
        }
    }
}
