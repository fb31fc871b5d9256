internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// USB controllers, and what is connected to them.
    static let usb: [DeviceDescription] =
        [
            DeviceDescription("qemu-xhci", bus: "PCI", .usb, "USB 3 controller (xHCI)", [pci, xhci]),
            DeviceDescription("nec-usb-xhci", bus: "PCI", .usb, "NEC's USB 3 controller (xHCI)", [pci, xhci]),
            DeviceDescription("usb-ehci", bus: "PCI", .usb, "USB 2 controller (EHCI)", [pci, ehci]),
            DeviceDescription("ich9-usb-ehci1", bus: "PCI", .usb, "The ICH9's first EHCI controller", [pci, ehci]),
            DeviceDescription("ich9-usb-ehci2", bus: "PCI", .usb, "The ICH9's second EHCI controller", [pci, ehci]),
            DeviceDescription("piix3-usb-uhci", bus: "PCI", .usb, "The PIIX3's UHCI controller", [pci, uhci]),
            DeviceDescription("piix4-usb-uhci", bus: "PCI", .usb, "The PIIX4's UHCI controller", [pci, uhci]),
        ]
        + (1...6).map { number in
            DeviceDescription(
                "ich9-usb-uhci\(number)", bus: "PCI", .usb, "The ICH9's UHCI controller \(number)", [pci, uhci])
        } + [
            DeviceDescription("usb-hub", bus: "usb-bus", .usb, "USB hub of eight ports", [device, hub]),
            DeviceDescription("usb-kbd", bus: "usb-bus", .input, "USB keyboard", [device, human]),
            DeviceDescription("usb-mouse", bus: "usb-bus", .input, "USB mouse", [device, human]),
            DeviceDescription("usb-tablet", bus: "usb-bus", .input, "USB tablet, which is told places", [device, human]),
            DeviceDescription(
                "usb-storage", bus: "usb-bus", .storage, "USB disk or CD drive, bulk only",
                [device, bootIndex, image, [Property("removable", Kind.bool, .bool(false))]]),
        ]

    private static let xhci: [DeviceProperty] = [
        Property("p2", Kind.unsigned(bits: 32), .integer(4), "Ports of USB 2, 1 to 15"),
        Property("p3", Kind.unsigned(bits: 32), .integer(4), "Ports of USB 3, up to 15"),
        Property("slots", Kind.unsigned(bits: 32), .integer(64), "Devices at most, 1 to 64"),
        Property("intrs", Kind.unsigned(bits: 32), .integer(16), "Interrupters, 1 to 16"),
        Property("msi", Kind.onOffAuto, .string("auto")),
        Property("msix", Kind.onOffAuto, .string("auto")),
        Property("streams", Kind.bool, .bool(true)),
    ]
    private static let ehci: [DeviceProperty] = [Property("maxframes", Kind.unsigned(bits: 32), .integer(128))]
    private static let uhci: [DeviceProperty] = [
        Property("masterbus", Kind.string, nil, "The EHCI controller's bus that it is a companion of"),
        Property("firstport", Kind.unsigned(bits: 32), .integer(0), "The first of that bus's ports that it serves"),
        Property("bandwidth", Kind.unsigned(bits: 32), .integer(1280)),
        Property("maxframes", Kind.unsigned(bits: 32), .integer(128)),
    ]
    private static let device: [DeviceProperty] = [
        Property("port", Kind.string, nil, "Port, from 1 on; behind hubs: 1.2"),
        Property("serial", Kind.string),
        Property("msos-desc", Kind.bool, .bool(true)),
        Property("attached", Kind.bool, .bool(true)),
    ]
    private static let human: [DeviceProperty] = [
        Property("usb_version", Kind.unsigned(bits: 32), .integer(2), "1 or 2"), Property("display", Kind.string),
        Property("head", Kind.unsigned(bits: 32), .integer(0)),
    ]
    private static let hub: [DeviceProperty] = [Property("port-power", Kind.bool, .bool(false))]
}
