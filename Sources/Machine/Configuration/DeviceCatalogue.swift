internal import JSON

/// The table of device models.
public enum DeviceCatalogue {
    /// All models.
    public static let all: [DeviceDescription] =
        virtio + legacy + storage + graphics + audio + watchdogs + peripherals + otherGraphics + usb

    /// The model of a name or alias, or nil.
    public static func find(_ name: String) -> DeviceDescription? {
        if name.hasSuffix(processorSuffix) { return processor(name) }
        return all.first { $0.name == name } ?? all.first { $0.alias == name }
    }

    /// How the types of processors end: `qemu64-x86_64-cpu`.
    public static let processorSuffix = "-x86_64-cpu"
    /// A processor that is plugged in, of whatever model: all of a machine are alike.
    private static func processor(_ name: String) -> DeviceDescription {
        let number = DeviceProperty.Kind.unsigned(bits: 32)
        return DeviceDescription(
            name, bus: "CPU", .misc, "Processor",
            [["socket-id", "die-id", "core-id", "thread-id", "node-id"].map { DeviceProperty($0, number) }])
    }

    /// The models that a network card may be (`-nic model=`).
    public static let networkModels: [String] =
        all.filter { $0.category == .network && $0.bus == "PCI" }.map(\.name)

    /// The text of `-device help`.
    public static var help: String {
        var text = ""
        for category in DeviceDescription.Category.allCases {
            text += "\(category.rawValue):\n"
            for device in all.filter({ $0.category == category }).sorted(by: { $0.name < $1.name }) {
                text += "name \"\(device.name)\", bus \(device.bus)"
                if let alias = device.alias { text += ", alias \"\(alias)\"" }
                text += ", desc \"\(device.summary)\"\n"
            }
            text += "\n"
        }
        return text
    }

    /// The text of `-device NAME,help`.
    public static func help(of device: DeviceDescription) -> String {
        var text = "\(device.name) options:\n"
        for property in device.properties {
            var line = "  \(property.name)=<\(property.kind.typeName)>"
            if !property.help.isEmpty || property.defaultValue != nil {
                line += String(repeating: " ", count: max(0, 24 - line.count)) + " - \(property.help)"
            }
            if let value = property.defaultValue { line += " (default: \(value))" }
            text += line + "\n"
        }
        return text
    }
}

/// Property lists that models share.
extension DeviceCatalogue {
    static let errorPolicy = DeviceProperty.Kind.choice(
        "BlockdevOnError", ["report", "ignore", "enospc", "stop", "auto"])

    static let pci: [DeviceProperty] = [
        DeviceProperty("addr", DeviceProperty.Kind.pciAddress, .integer(-1)),
        DeviceProperty("multifunction", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("rombar", DeviceProperty.Kind.unsigned(bits: 32), .integer(1)),
        DeviceProperty("romfile", DeviceProperty.Kind.string),
        DeviceProperty("romsize", DeviceProperty.Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        DeviceProperty("acpi-index", DeviceProperty.Kind.unsigned(bits: 32), .integer(0)),
    ]
    static let virtioFeatures: [DeviceProperty] = [
        DeviceProperty("indirect_desc", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("event_idx", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("notify_on_empty", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("any_layout", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("iommu_platform", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("packed", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("queue_reset", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("use-started", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("use-disabled-flag", DeviceProperty.Kind.bool, .bool(true)),
    ]
    static let virtioPCI: [DeviceProperty] = [
        DeviceProperty("disable-legacy", DeviceProperty.Kind.onOffAuto, .string("auto")),
        DeviceProperty("disable-modern", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("ioeventfd", DeviceProperty.Kind.bool, .bool(true)),
        DeviceProperty("vectors", DeviceProperty.Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        DeviceProperty("ats", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("aer", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("page-per-vq", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("modern-pio-notify", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("migrate-extra", DeviceProperty.Kind.bool, .bool(true)),
    ]
    static let bootIndex: [DeviceProperty] = [DeviceProperty("bootindex", DeviceProperty.Kind.int32)]

    /// What every device on an image has.
    static let image: [DeviceProperty] = [
        DeviceProperty("drive", DeviceProperty.Kind.drive),
        DeviceProperty(
            "logical_block_size", DeviceProperty.Kind.size, .integer(0), "A power of two from 512 B to 2 MiB"),
        DeviceProperty(
            "physical_block_size", DeviceProperty.Kind.size, .integer(0), "A power of two from 512 B to 2 MiB"),
        DeviceProperty("min_io_size", DeviceProperty.Kind.size, .integer(0)),
        DeviceProperty("opt_io_size", DeviceProperty.Kind.size, .integer(0)),
        DeviceProperty("discard_granularity", DeviceProperty.Kind.size, .integer(0xffff_ffff)),
        DeviceProperty("write-cache", DeviceProperty.Kind.onOffAuto, .string("auto")),
        DeviceProperty("share-rw", DeviceProperty.Kind.bool, .bool(false)),
        DeviceProperty("rerror", errorPolicy, .string("auto")),
        DeviceProperty("werror", errorPolicy, .string("auto")),
        DeviceProperty("account-invalid", DeviceProperty.Kind.onOffAuto, .string("auto")),
        DeviceProperty("account-failed", DeviceProperty.Kind.onOffAuto, .string("auto")),
        DeviceProperty("cyls", DeviceProperty.Kind.unsigned(bits: 32), .integer(0)),
        DeviceProperty("heads", DeviceProperty.Kind.unsigned(bits: 32), .integer(0)),
        DeviceProperty("secs", DeviceProperty.Kind.unsigned(bits: 32), .integer(0)),
        DeviceProperty("serial", DeviceProperty.Kind.string),
    ]
    static let networkCard: [DeviceProperty] = [
        DeviceProperty("mac", DeviceProperty.Kind.macAddress),
        DeviceProperty("netdev", DeviceProperty.Kind.network),
    ]
}
