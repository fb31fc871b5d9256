public import DomainModel
internal import JSON

/// The command line of a machine.
///
/// The order is libvirt's: board, processors, memory, monitor, clock, boot, controllers, devices. Options are those
/// that QEMU 7 to 9 and our own machine take alike; devices, images and objects are JSON, where no character needs an
/// escape.
public struct QEMUArguments {
    /// The domain with its aliases and numbers.
    let domain: Domain
    let plan: LaunchPlan
    /// The arguments behind the program's name.
    public internal(set) var words: [String] = []
    /// A value that the program reads in a file, which must be there before it starts.
    public struct Secret: Sendable {
        /// The object's name, and that of the file in the machine's folder.
        public let id: String
        public let reference: SecretReference
    }

    /// Passwords of images.
    public internal(set) var secrets: [Secret] = []
    /// Devices that the program does not have, each as its driver and its alias.
    public internal(set) var omitted: [String] = []
    /// Adapters in whose place a plain VGA stands, as the emulator does not have them.
    public internal(set) var replaced: [String] = []
    /// Their aliases.
    private var absent: Set<String> = []

    /// Makes the command line.
    ///
    /// - Parameters:
    ///   - domain: a complete definition on which `prepareToStart` was called, with its screens' ports chosen.
    ///   - plan: what the process is given.
    /// - Throws: 67 for a device that cannot be expressed.
    public init(_ domain: Domain, plan: LaunchPlan) throws(DefinitionError) {
        self.domain = domain
        self.plan = plan
        try build()
    }

    private mutating func build() throws(DefinitionError) {
        machine()
        try memory()
        processors()
        identity()
        monitor()
        clock()
        boot()
        controllers()
        hubs()
        memoryModules()
        try disks()
        try fileSystems()
        try interfaces()
        try characters()
        try tpms()
        try inputs()
        try screens()
        try sounds()
        try smallDevices()
        words += domain.qemu.arguments
        if plan.isSandboxed {
            add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
        }
        if let incoming = plan.incoming { add("-incoming", incoming) }
        add("-msg", "timestamp=on")
    }

    mutating func add(_ option: String, _ value: String) {
        words.append(option)
        words.append(value)
    }

    /// An option whose value is JSON.
    mutating func add(_ option: String, _ object: JSONObject) {
        add(option, String(decoding: JSONWriter.write(.object(object)), as: UTF8.self))
    }

    mutating func device(_ object: JSONObject) {
        let driver = object["driver"]?.stringValue ?? ""
        // What would sit on a USB controller that is not there is not there either.
        let bus = object["bus"]?.stringValue?.split(separator: ".").dropLast().joined(separator: ".")
        let hasNoBus = driver.hasPrefix("usb-") && bus.map { absent.contains($0) } ?? false
        if hasNoBus || plan.knownDrivers.map({ !$0.contains(driver) }) ?? false {
            if let id = object["id"]?.stringValue { absent.insert(id) }
            omitted.append("\(driver) \(object["id"]?.stringValue ?? "")")
            return
        }
        add("-device", object)
    }

    /// A comma is doubled in QEMU's own syntax.
    static func escaped(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: ",")) else { return text }
        return text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
    }
}

extension JSONObject {
    /// Adds the place on the PCI, USB or other bus.
    mutating func place(_ info: DeviceInfo, in domain: Domain) {
        switch info.address {
        case .pci(let address):
            self["bus"] = .string(domain.busName(pci: address.bus))
            if address.multifunction == .on { self["multifunction"] = .bool(true) }
            if address.multifunction == .off { self["multifunction"] = .bool(false) }
            let slot = "0x" + String(address.slot, radix: 16)
            self["addr"] = .string(address.function == 0 ? slot : slot + ".0x" + String(address.function, radix: 16))
            if let index = info.acpiIndex { self["acpi-index"] = .number(index) }
        case .usb(let bus, let port):
            self["bus"] = .string((bus == 0 ? "usb" : "usb\(bus)") + ".0")
            if !port.isEmpty { self["port"] = .string(port) }
        case .ccid(let controller, _): self["bus"] = .string("ccid\(controller).0")
        case .isa(let iobase, let irq):
            if let iobase { self["iobase"] = .number(iobase) }
            if let irq { self["irq"] = .number(irq) }
        default: break
        }
    }

    mutating func set(_ name: String, _ value: String?) { if let value { self[name] = .string(value) } }
    mutating func set(_ name: String, _ value: UInt32?) { if let value { self[name] = .number(value) } }
    mutating func set(_ name: String, _ value: OnOff?) { if let value { self[name] = .bool(value.isOn) } }

    /// virtio's own options.
    mutating func set(_ options: VirtioOptions?) {
        guard let options else { return }
        if let iommu = options.iommu { self["iommu_platform"] = .bool(iommu.isOn) }
        set("ats", options.ats)
        set("packed", options.packed)
        set("page-per-vq", options.pagePerVQ)
    }

    mutating func set(rom: DeviceInfo.ROM?) {
        guard let rom else { return }
        if rom.enabled == .no {
            self["romfile"] = .string("")
            return
        }
        set("rombar", rom.bar.map { $0.isOn ? UInt32(1) : 0 })
        set("romfile", rom.file)
    }
}

extension Domain {
    /// QEMU's name of a PCI bus.
    func busName(pci bus: UInt32) -> String {
        devices.controllers.first { $0.type == .pci && $0.index == bus }?.info.alias
            ?? (bus == 0 && chipset == .q35 ? "pcie.0" : "pci.\(bus)")
    }

    /// The suffix of a virtio device's driver.
    func virtio(_ kind: String, model: String?, _ info: DeviceInfo) -> String {
        let suffix: String
        switch info.address {
        case .virtioMMIO: suffix = "device"
        case .ccw: suffix = "ccw"
        case .pci: suffix = "pci"
        default: suffix = chipset == .microvm || chipset == .isa ? "device" : "pci"
        }
        switch model {
        case "virtio-transitional": return "virtio-\(kind)-\(suffix)-transitional"
        case "virtio-non-transitional": return "virtio-\(kind)-\(suffix)-non-transitional"
        default: return "virtio-\(kind)-\(suffix)"
        }
    }
}
