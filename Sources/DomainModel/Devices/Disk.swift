/// How a disk shows itself to the guest.
public enum DiskDevice: String, XMLValue {
    case disk, cdrom, floppy, lun
}

/// The bus that a disk hangs from.
public enum DiskBus: String, XMLValue {
    case ide, fdc, scsi, virtio, xen, usb, uml, sata, sd
}

/// `<disk>`.
public struct Disk: XMLMappable {
    public var type = DiskSourceType.file
    public var device = DiskDevice.disk
    public var model: String?
    public var rawIO: YesNo?
    public var sgio: String?
    public var snapshot: String?
    public var driver: Driver?
    public var auth: Authentication?
    /// `nil` for a drive without a medium.
    public var source: DiskSource?
    /// The chain below, at most one; a store without a source ends it.
    public var backingStore: [BackingStore] = []
    public var backendDomain: String?
    public var geometry: Geometry?
    public var blockIO: BlockIO?
    public var mirror: Mirror?
    public var target = Target()
    public var iotune: IOTune?
    public var readonly = false
    public var shareable = false
    public var transient: Transient?
    public var serial: String?
    public var wwn: String?
    public var vendor: String?
    public var product: String?
    public var encryption: Encryption?
    public var info = DeviceInfo()
    public var privateData: XMLTree?

    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type, default: .file)
        try m.attribute("device", &device, default: .disk)
        try m.word("model", &model, virtioModels)
        try m.attribute("rawio", &rawIO)
        try m.word("sgio", &sgio, "filtered unfiltered")
        try m.word("snapshot", &snapshot, "no internal external manual")
        try m.child("driver", &driver)
        try m.child("auth", &auth)
        if m.isWriting, type == .vhostUser || source?.isEmpty == false || source?.startupPolicy != nil {
            try m.child("source", &source)
        } else if m.isReading {
            try m.child("source", &source)
        }
        try m.children("backingStore", &backingStore)
        try m.group("backenddomain") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("name", &backendDomain)
        }
        try m.child("geometry", &geometry)
        try m.child("blockio", &blockIO)
        if m.isReading || !m.options.contains(.inactive) { try m.child("mirror", &mirror) }
        guard m.isWriting || m.has("target") else {
            throw DefinitionError(
                DefinitionError.Code(rawValue: 24), "missing target information for device", line: m.line)
        }
        try m.child("target", &target)
        try m.child("iotune", &iotune)
        try m.flag("readonly", &readonly)
        try m.flag("shareable", &shareable)
        try m.child("transient", &transient)
        try m.element("serial", &serial)
        try m.element("wwn", &wwn)
        try m.element("vendor", &vendor)
        try m.element("product", &product)
        try m.child("encryption", &encryption)
        try m.info(&info)
        try m.subtree("privateData", &privateData)
    }

    /// `<driver>`: how QEMU opens the image.
    public struct Driver: XMLMappable {
        public var name: String?
        public var type: String?
        public var cache: String?
        public var errorPolicy: String?
        public var readErrorPolicy: String?
        public var io: String?
        public var ioeventfd: OnOff?
        public var eventIndex: OnOff?
        public var copyOnRead: OnOff?
        public var discard: String?
        public var iothread: UInt32?
        public var detectZeroes: String?
        public var discardNoUnref: OnOff?
        public var queues: UInt32?
        public var queueSize: UInt32?
        public var virtio = VirtioOptions()
        public var metadataCacheSize: ScaledSize?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("name", &name)
            try m.word(
                "type", &type,
                "raw dir bochs cloop dmg iso vpc vdi vhd ploop luks cow qcow qcow2 qed vmdk fat auto none aio")
            try m.word("cache", &cache, "default none writethrough writeback directsync unsafe")
            try m.word("error_policy", &errorPolicy, "default stop report ignore enospace")
            try m.word("rerror_policy", &readErrorPolicy, "default stop report ignore")
            try m.word("io", &io, "native threads io_uring default")
            try m.attribute("ioeventfd", &ioeventfd)
            try m.attribute("event_idx", &eventIndex)
            try m.attribute("copy_on_read", &copyOnRead)
            try m.word("discard", &discard, "default unmap ignore")
            try m.attribute("iothread", &iothread)
            try m.word("detect_zeroes", &detectZeroes, "default off on unmap")
            try m.attribute("discard_no_unref", &discardNoUnref)
            try m.attribute("queues", &queues)
            try m.attribute("queue_size", &queueSize)
            try virtio.map(&m)
            try m.group("metadata_cache") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.size("max_size", &metadataCacheSize, standard: 1)
            }
        }
    }

    /// `<target>`.
    public struct Target: XMLMappable {
        /// The name that tells disks of a domain apart, `vda`.
        public var dev = ""
        public var bus: DiskBus?
        public var tray: String?
        public var removable: OnOff?
        public var rotationRate: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            if m.isReading, m.peek("dev") == nil {
                throw DefinitionError(
                    DefinitionError.Code(rawValue: 24), "missing target information for device", line: m.line)
            }
            try m.attribute("dev", &dev)
            try m.attribute("bus", &bus)
            if m.isReading || !m.options.contains(.inactive) || tray == "open" {
                if m.isReading || tray == "open" { try m.word("tray", &tray, "open closed") }
            }
            try m.attribute("removable", &removable)
            try m.attribute("rotation_rate", &rotationRate)
        }
    }

    public struct Geometry: XMLMappable {
        public var cylinders: UInt32 = 0
        public var heads: UInt32 = 0
        public var sectors: UInt32 = 0
        public var translation: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("cyls", &cylinders)
            try m.attribute("heads", &heads)
            try m.attribute("secs", &sectors)
            try m.word("trans", &translation, "none auto lba")
        }
    }

    public struct BlockIO: XMLMappable {
        public var logicalBlockSize: UInt32?
        public var physicalBlockSize: UInt32?
        public var discardGranularity: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("logical_block_size", &logicalBlockSize)
            try m.attribute("physical_block_size", &physicalBlockSize)
            try m.attribute("discard_granularity", &discardGranularity)
        }
    }

    public struct Transient: XMLMappable {
        public var shareBacking: YesNo?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("shareBacking", &shareBacking)
        }
    }

    /// `<mirror>`: the copy of a running block job.
    public struct Mirror: XMLMappable {
        public var type: DiskSourceType?
        public var file: String?
        public var job: String?
        public var ready: String?
        public var format: Format?
        public var source: DiskSource?
        public var backingStore: [BackingStore] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.attribute("file", &file)
            try m.word("job", &job, "copy active-commit")
            try m.word("ready", &ready, "yes pivot abort")
            try m.child("format", &format)
            try m.child("source", &source)
            try m.children("backingStore", &backingStore)
        }
    }

    public struct Format: XMLMappable {
        public var type = "raw"
        public var metadataCacheSize: ScaledSize?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            try m.group("metadata_cache") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.size("max_size", &metadataCacheSize, standard: 1)
            }
        }
    }

    /// One image of the chain below the disk's own.
    public struct BackingStore: XMLMappable {
        public var type: DiskSourceType?
        public var index: UInt32?
        public var format: Format?
        public var source: DiskSource?
        public var backingStore: [BackingStore] = []
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            if m.isReading || !m.options.contains(.inactive) { try m.attribute("index", &index) }
            try m.child("format", &format)
            try m.child("source", &source)
            try m.children("backingStore", &backingStore)
        }
    }
}

extension DiskSource {
    /// Says nothing of where the bytes are.
    var isEmpty: Bool {
        file == nil && dev == nil && dir == nil && networkProtocol == nil && volume == nil && type == nil
            && fdGroup == nil && name == nil
    }
}
