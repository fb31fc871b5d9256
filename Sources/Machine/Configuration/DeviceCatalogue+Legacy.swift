internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// The devices of a PC before virtio, and those for tests.
    static let legacy: [DeviceDescription] = [
        DeviceDescription(
            "isa-serial", bus: "ISA", .input, "16550A serial port",
            [
                [
                    Property("chardev", Kind.characterDevice),
                    Property("index", Kind.unsigned(bits: 32), .integer(0xffff_ffff), "Number of the port, 0 to 3"),
                    Property("iobase", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
                    Property("irq", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
                    Property("baudbase", Kind.unsigned(bits: 32), .integer(115200)),
                    Property("wakeup", Kind.bool, .bool(false)),
                ]
            ]),
        DeviceDescription(
            "isa-debug-exit", bus: "ISA", .misc, "Ends the machine at a write",
            [
                [
                    Property("iobase", Kind.unsigned(bits: 32), .integer(0x501)),
                    Property("iosize", Kind.unsigned(bits: 32), .integer(2)),
                ]
            ]),
        DeviceDescription(
            "isa-debugcon", bus: "ISA", .misc, "Debug port of firmware",
            [
                [
                    Property("chardev", Kind.characterDevice),
                    Property("iobase", Kind.unsigned(bits: 32), .integer(0xe9)),
                    Property("readback", Kind.unsigned(bits: 32), .integer(0xe9)),
                ]
            ]),
        DeviceDescription(
            "pvpanic", bus: "ISA", .misc, "Tells of a panic of the guest",
            [
                [
                    Property("ioport", Kind.unsigned(bits: 16), .integer(0x505)),
                    Property("events", Kind.unsigned(bits: 8), .integer(3)),
                ]
            ]),
        DeviceDescription(
            "pc-dimm", bus: "memory", .misc, "DIMM memory module",
            [
                [
                    Property("addr", Kind.unsigned(bits: 64), .integer(0), "First address; 0 for any"),
                    Property("memdev", Kind.object("memory-backend"), nil, "The object that is its memory"),
                    Property("node", Kind.unsigned(bits: 32), .integer(0), "Node of memory"),
                    Property("slot", Kind.int32, .integer(-1), "Slot; -1 for any"),
                ]
            ]),
        DeviceDescription(
            "vmgenid", bus: "System", .misc, "Virtual Machine Generation ID",
            [[Property("guid", Kind.string, .string("auto"), "UUID, or auto for one of its own choice")]]),
        DeviceDescription("vmcoreinfo", bus: "System", .misc, "Takes what the guest's kernel tells debuggers", []),
        DeviceDescription("pci-testdev", bus: "PCI", .misc, "PCI Test Device", [pci]),
        DeviceDescription(
            "pcie-root-port", bus: "PCI", .bridge, "PCI Express root port, with hot plug",
            [
                pci,
                [
                    Property("port", Kind.unsigned(bits: 8), .integer(0)),
                    Property("chassis", Kind.unsigned(bits: 8), .integer(0)),
                    Property("slot", Kind.unsigned(bits: 16), .integer(0)),
                    Property("hotplug", Kind.bool, .bool(true)),
                    Property("io-reserve", Kind.size, .integer(-1)),
                    Property("mem-reserve", Kind.size, .integer(-1)),
                    Property("pref64-reserve", Kind.size, .integer(-1)),
                    Property("bus-reserve", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
                ],
            ]),
        DeviceDescription(
            "pcie-pci-bridge", bus: "PCI", .bridge, "PCI Express port's bridge to conventional PCI",
            [pci, [Property("msi", Kind.onOffAuto, .string("auto")), Property("shpc", Kind.bool, .bool(false))]]),
        DeviceDescription(
            "pci-bridge", bus: "PCI", .bridge, "Bridge to more slots of conventional PCI",
            [
                pci,
                [
                    Property("chassis_nr", Kind.unsigned(bits: 8), .integer(0)),
                    Property("msi", Kind.onOffAuto, .string("auto")), Property("shpc", Kind.bool, .bool(false)),
                ],
            ]),
        DeviceDescription("pc-testdev", bus: "ISA", .misc, "Ports and memory for test kernels", []),
        DeviceDescription(
            "testdev", bus: "ISA", .misc, "The same with a log and an exit port",
            [[Property("chardev", Kind.characterDevice)]]),
        DeviceDescription(
            "e1000", alias: "e1000-82540em", bus: "PCI", .network, "Intel Gigabit Ethernet",
            [
                pci, bootIndex, networkCard,
                [
                    Property("autonegotiation", Kind.bool, .bool(true)),
                    Property("mitigation", Kind.bool, .bool(true)),
                    Property("extra_mac_registers", Kind.bool, .bool(true)),
                    Property("init-vet", Kind.bool, .bool(true)),
                    Property("migrate_tso_props", Kind.bool, .bool(true)),
                ],
            ]),
        DeviceDescription(
            "e1000e", bus: "PCI", .network, "Intel 82574L GbE Controller",
            [
                pci, bootIndex, networkCard,
                [
                    Property("disable_vnet_hdr", Kind.bool, .bool(false)),
                    Property("subsys", Kind.unsigned(bits: 16), .integer(0)),
                    Property("subsys_ven", Kind.unsigned(bits: 16), .integer(0x8086)),
                    Property("init-vet", Kind.bool, .bool(true)),
                ],
            ]),
        DeviceDescription(
            "pcnet", bus: "PCI", .network, "AMD PCnet-PCI II", [pci, bootIndex, networkCard]),
        DeviceDescription(
            "rtl8139", bus: "PCI", .network, "Realtek RTL8139C+", [pci, bootIndex, networkCard]),
        DeviceDescription(
            "ide-hd", bus: "IDE", .storage, "IDE disk",
            [
                bootIndex, image, ideDrive,
                [
                    Property("rotation_rate", Kind.unsigned(bits: 16), .integer(0)),
                    Property(
                        "bios-chs-trans", Kind.choice("BiosAtaTranslation", ["auto", "none", "lba", "large", "rechs"]),
                        .string("auto")),
                ],
            ]),
        DeviceDescription("ide-cd", bus: "IDE", .storage, "IDE CD-ROM drive", [bootIndex, image, ideDrive]),
    ]

    /// SCSI units and NVMe.
    static let storage: [DeviceDescription] = [
        DeviceDescription("ich9-ahci", alias: "ahci", bus: "PCI", .storage, "AHCI controller of six ports", [pci]),
        DeviceDescription(
            "floppy", bus: "floppy-bus", .storage, "Diskette drive",
            [bootIndex, image, [Property("unit", Kind.unsigned(bits: 32), .integer(0xffff_ffff))]]),
        DeviceDescription(
            "scsi-hd", bus: "SCSI", .storage, "virtual SCSI disk", [bootIndex, image, scsiUnit]),
        DeviceDescription(
            "scsi-cd", bus: "SCSI", .storage, "virtual SCSI CD-ROM", [bootIndex, image, scsiUnit]),
        DeviceDescription(
            "nvme", bus: "PCI", .storage, "Non-Volatile Memory Express",
            [
                pci, bootIndex, image,
                [
                    Property("max_ioqpairs", Kind.unsigned(bits: 32), .integer(64)),
                    Property("msix_qsize", Kind.unsigned(bits: 16), .integer(65)),
                    Property("mdts", Kind.unsigned(bits: 8), .integer(7)),
                    Property("iothread", Kind.object("iothread")),
                ],
            ]),
    ]
    private static let scsiUnit: [DeviceProperty] = [
        Property("channel", Kind.unsigned(bits: 32), .integer(0)),
        Property("scsi-id", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        Property("lun", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        Property("ver", Kind.string), Property("vendor", Kind.string), Property("product", Kind.string),
        Property("device_id", Kind.string), Property("wwn", Kind.unsigned(bits: 64), .integer(0)),
        Property("rotation_rate", Kind.unsigned(bits: 16), .integer(0)),
        Property("removable", Kind.bool, .bool(false)), Property("dpofua", Kind.bool, .bool(false)),
    ]

    private static let ideDrive: [DeviceProperty] = [
        Property("unit", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        Property("ver", Kind.string),
        Property("model", Kind.string),
        Property("wwn", Kind.unsigned(bits: 64), .integer(0)),
    ]
}
