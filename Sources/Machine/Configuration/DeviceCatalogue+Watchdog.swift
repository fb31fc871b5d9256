extension DeviceCatalogue {
    /// Watchdogs; that of q35 is a part of its chipset.
    static let watchdogs: [DeviceDescription] = [
        DeviceDescription("i6300esb", bus: "PCI", .watchdog, "Intel 6300ESB", [pci]),
        DeviceDescription("ib700", bus: "ISA", .watchdog, "iBASE 700", []),
    ]
}
