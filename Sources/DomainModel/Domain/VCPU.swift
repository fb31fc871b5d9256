/// `<vcpu>`: how many there can be, and how many there are at start.
public struct VCPUCount: XMLMappable {
    public var maximum: UInt32?
    public var current: UInt32?
    public var placement: String?
    public var cpuset: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("placement", &placement, "static auto")
        try m.attribute("cpuset", &cpuset)
        try m.attribute("current", &current)
        if m.isReading, m.tree.text.isEmpty == false, UInt32(xml: m.tree.text) == nil {
            throw DefinitionError.xml("maximum vcpus count must be an integer", line: m.line)
        }
        try m.text(&maximum)
    }
}

/// One of `<vcpus>`.
public struct VCPU: XMLMappable {
    public var id: UInt32 = 0
    public var enabled: YesNo?
    public var hotpluggable: YesNo?
    public var order: UInt32?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("id", &id)
        try m.attribute("enabled", &enabled)
        try m.attribute("hotpluggable", &hotpluggable)
        try m.attribute("order", &order)
    }
}

/// `<iothread>` and `<defaultiothread>`.
public struct IOThread: XMLMappable {
    public var id: UInt32?
    public var poolMinimum: Int32?
    public var poolMaximum: Int32?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("id", &id)
        try m.attribute("thread_pool_min", &poolMinimum)
        try m.attribute("thread_pool_max", &poolMaximum)
    }
}

/// `<cputune>`.
public struct CPUTuning: XMLMappable {
    public var shares: UInt64?
    public var period: UInt64?
    public var quota: Int64?
    public var globalPeriod: UInt64?
    public var globalQuota: Int64?
    public var emulatorPeriod: UInt64?
    public var emulatorQuota: Int64?
    public var iothreadPeriod: UInt64?
    public var iothreadQuota: Int64?
    public var vcpuPins: [VCPUPin] = []
    public var emulatorPin: String?
    public var iothreadPins: [IOThreadPin] = []
    public var emulatorScheduler: Scheduler?
    public var vcpuSchedulers: [Scheduler] = []
    public var iothreadSchedulers: [Scheduler] = []
    public var cacheTunes: [CacheTune] = []
    public var memoryTunes: [MemoryTune] = []
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("shares", &shares)
        try m.element("period", &period)
        try m.element("quota", &quota)
        try m.element("global_period", &globalPeriod)
        try m.element("global_quota", &globalQuota)
        try m.element("emulator_period", &emulatorPeriod)
        try m.element("emulator_quota", &emulatorQuota)
        try m.element("iothread_period", &iothreadPeriod)
        try m.element("iothread_quota", &iothreadQuota)
        try m.children("vcpupin", &vcpuPins)
        try m.group("emulatorpin") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("cpuset", &emulatorPin)
        }
        try m.children("iothreadpin", &iothreadPins)
        try m.child("emulatorsched", &emulatorScheduler)
        try m.children("vcpusched", &vcpuSchedulers)
        try m.children("iothreadsched", &iothreadSchedulers)
        try m.children("cachetune", &cacheTunes)
        try m.children("memorytune", &memoryTunes)
    }

    public struct VCPUPin: XMLMappable {
        public var vcpu: UInt32 = 0
        public var cpuset = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("vcpu", &vcpu)
            try m.attribute("cpuset", &cpuset)
        }
    }

    public struct IOThreadPin: XMLMappable {
        public var iothread: UInt32 = 0
        public var cpuset = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("iothread", &iothread)
            try m.attribute("cpuset", &cpuset)
        }
    }

    public struct Scheduler: XMLMappable {
        public var vcpus: String?
        public var iothreads: String?
        public var scheduler: String?
        public var priority: Int32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("vcpus", &vcpus)
            try m.attribute("iothreads", &iothreads)
            try m.word("scheduler", &scheduler, "batch idle fifo rr")
            try m.attribute("priority", &priority)
        }
    }

    public struct CacheTune: XMLMappable {
        public var vcpus = ""
        public var id: String?
        public var caches: [Cache] = []
        public var monitors: [Monitor] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("vcpus", &vcpus)
            if m.isReading || !m.options.contains(.inactive) { try m.attribute("id", &id) }
            try m.children("cache", &caches)
            try m.children("monitor", &monitors)
        }
    }

    public struct Cache: XMLMappable {
        public var id: UInt32 = 0
        public var level: UInt32 = 0
        public var type = "both"
        public var size: UInt64 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("id", &id)
            try m.attribute("level", &level)
            try m.attribute("type", &type)
            try m.scaled("size", "unit", &size)
        }
    }

    public struct Monitor: XMLMappable {
        public var level: UInt32?
        public var vcpus = ""
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("level", &level)
            try m.attribute("vcpus", &vcpus)
        }
    }

    public struct MemoryTune: XMLMappable {
        public var vcpus = ""
        public var nodes: [Node] = []
        public var monitors: [Monitor] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("vcpus", &vcpus)
            try m.children("monitor", &monitors)
            try m.children("node", &nodes)
        }

        public struct Node: XMLMappable {
            public var id: UInt32 = 0
            public var bandwidth: UInt32 = 0
            public init() {}
            public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
                try m.attribute("id", &id)
                try m.attribute("bandwidth", &bandwidth)
            }
        }
    }
}
