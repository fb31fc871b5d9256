/// `<permissions>` of a pool or volume.
public struct Permissions: XMLMappable {
    /// Octal.
    public var mode: String?
    public var owner: Int64?
    public var group: Int64?
    public var label: String?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("mode", &mode)
        try m.element("owner", &owner)
        try m.element("group", &group)
        try m.element("label", &label)
        if m.isReading, let mode, UInt32(mode.trimmedBlanks, radix: 8).map({ $0 > 0o7777 }) ?? true {
            throw DefinitionError.xml("malformed octal mode", line: m.line)
        }
    }
}

/// `<pool>`: a place for volumes.
public struct StoragePool: XMLDocument {
    public static var rootNames: [String] { ["pool"] }
    public static var documentName: String { "(storage_pool_definition)" }

    public var type = "dir"
    public var name = ""
    public var uuid: UniqueID?
    public var capacity: ScaledSize?
    public var allocation: ScaledSize?
    public var available: ScaledSize?
    public var copyOnWrite: YesNo?
    public var source = Source()
    public var target: Target?
    public var refreshAllocation: String?
    /// `fs:`, `netfs:` and `rbd:` elements for mount options, kept as they are.
    public var extensions: [XMLTree] = []
    var namespaces: [XMLAttribute] = []

    public init() {}

    static let types = "dir fs netfs logical disk iscsi iscsi-direct scsi mpath rbd sheepdog gluster zfs vstorage"

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading {
            guard let text = m.peek("type") else {
                throw DefinitionError(.internalError, "internal error: missing storage pool type", line: m.line)
            }
            guard XMLMapper.isOne(text, of: Self.types) else {
                throw DefinitionError(
                    .internalError, "internal error: unknown storage pool type \(text)", line: m.line)
            }
            namespaces = m.tree.attributes.filter { $0.name.hasPrefix("xmlns:") }
        }
        try m.attribute("type", &type)
        if m.isWriting { m.tree.attributes += namespaces }
        if m.isReading, !m.has("name"), let sourceName = m.tree.child("source")?.child("name")?.text {
            name = sourceName
        } else {
            try m.name(&name)
        }
        try m.element("uuid", &uuid, refusal: "malformed uuid element")
        try m.size("capacity", &capacity, standard: 1)
        try m.size("allocation", &allocation, standard: 1)
        try m.size("available", &available, standard: 1)
        try m.group("features") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.group("cow") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("state", &copyOnWrite)
            }
        }
        try m.child("source", &source, evenEmpty: type != "mpath")
        try m.child("target", &target)
        try m.group("refresh") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.group("volume") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.word("allocation", &refreshAllocation, "default capacity")
            }
        }
        try m.subtrees(&extensions) { $0.contains(":") }
    }

    public struct Source: XMLMappable {
        public var hosts: [DiskSource.Host] = []
        public var devices: [Device] = []
        public var dir: String?
        public var adapter: XMLTree?
        public var name: String?
        public var initiator: String?
        public var format: String?
        public var auth: Authentication?
        public var protocolVersion: String?
        public var vendor: String?
        public var product: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            m.alwaysOpen()
            try m.children("host", &hosts)
            try m.children("device", &devices)
            try m.path("dir", &dir)
            try m.subtree("adapter", &adapter)
            try m.element("name", &name)
            try m.group("initiator") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.group("iqn") { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.attribute("name", &initiator)
                }
            }
            try m.group("format") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("type", &format) }
            try m.child("auth", &auth)
            try m.group("protocol") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("ver", &protocolVersion)
            }
            try m.group("vendor") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &vendor) }
            try m.group("product") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("name", &product)
            }
        }

        public struct Device: XMLMappable {
            public var path = ""
            public var partSeparator: YesNo?
            public var freeExtents: [Extent] = []
            public init() {}
            public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
                try m.attribute("path", &path)
                try m.attribute("part_separator", &partSeparator)
                try m.children("freeExtent", &freeExtents)
            }
        }
    }

    public struct Extent: XMLMappable {
        public var start: UInt64 = 0
        public var end: UInt64 = 0
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("start", &start)
            try m.attribute("end", &end)
        }
    }

    public struct Target: XMLMappable {
        public var path: String?
        public var permissions: Permissions?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.element("path", &path)
            try m.child("permissions", &permissions)
        }
    }

    /// Completes a definition, and refuses one that names no place.
    public mutating func fillIn(using generator: inout some RandomNumberGenerator) throws(DefinitionError) {
        if uuid == nil { uuid = UniqueID.random(using: &generator) }
        switch type {
        case "dir", "fs", "netfs":
            guard target?.path != nil else { throw DefinitionError.xml("missing storage pool target path") }
        default: break
        }
        if let path = target?.path, path.utf8.count > 1, path.hasSuffix("/") {
            target?.path = String(path.dropLast())
        }
        if type == "logical" {
            if source.name == nil { source.name = name }
            if target == nil { target = Target() }
            target?.path = "/dev/\(source.name ?? name)"
        }
        for size in [\StoragePool.capacity, \.allocation, \.available] where self[keyPath: size] == nil {
            self[keyPath: size] = ScaledSize(bytes: 0)
        }
        if type == "fs" || type == "netfs", source.format == nil { source.format = "auto" }
    }
}

/// `<sources>`: what a search for pools found.
public struct StoragePoolSources: XMLDocument {
    public static var rootNames: [String] { ["sources"] }
    public var sources: [StoragePool.Source] = []
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.children("source", &sources) }
}
