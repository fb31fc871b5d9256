/// `<tpm>`.
public struct TPM: XMLMappable {
    public var model: String?
    public var backend = Backend()
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("model", &model, "tpm-tis tpm-crb tpm-spapr spapr-tpm-proxy default")
        try m.child("backend", &backend)
        try m.info(&info)
    }

    public struct Backend: XMLMappable {
        public var type = "passthrough"
        public var version: String?
        public var persistentState: YesNo?
        public var devicePath: String?
        public var encryptionSecret: UniqueID?
        public var banks: Banks?
        public var source: CharacterSource.End?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("type", &type)
            guard XMLMapper.isOne(type, of: "passthrough emulator external") else { throw m.invalid("type", type, "") }
            try m.word("version", &version, "default 1.2 2.0")
            try m.attribute("persistent_state", &persistentState)
            try m.path("device", &devicePath)
            try m.group("encryption") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("secret", &encryptionSecret)
            }
            try m.child("active_pcr_banks", &banks)
            try m.child("source", &source)
        }
    }

    public struct Banks: XMLMappable {
        public var sha1 = false
        public var sha256 = false
        public var sha384 = false
        public var sha512 = false
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.flag("sha1", &sha1)
            try m.flag("sha256", &sha256)
            try m.flag("sha384", &sha384)
            try m.flag("sha512", &sha512)
        }
    }
}

/// `<watchdog>`.
public struct Watchdog: XMLMappable {
    public var model = "i6300esb"
    public var action: String?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        guard XMLMapper.isOne(model, of: "i6300esb ib700 diag288 itco") else { throw m.invalid("model", model, "") }
        try m.word("action", &action, "reset shutdown poweroff pause dump none inject-nmi")
        try m.info(&info)
    }
}

/// `<memballoon>`.
public struct MemoryBalloon: XMLMappable {
    public var model = "virtio"
    public var autodeflate: OnOff?
    public var freePageReporting: OnOff?
    public var statsPeriod: UInt32?
    public var driver: VirtioDriver?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        guard XMLMapper.isOne(model, of: virtioModels + " xen none") else { throw m.invalid("model", model, "") }
        try m.attribute("autodeflate", &autodeflate)
        try m.attribute("freePageReporting", &freePageReporting)
        try m.group("stats") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("period", &statsPeriod)
        }
        try m.child("driver", &driver)
        try m.info(&info)
    }
}

/// `<rng>`.
public struct RandomGenerator: XMLMappable {
    public var model = "virtio"
    public var rate: Rate?
    public var backend = Backend()
    public var driver: VirtioDriver?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        guard XMLMapper.isOne(model, of: virtioModels) else { throw m.invalid("model", model, "") }
        try m.child("rate", &rate)
        if m.isReading, !m.has("backend") {
            throw DefinitionError(.internalError, "internal error: missing RNG device backend", line: m.line)
        }
        try m.child("backend", &backend)
        try m.child("driver", &driver)
        try m.info(&info)
    }

    public struct Rate: XMLMappable {
        public var bytes: UInt32 = 0
        public var period: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("bytes", &bytes)
            try m.attribute("period", &period)
        }
    }

    public struct Backend: XMLMappable {
        public var model = "random"
        /// The device that bytes come from.
        public var path: String?
        public var source = CharacterSource()
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("model", &model)
            guard XMLMapper.isOne(model, of: "random egd builtin") else { throw m.invalid("model", model, "") }
            if model == "egd" {
                try source.mapType(&m)
                try source.mapChildren(&m)
            } else {
                try m.text(&path)
            }
        }
    }
}

/// `<panic>`.
public struct PanicDevice: XMLMappable {
    public var model: String?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("model", &model, "default isa pseries hyperv s390 pvpanic")
        try m.info(&info)
    }
}

/// `<vsock>`.
public struct VSock: XMLMappable {
    public var model: String?
    public var cidAuto: YesNo?
    public var cid: UInt32?
    public var driver: VirtioDriver?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("model", &model, virtioModels + " default")
        try m.group("cid") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("auto", &cidAuto)
            try m.attribute("address", &cid)
        }
        try m.info(&info)
        try m.child("driver", &driver)
    }
}

/// `<hub>`.
public struct Hub: XMLMappable {
    public var type = "usb"
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type)
        guard type == "usb" else { throw m.invalid("type", type, "") }
        try m.info(&info)
    }
}

/// `<nvram>` of a pseries machine.
public struct NVRAMDevice: XMLMappable {
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) { try m.info(&info) }
}

/// `<crypto>`.
public struct CryptoDevice: XMLMappable {
    public var model = "virtio"
    public var type = "qemu"
    public var backend: String?
    public var queues: UInt32?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        try m.attribute("type", &type)
        try m.group("backend") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word("model", &backend, "builtin lkcf")
            try m.attribute("queues", &queues)
        }
        try m.info(&info)
    }
}

/// `<iommu>`.
public struct IOMMU: XMLMappable {
    public var model = "intel"
    public var interruptRemapping: OnOff?
    public var cachingMode: OnOff?
    public var extendedInterrupts: OnOff?
    public var iotlb: OnOff?
    public var addressBits: UInt32?
    public var dmaTranslation: OnOff?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("model", &model)
        guard XMLMapper.isOne(model, of: "intel smmuv3 virtio") else { throw m.invalid("model", model, "") }
        try m.group("driver") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("intremap", &interruptRemapping)
            try m.attribute("caching_mode", &cachingMode)
            try m.attribute("eim", &extendedInterrupts)
            try m.attribute("iotlb", &iotlb)
            try m.attribute("aw_bits", &addressBits)
            try m.attribute("dma_translation", &dmaTranslation)
        }
        try m.info(&info)
    }
}

/// `<lease>`: a lock that must be held while the machine runs.
public struct Lease: XMLMappable {
    public var lockspace: String?
    public var key: String?
    public var path: String?
    public var offset: UInt64?
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("lockspace", &lockspace)
        try m.element("key", &key)
        try m.group("target") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("path", &path)
            try m.attribute("offset", &offset)
        }
    }
}

/// `<shmem>`.
public struct SharedMemory: XMLMappable {
    public var name = ""
    public var role: String?
    public var model: String?
    public var size: ScaledSize?
    public var hasServer = false
    public var serverPath: String?
    public var hasMSI = false
    public var vectors: UInt32?
    public var ioeventfd: OnOff?
    public var info = DeviceInfo()
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("name", &name)
        guard !name.contains("/"), name != ".", name != ".." else {
            throw DefinitionError.unsupported("shmem name cannot include '/' character or be '.' or '..'", line: m.line)
        }
        try m.word("role", &role, "master peer")
        try m.choice("model", "type", &model, "ivshmem ivshmem-plain ivshmem-doorbell")
        if m.isReading {
            try m.size("size", &size, standard: 1)
        } else if let size {
            m.tree.append(
                XMLTree("size", attributes: [XMLAttribute("unit", "M")], nodes: [.text("\(size.bytes >> 20)")]))
        }
        if m.isReading ? m.has("server") : hasServer {
            hasServer = true
            try m.group("server", evenEmpty: true) { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("path", &serverPath)
            }
        }
        if m.isReading ? m.has("msi") : hasMSI {
            hasMSI = true
            try m.group("msi", evenEmpty: true) { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("vectors", &vectors)
                try m.attribute("ioeventfd", &ioeventfd)
            }
        }
        try m.info(&info)
    }
}
