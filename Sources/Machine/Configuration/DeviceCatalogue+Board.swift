internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

/// What the boards have of their own: nobody plugs it in, but `-global` sets its properties, and clients look there
/// for what a machine can do.
extension DeviceCatalogue {
    /// The models on the boards.
    public static let board: [DeviceDescription] = [
        DeviceDescription("PIIX4_PM", bus: "PCI", .misc, "Power management of pc", [pci, sleep, piix]),
        DeviceDescription("ICH9-LPC", bus: "PCI", .misc, "ISA bridge of q35", [pci, sleep, ich9]),
        DeviceDescription("ICH9-SMB", bus: "PCI", .misc, "SMBus of q35", [pci]),
        DeviceDescription("PIIX3", bus: "PCI", .misc, "ISA bridge of pc", [pci]),
        DeviceDescription("piix3-ide", bus: "PCI", .storage, "IDE controller of pc", [pci]),
        DeviceDescription(
            "mch", bus: "PCI", .misc, "Memory controller of q35",
            [pci, [Property("extended-tseg-mbytes", Kind.unsigned(bits: 16), .integer(16))]]),
        DeviceDescription("i440FX-pcihost", bus: "System", .misc, "PCI host of pc", [host]),
        DeviceDescription("q35-pcihost", bus: "System", .misc, "PCI Express host of q35", [host]),
        DeviceDescription(
            "mc146818rtc", bus: "ISA", .misc, "Clock",
            [
                [
                    Property("lost_tick_policy", tickPolicy, .string("discard")),
                    Property("base_year", Kind.int32, .integer(1980)),
                    Property("iobase", Kind.unsigned(bits: 16), .integer(0x70)),
                    Property("irq", Kind.unsigned(bits: 8), .integer(8)),
                ]
            ]),
        DeviceDescription(
            "kvm-pit", bus: "ISA", .misc, "Interval timer in KVM",
            [[Property("lost_tick_policy", tickPolicy, .string("delay")), anyPort]]),
        DeviceDescription("isa-pit", bus: "ISA", .misc, "Interval timer", [[anyPort]]),
        DeviceDescription("isa-i8259", bus: "ISA", .misc, "Interrupt controller", [interruptController]),
        DeviceDescription("kvm-i8259", bus: "ISA", .misc, "Interrupt controller in KVM", [interruptController]),
        DeviceDescription(
            "isa-fdc", bus: "ISA", .storage, "Floppy controller",
            [
                [
                    Property("iobase", Kind.unsigned(bits: 32), .integer(0x3F0)),
                    Property("irq", Kind.unsigned(bits: 32), .integer(6)),
                    Property("dma", Kind.unsigned(bits: 32), .integer(2)),
                    Property("fdtypeA", floppyKind, .string("auto")), Property("fdtypeB", floppyKind, .string("auto")),
                    Property("fallback", floppyKind, .string("288")), Property("bootindexA", Kind.int32),
                    Property("bootindexB", Kind.int32),
                ]
            ]),
        DeviceDescription(
            "isa-pcspk", bus: "ISA", .sound, "Loudspeaker of the PC",
            [
                [
                    Property("audiodev", Kind.string), Property("iobase", Kind.unsigned(bits: 32), .integer(0x61)),
                    Property("migrate", Kind.bool, .bool(true)),
                ]
            ]),
        DeviceDescription(
            "i8042", bus: "ISA", .input, "Keyboard controller",
            [
                [
                    Property("extended-state", Kind.bool, .bool(true)), Property("kbd-throttle", Kind.bool, .bool(false)),
                    Property("kbd-irq", Kind.unsigned(bits: 8), .integer(1)),
                    Property("mouse-irq", Kind.unsigned(bits: 8), .integer(12)),
                ]
            ]),
        DeviceDescription(
            "vmport", bus: "ISA", .misc, "VMware's port",
            [
                [
                    Property("vmware-vmx-version", Kind.unsigned(bits: 32), .integer(6)),
                    Property("vmware-vmx-type", Kind.unsigned(bits: 8), .integer(2)),
                    Property("x-cmds-v2", Kind.bool, .bool(true)), Property("x-read-set-eax", Kind.bool, .bool(true)),
                    Property("x-report-vmx-type", Kind.bool, .bool(true)),
                    Property("x-signal-unsupported-cmd", Kind.bool, .bool(true)),
                ]
            ]),
        DeviceDescription(
            "cfi.pflash01", bus: "System", .storage, "Flash memory",
            [
                [
                    Property("drive", Kind.drive), Property("secure", Kind.bool, .bool(false)),
                    Property("big-endian", Kind.bool, .bool(false)), Property("name", Kind.string),
                    Property("num-blocks", Kind.unsigned(bits: 32), .integer(0)),
                    Property("sector-length", Kind.unsigned(bits: 64), .integer(0)),
                    Property("width", Kind.unsigned(bits: 8), .integer(0)),
                    Property("device-width", Kind.unsigned(bits: 8), .integer(0)),
                    Property("max-device-width", Kind.unsigned(bits: 8), .integer(0)),
                    Property("old-multiple-chip-handling", Kind.bool, .bool(false)),
                ],
                ["id0", "id1", "id2", "id3"].map { Property($0, Kind.unsigned(bits: 16), .integer(0)) },
            ]),
        DeviceDescription(
            "hpet", bus: "System", .misc, "Event timers",
            [
                [
                    Property("timers", Kind.unsigned(bits: 8), .integer(3)), Property("msi", Kind.bool, .bool(false)),
                    Property("hpet-intcap", Kind.unsigned(bits: 32), .integer(0)),
                    Property("hpet-offset-saved", Kind.bool, .bool(true)),
                ]
            ]),
        DeviceDescription(
            "ioapic", bus: "System", .misc, "I/O interrupt controller",
            [[Property("version", Kind.unsigned(bits: 8), .integer(0x20))]]),
        DeviceDescription(
            "kvm-ioapic", bus: "System", .misc, "I/O interrupt controller in KVM",
            [[Property("gsi_base", Kind.unsigned(bits: 32), .integer(0))]]),
        DeviceDescription("apic", bus: "System", .misc, "Local interrupt controller", [localController]),
        DeviceDescription("kvm-apic", bus: "System", .misc, "Local interrupt controller in KVM", [localController]),
        DeviceDescription(
            "kvmclock", bus: "System", .misc, "Clock of KVM's guests",
            [[Property("x-mach-use-reliable-get-clock", Kind.bool, .bool(true))]]),
        DeviceDescription("fw_cfg_io", bus: "System", .misc, "Tells firmware what there is", [firmwareTable]),
        DeviceDescription("fw_cfg_mem", bus: "System", .misc, "Tells firmware what there is", [firmwareTable]),
        DeviceDescription(
            "virtio-mmio", bus: "System", .misc, "Transport of virtio devices of microvm",
            [
                [
                    Property("force-legacy", Kind.bool, .bool(true)), Property("ioeventfd", Kind.bool, .bool(true)),
                    Property("format_transport_address", Kind.bool, .bool(true)),
                ]
            ]),
    ]

