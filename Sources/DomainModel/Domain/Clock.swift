/// `<clock>`: what the guest's clock is set to at start, and how its timers tick.
public struct Clock: XMLMappable {
    public var offset = "utc"
    public var adjustment: String?
    public var adjustment0: String?
    public var basis: String?
    public var timezone: String?
    public var start: UInt64?
    public var timers: [Timer] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("offset", &offset, default: "utc")
        if m.isReading, !XMLMapper.isOne(offset, of: "utc localtime variable timezone absolute") {
            throw DefinitionError.unsupported("unknown clock offset '\(offset)'", line: m.line)
        }
        try m.attribute("adjustment", &adjustment)
        try m.word("basis", &basis, "utc localtime")
        try m.attribute("timezone", &timezone)
        try m.attribute("start", &start)
        try m.attribute("adjustment0", &adjustment0)
        try m.children("timer", &timers)
    }

    public struct Timer: XMLMappable {
        public var name = ""
        public var present: YesNo?
        public var tickPolicy: String?
        public var track: String?
        public var frequency: UInt64?
        public var mode: String?
        public var catchup: Catchup?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            if m.isReading,
                !XMLMapper.isOne(name, of: "platform pit rtc hpet tsc kvmclock hypervclock armvtimer")
            {
                throw m.invalid("name", name, "")
            }
            try m.attribute("present", &present)
            try m.word("tickpolicy", &tickPolicy, "delay catchup merge discard")
            try m.word("track", &track, "boot guest wall realtime")
            try m.attribute("frequency", &frequency)
            try m.word("mode", &mode, "auto native emulate paravirt smpsafe")
            try m.child("catchup", &catchup)
        }
    }

    public struct Catchup: XMLMappable {
        public var threshold: UInt64?
        public var slew: UInt64?
        public var limit: UInt64?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("threshold", &threshold)
            try m.attribute("slew", &slew)
            try m.attribute("limit", &limit)
        }
    }
}

/// `<pm>`: whether the guest may sleep.
public struct PowerManagement: XMLMappable {
    public var suspendToMemory: YesNo?
    public var suspendToDisk: YesNo?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.group("suspend-to-mem") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("enabled", &suspendToMemory)
        }
        try m.group("suspend-to-disk") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("enabled", &suspendToDisk)
        }
    }
}

/// One of `<perf>`.
public struct PerformanceEvent: XMLMappable {
    public var name = ""
    public var enabled = YesNo.yes
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("name", &name)
        try m.attribute("enabled", &enabled)
    }
}
