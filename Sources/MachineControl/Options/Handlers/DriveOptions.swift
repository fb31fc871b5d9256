internal import JSON
internal import Machine

/// -drive.
enum DriveOptions {
    static let table = ParameterTable(
        [
            Parameter("file", Parameter.Kind.string, "The image"),
            Parameter("if", Parameter.Kind.choice(DriveConfiguration.Interface.words), "What the drive hangs on"),
            Parameter("index", Parameter.Kind.number(0...255), "Its number on that interface"),
            Parameter("bus", Parameter.Kind.number(0...255), "Its bus"),
            Parameter("unit", Parameter.Kind.number(0...255), "Its unit on the bus"),
            Parameter("media", Parameter.Kind.choice(DriveConfiguration.Media.words), "A disk or a CD-ROM"),
            Parameter("format", Parameter.Kind.choice(formats), "The image's format"),
            Parameter("driver", Parameter.Kind.choice(formats), "The same as format"),
            Parameter("cache", Parameter.Kind.choice(CacheMode.words + ["off"]), "How the host's page cache is used"),
            Parameter("aio", Parameter.Kind.choice(AsynchronousIO.words), "How requests are made"),
            Parameter(
                "discard", Parameter.Kind.choice(["ignore", "off", "unmap", "on"]), "Whether discards reach the file"),
            Parameter("detect-zeroes", Parameter.Kind.choice(DetectZeroes.words), "What happens to writes of zeroes"),
            Parameter("readonly", Parameter.Kind.boolean, "Refuses writes"),
            Parameter("read-only", Parameter.Kind.boolean, "The same as readonly"),
            Parameter("snapshot", Parameter.Kind.boolean, "Writes to a temporary file"),
            Parameter("copy-on-read", Parameter.Kind.boolean, "Keeps what is read from the backing file"),
            Parameter("id", Parameter.Kind.string, "The drive's name"),
            Parameter("rerror", Parameter.Kind.choice(["report", "ignore", "stop"]), "About errors of reads"),
            Parameter(
                "werror", Parameter.Kind.choice(["report", "ignore", "stop", "enospc"]), "About errors of writes"),
            Parameter("locking", Parameter.onOffAuto, "Whether the image is locked"),
            Parameter("group", Parameter.Kind.string, "The group that shares the limits"),
            Parameter("cache.direct", Parameter.Kind.boolean, "Passes the host's page cache by"),
            Parameter("cache.writeback", Parameter.Kind.boolean, "The guest sees a volatile write cache"),
            Parameter("cache.no-flush", Parameter.Kind.boolean, "Ignores flushes"),
        ] + image + throttling.map { Parameter($0, Parameter.Kind.unsigned, "A limit of throughput") })

    private static let formats = BlockNodeOptions.formats + BlockNodeOptions.legacy + ["null-co", "null-aio"]
    /// Options of the image's own node, under the names that -blockdev has for them.
    static let image: [Parameter] = [
        Parameter("node-name", Parameter.Kind.string, "The node's name"),
        Parameter("auto-read-only", Parameter.Kind.boolean, "Read-only where the file is"),
        Parameter("force-share", Parameter.Kind.boolean, "Others may write to the image"),
        Parameter("offset", Parameter.size, "Where a raw image begins"),
        Parameter("size", Parameter.size, "Bytes of a raw or null image"),
        Parameter("lazy-refcounts", Parameter.Kind.boolean, "Of qcow2"),
        Parameter("cache-size", Parameter.size, "Of qcow2"), Parameter("l2-cache-size", Parameter.size, "Of qcow2"),
        Parameter("l2-cache-entry-size", Parameter.size, "Of qcow2"),
        Parameter("refcount-cache-size", Parameter.size, "Of qcow2"),
        Parameter("cache-clean-interval", Parameter.Kind.unsigned, "Of qcow2"),
        Parameter("pass-discard-request", Parameter.Kind.boolean, "Of qcow2"),
        Parameter("pass-discard-snapshot", Parameter.Kind.boolean, "Of qcow2"),
        Parameter("pass-discard-other", Parameter.Kind.boolean, "Of qcow2"),
        Parameter("overlap-check", Parameter.Kind.string, "Of qcow2"),
    ]

    private static let throttling = [
        "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr", "bps_max", "bps_rd_max", "bps_wr_max", "iops_max",
        "iops_rd_max", "iops_wr_max", "iops_size", "bps_max_length", "bps_rd_max_length", "bps_wr_max_length",
        "iops_max_length", "iops_rd_max_length", "iops_wr_max_length",
    ]

