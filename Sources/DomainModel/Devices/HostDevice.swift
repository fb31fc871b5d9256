/// A USB vendor or product number, `<vendor id='0x1234'/>`.
public struct USBIdentifier: XMLMappable {
    public var id: UInt32 = 0
    public init() {}
    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, m.peek("id") == nil { throw m.missing("id") }
        try m.hex("id", &id, digits: 4, most: 0xFFFF)
    }
}

/// Where on the host a device stands: PCI, USB or SCSI, by which attributes it has.
public struct HostAddress: XMLMappable {
    public var type: String?
    public var domain: UInt32?
    public var bus: String?
    public var slot: UInt32?
    public var function: UInt32?
    public var multifunction: OnOff?
    public var device: String?
    public var port: String?
    public var target: String?
    public var unit: String?
    public var uuid: UniqueID?
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.word("type", &type, "pci usb scsi")
        try m.attribute("uuid", &uuid)
        if m.isReading ? m.peek("slot") != nil || m.peek("domain") != nil || m.peek("function") != nil : slot != nil {
            var address = PCIAddress(
                domain: domain ?? 0, bus: bus.flatMap { UInt32(cNotation: $0) } ?? 0, slot: slot ?? 0,
                function: function ?? 0)
            address.multifunction = multifunction
            try address.map(&m)
            domain = address.domain
            bus = "0x" + address.bus.hex(2)
            slot = address.slot
            function = address.function
            multifunction = address.multifunction
        } else {
            try m.attribute("bus", &bus)
            try m.attribute("target", &target)
            try m.attribute("unit", &unit)
            try m.attribute("device", &device)
            try m.attribute("port", &port)
        }
    }

    /// The PCI address, for a PCI device.
    public var pci: PCIAddress? {
        guard let slot else { return nil }
        return PCIAddress(
            domain: domain ?? 0, bus: bus.flatMap { UInt32(cNotation: $0) } ?? 0, slot: slot, function: function ?? 0)
    }
}

/// `<hostdev>`: a device of the host that the guest gets.
public struct HostDevice: XMLMappable {
    public var mode = "subsystem"
    public var type: String?
    public var managed: YesNo?
    public var sgio: String?
    public var rawIO: YesNo?
    public var model: String?
    public var display: OnOff?
    public var ramfb: OnOff?
    public var driverName: String?
    public var teaming: NetworkInterface.Teaming?
    public var source: Source?
    public var addresses: [GuestAddress] = []
    public var routes: [GuestRoute] = []
    public var readonly = false
    public var shareable = false
    public var info = DeviceInfo()
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        if m.isReading, let text = m.peek("mode"), text != "subsystem", text != "capabilities" {
            throw DefinitionError(
                .internalError, "internal error: unknown hostdev mode '\(text)'", line: m.line)
        }
        try m.attribute("mode", &mode, default: "subsystem")
        if m.isReading, m.peek("type") == nil {
            throw DefinitionError.xml("missing source address type", line: m.line)
        }
        try m.word("type", &type, "usb pci scsi scsi_host mdev storage misc net")
        try m.attribute("managed", &managed)
        try m.word("sgio", &sgio, "filtered unfiltered")
        try m.attribute("rawio", &rawIO)
        try m.word("model", &model, "virtio virtio-transitional virtio-non-transitional vfio-pci vfio-ccw vfio-ap")
        try m.attribute("display", &display)
        try m.attribute("ramfb", &ramfb)
        try m.group("driver") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.word("name", &driverName, "kvm vfio xen default")
        }
        try m.child("teaming", &teaming)
        if m.isReading, !m.has("source") {
            throw DefinitionError.xml("Missing <source> element in hostdev device", line: m.line)
        }
        try m.child("source", &source)
        try m.children("ip", &addresses)
        try m.children("route", &routes)
        try m.flag("readonly", &readonly)
        try m.flag("shareable", &shareable)
        try m.info(&info)
    }

    public struct Source: XMLMappable {
        public var networkProtocol: String?
        public var name: String?
        public var wwpn: String?
        public var startupPolicy: String?
        public var guestReset: String?
        public var writeFiltering: YesNo?
        public var vendor: USBIdentifier?
        public var product: USBIdentifier?
        public var adapter: String?
        public var address: HostAddress?
        public var host: DiskSource.Host?
        public var initiator: String?
        public var auth: Authentication?
        public var block: String?
        public var character: String?
        public var interface: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.word("protocol", &networkProtocol, "adapter iscsi vhost")
            try m.attribute("name", &name)
            try m.attribute("wwpn", &wwpn)
            try m.word("startupPolicy", &startupPolicy, "mandatory requisite optional")
            try m.word("guestReset", &guestReset, "off uninitialized on")
            try m.attribute("writeFiltering", &writeFiltering)
            try m.child("vendor", &vendor)
            try m.child("product", &product)
            try m.group("adapter") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &adapter) }
            try m.child("address", &address)
            try m.child("host", &host)
            try m.child("auth", &auth)
            try m.group("initiator") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.group("iqn") { (m: inout XMLMapper) throws(DefinitionError) in
                    try m.attribute("name", &initiator)
                }
            }
            try m.element("block", &block)
            try m.element("char", &character)
            try m.element("interface", &interface)
        }
    }
}
