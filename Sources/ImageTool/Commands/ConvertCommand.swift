internal import BlockImage
internal import HostOS

/// `convert … filename [filename2 [...]] output_filename`
enum ConvertCommand {
    struct Request {
        var format: String?
        var outputFormat = "raw"
        var creation = CreationRequest()
        var snapshot: String?
        var isCompressed = false
        var skipsCreation = false
        var showsProgress = false
        var isTargetZero = false
        var copiesBitmaps = false
        var skipsBrokenBitmaps = false
        var isOptionList = false
        var isTargetOptionList = false
        /// `-C`, `-S`.
        var (isOffloaded, saysSparseSize) = (false, false)
        var source = OpenMode.read
        var targetCache = CacheMode.unsafe
        var plan = ConvertJob.Plan()
    }

    static func run(_ words: [String], _ session: Session) throws(ToolFailure) -> Int32 {
        var scanner = OptionScanner(
            words, short: "hf:O:B:CcF:o:l:S:pt:T:qnm:WUr:",
            long: [
                .init("help", "h"), .init("source-image-opts"), .init("object", value: true), .init("image-opts"),
                .init("target-image-opts"), .init("force-share", "U"), .init("salvage"), .init("target-is-zero"),
                .init("bitmaps"), .init("skip-broken-bitmaps"),
            ])
        var request = Request()
        // More than work at the same time: who waits for a turn or a disk leaves room, and beside other programs a
        // process gets its share by the threads that could run.
        request.plan.threads = max(4, min(16, HostFacts.processorCount))
        while let (key, value) = try scanner.next() {
            if key == "h" {
                session.put(Help.text)
                return 0
            }
            try read(key, value, &request, session)
        }
        let operands = scanner.operands
        if request.creation.wantsHelp {
            try request.creation.showHelp(request.outputFormat, hasFile: operands.count > 1, session)
            return 0
        }
        guard operands.count >= 2 else { throw ToolFailure("Must specify image file name") }
        try check(request, sources: operands.count - 1)
        return try convert(Array(operands.dropLast()), operands[operands.count - 1], request, session)
    }

    private static func read(
        _ key: String, _ value: String, _ request: inout Request, _ session: Session
    ) throws(ToolFailure) {
        switch key {
        case "f": request.format = value
        case "O": request.outputFormat = value
        case "B": request.creation.backing = value
        case "F": request.creation.backingFormat = value
        case "c": request.isCompressed = true
        case "o": try request.creation.add(options: value)
        case "C": request.isOffloaded = true
        case "l": request.snapshot = try snapshotKey(value)
        case "r": request.plan.limit = try RateLimit(option: value)
        case "S":
            let size = try Sizes.parse(value, "buffer size for sparse output")
            guard size % 512 == 0, size <= 16 << 20 else {
                throw ToolFailure(
                    "Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to "
                        + "16777216. Select 0 to disable sparse detection (fully allocates output).")
            }
            request.plan.minimumZeroes = Int(size)
            request.saysSparseSize = true
        case "p": request.showsProgress = true
        case "t": request.targetCache = try CacheOption.parse(value)
        case "T": request.source.cache = try CacheOption.parse(value, "source")
        case "q": session.isQuiet = true
        case "n": request.skipsCreation = true
        case "m":
            guard let count = Int(value), count >= 1, count <= 16 else {
                throw ToolFailure("Invalid number of coroutines. Allowed number of coroutines is between 1 and 16")
            }
            request.plan.threads = count
        case "W": request.plan.isUnordered = true
        case "U": request.source.isShared = true
        case "salvage": request.plan.salvages = true
        case "target-is-zero": request.isTargetZero = true
        case "bitmaps": request.copiesBitmaps = true
        case "skip-broken-bitmaps": request.skipsBrokenBitmaps = true
        case "image-opts": request.isOptionList = true
        case "target-image-opts": request.isTargetOptionList = true
        default: break
        }
    }

    /// `snapshot.id=…`, `snapshot.name=…` or either alone.
    static func snapshotKey(_ text: String) throws(ToolFailure) -> String {
        guard text.hasPrefix("snapshot.") else { return text }
        let pairs = OptionText.pairs(text)
        if let unknown = pairs.first(where: { $0.name != "snapshot.id" && $0.name != "snapshot.name" }) {
            throw ToolFailure(lines: [
                "Invalid parameter '\(unknown.name)'", "Failed in parsing snapshot param '\(text)'",
            ])
        }
        return pairs.compactMap(\.value).first ?? text
    }

