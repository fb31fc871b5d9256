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
    private static let tpm: [DeviceProperty] = [
        Property("tpmdev", Kind.string, nil, "Name of a TPM back-end"), Property("ppi", Kind.bool, .bool(false)),
    ]
}
