/// What kind of bus a controller brings.
public enum ControllerType: String, XMLValue {
    case ide, fdc, scsi, sata, ccid, usb, pci, xenbus, isa
    case virtioSerial = "virtio-serial"
}

/// `<controller>`.
public struct Controller: XMLMappable {
    public var type = ControllerType.pci
    /// `nil` until it is filled in.
    public var index: UInt32?
    public var model: String?
    public var ports: UInt32?
    public var vectors: UInt32?
    public var maxGrantFrames: UInt32?
    public var maxEventChannels: UInt32?
    public var pciModelName: String?
    public var pciTarget = PCITarget()
    public var pciHole64: ScaledSize?
    public var driver: Driver?
    public var info = DeviceInfo()
    public init() {}
    public init(_ type: ControllerType, index: UInt32, model: String? = nil) {
        self.type = type
        self.index = index
        self.model = model
    }

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.attribute("type", &type)
        try m.attribute("index", &index)
        try m.attribute("model", &model)
        if m.isReading { try checkModel(m) }
        try m.attribute("ports", &ports)
        try m.attribute("vectors", &vectors)
        try m.attribute("maxGrantFrames", &maxGrantFrames)
        try m.attribute("maxEventChannels", &maxEventChannels)
        try m.group("model") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word(
                "name", &pciModelName,
                "spapr-pci-host-bridge pci-bridge i82801b11-bridge pcie-pci-bridge ioh3420 pcie-root-port "
                    + "x3130-upstream xio3130-downstream pxb pxb-pcie none")
        }
        try m.child("target", &pciTarget)
        try m.child("driver", &driver)
        try m.size("pcihole64", &pciHole64)
        try m.info(&info)
    }

    private func checkModel(_ m: XMLMapper) throws(DefinitionError) {
        guard let model else { return }
        let words: String
        switch type {
        case .scsi:
            words =
                "auto buslogic lsilogic lsisas1068 vmpvscsi ibmvscsi virtio-scsi lsisas1078 "
                + "virtio-transitional virtio-non-transitional ncr53c90 dc390 am53c974"
        case .usb:
            words =
                "piix3-uhci piix4-uhci ehci ich9-ehci1 ich9-uhci1 ich9-uhci2 ich9-uhci3 vt82c686b-uhci pci-ohci "
                + "nec-xhci qusb1 qusb2 qemu-xhci none"
        case .pci:
            words =
                "pci-root pcie-root pci-bridge dmi-to-pci-bridge pcie-to-pci-bridge pcie-root-port "
                + "pcie-switch-upstream-port pcie-switch-downstream-port pci-expander-bus pcie-expander-bus"
        case .ide: words = "piix3 piix4 ich6"
        case .virtioSerial: words = virtioModels
        case .isa, .fdc, .sata, .ccid, .xenbus: words = ""
        }
        guard XMLMapper.isOne(model, of: words) else {
            throw DefinitionError.unsupported("Unknown model type '\(model)'", line: m.line)
        }
    }

    /// `<target>` of a PCI controller.
    public struct PCITarget: XMLMappable {
        public var chassisNumber: UInt32?
        public var chassis: UInt32?
        public var port: Hex<UInt32>?
        public var busNumber: UInt32?
        public var index: UInt32?
        public var hotplug: OnOff?
        public var node: UInt32?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("chassisNr", &chassisNumber)
            try m.attribute("chassis", &chassis)
            try m.attribute("port", &port)
            try m.attribute("busNr", &busNumber)
            try m.attribute("index", &index)
            try m.attribute("hotplug", &hotplug)
            try m.element("node", &node)
        }
    }

    public struct Driver: XMLMappable {
        public var queues: UInt32?
        public var commandsPerUnit: UInt32?
        public var maxSectors: UInt32?
        public var ioeventfd: OnOff?
        public var iothread: UInt32?
        public var virtio = VirtioOptions()
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("queues", &queues)
            try m.attribute("cmd_per_lun", &commandsPerUnit)
            try m.attribute("max_sectors", &maxSectors)
            try m.attribute("ioeventfd", &ioeventfd)
            try m.attribute("iothread", &iothread)
            try virtio.map(&m)
        }
    }
}
