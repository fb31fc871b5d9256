/// Where on a PCI bus a device stands.
public struct PCIAddress: XMLMappable, Hashable {
    public var domain: UInt32 = 0
    public var bus: UInt32 = 0
    public var slot: UInt32 = 0
    public var function: UInt32 = 0
    public var multifunction: OnOff?
    /// The identifiers of an s390 host: `uid` and `fid`.
    public var zpci: ZPCI?

    public init() {}
    public init(domain: UInt32 = 0, bus: UInt32, slot: UInt32, function: UInt32 = 0) {
        self.domain = domain
        self.bus = bus
        self.slot = slot
        self.function = function
    }

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.hex("domain", &domain, digits: 4, most: 0xFFFF)
        try m.hex("bus", &bus, digits: 2, most: 0xFF)
        try m.hex("slot", &slot, digits: 2, most: 0x1F)
        try m.hex("function", &function, digits: 1, most: 7)
        try m.attribute("multifunction", &multifunction)
        try m.child("zpci", &zpci)
    }

    /// `0000:00:02.0`, as libvirt's texts name it.
    public var text: String { "\(domain.hex(4)):\(bus.hex(2)):\(slot.hex(2)).\(function)" }

    public struct ZPCI: XMLMappable, Hashable {
        public var uid: Hex<UInt32>?
        public var fid: Hex<UInt32>?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("uid", &uid)
            try m.attribute("fid", &fid)
        }
    }
}

extension XMLMapper {
    /// A number in any notation, written with that many hexadecimal digits.
    mutating func hex(
        _ name: String, _ value: inout UInt32, digits: Int, most: UInt32 = .max
    ) throws(DefinitionError) {
        if isReading {
            guard let text = take(name) else { return }
            guard let read = UInt32(cNotation: text) else {
                throw invalid(name, text, "Expected non-negative integer value")
            }
            guard read <= most else {
                throw DefinitionError.xml(
                    "Invalid PCI address \(name)='0x\(read.hex(1))', must be <= 0x\(most.hex(1))", line: line)
            }
            value = read
        } else {
            put(name, "0x" + value.hex(digits))
        }
    }
}

/// Where a device stands: the `<address>` element in all its kinds.
public enum DeviceAddress: Equatable, Sendable {
    case pci(PCIAddress)
    case drive(controller: UInt32, bus: UInt32, target: UInt32, unit: UInt32)
    case virtioSerial(controller: UInt32, bus: UInt32, port: UInt32)
    case ccid(controller: UInt32, slot: UInt32)
    case usb(bus: UInt32, port: String)
    case spaprVIO(reg: UInt64?)
    case virtioMMIO
    case ccw(cssid: UInt32, ssid: UInt32, devno: UInt32)
    case isa(iobase: UInt32?, irq: UInt32?)
    case dimm(slot: UInt32?, base: UInt64?)
    /// Given to the domain, and not to the guest.
    case unassigned

    /// The PCI address, where it is one.
    public var pci: PCIAddress? { if case .pci(let address) = self { address } else { nil } }
}

/// What every device may have: alias, boot order, ROM, ACPI index and address.
public struct DeviceInfo: Equatable, Sendable {
    public var bootOrder: UInt32?
    public var loadParameter: String?
    /// The name towards QEMU. Kept in a definition only where the user chose it (`ua-…`).
    public var alias: String?
    public var rom: ROM?
    public var acpiIndex: UInt32?
    /// Part of a USB 2 controller: the port of the master at which this companion starts.
    public var masterStartPort: UInt32?
    public var address: DeviceAddress?
    /// An address type that asks libvirt to choose: `<address type='pci'/>`.
    public var wantsPCI = false
    public init() {}

    /// The option ROM of a PCI device.
    public struct ROM: XMLMappable {
        public var enabled: YesNo?
        public var bar: OnOff?
        public var file: String?
        public init() {}
        public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
            try m.attribute("enabled", &enabled)
            try m.attribute("bar", &bar)
            try m.attribute("file", &file)
        }
    }
}

