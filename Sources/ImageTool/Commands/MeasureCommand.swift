internal import BlockImage
internal import JSON

/// `measure [--output=ofmt] [-O output_fmt] [-o options] [--size N | [-f fmt] [-l snapshot_param] filename]`
enum MeasureCommand {
    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hf:l:o:O:U",
            long: [
                .init("help", "h"), .init("image-opts"), .init("object", value: true), .init("output", value: true),
                .init("size", value: true), .init("force-share", "U"),
            ])
        var (format, outputFormat) = (String?.none, "raw")
        var output = OutputFormat.human
        var mode = OpenMode.read
        var isOptionList = false
        var size: UInt64?
        var creation = CreationRequest()
        while let (key, value) = try scanner.next() {
            switch key {
            case "h":
                session.put(Help.text)
                return 0
            case "f": format = value
            case "l": mode.snapshot = try ConvertCommand.snapshotKey(value)
            case "o": try creation.add(options: value)
            case "O": outputFormat = value
            case "U": mode.isShared = true
            case "image-opts": isOptionList = true
            case "output": output = try OutputFormat(value)
            case "size": size = try Sizes.parse(value, "image size")
            default: break
            }
        }
        let names = scanner.operands
        guard names.count <= 1 else { throw ToolFailure("At most one filename argument is allowed.") }
        guard names.count == 1 || (!isOptionList && format == nil && mode.snapshot == nil) else {
            throw ToolFailure("--image-opts, -f, and -l require a filename argument.")
        }
        guard names.count == 1 || size != nil else {
            throw ToolFailure("Either --size N or one filename must be specified.")
        }
        guard names.isEmpty || size == nil else {
            throw ToolFailure("--size N cannot be used together with a filename.")
        }
        guard let target = CreationFormat.named(outputFormat) else {
            throw CreationRequest.knownFormats.contains(outputFormat)
                ? ToolFailure("Block driver '\(outputFormat)' does not support size measurement")
                : ToolFailure("Unknown file format '\(outputFormat)'")
        }
        var values = CreationValues(target)
        for (name, value) in creation.all {
            do throws(ToolFailure) { try values.set(name, value ?? "on") } catch {
                var failure = error
                failure.lines.append("Invalid options for file format '\(outputFormat)'")
                throw failure
            }
        }
        for (isEncrypted, name) in [
            (target.name == "luks", "key-secret"), (values.text("encrypt.format") == "luks", "encrypt.key-secret"),
        ] where isEncrypted && values.text(name) == nil {
            throw ToolFailure("Parameter '\(name)' is required for cipher")
        }
        let image = try names.first.map { name throws(ToolFailure) in
            try OpenImage(name, format: format, isOptionList: isOptionList, mode, session)
        }
        defer { image?.close() }
        let measured = try Measurement(target.name, values, image, size ?? image?.size ?? 0)
        switch output {
        case .human:
            session.put("required size: \(measured.required)\nfully allocated size: \(measured.full)\n")
            if let bitmaps = measured.bitmaps { session.put("bitmaps size: \(bitmaps)\n") }
        case .json:
            var object = JSONObject()
            if let bitmaps = measured.bitmaps { object["bitmaps"] = .number(bitmaps) }
            object["required"] = .number(measured.required)
            object["fully-allocated"] = .number(measured.full)
            session.put(HashOrder.text(.object(object)))
        }
        return 0
    }
}

/// How large a file of a format becomes.
private struct Measurement {
    var required: UInt64
    var full: UInt64
    var bitmaps: UInt64?

