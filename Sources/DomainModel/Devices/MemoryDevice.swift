/// `<memory>` among the devices: a module of memory.
public struct MemoryDevice: XMLMappable {
    public var model = "dimm"
    public var access: String?
    public var discard: YesNo?
    public var uuid: UniqueID?
    public var source = Source()
    public var target = Target()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        guard XMLMapper.isOne(model, of: "dimm nvdimm virtio-pmem virtio-mem sgx-epc") else {
            throw m.invalid("model", model, "")
        }
        try m.word("access", &access, "shared private")
        try m.attribute("discard", &discard)
        try m.element("uuid", &uuid)
        try m.child("source", &source)
        if m.isReading, !m.has("target") {
            throw DefinitionError.xml("missing <target> element for <memory> device", line: m.line)
        }
        try m.child("target", &target)
        try m.info(&info)
    }

    public struct Source: XMLMappable {
        public var nodemask: String?
        public var pageSize: ScaledSize?
        public var path: String?
        public var alignSize: ScaledSize?
        public var pmem = false
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("nodemask", &nodemask)
            try m.size("pagesize", &pageSize)
            try m.element("path", &path)
            try m.size("alignsize", &alignSize)
            try m.flag("pmem", &pmem)
        }
    }

    public struct Target: XMLMappable {
        public var size: ScaledSize?
        public var node: UInt32?
        public var block: ScaledSize?
        public var requested: ScaledSize?
        public var current: ScaledSize?
        public var labelSize: ScaledSize?
        public var readonly = false
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.size("size", &size)
            try m.element("node", &node)
            try m.group("label") { (m: inout XMLMapper) throws(DefinitionError) in try m.size("size", &labelSize) }
            try m.size("block", &block)
            try m.size("requested", &requested)
            if m.isReading || !m.options.contains(.inactive) { try m.size("current", &current) }
            try m.flag("readonly", &readonly)
        }
    }
}