    private static func check(_ request: Request, sources: Int) throws(ToolFailure) {
        if request.isTargetOptionList && !request.skipsCreation {
            throw ToolFailure("--target-image-opts requires use of -n flag")
        }
        if request.isTargetZero && !request.skipsCreation {
            throw ToolFailure("--target-is-zero requires use of -n flag")
        }
        if request.isOffloaded {
            let what = request.isCompressed ? "when -c is used" : request.saysSparseSize ? "when -S is used" : nil
            if let what { throw ToolFailure("Cannot enable copy offloading \(what)") }
            if request.plan.salvages { throw ToolFailure("Cannot use copy offloading in salvaging mode") }
        }
        if request.isTargetZero && request.creation.backing != nil {
            throw ToolFailure("Cannot use --target-is-zero when the destination image has a backing file")
        }
        if request.skipsBrokenBitmaps && !request.copiesBitmaps {
            throw ToolFailure("Use of --skip-broken-bitmaps requires --bitmaps")
        }
        if request.skipsCreation && !request.creation.isEmpty {
            throw ToolFailure("-o has no effect when skipping image creation")
        }
        if !request.isTargetOptionList && CreationFormat.named(request.outputFormat) == nil && !request.skipsCreation {
            throw CreationRequest.unknown(request.outputFormat)
        }
        if request.isCompressed && request.creation.value("preallocation").map({ $0 != "off" }) == true {
            throw ToolFailure("Compression and preallocation not supported at the same time")
        }
        if sources > 1 && request.creation.backing != nil {
            throw ToolFailure(
                "Having a backing file for the target makes no sense when concatenating multiple input images")
        }
        if !request.skipsCreation, (request.creation.backing ?? request.creation.value("backing_file")) != nil
            && request.creation.backingFormat == nil
            && request.creation.value("backing_fmt") == nil
        {
            throw ToolFailure("Use of backing file requires explicit backing format")
        }
    }

    private static func convert(
        _ names: [String], _ targetName: String, _ request: Request, _ session: Session
    ) throws(ToolFailure) -> Int32 {
        let hasBacking = request.creation.backing != nil || request.creation.value("backing_file") != nil
        if names.count > 1 && hasBacking {
            throw ToolFailure(
                "Having a backing file for the target makes no sense when concatenating multiple input images")
        }
        if names.count > 1 && request.snapshot != nil {
            throw ToolFailure("No support for concatenating multiple snapshot")
        }
        // Nothing is made for a format that cannot be packed.
        guard !request.isCompressed || request.isTargetOptionList || ["qcow2", "vmdk"].contains(request.outputFormat)
        else { throw ToolFailure("Compression not supported for this file format") }
        guard names.count == 1 || !request.copiesBitmaps else {
            throw ToolFailure("Copying bitmaps only possible with single source")
        }
        let progress = Progress(session, isOn: request.showsProgress && !session.isQuiet)
        var images: [OpenImage] = []
        defer { for image in images { image.close() } }
        for name in names { images.append(try source(name, request, session)) }
        let total = images.reduce(UInt64(0)) { $0 + $1.size }
        if !request.skipsCreation {
            var creation = request.creation
            if creation.value("size") == nil { creation.size = total }
            // Whether what is below is there shows when the target is opened.
            creation.isUnsafe = true
            // The line that create shows is not shown here.
            let wasQuiet = session.isQuiet
            session.isQuiet = true
            defer { session.isQuiet = wasQuiet }
            do throws(ToolFailure) {
                try creation.create(targetName, request.outputFormat, session)
            } catch {
                var failure = error
                let prefix = "\(targetName): "
                if let first = failure.lines.first, first.hasPrefix(prefix) {
                    let text = first.dropFirst(prefix.count)
                    // What is wrong with the options has nothing to do with the image.
                    let isOption = text.hasPrefix("Invalid parameter ") || text.hasPrefix("Backing file not supported")
                    failure.lines[0] =
                        isOption
                        ? String(text) : "\(targetName): error while converting \(request.outputFormat): \(text)"
                }
                throw failure
            }
        }
        var mode = OpenMode(isWritable: true, cache: request.targetCache)
        for name in ["key-secret", "encrypt.key-secret"] { mode.keys[name] = request.creation.value(name) }
        mode.hasNoBacking = false
        let target = try OpenImage(
            targetName, format: request.isTargetOptionList ? nil : request.outputFormat,
            isOptionList: request.isTargetOptionList, mode, session)
        defer { target.close() }
        guard target.size >= total || request.creation.value("size") != nil else {
            throw ToolFailure("output file is smaller than input file")
        }
        if request.copiesBitmaps {
            guard let image = target.qcow2, image.header.version >= 3 else {
                throw ToolFailure("Format driver '\(target.format)' does not support bitmaps")
            }
            try checkBitmaps(images[0], request)
        }
        try copy(images, target, request, hasBacking, progress, session)
        if request.copiesBitmaps { try copyBitmaps(images[0], target, request, session) }
        progress.end()
        return 0
    }