extension XMLMapper {
    /// Maps the parts that devices share, in libvirt's order; to be called last.
    mutating func info(_ info: inout DeviceInfo) throws(DefinitionError) {
        if isReading || info.bootOrder != nil {
            try group("boot") { (m: inout XMLMapper) throws(DefinitionError) in
                try m.attribute("order", &info.bootOrder)
                if m.isReading, info.bootOrder == 0 || info.bootOrder == nil {
                    throw m.invalid("order", m.tree["order"] ?? "", "Expected positive integer value")
                }
                try m.attribute("loadparm", &info.loadParameter)
            }
        }
        if isReading || !options.contains(.inactive) || info.alias?.hasPrefix("ua-") == true {
            try group("alias") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("name", &info.alias) }
        }
        try group("master") { (m: inout XMLMapper) throws(DefinitionError) in
            try m.attribute("startport", &info.masterStartPort)
        }
        try child("rom", &info.rom)
        try group("acpi") { (m: inout XMLMapper) throws(DefinitionError) in try m.attribute("index", &info.acpiIndex) }
        try address(&info)
    }

    private mutating func address(_ info: inout DeviceInfo) throws(DefinitionError) {
        guard isReading || info.address != nil || info.wantsPCI else { return }
        try group("address") { (m: inout XMLMapper) throws(DefinitionError) in
            if m.isReading {
                try m.readAddress(&info)
            } else if let address = info.address {
                m.write(address: address)
            } else {
                m.put("type", "pci")
            }
        }
    }

    private mutating func number(_ name: String, base0: Bool = false) throws(DefinitionError) -> UInt32 {
        guard let text = take(name) else { return 0 }
        guard let value = base0 ? UInt32(cNotation: text) : UInt32(xml: text) else {
            throw invalid(name, text, "Expected non-negative integer value")
        }
        return value
    }

    private mutating func optional(_ name: String) throws(DefinitionError) -> UInt32? {
        tree[name] == nil ? nil : try number(name, base0: true)
    }

    private mutating func long(_ name: String) throws(DefinitionError) -> UInt64? {
        guard let text = take(name) else { return nil }
        guard let value = UInt64(cNotation: text) else {
            throw invalid(name, text, "Expected non-negative integer value")
        }
        return value
    }

    private mutating func readAddress(_ info: inout DeviceInfo) throws(DefinitionError) {
        guard let type = take("type") else {
            throw DefinitionError(.internalError, "internal error: No type specified for device address", line: line)
        }
        switch type {
        case "pci":
            if tree.attributes.count == 1 {
                info.wantsPCI = true
                return
            }
            var address = PCIAddress()
            try address.map(&self)
            // All zeros is what older tools wrote for "choose one".
            if address == PCIAddress() { info.wantsPCI = true } else { info.address = .pci(address) }
        case "drive":
            info.address = .drive(
                controller: try number("controller"), bus: try number("bus"), target: try number("target"),
                unit: try number("unit"))
        case "virtio-serial":
            info.address = .virtioSerial(
                controller: try number("controller"), bus: try number("bus"), port: try number("port"))
        case "ccid":
            info.address = .ccid(controller: try number("controller"), slot: try number("slot"))
        case "usb":
            let bus = try number("bus")
            let port = take("port") ?? ""
            let parts = port.split(separator: ".", omittingEmptySubsequences: false)
            guard port.isEmpty || (parts.count <= 4 && parts.allSatisfy { UInt8($0) != nil }) else {
                throw DefinitionError.xml("Cannot parse <address> 'port' attribute", line: line)
            }
            info.address = .usb(bus: bus, port: port)
        case "spapr-vio": info.address = .spaprVIO(reg: try long("reg"))
        case "virtio-mmio": info.address = .virtioMMIO
        case "ccw":
            info.address = .ccw(
                cssid: try number("cssid", base0: true), ssid: try number("ssid", base0: true),
                devno: try number("devno", base0: true))
        case "isa": info.address = .isa(iobase: try optional("iobase"), irq: try optional("irq"))
        case "dimm": info.address = .dimm(slot: try optional("slot"), base: try long("base"))
        case "unassigned": info.address = .unassigned
        default: throw DefinitionError.xml("unknown address type '\(type)'", line: line)
        }
    }

    private mutating func write(address: DeviceAddress) {
        switch address {
        case .pci(var address):
            put("type", "pci")
            write(&address)
        case .drive(let controller, let bus, let target, let unit):
            put("type", "drive")
            put("controller", "\(controller)")
            put("bus", "\(bus)")
            put("target", "\(target)")
            put("unit", "\(unit)")
        case .virtioSerial(let controller, let bus, let port):
            put("type", "virtio-serial")
            put("controller", "\(controller)")
            put("bus", "\(bus)")
            put("port", "\(port)")
        case .ccid(let controller, let slot):
            put("type", "ccid")
            put("controller", "\(controller)")
            put("slot", "\(slot)")
        case .usb(let bus, let port):
            put("type", "usb")
            put("bus", "\(bus)")
            if !port.isEmpty { put("port", port) }
        case .spaprVIO(let reg):
            put("type", "spapr-vio")
            if let reg { put("reg", "0x" + reg.hex(8)) }
        case .virtioMMIO: put("type", "virtio-mmio")
        case .ccw(let cssid, let ssid, let devno):
            put("type", "ccw")
            put("cssid", "0x" + cssid.hex(1))
            put("ssid", "0x" + ssid.hex(1))
            put("devno", "0x" + devno.hex(4))
        case .isa(let iobase, let irq):
            put("type", "isa")
            if let iobase { put("iobase", "0x" + iobase.hex(1)) }
            if let irq { put("irq", "0x" + irq.hex(1)) }
        case .dimm(let slot, let base):
            put("type", "dimm")
            if let slot { put("slot", "\(slot)") }
            if let base { put("base", "0x" + base.hex(1)) }
        case .unassigned: put("type", "unassigned")
        }
    }
}
