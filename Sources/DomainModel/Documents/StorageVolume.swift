/// `<volume>`: one image, block device or directory of a pool.
public struct StorageVolume: XMLDocument {
    public static var rootNames: [String] { ["volume"] }
    public static var documentName: String { "(storage_volume_definition)" }

    public var type: String?
    public var name = ""
    public var key: String?
    public var sourceDevices: [SourceDevice] = []
    public var capacity: ScaledSize?
    public var allocation: ScaledSize?
    public var physical: ScaledSize?
    public var target = Target()
    public var backingStore: Target?

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("type", &type, "file block dir network netdir ploop")
        try m.name(&name)
        try m.element("key", &key)
        try m.group("source") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.children("device", &sourceDevices)
        }
        try m.size("capacity", &capacity, standard: 1)
        try m.size("allocation", &allocation, standard: 1)
        try m.size("physical", &physical, standard: 1)
        try m.child("target", &target, evenEmpty: true)
        try m.child("backingStore", &backingStore)
    }

    public struct SourceDevice: XMLMappable {
        public var path = ""
        public var extents: [StoragePool.Extent] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("path", &path)
            try m.children("extent", &extents)
        }
    }

    /// `<target>` and `<backingStore>`: path, format and rights.
    public struct Target: XMLMappable {
        public var path: String?
        public var format: String?
        public var permissions: Permissions?
        public var timestamps: Timestamps?
        public var encryption: Encryption?
        public var compatibility: String?
        public var noCopyOnWrite = false
        public var clusterSize: ScaledSize?
        public var hasFeatures = false
        public var lazyRefcounts = false
        public var extendedL2 = false
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("path", &path)
            try m.group("format") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("type", &format) }
            try m.child("permissions", &permissions)
            try m.child("timestamps", &timestamps)
            try m.child("encryption", &encryption)
            try m.element("compat", &compatibility)
            try m.flag("nocow", &noCopyOnWrite)
            try m.size("clusterSize", &clusterSize, standard: 1)
            if m.isReading ? m.has("features") : hasFeatures {
                hasFeatures = true
                try m.group("features", evenEmpty: true) { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.flag("lazy_refcounts", &lazyRefcounts)
                    try m.flag("extended_l2", &extendedL2)
                }
            }
        }
    }

    /// Seconds with nanoseconds behind a dot.
    public struct Timestamps: XMLMappable {
        public var atime: String?
        public var mtime: String?
        public var ctime: String?
        public var btime: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("atime", &atime)
            try m.element("mtime", &mtime)
            try m.element("ctime", &ctime)
            try m.element("btime", &btime)
        }
    }
}