    /// A model on the boards, or nil.
    public static func onBoard(_ name: String) -> DeviceDescription? { board.first { $0.name == name } }

    /// A model by its own name, to be plugged or on the boards.
    public static func listed(_ name: String) -> DeviceDescription? {
        all.first { $0.name == name } ?? onBoard(name)
    }

    private static let tickPolicy = Kind.choice("LostTickPolicy", ["discard", "delay", "slew"])
    private static let floppyKind = Kind.choice("FdcDriveType", ["144", "288", "120", "none", "auto"])
    private static let anyPort = Property("iobase", Kind.unsigned(bits: 32), .integer(0xffff_ffff))
    private static let sleep: [DeviceProperty] = [
        Property("disable_s3", Kind.unsigned(bits: 8), .integer(0)),
        Property("disable_s4", Kind.unsigned(bits: 8), .integer(0)),
        Property("s4_val", Kind.unsigned(bits: 8), .integer(2)),
        Property("memory-hotplug-support", Kind.bool, .bool(true)),
        Property("acpi-pci-hotplug-with-bridge-support", Kind.bool, .bool(true)),
        Property("smm-compat", Kind.bool, .bool(false)),
    ]
    private static let piix: [DeviceProperty] = [
        Property("acpi-root-pci-hotplug", Kind.bool, .bool(true)), Property("smm-enabled", Kind.bool, .bool(false)),
        Property("smb_io_base", Kind.unsigned(bits: 32), .integer(0)),
        Property("x-not-migrate-acpi-index", Kind.bool, .bool(false)),
    ]
    private static let ich9: [DeviceProperty] = [
        Property("noreboot", Kind.bool, .bool(true)), Property("enable_tco", Kind.bool, .bool(true)),
        Property("cpu-hotplug-legacy", Kind.bool, .bool(false)), Property("x-smi-broadcast", Kind.bool, .bool(true)),
        Property("x-smi-cpu-hotplug", Kind.bool, .bool(true)),
        Property("x-smi-cpu-hotunplug", Kind.bool, .bool(true)),
        Property("x-keep-pci-slot-hpc", Kind.bool, .bool(false)),
    ]
    private static let host: [DeviceProperty] = [
        Property("pci-hole64-size", Kind.size, .integer(0)), Property("x-pci-hole64-fix", Kind.bool, .bool(true)),
        Property("short_root_bus", Kind.unsigned(bits: 32), .integer(0)),
        Property("bypass-iommu", Kind.bool, .bool(false)),
        Property("x-config-reg-migration-enabled", Kind.bool, .bool(true)),
    ]
    private static let interruptController: [DeviceProperty] = [
        anyPort, Property("elcr_addr", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        Property("elcr_mask", Kind.unsigned(bits: 8), .integer(0xff)), Property("master", Kind.bool, .bool(false)),
    ]
    private static let localController: [DeviceProperty] = [
        Property("version", Kind.unsigned(bits: 8), .integer(0x14)), Property("vapic", Kind.bool, .bool(true)),
        Property("id", Kind.unsigned(bits: 32)),
    ]
    private static let firmwareTable: [DeviceProperty] = [
        Property("dma_enabled", Kind.bool, .bool(true)), Property("acpi-mr-restore", Kind.bool, .bool(true)),
        Property("x-file-slots", Kind.unsigned(bits: 16), .integer(32)),
    ]
}
