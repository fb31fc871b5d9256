public import JSON

/// What the values of a device's properties must obey beyond their types. In QEMU's words, which scripts know.
extension DeviceDescription {
    /// What is wrong with the properties of a device, as a sentence; nil where they fit. The properties are those that
    /// were given and those of `-global`, typed as the table declares.
    public func objection(to properties: JSONObject) -> String? {
        let family = bus == "PCI" || bus == "virtio-bus" ? BoardBuilder.kind(of: name) : nil
        if property("logical_block_size") != nil, let words = Self.image(properties) { return words }
        if bus == "PCI", family != nil, let words = transport(properties) { return words }
        switch family {
        case "blk": return disk(properties)
        case "net": return Self.card(properties)
        case "scsi": return Self.host(properties)
        case "rng": return number(properties, "period") == 0 ? "'period' parameter expects a positive integer" : nil
        case "serial":
            let ports = number(properties, "max_ports")
            if ports == 0 { return "Maximum number of serial ports not specified" }
            return ports ?? 0 > 511 ? "maximum ports supported: 511" : nil
        default: break
        }
        if name == "virtserialport", number(properties, "nr") == 0 {
            return "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility."
        }
        return nil
    }

    /// Models of which a machine has one, with what is said of a second.
    public static let single: [String: String] = [
        "intel-iommu": "QEMU does not support multiple vIOMMUs for x86 yet.",
        "pvpanic": "duplicate fw_cfg file name: etc/pvpanic-port",
        "vmcoreinfo": "at most one vmcoreinfo device is permitted",
        "vmgenid": "at most one vmgenid device is permitted",
    ]

    private func number(_ properties: JSONObject, _ name: String) -> UInt64? { properties[name]?.uint64Value }
    private static func isPowerOfTwo(_ number: UInt64) -> Bool { number != 0 && number & (number - 1) == 0 }

    /// Sizes of blocks, and sizes in blocks.
    private static func image(_ properties: JSONObject) -> String? {
        for name in ["logical_block_size", "physical_block_size"] {
            guard let size = properties[name]?.uint64Value, size != 0 else { continue }
            guard (512...2 << 20).contains(size) else {
                return "Property .\(name) doesn't take value \(size) (minimum: 512, maximum: 2097152)"
            }
            guard isPowerOfTwo(size) else {
                return "Property .\(name) doesn't take value '\(size)', it's not a power of 2"
            }
        }
        let logical = properties["logical_block_size"]?.uint64Value.flatMap { $0 == 0 ? nil : $0 } ?? 512
        // Where nothing is said of physical blocks they are as large as the logical ones.
        if let physical = properties["physical_block_size"]?.uint64Value, physical != 0, physical < logical {
            return "logical_block_size > physical_block_size not supported"
        }
        for name in ["min_io_size", "opt_io_size", "discard_granularity"] {
            guard let size = properties[name]?.uint64Value, size % logical != 0 else { continue }
            // The number that stands for none given.
            if name == "discard_granularity", size == 0xffff_ffff { continue }
            return "\(name) must be a multiple of logical_block_size"
        }
        return nil
    }

    private func transport(_ properties: JSONObject) -> String? {
        let lacksLegacy = properties["disable-legacy"]?.stringValue == "on" || name.hasSuffix("-non-transitional")
        guard lacksLegacy, properties["disable-modern"] == true else { return nil }
        return "device cannot work as neither modern nor legacy mode is enabled;"
            + " set either disable-modern or disable-legacy to off"
    }

    private func disk(_ properties: JSONObject) -> String? {
        switch number(properties, "num-queues") {
        case 0?: return "num-queues property must be larger than 0"
        // The property's largest number stands for one for each processor.
        case let count? where count > 1024 && count != 0xffff:
            return "invalid num-queues property (\(count)), must be at most 1024"
        default: break
        }
        if let size = number(properties, "queue-size") {
            if size <= 2 { return "invalid queue-size property (\(size)), must be > 2" }
            if !Self.isPowerOfTwo(size) || size > 1024 {
                return "invalid queue-size property (\(size)), must be a power of 2 (max 1024)"
            }
        }
        for name in ["max-discard-sectors", "max-write-zeroes-sectors"] {
            if let most = number(properties, name), !(1...4_194_303).contains(most) {
                return "invalid \(name) property (\(most)), must be between 1 and 4194303"
            }
        }
        if properties["scsi"] == true, bus == "PCI", properties["disable-modern"] != true {
            return "Please set scsi=off for virtio-blk devices in order to use virtio 1.0"
        }
        return geometry(properties)
    }

    /// Cylinders, heads and sectors, all or none.
    private func geometry(_ properties: JSONObject) -> String? {
        let limits: [(name: String, most: UInt64)] = [("cyls", 65535), ("heads", 255), ("secs", 255)]
        guard limits.contains(where: { number(properties, $0.name) ?? 0 != 0 }) else { return nil }
        let wrong = limits.first { !(1...$0.most).contains(number(properties, $0.name) ?? 0) }
        return wrong.map { "\($0.name) must be between 1 and \($0.most)" }
    }

    private static func card(_ properties: JSONObject) -> String? {
        for (name, end) in [("rx_queue_size", "."), ("tx_queue_size", "")] {
            guard let size = properties[name]?.uint64Value else { continue }
            if !isPowerOfTwo(size) || !(256...1024).contains(size) {
                return "Invalid \(name) (= \(size)), must be a power of 2 between 256 and 1024\(end)"
            }
        }
        if let duplex = properties["duplex"]?.stringValue, duplex != "half", duplex != "full" {
            return "'duplex' must be 'half' or 'full'"
        }
        if let speed = properties["speed"]?.int64Value, speed < -1 { return "'speed' must be between 0 and INT_MAX" }
        return nil
    }

    private static func host(_ properties: JSONObject) -> String? {
        if let queues = properties["num_queues"]?.uint64Value, queues != 0xffff_ffff, !(1..<1022).contains(queues) {
            return "Invalid number of queues (= \(queues)), must be a positive integer less than 1022."
        }
        guard let size = properties["virtqueue_size"]?.uint64Value else { return nil }
        if size <= 2 { return "invalid virtqueue_size property (= \(size)), must be > 2" }
        // QEMU ends itself at more, and its queues are wrong where it is no power of two.
        if !isPowerOfTwo(size) || size > 1024 {
            return "invalid virtqueue_size property (= \(size)), must be a power of 2 (max 1024)"
        }
        return nil
    }
}