    private static func checkBitmaps(_ source: OpenImage, _ request: Request) throws(ToolFailure) {
        guard !request.skipsBrokenBitmaps else { return }
        for bitmap in source.qcow2?.bitmapList ?? [] where bitmap.flags & QCow2Bitmap.Flag.inUse != 0 {
            throw ToolFailure(
                lines: ["Cannot copy inconsistent bitmap '\(bitmap.name)'"],
                hint: "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it")
        }
    }

    private static func copyBitmaps(
        _ source: OpenImage, _ target: OpenImage, _ request: Request, _ session: Session
    ) throws(ToolFailure) {
        guard let from = source.qcow2, let to = target.qcow2 else { return }
        for bitmap in from.bitmapList {
            if bitmap.flags & QCow2Bitmap.Flag.inUse != 0 {
                session.warn("Skipping inconsistent bitmap '\(bitmap.name)'")
                continue
            }
            do throws(BlockError) {
                let marks = try from.bitmapRanges(bitmap.name)
                let isEnabled = bitmap.flags & QCow2Bitmap.Flag.auto != 0
                try to.changeBitmap(bitmap.name, .add(granularity: bitmap.granularity, isEnabled: isEnabled))
                try to.changeBitmap(bitmap.name, .merge(granularity: marks.granularity, ranges: marks.ranges))
            } catch {
                throw ToolFailure("Failed to populate bitmap \(bitmap.name): \(Wording.reason(error))")
            }
        }
    }

    private static func source(
        _ name: String, _ request: Request, _ session: Session
    ) throws(ToolFailure) -> OpenImage {
        guard let snapshot = request.snapshot else {
            return try OpenImage(
                name, format: request.format, isOptionList: request.isOptionList, request.source, session)
        }
        var mode = request.source
        mode.snapshot = snapshot
        return try OpenImage(name, format: request.format, isOptionList: request.isOptionList, mode, session)
    }

    private static func copy(
        _ images: [OpenImage], _ target: OpenImage, _ request: Request, _ hasBacking: Bool, _ progress: Progress,
        _ session: Session
    ) throws(ToolFailure) {
        var plan = request.plan
        plan.isTargetZero =
            (!request.skipsCreation || request.isTargetZero) && target.backing == nil && !isDevice(target)
            && target.format != "luks"
        var unit: UInt64 = 1
        let needsPacking = (target.node as? any PackedWritable)?.needsPacking == true
        // QEMU takes -c for every VMDK, and packs those alone whose layout has it.
        let isPlain = target.format == "vmdk" && !needsPacking
        if (request.isCompressed && !isPlain) || needsPacking {
            guard let packing = (target.node as? any PackedWritable)?.packing, packing.clusterSize > 0 else {
                throw ToolFailure("Compression not supported for this file format")
            }
            plan.packedCluster = packing.clusterSize
            plan.packing = packing.kind
            plan.isUnordered = false
            // Work of the processors alone: more threads than those have nothing to do while others wait for a disk.
            plan.threads = max(2, min(16, HostFacts.processorCount))
            unit = UInt64(packing.clusterSize)
        }
        let source = ConvertSource(
            images.map(\.node), pieceSize: max(unit, 2 << 20), unit: unit, targetHasBacking: hasBacking,
            readsZeroes: plan.minimumZeroes == 0, writesZeroes: !plan.isTargetZero, salvages: plan.salvages)
        let job = ConvertJob(source, to: target.node, plan)
        do throws(ConvertJob.Failure) {
            try job.run(show: progress.show) { line in
                if !session.isQuiet { session.warn(line) }
            }
        } catch {
            if error.isReading, let reason = error.error { throw ToolFailure(Wording.reason(reason)) }
            let reason = error.error.map(Wording.reason) ?? Formatting.reason(error.status)
            throw ToolFailure(
                error.isReading
                    ? "error while reading at byte \(error.offset): \(reason)"
                    : "error while writing at byte \(error.offset): \(reason)")
        }
        do throws(BlockError) {
            if plan.packedCluster > 0 { try (target.node as? any PackedWritable)?.alignEnd() }
        } catch {
            throw ToolFailure("error while writing: \(Wording.reason(error))")
        }
        let status = target.node.performAndWait(.flush)
        guard status == 0 else { throw ToolFailure("error while writing: \(Formatting.reason(status))") }
    }

    /// A device keeps what was on it before.
    /// Whether an image lies where old content may be, also when it is new: on a device, or in an export.
    private static func isDevice(_ image: OpenImage) -> Bool {
        ["host_device", "nbd"].contains(image.file?.driverName)
    }
}
