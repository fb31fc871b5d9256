/// `<numa>` of a guest's processor: its nodes.
public struct NUMA: XMLMappable {
    public var cells: [Cell] = []
    public var interconnects: Interconnects?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.children("cell", &cells)
        try m.child("interconnects", &interconnects)
    }

    public struct Cell: XMLMappable {
        public var id: UInt32?
        public var cpus: String?
        /// In KiB.
        public var memory: UInt64 = 0
        public var memoryAccess: String?
        public var discard: YesNo?
        public var distances: [Sibling] = []
        public var caches: [Cache] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            try m.attribute("cpus", &cpus)
            try m.scaled("memory", "unit", &memory)
            try m.word("memAccess", &memoryAccess, "default shared private")
            try m.attribute("discard", &discard)
            try m.group("distances") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.children("sibling", &distances)
            }
            try m.children("cache", &caches)
        }
    }

    public struct Sibling: XMLMappable {
        public var id: UInt32 = 0
        public var value: UInt32 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            try m.attribute("value", &value)
        }
    }

    public struct Cache: XMLMappable {
        public var level: UInt32 = 0
        public var associativity: String?
        public var policy: String?
        public var size = Amount()
        public var line = Amount()
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("level", &level)
            try m.word("associativity", &associativity, "none direct full")
            try m.word("policy", &policy, "none writeback writethrough")
            try m.child("size", &size)
            try m.child("line", &line)
        }
    }

    public struct Amount: XMLMappable {
        public var value: UInt64?
        public var unit: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("value", &value)
            try m.attribute("unit", &unit)
        }
    }

    public struct Interconnects: XMLMappable {
        public var latencies: [Link] = []
        public var bandwidths: [Link] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.children("latency", &latencies)
            try m.children("bandwidth", &bandwidths)
        }
    }

    public struct Link: XMLMappable {
        public var initiator: UInt32 = 0
        public var target: UInt32 = 0
        public var cache: UInt32?
        public var type: String?
        public var value: UInt64 = 0
        public var unit: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("initiator", &initiator)
            try m.attribute("target", &target)
            try m.attribute("cache", &cache)
            try m.word("type", &type, "access read write")
            try m.attribute("value", &value)
            try m.attribute("unit", &unit)
        }
    }
}
