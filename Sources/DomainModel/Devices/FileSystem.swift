/// `<filesystem>`: a directory of the host that the guest mounts.
public struct FileSystem: XMLMappable {
    public var type = "mount"
    public var accessMode: String?
    public var multidevs: String?
    public var model: String?
    public var fmode: String?
    public var dmode: String?
    public var driver: Driver?
    public var binary: Binary?
    public var source: Source?
    public var target = ""
    public var readonly = false
    public var spaceHardLimit: ScaledSize?
    public var spaceSoftLimit: ScaledSize?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type, default: "mount")
        guard XMLMapper.isOne(type, of: "mount block file template ram bind volume") else {
            throw m.invalid("type", type, "")
        }
        try m.word("accessmode", &accessMode, "passthrough mapped squash default")
        try m.word("model", &model, virtioModels)
        try m.word("multidevs", &multidevs, "default remap forbid warn")
        try m.attribute("fmode", &fmode)
        try m.attribute("dmode", &dmode)
        try m.child("driver", &driver)
        try m.child("binary", &binary)
        try m.child("source", &source)
        if m.isReading, !m.has("target") {
            throw DefinitionError(
                DefinitionError.Code(rawValue: 24), "missing target information for device", line: m.line)
        }
        try m.group("target") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("dir", &target) }
        try m.flag("readonly", &readonly)
        try m.info(&info)
        try m.size("space_hard_limit", &spaceHardLimit, standard: 1)
        try m.size("space_soft_limit", &spaceSoftLimit, standard: 1)
    }

    public struct Driver: XMLMappable {
        public var type: String?
        public var format: String?
        public var wrpolicy: String?
        public var queue: UInt32?
        public var virtio = VirtioOptions()
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("type", &type, "default path handle loop nbd ploop virtiofs mtp")
            try m.attribute("format", &format)
            try m.word("wrpolicy", &wrpolicy, "default immediate")
            try m.attribute("queue", &queue)
            try virtio.map(&m)
        }
    }

    public struct Source: XMLMappable {
        public var dir: String?
        public var file: String?
        public var dev: String?
        public var name: String?
        public var usage: UInt64?
        public var units: String?
        public var socket: String?
        public var pool: String?
        public var volume: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("dir", &dir)
            try m.attribute("socket", &socket)
            try m.attribute("file", &file)
            try m.attribute("dev", &dev)
            try m.attribute("name", &name)
            try m.attribute("usage", &usage)
            try m.attribute("units", &units)
            try m.attribute("pool", &pool)
            try m.attribute("volume", &volume)
        }
    }

    /// `<binary>`: the program that serves a virtiofs.
    public struct Binary: XMLMappable {
        public var path: String?
        public var xattr: OnOff?
        public var cacheMode: String?
        public var sandboxMode: String?
        public var lockPosix: OnOff?
        public var lockFlock: OnOff?
        public var threadPoolSize: Int32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("path", &path)
            try m.attribute("xattr", &xattr)
            try m.choice("cache", "mode", &cacheMode, "none always")
            try m.choice("sandbox", "mode", &sandboxMode, "namespace chroot")
            try m.group("lock") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("posix", &lockPosix)
                try m.attribute("flock", &lockFlock)
            }
            try m.group("thread_pool") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("size", &threadPoolSize)
            }
        }
    }
}
