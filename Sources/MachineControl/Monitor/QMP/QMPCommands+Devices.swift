internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let characterDevice = SchemaObject(
        "ChardevInfo",
        [SchemaMember("label", .string), SchemaMember("filename", .string), SchemaMember("frontend-open", .boolean)])
    private static let pciRange = SchemaMember("regions", .array(.any))
    private static let pciDevice = SchemaObject(
        "PciDeviceInfo",
        [
            SchemaMember("bus", .integer), SchemaMember("slot", .integer), SchemaMember("function", .integer),
            SchemaMember("class_info", .any), SchemaMember("id", .any), SchemaMember("irq", .integer, optional: true),
            SchemaMember("irq_pin", .integer), SchemaMember("qdev_id", .string), pciRange,
        ])
    private static let image = SchemaObject(
        "ImageInfo",
        [
            SchemaMember("filename", .string), SchemaMember("format", .string), SchemaMember("virtual-size", .integer),
            SchemaMember("dirty-flag", .boolean, optional: true), SchemaMember("actual-size", .integer, optional: true),
            SchemaMember("backing-filename", .string, optional: true),
        ])
    private static let cache = SchemaObject(
        "BlockdevCacheInfo",
        [SchemaMember("writeback", .boolean), SchemaMember("direct", .boolean), SchemaMember("no-flush", .boolean)])
    static let inserted = SchemaObject(
        "BlockDeviceInfo",
        [
            SchemaMember("file", .string), SchemaMember("node-name", .string, optional: true),
            SchemaMember("ro", .boolean), SchemaMember("drv", .string),
            SchemaMember("backing_file", .string, optional: true), SchemaMember("backing_file_depth", .integer),
            SchemaMember("encrypted", .boolean),
            SchemaMember("detect_zeroes", .enumeration("BlockdevDetectZeroesOptions", DetectZeroes.words)),
            SchemaMember("image", .object(image)), SchemaMember("cache", .object(cache)),
            SchemaMember("write_threshold", .integer),
        ] + ["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"].map { SchemaMember($0, .integer) }
            + limitNames.dropFirst(6).map { SchemaMember($0, .integer, optional: true) } + [
                SchemaMember("group", .string, optional: true),
                SchemaMember("dirty-bitmaps", .array(.object(dirtyBitmap)), optional: true),
            ])
    private static let dirtyBitmap = SchemaObject(
        "BlockDirtyInfo",
        [
            SchemaMember("name", .string, optional: true), SchemaMember("count", .integer),
            SchemaMember("granularity", .integer), SchemaMember("recording", .boolean),
            SchemaMember("busy", .boolean), SchemaMember("persistent", .boolean),
            SchemaMember("inconsistent", .boolean, optional: true),
        ])
    private static let block = SchemaObject(
        "BlockInfo",
        [
            SchemaMember("device", .string), SchemaMember("qdev", .string, optional: true),
            SchemaMember("type", .string), SchemaMember("removable", .boolean), SchemaMember("locked", .boolean),
            SchemaMember("inserted", .object(inserted), optional: true),
            SchemaMember("tray_open", .boolean, optional: true),
            SchemaMember(
                "io-status", .enumeration("BlockDeviceIoStatus", ["ok", "failed", "nospace"]), optional: true),
        ])
    private static let blockStatistics = SchemaObject(
        "BlockStats",
        [
            SchemaMember("device", .string, optional: true), SchemaMember("qdev", .string, optional: true),
            SchemaMember("node-name", .string, optional: true), SchemaMember("stats", .object(counts)),
            SchemaMember(
                "parent",
                .object(
                    SchemaObject(
                        "BlockStatsParent",
                        [SchemaMember("node-name", .string, optional: true), SchemaMember("stats", .object(counts))])),
                optional: true),
        ])
    private static let counts = SchemaObject(
        "BlockDeviceStats",
        statisticsPairs(BlockDeviceStatus.Statistics()).map { SchemaMember($0.0, .integer) } + [
            SchemaMember("account_invalid", .boolean), SchemaMember("account_failed", .boolean),
            SchemaMember("timed_stats", .array(.any)),
        ])
    private static let property = SchemaObject(
        "ObjectPropertyInfo",
        [
            SchemaMember("name", .string), SchemaMember("type", .string),
            SchemaMember("description", .string, optional: true), SchemaMember("default-value", .any, optional: true),
        ])

    static let devices: [QMPCommand] = [
        QMPCommand("query-block", returns: SchemaType.array(.object(block))) { (context, _) throws(MonitorError) in
            .array(context.machine.blockDevices.map(blockValue))
        },
        QMPCommand(
            "query-blockstats", [SchemaMember("query-nodes", .boolean, optional: true)],
            returns: SchemaType.array(.object(blockStatistics))
        ) { (context, arguments) throws(MonitorError) in
            // Requests are counted where devices make them: nodes have none of their own.
            guard arguments["query-nodes"] == true else {
                return .array(context.machine.blockDevices.map(statisticsValue))
            }
            return .array(context.machine.blockNodes.map { .object(nodeStatistics($0.image)) })
        },
        QMPCommand("query-chardev", returns: SchemaType.array(.object(characterDevice))) {
            (context, _) throws(MonitorError) in
            .array(
                context.machine.characterDevices.map { device in
                    [
                        "frontend-open": .bool(device.isOpen), "filename": .string(device.filename),
                        "label": .string(device.label),
                    ]
                })
        },
        QMPCommand(
            "query-pci",
            returns: SchemaType.array(
                .object(
                    SchemaObject(
                        "PciInfo", [SchemaMember("bus", .integer), SchemaMember("devices", .array(.object(pciDevice)))])
                ))
        ) { (context, _) throws(MonitorError) in
            let functions = context.machine.pciFunctions
            let buses = Set(functions.map(\.bus)).sorted()
            return .array(
                buses.map { bus in
                    ["bus": .number(bus), "devices": .array(functions.filter { $0.bus == bus }.map(pciValue))]
                })
        },
        QMPCommand(
            "set_link", [SchemaMember("name", .string), SchemaMember("up", .boolean)]
        ) { (context, arguments) throws(MonitorError) in
            let name = arguments["name"]?.stringValue ?? ""
            let isUp = arguments["up"] == true
            try monitored { () throws(MachineError) in try context.machine.setLink(name, isUp: isUp) }
            return [:]
        },
        QMPCommand(
            "device-list-properties", [SchemaMember("typename", .string)], returns: SchemaType.array(.object(property))
        ) { (_, arguments) throws(MonitorError) in
            let name = arguments["typename"]?.stringValue ?? ""
            guard let device = DeviceCatalogue.listed(name) else {
                throw .deviceNotFound("Device '\(printable(name))' not found")
            }
            return .array(device.properties.map(propertyValue))
        },
    ]

    private static func propertyValue(_ property: DeviceProperty) -> JSONValue {
        var object: JSONObject = [:]
        if let value = property.defaultValue { object["default-value"] = value }
        object["name"] = .string(property.name)
        if !property.help.isEmpty { object["description"] = .string(property.help) }
        object["type"] = .string(property.kind.typeName)
        return .object(object)
    }

    private static func pciValue(_ function: PCIFunctionStatus) -> JSONValue {
        var object: JSONObject = [
            "irq_pin": .number(function.interruptPin), "bus": .number(function.bus), "qdev_id": .string(function.id),
        ]
        if function.interruptPin != 0 { object["irq"] = .number(function.interruptLine) }
        object["slot"] = .number(function.slot)
        object["class_info"] = [
            "class": .number(function.classCode), "desc": .string(PCIClass.name(function.classCode)),
        ]
        object["id"] = [
            "device": .number(function.device), "subsystem-vendor": .number(function.subsystemVendor),
            "vendor": .number(function.vendor), "subsystem": .number(function.subsystem),
        ]
        object["function"] = .number(function.function)
        object["regions"] = .array(
            function.regions.map { region in
                var object: JSONObject = [:]
                if !region.isIO {
                    object["prefetch"] = .bool(region.isPrefetchable)
                    object["mem_type_64"] = .bool(region.is64Bit)
                }
                object["bar"] = .number(region.bar)
                object["size"] = .number(region.size)
                object["address"] = region.address.map { .number($0) } ?? -1
                object["type"] = region.isIO ? "io" : "memory"
                return .object(object)
            })
        return .object(object)
    }

    private static func blockValue(_ device: BlockDeviceStatus) -> JSONValue {
        var object: JSONObject = [:]
        if let health = device.health {
            object["io-status"] = .string(health.rawValue)
        } else if device.isTrayOpen != nil {
            object["io-status"] = "ok"
        }
        object["device"] = .string(device.device)
        object["locked"] = .bool(device.isLocked)
        object["removable"] = .bool(device.isRemovable)
        if let image = device.image { object["inserted"] = imageValue(image) }
        if let path = device.devicePath { object["qdev"] = .string(path) }
        if let isOpen = device.isTrayOpen { object["tray_open"] = .bool(isOpen) }
        object["type"] = "unknown"
        return .object(object)
    }

    static func imageValue(_ image: BlockDeviceStatus.Image) -> JSONValue {
        var file: JSONObject = [
            "virtual-size": .number(image.virtualSize), "filename": .string(image.file),
            "format": .string(image.format), "dirty-flag": false,
        ]
        if let size = image.actualSize { file["actual-size"] = .number(size) }
        if let backing = image.backingFile { file["backing-filename"] = .string(backing) }
        var object: JSONObject = [
            "iops_rd": 0, "detect_zeroes": .string(image.detectZeroes.rawValue), "image": .object(file), "iops_wr": 0,
            "ro": .bool(image.isReadOnly), "node-name": .string(image.nodeName),
            "backing_file_depth": .number(image.backingDepth), "drv": .string(image.format), "iops": 0, "bps_wr": 0,
            "write_threshold": .number(image.writeThreshold), "encrypted": false, "bps": 0, "bps_rd": 0,
            "cache": [
                "no-flush": .bool(image.cache.ignoresFlush), "direct": .bool(image.cache.isDirect),
                "writeback": .bool(image.cache.isWriteBack),
            ],
            "file": .string(image.file),
        ]
        if let backing = image.backingFile { object["backing_file"] = .string(backing) }
        for (name, value) in image.limits.sorted(by: { $0.key < $1.key }) { object[name] = .number(value) }
        if let group = image.limitGroup { object["group"] = .string(group) }
        if !image.bitmaps.isEmpty { object["dirty-bitmaps"] = .array(image.bitmaps.map(bitmapValue)) }
        return .object(object)
    }

    private static func bitmapValue(_ bitmap: BlockDeviceStatus.DirtyBitmap) -> JSONValue {
        var object: JSONObject = [
            "name": .string(bitmap.name), "recording": .bool(bitmap.isRecording),
            "persistent": .bool(bitmap.isPersistent), "busy": .bool(bitmap.isBusy),
            "granularity": .number(bitmap.granularity), "count": .number(bitmap.dirtyBytes),
        ]
        if bitmap.isInconsistent { object["inconsistent"] = true }
        return .object(object)
    }

    private static func statisticsPairs(_ counts: BlockDeviceStatus.Statistics) -> [(String, UInt64)] {
        [
            ("rd_bytes", counts.readBytes), ("wr_bytes", counts.writtenBytes), ("unmap_bytes", counts.discardedBytes),
            ("rd_operations", counts.reads), ("wr_operations", counts.writes), ("flush_operations", counts.flushes),
            ("unmap_operations", counts.discards), ("rd_total_time_ns", counts.readTime),
            ("wr_total_time_ns", counts.writeTime), ("flush_total_time_ns", counts.flushTime),
            ("unmap_total_time_ns", counts.discardTime), ("wr_highest_offset", 0), ("rd_merged", 0), ("wr_merged", 0),
            ("unmap_merged", 0), ("failed_rd_operations", counts.failedReads),
            ("failed_wr_operations", counts.failedWrites), ("failed_flush_operations", counts.failedFlushes),
            ("failed_unmap_operations", 0), ("invalid_rd_operations", 0), ("invalid_wr_operations", 0),
            ("invalid_flush_operations", 0), ("invalid_unmap_operations", 0),
        ]
    }

    private static func statisticsValue(_ device: BlockDeviceStatus) -> JSONValue {
        var object = device.image.map(nodeStatistics) ?? JSONObject()
        object["device"] = .string(device.device)
        object["stats"] = .object(counters(device.statistics, isDevice: true))
        if let path = device.devicePath { object["qdev"] = .string(path) }
        return .object(object)
    }
    /// A node's counters, which stay at zero, and those of the node of its file.
    private static func nodeStatistics(_ image: BlockDeviceStatus.Image) -> JSONObject {
        let none = counters(BlockDeviceStatus.Statistics(), isDevice: false)
        var object: JSONObject = ["node-name": .string(image.nodeName), "stats": .object(none)]
        if let name = image.fileNodeName {
            var file = none
            file["wr_highest_offset"] = .number(image.fileHighestWrite)
            object["parent"] = ["node-name": .string(name), "stats": .object(file)]
        }
        return object
    }
    private static func counters(_ statistics: BlockDeviceStatus.Statistics, isDevice: Bool) -> JSONObject {
        var stats = JSONObject()
        for (name, value) in statisticsPairs(statistics) { stats[name] = .number(value) }
        stats["account_invalid"] = .bool(isDevice)
        stats["account_failed"] = .bool(isDevice)
        stats["timed_stats"] = []
        return stats
    }
}

/// Names of PCI classes (PCI Code and ID Assignment Specification, 1).
enum PCIClass {
    private static let names: [UInt16: String] = [
        0x0001: "VGA controller", 0x0100: "SCSI controller", 0x0101: "IDE controller", 0x0102: "Floppy controller",
        0x0104: "RAID controller", 0x0106: "SATA controller", 0x0107: "SAS controller", 0x0180: "Storage controller",
        0x0200: "Ethernet controller", 0x0280: "Network controller", 0x0300: "VGA controller",
        0x0301: "XGA controller", 0x0380: "Display controller", 0x0400: "Video controller",
        0x0401: "Audio controller", 0x0403: "Audio controller", 0x0500: "RAM controller", 0x0501: "Flash controller",
        0x0600: "Host bridge", 0x0601: "ISA bridge", 0x0604: "PCI bridge", 0x0680: "Bridge",
        0x0700: "Serial port", 0x0780: "Communication controller", 0x0800: "Interrupt controller",
        0x0802: "Timer", 0x0803: "RTC", 0x0c03: "USB controller", 0x0c05: "SMBus", 0x0d00: "IRDA controller",
    ]
    static func name(_ code: UInt16) -> String { names[code] ?? "Class \(hex(UInt64(code), 4))" }
}
