internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// TPMs and parallel ports.
    static let peripherals: [DeviceDescription] = [
        DeviceDescription(
            "tpm-tis", bus: "ISA", .misc, "TPM with the FIFO interface",
            [tpm, [Property("irq", Kind.unsigned(bits: 32), .integer(5))]]),
        DeviceDescription("tpm-crb", bus: "System", .misc, "TPM with the command response buffer interface", [tpm]),
        DeviceDescription(
            "intel-iommu", bus: "System", .misc, "DMA-remapping unit that translates nothing (dma-translation=off)",
            [
                [
                    Property("aw-bits", Kind.unsigned(bits: 8), .integer(39), "Bits of addresses, 39 or 48"),
                    Property("caching-mode", Kind.bool, .bool(false)), Property("device-iotlb", Kind.bool, .bool(false)),
                    Property("dma-drain", Kind.bool, .bool(true)), Property("dma-translation", Kind.bool, .bool(true)),
                    Property("eim", Kind.onOffAuto, .string("auto")), Property("intremap", Kind.onOffAuto, .string("auto")),
                    Property("pt", Kind.bool, .bool(true)), Property("snoop-control", Kind.bool, .bool(false)),
                    Property("version", Kind.unsigned(bits: 32), .integer(0)),
                    Property("x-buggy-eim", Kind.bool, .bool(false)), Property("x-pasid-mode", Kind.bool, .bool(false)),
                    Property("x-scalable-mode", Kind.bool, .bool(false)),
                ]
            ]),
        DeviceDescription(
            "isa-parallel", bus: "ISA", .input, "Parallel port",
            [
                [
                    Property("chardev", Kind.characterDevice),
                    Property("index", Kind.unsigned(bits: 32), .integer(0xffff_ffff), "Number of the port, 0 to 2"),
                    Property("iobase", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
                    Property("irq", Kind.unsigned(bits: 32), .integer(7)),
                ]
            ]),
    ]
    /// Cirrus's adapters, and the framebuffer in guest memory.
    static let otherGraphics: [DeviceDescription] = [
        DeviceDescription("cirrus-vga", bus: "PCI", .display, "Cirrus CLGD 54xx VGA", [pci, cirrus]),
        DeviceDescription("isa-cirrus-vga", bus: "ISA", .display, "Cirrus CLGD 54xx VGA without PCI", [cirrus]),
        DeviceDescription("ramfb", bus: "System", .display, "ram framebuffer standalone device", []),
    ]
    private static let cirrus: [DeviceProperty] = [
        Property("vgamem_mb", Kind.unsigned(bits: 32), .integer(4), "Video memory in MiB: 2, 4, 8 or 16"),
        Property("blitter", Kind.bool, .bool(true)),
        Property("global-vmstate", Kind.bool, .bool(false)),
    ]
    private static let tpm: [DeviceProperty] = [
        Property("tpmdev", Kind.string, nil, "Name of a TPM back-end"), Property("ppi", Kind.bool, .bool(false)),
    ]
}
