internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// Graphics adapters, and keyboards and pointers for those who look at them.
    static let graphics: [DeviceDescription] = [
        DeviceDescription("VGA", bus: "PCI", .display, "VGA with Bochs's extensions", [pci, vga(16)]),
        DeviceDescription("usb-kbd", bus: "usb-bus", .input, "USB keyboard", [usb]),
        DeviceDescription("usb-mouse", bus: "usb-bus", .input, "USB mouse", [usb]),
        DeviceDescription("usb-tablet", bus: "usb-bus", .input, "USB tablet, which is told places", [usb]),
        DeviceDescription("isa-vga", bus: "ISA", .display, "VGA with Bochs's extensions, without PCI", [vga(8)]),
    ]

    private static let usb: [DeviceProperty] = [
        Property("port", Kind.string), Property("serial", Kind.string),
        Property("usb_version", Kind.unsigned(bits: 32), .integer(1)), Property("display", Kind.string),
        Property("head", Kind.unsigned(bits: 32), .integer(0)),
    ]

    private static func vga(_ mebibytes: Int64) -> [DeviceProperty] {
        [
            Property("vgamem_mb", Kind.unsigned(bits: 32), .integer(mebibytes), "Video memory in MiB, 1 to 256"),
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
