internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// Sound cards and codecs.
    static let audio: [DeviceDescription] = [
        DeviceDescription(
            "AC97", alias: "ac97", bus: "PCI", .sound, "Intel 82801AA AC97 Audio", [pci, audioBackend]),
        DeviceDescription("intel-hda", bus: "PCI", .sound, "Intel HD Audio Controller (ich6)", [pci, controller]),
        DeviceDescription("ich9-intel-hda", bus: "PCI", .sound, "Intel HD Audio Controller (ich9)", [pci, controller]),
        DeviceDescription("hda-output", bus: "HDA", .sound, "HDA Audio Codec, output-only (line-out)", [codec]),
        DeviceDescription("hda-duplex", bus: "HDA", .sound, "HDA Audio Codec, duplex (line-out, line-in)", [codec]),
        DeviceDescription("hda-micro", bus: "HDA", .sound, "HDA Audio Codec, duplex (speaker, microphone)", [codec]),
    ]

    private static let audioBackend = [Property("audiodev", Kind.string, nil, "Name of an audio back-end")]
    private static let controller: [DeviceProperty] = [
        Property("debug", Kind.unsigned(bits: 32), .integer(0)),
        Property("msi", Kind.onOffAuto, .string("auto")),
        Property("old_msi_addr", Kind.bool, .bool(false)),
    ]
    private static let codec: [DeviceProperty] =
        audioBackend + [
            Property("cad", Kind.unsigned(bits: 32), .integer(0xffff_ffff), "Address on the link, 0 to 14"),
            Property("debug", Kind.unsigned(bits: 32), .integer(0)),
            Property("mixer", Kind.bool, .bool(true)),
            Property("use-timer", Kind.bool, .bool(true)),
        ]
}
