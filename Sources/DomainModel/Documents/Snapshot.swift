/// `<driver>` of a disk, by a name that is not hidden by other disks.
public typealias DiskDriver = Disk.Driver

/// `<domainsnapshot>`: a machine's state at one time.
public struct DomainSnapshot: XMLDocument {
    public static var rootNames: [String] { ["domainsnapshot"] }
    public static var documentName: String { "(domain_snapshot)" }

    public var name: String?
    public var description: String?
    public var state: String?
    public var parent: String?
    public var creationTime: Int64?
    public var memorySnapshot: String?
    public var memoryFile: String?
    public var hasDisks = false
    public var disks: [Disk] = []
    /// The machine as it was defined then; only its UUID where that is all that was kept.
    public var domain: Domain?
    public var inactiveDomain: Domain?
    public var domainUUID: UniqueID?
    public var active: UInt32?
    public var cookie: XMLTree?

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("name", &name)
        if m.isReading, let name, name.contains("/") {
            throw DefinitionError.xml("name \(name) cannot contain '/'", line: m.line)
        }
        try m.element("description", &description)
        let line = m.line
        try m.element(
            "state", &state, oneOf: "nostate running blocked paused shutdown shutoff crashed pmsuspended disk-snapshot"
        ) {
            DefinitionError(.internalError, "internal error: Invalid state '\($0)' in domain snapshot XML", line: line)
        }
        try m.group("parent") { (m: inout XMLMapper) throws(DefinitionError) in try m.element("name", &parent) }
        try m.element("creationTime", &creationTime)
        try m.group("memory") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word("snapshot", &memorySnapshot, "no internal external")
            try m.attribute("file", &memoryFile)
        }
        if m.isReading ? m.has("disks") : hasDisks || !disks.isEmpty {
            hasDisks = true
            try m.group("disks") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("disk", &disks) }
        }
        if m.isReading, let tree = m.tree.child("domain"), tree.attributes.isEmpty, tree.children.count == 1 {
            try m.group("domain") { (m: inout XMLMapper) throws(DefinitionError) in try m.element("uuid", &domainUUID) }
        } else if m.isWriting, domain == nil, domainUUID != nil {
            try m.group("domain") { (m: inout XMLMapper) throws(DefinitionError) in try m.element("uuid", &domainUUID) }
        } else {
            try m.child("domain", &domain)
        }
        try m.child("inactiveDomain", &inactiveDomain)
        try m.subtree("cookie", &cookie)
        try m.element("active", &active)
    }

    public struct Disk: XMLMappable {
        public var name = ""
        public var snapshot: String?
        public var type: DiskSourceType?
        public var driver: DiskDriver?
        public var source: DiskSource?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.word("snapshot", &snapshot, "default no internal external manual")
            try m.attribute("type", &type)
            try m.child("driver", &driver)
            try m.child("source", &source)
        }
    }
}

/// `<domaincheckpoint>`: a time from which changes of the disks are counted.
public struct DomainCheckpoint: XMLDocument {
    public static var rootNames: [String] { ["domaincheckpoint"] }
    public static var documentName: String { "(domain_checkpoint)" }

    public var name: String?
    public var description: String?
    public var parent: String?
    public var creationTime: Int64?
    public var disks: [Disk] = []
    public var domain: Domain?

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("name", &name)
        if m.isReading, let name, name.contains("/") {
            throw DefinitionError.xml("name \(name) cannot contain '/'", line: m.line)
        }
        try m.element("description", &description)
        try m.group("parent") { (m: inout XMLMapper) throws(DefinitionError) in try m.element("name", &parent) }
        try m.element("creationTime", &creationTime)
        try m.group("disks") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("disk", &disks) }
        try m.child("domain", &domain)
    }

    public struct Disk: XMLMappable {
        public var name = ""
        public var checkpoint: String?
        public var bitmap: String?
        public var size: UInt64?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.word("checkpoint", &checkpoint, "no bitmap")
            try m.attribute("bitmap", &bitmap)
            try m.attribute("size", &size)
        }
    }
}

/// `<domainbackup>`: what to copy, whole or since a checkpoint.
public struct DomainBackup: XMLDocument {
    public static var rootNames: [String] { ["domainbackup"] }
    public static var documentName: String { "(domain_backup)" }

    public var mode: String?
    public var id: Int32?
    public var incremental: String?
    public var server: Server?
    public var hasDisks = false
    public var disks: [Disk] = []

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("mode", &mode, "push pull")
        try m.attribute("id", &id)
        try m.element("incremental", &incremental)
        try m.child("server", &server)
        hasDisks = hasDisks || m.has("disks")
        try m.group("disks") { (m: inout XMLMapper) throws(DefinitionError) in try m.children("disk", &disks) }
    }

    public struct Server: XMLMappable {
        public var transport: String?
        public var tls: YesNo?
        public var name: String?
        public var port: UInt32?
        public var socket: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("transport", &transport, "tcp unix")
            try m.attribute("tls", &tls)
            try m.attribute("name", &name)
            try m.attribute("port", &port)
            try m.attribute("socket", &socket)
        }
    }

    public struct Disk: XMLMappable {
        public var name = ""
        public var backup: YesNo?
        public var type: DiskSourceType?
        public var backupMode: String?
        public var incremental: String?
        public var exportName: String?
        public var exportBitmap: String?
        public var index: UInt32?
        public var driver: DiskDriver?
        public var target: DiskSource?
        public var scratch: DiskSource?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.attribute("backup", &backup)
            try m.attribute("type", &type)
            try m.word("backupmode", &backupMode, "full incremental")
            try m.attribute("incremental", &incremental)
            try m.attribute("exportname", &exportName)
            try m.attribute("exportbitmap", &exportBitmap)
            try m.attribute("index", &index)
            try m.child("driver", &driver)
            try m.child("target", &target)
            try m.child("scratch", &scratch)
        }
    }
}
