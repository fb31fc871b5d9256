internal import JSON

private typealias Property = DeviceProperty
private typealias Kind = DeviceProperty.Kind

extension DeviceCatalogue {
    /// The virtio devices: each as `-device` for a virtio bus (MMIO), and as `-pci` in its three forms.
    static let virtio: [DeviceDescription] =
        family("blk", .storage, "virtio block device", blk, pci: bootIndex + blkPCI)
        + family("net", .network, "virtio network card", net, pci: bootIndex + netPCI)
        + family("rng", .misc, "virtio entropy device", rng)
        + family("9p", .storage, "virtio shared folder", share)
        + family("serial", .input, "virtio console and port bus", serial)
        + family("scsi", .storage, "virtio SCSI host", scsi)
        + family("balloon", .misc, "virtio memory balloon", balloon) + ports + modern
        + outside

    private static func family(
        _ name: String, _ category: DeviceDescription.Category, _ summary: String, _ own: [DeviceProperty],
        pci more: [DeviceProperty] = []
    ) -> [DeviceDescription] {
        let pciLists = [pci, virtioFeatures, virtioPCI, own, more]
        return [
            DeviceDescription(
                "virtio-\(name)-device", bus: "virtio-bus", category, summary, [virtioFeatures, own, more]),
            DeviceDescription(
                "virtio-\(name)-pci", alias: "virtio-\(name)", bus: "PCI", category, summary, pciLists),
            DeviceDescription(
                "virtio-\(name)-pci-transitional", bus: "PCI", category, "\(summary), with the legacy interface",
                pciLists),
            DeviceDescription(
                "virtio-\(name)-pci-non-transitional", bus: "PCI", category,
                "\(summary), without the legacy interface", pciLists),
        ]
    }

    private static let blk: [DeviceProperty] =
        image + [
            Property("config-wce", Kind.bool, .bool(true)),
            Property("num-queues", Kind.unsigned(bits: 16), .integer(0xffff)),
            Property("queue-size", Kind.unsigned(bits: 16), .integer(256)),
            Property("seg-max-adjust", Kind.bool, .bool(true)),
            Property("discard", Kind.bool, .bool(true)),
            Property("write-zeroes", Kind.bool, .bool(true)),
            Property("report-discard-granularity", Kind.bool, .bool(true)),
            Property("max-discard-sectors", Kind.unsigned(bits: 32), .integer(4_194_303)),
            Property("max-write-zeroes-sectors", Kind.unsigned(bits: 32), .integer(4_194_303)),
            Property("request-merging", Kind.bool, .bool(true)),
            Property("scsi", Kind.bool, .bool(false)),
            Property("iothread", Kind.object("iothread")),
        ]
    private static let blkPCI: [DeviceProperty] = [Property("class", Kind.unsigned(bits: 32), .integer(0))]

    private static let net: [DeviceProperty] =
        networkCard + [
            Property("csum", Kind.bool, .bool(true)),
            Property("guest_csum", Kind.bool, .bool(true)),
            Property("gso", Kind.bool, .bool(true)),
            Property("guest_tso4", Kind.bool, .bool(true)),
            Property("guest_tso6", Kind.bool, .bool(true)),
            Property("guest_ecn", Kind.bool, .bool(true)),
            Property("guest_ufo", Kind.bool, .bool(true)),
            Property("guest_announce", Kind.bool, .bool(true)),
            Property("host_tso4", Kind.bool, .bool(true)),
            Property("host_tso6", Kind.bool, .bool(true)),
            Property("host_ecn", Kind.bool, .bool(true)),
            Property("host_ufo", Kind.bool, .bool(true)),
            Property("mrg_rxbuf", Kind.bool, .bool(true)),
            Property("status", Kind.bool, .bool(true)),
            Property("ctrl_vq", Kind.bool, .bool(true)),
            Property("ctrl_rx", Kind.bool, .bool(true)),
            Property("ctrl_vlan", Kind.bool, .bool(true)),
            Property("ctrl_rx_extra", Kind.bool, .bool(true)),
            Property("ctrl_mac_addr", Kind.bool, .bool(true)),
            Property("ctrl_guest_offloads", Kind.bool, .bool(true)),
            Property("mq", Kind.bool, .bool(false)),
            Property("rss", Kind.bool, .bool(false)),
            Property("hash", Kind.bool, .bool(false)),
            Property("rx_queue_size", Kind.unsigned(bits: 16), .integer(256)),
            Property("tx_queue_size", Kind.unsigned(bits: 16), .integer(256)),
            Property("host_mtu", Kind.unsigned(bits: 16), .integer(0)),
            Property("speed", Kind.int32, .integer(-1)),
            Property("duplex", Kind.string),
            Property("tx", Kind.string),
        ]
    private static let netPCI: [DeviceProperty] = [
        Property("failover", Kind.bool, .bool(false)), Property("failover_pair_id", Kind.string),
    ]

