/// `<memory>`.
public struct Memory: XMLMappable {
    public var size: ScaledSize?
    public var dumpCore: OnOff?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isWriting { try m.attribute("dumpCore", &dumpCore) }
        try m.size(&size)
        if m.isReading { try m.attribute("dumpCore", &dumpCore) }
    }
}

/// `<maxMemory>`: how far memory may be added, and in how many modules.
public struct MaximumMemory: XMLMappable {
    public var size: ScaledSize?
    public var slots: UInt32?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            try m.attribute("slots", &slots)
            try m.size(&size)
        } else {
            try m.attribute("slots", &slots)
            try m.size(&size)
        }
    }
}

/// `<memoryBacking>`.
public struct MemoryBacking: XMLMappable {
    public var usesHugePages = false
    public var hugePages: [HugePage] = []
    public var noSharePages = false
    public var locked = false
    public var sourceType: String?
    public var accessMode: String?
    public var allocationMode: String?
    public var allocationThreads: UInt32?
    public var discard = false
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading ? m.has("hugepages") : usesHugePages {
            usesHugePages = true
            try m.group("hugepages", evenEmpty: true) { (m: inout XMLMapper) throws(DefinitionError) in
                try m.children("page", &hugePages)
            }
        }
        try m.flag("nosharepages", &noSharePages)
        try m.flag("locked", &locked)
        try m.choice("source", "type", &sourceType, "none anonymous file memfd")
        try m.choice("access", "mode", &accessMode, "default shared private")
        try m.group("allocation") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word("mode", &allocationMode, "default immediate ondemand")
            try m.attribute("threads", &allocationThreads)
        }
        try m.flag("discard", &discard)
    }

    public struct HugePage: XMLMappable {
        /// In KiB.
        public var size: UInt64 = 0
        public var nodeset: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.scaled("size", "unit", &size)
            try m.attribute("nodeset", &nodeset)
        }
    }
}

extension XMLMapper {
    /// A size in KiB whose number and unit are both attributes.
    mutating func scaled(_ name: String, _ unitName: String, _ value: inout UInt64) throws(DefinitionError) {
        if isReading {
            let unit = take(unitName)
            guard let text = take(name) else { throw missing(name) }
            guard let number = UInt64(xml: text) else { throw invalid(name, text, UInt64.expectation) }
            guard let factor = Self.factor(of: unit ?? "KiB") else {
                throw DefinitionError(
                    .invalidArgument, "invalid argument: unknown suffix '\(unit ?? "")'", line: line)
            }
            let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
            guard !overflow, bytes <= UInt64(Int64.max) else {
                throw DefinitionError(.overflow, "numerical overflow: value too large: \(number)", line: line)
            }
            value = ScaledSize(bytes: bytes).kibibytes
        } else {
            put(name, "\(value)")
            put(unitName, "KiB")
        }
    }
}

/// `<memtune>`, in KiB.
public struct MemoryTuning: XMLMappable {
    public var hardLimit: ScaledSize?
    public var softLimit: ScaledSize?
    public var minGuarantee: ScaledSize?
    public var swapHardLimit: ScaledSize?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.size("hard_limit", &hardLimit)
        try m.size("soft_limit", &softLimit)
        try m.size("min_guarantee", &minGuarantee)
        try m.size("swap_hard_limit", &swapHardLimit)
    }
}

/// `<blkiotune>`.
public struct BlockIOTuning: XMLMappable {
    public var weight: UInt32?
    public var devices: [Device] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("weight", &weight)
        try m.children("device", &devices)
    }

    public struct Device: XMLMappable {
        public var path: String?
        public var weight: UInt32?
        public var readRequests: UInt32?
        public var writeRequests: UInt32?
        public var readBytes: UInt64?
        public var writeBytes: UInt64?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("path", &path)
            try m.element("weight", &weight)
            try m.element("read_iops_sec", &readRequests)
            try m.element("write_iops_sec", &writeRequests)
            try m.element("read_bytes_sec", &readBytes)
            try m.element("write_bytes_sec", &writeBytes)
        }
    }
}

/// `<numatune>`.
public struct NUMATuning: XMLMappable {
    public var memory: Placement?
    public var nodes: [Node] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.child("memory", &memory)
        try m.children("memnode", &nodes)
    }

    public struct Placement: XMLMappable {
        public var mode: String?
        public var placement: String?
        public var nodeset: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("mode", &mode, "strict preferred interleave restrictive")
            if m.isReading || placement == "auto" { try m.word("placement", &placement, "default static auto") }
            try m.attribute("nodeset", &nodeset)
        }
    }

    public struct Node: XMLMappable {
        public var cellID: UInt32 = 0
        public var mode: String?
        public var nodeset: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("cellid", &cellID)
            try m.word("mode", &mode, "strict preferred interleave restrictive")
            try m.attribute("nodeset", &nodeset)
        }
    }
}