    /// `bps_rd_max` of `bps-read-max`.
    private static func throttlingName(_ name: String) -> String? {
        if name == "group" || name == "iops-size" { return name == "group" ? "group" : "iops_size" }
        var parts = name.split(separator: "-").map(String.init)
        guard let first = parts.first, first == "bps" || first == "iops", parts.count >= 2 else { return nil }
        switch parts[1] {
        case "total": parts.remove(at: 1)
        case "read": parts[1] = "rd"
        case "write": parts[1] = "wr"
        default: return nil
        }
        let old = parts.joined(separator: "_")
        return throttling.contains(old) ? old : nil
    }

    static func drive(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        var pairs = try OptionPairs(argument.text, implied: nil)
        if pairs.asksForHelp, let option = OptionTable.find("drive") {
            throw .information(OptionTable.parameterHelp(option))
        }
        // Keys with dots are options of the image's own drivers: file.driver=nbd, file.locking=off.
        pairs.pairs = pairs.pairs.map { pair in
            // The same limits under the names that QEMU gave them later.
            guard pair.key.hasPrefix("throttling."), let name = throttlingName(String(pair.key.dropFirst(11))) else {
                return pair
            }
            return OptionPairs.Pair(key: name, value: pair.value)
        }
        func isDotted(_ pair: OptionPairs.Pair) -> Bool {
            pair.key.utf8.contains(UInt8(ascii: ".")) && !pair.key.hasPrefix("cache.")
        }
        let dotted = pairs.pairs.filter(isDotted)
        pairs.pairs.removeAll(where: isDotted)
        var tree = OptionPairs()
        tree.pairs = dotted
        var fileOptions = try tree.nested()
        for name in fileOptions.names where !["file", "backing", "encrypt"].contains(name) {
            throw .unknown(
                "Invalid parameter", dotted.first { $0.key.hasPrefix(name) }?.key ?? name,
                among: table.parameters.map(\.name))
        }
        let values = try table.values(pairs)
        for parameter in image {
            guard let value = values[parameter.name] else { continue }
            fileOptions[parameter.name] = value
        }
        if let name = values.string("node-name"), !DeviceOptions.isIdentifier(name) || name.utf8.count >= 32 {
            throw .value("node-name", name, expects: "an identifier of at most 31 characters")
        }
        if let driver = values.string("driver") ?? values.string("format"), driver.hasPrefix("null-") {
            fileOptions["driver"] = .string(driver)
        }
        builder.driveRequests.append(
            ConfigurationBuilder.DriveRequest(values: values, fileOptions: fileOptions, origin: builder.origin))
    }

    /// Throughput limits among the values.
    static func limits(_ values: JSONObject) -> JSONObject {
        var result = JSONObject()
        if let group = values["group"] { result["group"] = group }
        for name in throttling { if let value = values[name] { result[name] = value } }
        return result
    }
}

extension OptionPairs {
    /// No parts.
    init() { pairs = [] }
}

extension ConfigurationBuilder {
    /// Adds a drive of -hda and its like.
    mutating func addDrive(_ values: JSONObject) {
        driveRequests.append(DriveRequest(values: values, origin: origin))
    }

    /// The image that stands without an option: disk 0.
    mutating func addPositionalImage(_ path: String) throws(OptionError) {
        guard !driveRequests.contains(where: \.isPositional) else {
            throw .invalid("there is already an image without an option; name further ones with -drive")
        }
        guard !path.isEmpty else { throw .invalid("an empty argument is no option and no image") }
        var request = DriveRequest(
            values: ["file": .string(path), "index": 0, "media": "disk"], origin: origin)
        request.isPositional = true
        driveRequests.append(request)
    }

    /// Makes drives of the requests: interface, bus, unit and name.
    mutating func finishDrives() throws(OptionError) {
        for request in driveRequests {
            origin = request.origin
            let drive = try drive(of: request)
            guard !configuration.drives.contains(where: { $0.id == drive.id }) else {
                throw .invalid("Duplicate ID '\(drive.id)' for drive")
            }
            configuration.drives.append(drive)
        }
    }