    private static let scsi: [DeviceProperty] = [
        Property("num_queues", Kind.unsigned(bits: 32), .integer(0xffff_ffff)),
        Property("virtqueue_size", Kind.unsigned(bits: 32), .integer(256)),
        Property("seg_max_adjust", Kind.bool, .bool(true)),
        Property("max_sectors", Kind.unsigned(bits: 32), .integer(0xffff)),
        Property("cmd_per_lun", Kind.unsigned(bits: 32), .integer(128)),
        Property("hotplug", Kind.bool, .bool(true)),
        Property("param_change", Kind.bool, .bool(true)),
        Property("iothread", Kind.object("iothread")),
    ]

    private static let rng: [DeviceProperty] = [
        Property("rng", Kind.object("rng-backend")),
        Property("max-bytes", Kind.unsigned(bits: 64), .integer(Int64.max)),
        Property("period", Kind.unsigned(bits: 32), .integer(65536)),
    ]
    private static let share: [DeviceProperty] = [
        Property("fsdev", Kind.string, nil, "Name of a shared folder (-fsdev)"),
        Property("mount_tag", Kind.string, nil, "Name by which the guest mounts it"),
    ]
    private static let serial: [DeviceProperty] = [
        Property("max_ports", Kind.unsigned(bits: 32), .integer(31)),
        Property("emergency-write", Kind.bool, .bool(true)),
    ]
    private static let balloon: [DeviceProperty] = [
        Property("deflate-on-oom", Kind.bool, .bool(false)),
        Property("free-page-hint", Kind.bool, .bool(false)),
        Property("free-page-reporting", Kind.bool, .bool(false)),
        Property("page-poison", Kind.bool, .bool(true)),
        Property("iothread", Kind.object("iothread")),
    ]
    private static let port: [DeviceProperty] = [
        Property("chardev", Kind.characterDevice),
        Property("name", Kind.string, nil, "Name the guest sees"),
        Property("nr", Kind.unsigned(bits: 32), .integer(0xffff_ffff), "Number of the port"),
    ]
    /// Those that came after the legacy interface.
    private static let modern: [DeviceDescription] =
        [
            DeviceDescription(
                "virtio-gpu-pci", alias: "virtio-gpu", bus: "PCI", .display, "virtio graphics adapter",
                [pci, virtioFeatures, virtioPCI, gpu]),
            DeviceDescription(
                "virtio-vga", bus: "PCI", .display, "virtio graphics adapter that is a VGA too",
                [pci, virtioFeatures, virtioPCI, gpu, [Property("vgamem_mb", Kind.unsigned(bits: 32), .integer(8))]]),
        ]
        + ["keyboard", "mouse", "tablet"].flatMap { name in
            [
                DeviceDescription(
                    "virtio-\(name)-pci", alias: "virtio-\(name)", bus: "PCI", .input, "virtio \(name)",
                    [pci, virtioFeatures, virtioPCI, input]),
                DeviceDescription(
                    "virtio-\(name)-device", bus: "virtio-bus", .input, "virtio \(name)", [virtioFeatures, input]),
            ]
        }
    /// Those whose work another process does.
    private static let outside: [DeviceDescription] =
        [
            DeviceDescription(
                "vhost-user-fs-device", bus: "virtio-bus", .storage, "file system of virtiofsd",
                [virtioFeatures, vhostFS]),
            DeviceDescription(
                "vhost-user-fs-pci", bus: "PCI", .storage, "file system of virtiofsd",
                [pci, virtioFeatures, virtioPCI, bootIndex, vhostFS]),
            DeviceDescription(
                "vhost-user-blk", bus: "virtio-bus", .storage, "disk of another process",
                [virtioFeatures, bootIndex, vhostBlk]),
        ]
        + ["", "-transitional", "-non-transitional"].map { form in
            DeviceDescription(
                "vhost-user-blk-pci\(form)", bus: "PCI", .storage, "disk of another process",
                [pci, virtioFeatures, virtioPCI, bootIndex, vhostBlk, blkPCI])
        }
        + [
            DeviceDescription(
                "vhost-user-vsock-device", bus: "virtio-bus", .misc, "sockets to the host by another process",
                [virtioFeatures, vhostSocket]),
            DeviceDescription(
                "vhost-user-vsock-pci", bus: "PCI", .misc, "sockets to the host by another process",
                [pci, virtioFeatures, virtioPCI, vhostSocket]),
            DeviceDescription(
                "vhost-user-vsock-pci-non-transitional", bus: "PCI", .misc, "sockets to the host by another process",
                [pci, virtioFeatures, virtioPCI, vhostSocket]),
        ]
        + sockets("virtio", "sockets to the host by a Unix socket", [cid, socketPath])
        + sockets("vhost", "sockets to the host by its kernel", [cid, Property("vhostfd", Kind.string)])
    private static func sockets(
        _ prefix: String, _ summary: String, _ own: [DeviceProperty]
    ) -> [DeviceDescription] {
        [
            DeviceDescription("\(prefix)-vsock-device", bus: "virtio-bus", .misc, summary, [virtioFeatures, own]),
            DeviceDescription(
                "\(prefix)-vsock-pci", bus: "PCI", .misc, summary, [pci, virtioFeatures, virtioPCI, own]),
            DeviceDescription(
                "\(prefix)-vsock-pci-non-transitional", bus: "PCI", .misc, summary,
                [pci, virtioFeatures, virtioPCI, own]),
        ]
    }
    private static let cid = Property(
        "guest-cid", Kind.unsigned(bits: 64), .integer(0), "The guest's address, 3 or more")
    private static let socketPath = Property(
        "path", Kind.string, nil, "Unix socket: clients write 'CONNECT port'; the guest's go to PATH_port")
    private static let vhostFS: [DeviceProperty] = [
        Property("chardev", Kind.characterDevice),
        Property("tag", Kind.string, nil, "Name by which the guest mounts it"),
        Property("num-request-queues", Kind.unsigned(bits: 16), .integer(1)),
        Property("queue-size", Kind.unsigned(bits: 16), .integer(128)),
    ]
    private static let vhostBlk: [DeviceProperty] = [
        Property("chardev", Kind.characterDevice), Property("num-queues", Kind.unsigned(bits: 16), .integer(0xffff)),
        Property("queue-size", Kind.unsigned(bits: 32), .integer(128)),
        Property("config-wce", Kind.bool, .bool(true)),
    ]
    private static let vhostSocket: [DeviceProperty] = [Property("chardev", Kind.characterDevice)]
    private static let gpu: [DeviceProperty] = [
        Property("max_outputs", Kind.unsigned(bits: 32), .integer(1), "Outputs, 1 to 16"),
        Property("max_hostmem", Kind.size, .integer(256 << 20), "Memory of pictures"),
        Property("xres", Kind.unsigned(bits: 32), .integer(1280)),
        Property("yres", Kind.unsigned(bits: 32), .integer(800)),
        Property("edid", Kind.bool, .bool(true)),
        Property("blob", Kind.bool, .bool(false)),
    ]
    private static let input: [DeviceProperty] = [
        Property("serial", Kind.string), Property("display", Kind.string),
        Property("head", Kind.unsigned(bits: 32), .integer(0)),
    ]
    private static let ports: [DeviceDescription] = [
        DeviceDescription("virtserialport", bus: "virtio-serial-bus", .input, "virtio serial port", [port]),
        DeviceDescription("virtconsole", bus: "virtio-serial-bus", .input, "virtio console", [port]),
    ]
}
