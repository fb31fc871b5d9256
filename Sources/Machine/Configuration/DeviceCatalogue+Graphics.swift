internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// Graphics adapters.
    static let graphics: [DeviceDescription] = [
        DeviceDescription("VGA", bus: "PCI", .display, "VGA with Bochs's extensions", [pci, vga(16)]),
        DeviceDescription("secondary-vga", bus: "PCI", .display, "The same without the ports of a VGA", [pci, vga(16)]),
        DeviceDescription("isa-vga", bus: "ISA", .display, "VGA with Bochs's extensions, without PCI", [vga(8)]),
    ]

    private static func vga(_ mebibytes: Int64) -> [DeviceProperty] {
        [
            Property("vgamem_mb", Kind.unsigned(bits: 32), .integer(mebibytes), "Video memory in MiB, 1 to 512, made a power of two"),
            Property("xres", Kind.unsigned(bits: 32), .integer(0)),
            Property("yres", Kind.unsigned(bits: 32), .integer(0)),
            Property("edid", Kind.bool, .bool(true)),
            Property("mmio", Kind.bool, .bool(true)),
            Property("qemu-extended-regs", Kind.bool, .bool(true)),
            Property("big-endian-framebuffer", Kind.bool, .bool(false)),
            Property("global-vmstate", Kind.bool, .bool(false)),
        ]
    }
}