    init(_ format: String, _ values: CreationValues, _ image: OpenImage?, _ size: UInt64) throws(ToolFailure) {
        switch format {
        case "raw":
            full = (size + 511) / 512 * 512
            required = full
        case "qcow2":
            let cluster = values.number("cluster_size") ?? 65536
            guard cluster >= 512, cluster <= 2 << 20, cluster & (cluster - 1) == 0 else {
                throw ToolFailure("Cluster size must be a power of two between 512 and 2048k")
            }
            let bits = values.number("refcount_bits") ?? 16
            guard bits >= 1, bits <= 64, bits & (bits - 1) == 0 else {
                throw ToolFailure("Refcount width must be a power of two and may not exceed 64 bits")
            }
            let disk = (size + cluster - 1) / cluster * cluster
            let entry: UInt64 = values.flag("extended_l2") ? 16 : 8
            guard (disk / cluster + cluster / entry - 1) / (cluster / entry) * 8 <= 32 << 20 else {
                throw ToolFailure("The image size is too large (try using a larger cluster size)")
            }
            var data: UInt64 = 0
            if let image, values.text("backing_file") == nil {
                data = try Measurement.data(image, cluster)
            } else if image != nil {
                data = disk
            }
            if ["full", "falloc"].contains(values.text("preallocation") ?? "") { data = disk }
            full = Measurement.preallocated(disk, cluster, bits, entry)
            if values.text("encrypt.format") == "luks" {
                let header = try Measurement.luksHeader(values, "encrypt.")
                full += (header + cluster - 1) / cluster * cluster
            }
            required = full - disk + data
            let isOld = ["0.10", "v2"].contains(values.text("compat") ?? "")
            if let node = image?.qcow2, node.header.version >= 3, !isOld {
                bitmaps = Measurement.bitmaps(node, cluster)
            }
        case "luks":
            full = try Measurement.luksHeader(values, "") + (size + 511) / 512 * 512
            required = full
        default: throw ToolFailure("Block driver '\(format)' does not support size measurement")
        }
    }

    private static func luksHeader(_ values: CreationValues, _ prefix: String) throws(ToolFailure) -> UInt64 {
        do throws(BlockError) { return try CreationFormat.luksOptions(values, prefix).headerLength } catch {
            throw ToolFailure(Wording.reason(error))
        }
    }

    private static func data(_ image: OpenImage, _ cluster: UInt64) throws(ToolFailure) -> UInt64 {
        let walker = StatusWalker(image.node)
        var (at, data): (UInt64, UInt64) = (0, 0)
        while at < image.size {
            do throws(BlockError) {
                let run = try walker.status(at: at, limit: image.size - at)
                var length = run.length
                if !run.isZero && run.isData && run.isPresent {
                    length = (at + length + cluster - 1) / cluster * cluster - at
                    data += at % cluster + length
                }
                at += length
            } catch {
                throw ToolFailure("Failed to query block status: \(Wording.reason(error))")
            }
        }
        return data
    }

    /// The file's size with every cluster of the disk in it.
    private static func preallocated(_ disk: UInt64, _ cluster: UInt64, _ bits: UInt64, _ entry: UInt64) -> UInt64 {
        func up(_ value: UInt64, _ unit: UInt64) -> UInt64 { (value + unit - 1) / unit * unit }
        let l2 = up(disk / cluster, cluster / entry)
        let l1 = up(l2 * entry / cluster, cluster / 8)
        let meta = cluster + l2 * entry + l1 * 8
        let clusters = (meta + disk) / cluster
        let perBlock = cluster * 8 / bits
        var (table, blocks, last): (UInt64, UInt64, UInt64) = (0, 0, .max)
        var total: UInt64 = 0
        while total != last {
            last = total
            blocks = (clusters + table + blocks + perBlock - 1) / perBlock
            table = (blocks + cluster / 8 - 1) / (cluster / 8)
            total = clusters + blocks + table
        }
        return meta + (blocks + table) * cluster + disk
    }

    private static func bitmaps(_ node: QCow2Node, _ cluster: UInt64) -> UInt64 {
        var (total, directory): (UInt64, UInt64) = (0, 0)
        for bitmap in node.bitmapList {
            let bits = (node.sizeInBytes + bitmap.granularity - 1) / bitmap.granularity
            let clusters = ((bits + 7) / 8 + cluster - 1) / cluster
            total += clusters * cluster + (clusters * 8 + cluster - 1) / cluster * cluster
            directory += (24 + UInt64(bitmap.name.utf8.count) + 7) / 8 * 8
        }
        return total + (directory + cluster - 1) / cluster * cluster
    }
}
