/// `<os>`.
public struct OperatingSystem: XMLMappable {
    public var firmware: String?
    public var type: String?
    public var arch: String?
    public var machine: String?
    public var firmwareFeatures: [FirmwareFeature] = []
    public var loader: Loader?
    public var nvram: NVRAM?
    public var kernel: String?
    public var initrd: String?
    public var cmdline: String?
    public var dtb: String?
    public var root: String?
    public var acpiTable: String?
    public var boot: [String] = []
    public var bootMenuEnable: YesNo?
    public var bootMenuTimeout: UInt32?
    public var biosUseSerial: YesNo?
    public var biosRebootTimeout: Int32?
    public var smbiosMode: String?
    public var initProgram: String?
    public var initArguments: [String] = []
    /// `initenv`, `initdir`, `inituser` and `initgroup` of a container; kept as they are.
    public var initMore: [XMLTree] = []
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("firmware", &firmware)
        if m.isReading, let firmware, !XMLMapper.isOne(firmware, of: "none bios efi") {
            throw DefinitionError.xml("unknown firmware value \(firmware)", line: m.line)
        }
        try m.group("type") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("arch", &arch)
            try m.attribute("machine", &machine)
            try m.text(&type)
        }
        if m.isReading, let type, !XMLMapper.isOne(type, of: "hvm xen linux exe uml xenpvh") {
            throw DefinitionError.unsupported("unknown OS type '\(type)'", line: m.line)
        }
        try m.element("init", &initProgram)
        try m.elements("initarg", &initArguments)
        try m.subtrees(&initMore) { XMLMapper.isOne($0, of: "initenv initdir inituser initgroup") }
        try m.group("firmware") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.children("feature", &firmwareFeatures)
        }
        try m.child("loader", &loader)
        try m.child("nvram", &nvram)
        try m.element("kernel", &kernel)
        try m.element("initrd", &initrd)
        try m.element("cmdline", &cmdline)
        try m.element("dtb", &dtb)
        try m.element("root", &root)
        try mapAfterRoot(&m)
    }

    private mutating func mapAfterRoot(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.group("acpi") { (m: inout XMLMapper) throws(DefinitionError) in
            if m.isReading || acpiTable != nil {
                try m.group("table") { (m: inout XMLMapper) throws(DefinitionError) in
                    var type: String? = "slic"
                    try m.word("type", &type, "slic")
                    try m.text(&acpiTable)
                }
            }
        }
        var devices = boot.map { BootDevice($0) }
        try m.children("boot", &devices)
        if m.isReading { boot = devices.map { $0.dev ?? "" } }
        try m.group("bootmenu") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("enable", &bootMenuEnable)
            try m.attribute("timeout", &bootMenuTimeout)
        }
        try m.group("bios") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("useserial", &biosUseSerial)
            try m.attribute("rebootTimeout", &biosRebootTimeout)
        }
        try m.choice("smbios", "mode", &smbiosMode, "none emulate host sysinfo")
    }

    private struct BootDevice: XMLMappable {
        var dev: String?
        init() {}
        init(_ dev: String) { self.dev = dev }
        mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("dev", &dev)
            if m.isReading, dev.map({ !XMLMapper.isOne($0, of: "fd cdrom hd network") }) ?? true {
                throw DefinitionError(
                    .internalError, "internal error: unknown boot device '\(dev ?? "")'", line: m.line)
            }
        }
    }

    public struct FirmwareFeature: XMLMappable {
        public var enabled = YesNo.yes
        public var name: String?
        public init() {}
        public init(_ name: String, _ enabled: YesNo) {
            self.name = name
            self.enabled = enabled
        }
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("enabled", &enabled)
            try m.word("name", &name, "enrolled-keys secure-boot")
        }
    }

    public struct Loader: XMLMappable {
        public var readonly: YesNo?
        public var type: String?
        public var secure: YesNo?
        public var stateless: YesNo?
        public var format: String?
        public var path: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("readonly", &readonly)
            try m.attribute("secure", &secure)
            try m.word("type", &type, "rom pflash none")
            try m.attribute("stateless", &stateless)
            try m.attribute("format", &format)
            try m.text(&path)
        }
    }

    /// `<nvram>`: where the firmware keeps its variables.
    public struct NVRAM: XMLMappable {
        public var template: String?
        public var templateFormat: String?
        public var type: DiskSourceType?
        public var format: String?
        public var source: DiskSource?
        public var path: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("template", &template)
            try m.attribute("templateFormat", &templateFormat)
            try m.attribute("type", &type)
            try m.attribute("format", &format)
            try m.child("source", &source)
            try m.text(&path)
        }
    }
}