    private func drive(of request: DriveRequest) throws(OptionError) -> DriveConfiguration {
        let values = request.values
        let interface: DriveConfiguration.Interface =
            values.choice("if") ?? (configuration.board.kind == .microvm ? .virtio : .ide)
        let media: DriveConfiguration.Media = values.choice("media") ?? .disk
        let isQ35 = configuration.board.kind == .q35
        let perBus = interface == .ide ? (isQ35 ? 1 : 2) : interface == .scsi ? 7 : 0
        let (bus, unit) = try place(values, interface, perBus: perBus)
        if let id = values.string("id"), !DeviceOptions.isIdentifier(id) {
            throw .value("id", id, expects: DeviceOptions.identifierWords)
        }
        let suffix = perBus == 0 ? "" : media == .cdrom ? "-cd" : "-hd"
        let name = perBus == 0 ? "\(interface.rawValue)\(unit)" : "\(interface.rawValue)\(bus)\(suffix)\(unit)"
        var drive = DriveConfiguration(id: values.string("id") ?? name)
        drive.interface = interface
        drive.media = media
        drive.bus = bus
        drive.unit = unit
        drive.origin = request.origin
        drive.fileOptions = request.fileOptions
        if let file = values.string("file"), !file.isEmpty { drive.file = file }
        drive.format = values.string("format") ?? values.string("driver")
        if let cache = values.string("cache") { drive.cache = CacheMode(rawValue: cache) ?? .none }
        setCacheFlags(values, of: &drive)
        drive.asynchronousIO = values.choice("aio")
        drive.discardUnmap = ["unmap", "on"].contains(values.string("discard") ?? "")
        drive.detectZeroes = values.choice("detect-zeroes") ?? .off
        drive.readOnly = values.flag("readonly") ?? values.flag("read-only") ?? (media == .cdrom)
        drive.snapshot = values.flag("snapshot") ?? snapshotsAll
        drive.copyOnRead = values.flag("copy-on-read") ?? false
        drive.readErrors = values.choice("rerror") ?? .auto
        drive.writeErrors = values.choice("werror") ?? .auto
        drive.throttling = DriveOptions.limits(values)
        guard
            drive.file != nil || !drive.fileOptions.isEmpty || media == .cdrom || interface == .none
                || interface == .floppy
        else { throw .missing("file") }
        if drive.asynchronousIO == .native, !drive.cache.isDirect {
            throw .invalid(
                "aio=native was specified, but it requires cache.direct=on: use cache=none or cache=directsync")
        }
        return drive
    }

    /// `cache.direct` and its like over what `cache` says.
    private func setCacheFlags(_ values: JSONObject, of drive: inout DriveConfiguration) {
        let names = ["cache.direct", "cache.writeback", "cache.no-flush"]
        guard names.contains(where: { values[$0] != nil }) else { return }
        let isDirect = values.flag("cache.direct") ?? drive.cache.isDirect
        let ignoresFlush = values.flag("cache.no-flush") ?? drive.cache.ignoresFlush
        if values.flag("cache.writeback") ?? drive.cache.isWriteBack {
            drive.cache = isDirect ? .none : ignoresFlush ? .unsafe : .writeback
        } else {
            drive.cache = isDirect ? .directsync : .writethrough
        }
        // Some combinations have no name of their own.
        if ignoresFlush != drive.cache.ignoresFlush {
            drive.fileOptions["cache"] = .object(["no-flush": .bool(ignoresFlush)])
        }
    }

    /// Bus and unit: given by number, or the first that is free.
    private func place(
        _ values: JSONObject, _ interface: DriveConfiguration.Interface, perBus: Int
    ) throws(OptionError) -> (bus: Int, unit: Int) {
        func taken(_ bus: Int, _ unit: Int) -> Bool {
            interface != .none
                && configuration.drives.contains { $0.interface == interface && $0.bus == bus && $0.unit == unit }
        }
        var bus = values.int("bus") ?? 0
        var unit = values.int("unit")
        if let index = values.int("index") {
            guard values.int("bus") == nil, unit == nil else {
                throw .invalid("index cannot be used with bus and unit")
            }
            bus = perBus == 0 ? 0 : index / perBus
            unit = perBus == 0 ? index : index % perBus
        }
        guard let unit else {
            if interface == .none { return (0, configuration.drives.count { $0.interface == .none }) }
            var free = 0
            while taken(bus, free) || (perBus > 0 && free >= perBus) {
                free += 1
                if perBus > 0, free >= perBus {
                    bus += 1
                    free = 0
                }
            }
            try checkBus(bus, interface)
            return (bus, free)
        }
        if perBus > 0, unit >= perBus { throw .value("unit", "\(unit)", expects: "a number below \(perBus)") }
        try checkBus(bus, interface)
        guard !taken(bus, unit) else {
            let index = perBus == 0 ? unit : bus * perBus + unit
            throw .invalid("drive with bus=\(bus), unit=\(unit) (index=\(index)) exists")
        }
        return (bus, unit)
    }
    private func checkBus(_ bus: Int, _ interface: DriveConfiguration.Interface) throws(OptionError) {
        let isQ35 = configuration.board.kind == .q35
        guard interface != .ide || bus < (isQ35 ? 6 : 2) else {
            throw .invalid(
                "the machine takes \(isQ35 ? "six" : "four") IDE drives; use if=virtio or if=none with -device")
        }
    }
}
