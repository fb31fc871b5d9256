internal import BlockImage

/// How an image is opened.
struct OpenMode {
    /// For writing.
    var isWritable = false
    /// Without its backing image.
    var hasNoBacking = false
    /// Also when others write to it (`-U`).
    var isShared = false
    /// `-t` and `-T`.
    var cache = CacheMode.writeback
    /// Only to be described.
    var isDescription = false
    /// To be repaired.
    var isRepair = false
    /// Also the image this far below is for writing.
    var writableDepth = 0
    /// Requests come from several sides at once: the files use the kernel's asynchronous I/O.
    var isParallel = false
    /// Options that name secrets.
    var keys: [String: String] = [:]
    /// What becomes of discards.
    var discard = "unmap"
    /// `detect-zeroes`.
    var detectZeroes: String?
    /// An internal snapshot instead of the disk.
    var snapshot: String?
    /// What is read from images below is stored.
    var copiesOnRead = false

    static let read = OpenMode()
    static let write = OpenMode(isWritable: true)
}

/// An image that a command works on, with all that is below it.
final class OpenImage {
    let graph: BlockGraph
    private let session: Session
    let node: any BlockNode
    /// As the command line names it.
    let name: String
    /// The path of the file at the bottom.
    let path: String
    var format: String { node.driverName }
    var size: UInt64 { node.sizeInBytes }
    /// The file under the format.
    var file: (any BlockNode)? { node.children.first { $0.role == "file" }?.node }
    /// The image below.
    var backing: (any BlockNode)? { node.unfiltered.children.first { $0.role == "backing" }?.node }
    var qcow2: QCow2Node? { node.unfiltered as? QCow2Node }

    /// Opens an image. Without a format its content decides.
    init(
        _ text: String, format: String?, isOptionList: Bool = false, _ mode: OpenMode = .read, _ session: Session
    ) throws(ToolFailure) {
        guard !isOptionList || format == nil else {
            throw ToolFailure("--image-opts and --format are mutually exclusive")
        }
        self.session = session
        let reference = try ImageReference(text, isOptionList: isOptionList)
        name = text
        graph = BlockGraph(
            defaultAIO: mode.isParallel ? .auto : .threads, secrets: session.secrets, throttles: session.throttles,
            references: session.references)
        graph.observeCorruption { [notes = session.console.notes] damage in notes.add(damage.description) }
        do throws(BlockError) {
            if reference.options.isEmpty && text.hasPrefix("json:") {
                throw BlockError.message("Must specify either driver or file")
            }
            if let format, !graph.driverNames.contains(format) { throw BlockError.unknownDriver(format) }
            var options = try OpenImage.options(reference, format, mode, graph, session)
            for (name, value) in mode.keys where options[name] == nil { options[name] = value }
            if mode.copiesOnRead && mode.isWritable {
                options = Dictionary(uniqueKeysWithValues: options.map { ("file.\($0.key)", $0.value) })
                options["driver"] = "copy-on-read"
                options["discard"] = mode.discard
            }
            node = try graph.open(options)
        } catch {
            graph.closeAll()
            if case .snapshot(let text) = error { throw ToolFailure("Failed to load snapshot: \(text)") }
            throw ToolFailure("Could not open '\(text)': \(Wording.reason(error))")
        }
        path = reference.options.isEmpty && !NBDLocation.isLocation(text) ? reference.path : node.filename
    }

    /// Writes back and closes, and says what went wrong. Must be called for an image that was written to.
    func close() {
        graph.closeAll()
        guard let status = qcow2?.closeStatus, status != 0 else { return }
        session.report("Failed to flush '\(name)': \(Formatting.reason(status))")
    }

    private static func options(
        _ reference: ImageReference, _ format: String?, _ mode: OpenMode, _ graph: BlockGraph, _ session: Session
    ) throws(BlockError) -> [String: String] {
        var options = reference.options
        if options.isEmpty {
            try name(reference, &options)
        } else if options["driver"] == nil && !options.keys.contains(where: { $0 == "file" || $0.hasPrefix("file.") }) {
            throw .message("Must specify either driver or file")
        }
        if let format { options["driver"] = format }
        if options["file.driver"] == nil && options["file"] == nil, let path = options["file.filename"] {
            options["file.driver"] =
                try NBDLocation.isLocation(path) ? "nbd" : BlockGraph.isDevice(path) ? "host_device" : "file"
        }
        if options["driver"] == nil { try probe(reference, &options, mode, graph, session) }
        set("read-only", mode.isWritable ? "off" : "on")
        if mode.isShared { set("force-share", "on") }
        set("cache.direct", mode.cache.direct ? "on" : "off")
        set("cache.no-flush", mode.cache.noFlush ? "on" : "off")
        if mode.isWritable { set("discard", mode.discard) }
        if let zeroes = mode.detectZeroes { set("detect-zeroes", zeroes) }
        if mode.hasNoBacking && hasBacking(options["driver"]) { set("backing", "") }
        if mode.writableDepth > 0 {
            set(String(repeating: "backing.", count: mode.writableDepth) + "read-only", "off")
        }
        if let snapshot = mode.snapshot {
            guard options["driver"] == "qcow2" else { throw BlockError.snapshot("Can't find snapshot") }
            options["x-snapshot"] = snapshot
        }
        if mode.isDescription && ["qcow2", "luks", "qcow"].contains(options["driver"]) { options["x-describe"] = "on" }
        if mode.isRepair && options["driver"] == "qcow2" { options["x-repair"] = "on" }
        func set(_ key: String, _ value: String) { if options[key] == nil { options[key] = value } }
        return options
    }

    /// The options that a plain name stands for.
    private static func name(_ reference: ImageReference, _ options: inout [String: String]) throws(BlockError) {
        options["file.filename"] = reference.path
        if NBDLocation.isLocation(reference.text) {
            guard NBDLocation(reference.text) != nil else { throw NBDLocation.malformed(reference.text) }
            options["file.driver"] = "nbd"
        } else if ImageName.scheme(reference.text) == "blkdebug" {
            options = try ImageName.options(of: reference.text) ?? [:]
        } else if let scheme = ImageName.scheme(reference.text), scheme != "file", scheme != "host_device" {
            throw .message("Unknown protocol '\(scheme)'")
        }
    }

    /// Chooses the format by the content.
    private static func probe(
        _ reference: ImageReference, _ options: inout [String: String], _ mode: OpenMode, _ graph: BlockGraph,
        _ session: Session
    ) throws(BlockError) {
        let probed: ImageFormat
        if let path = options["file.filename"], ["file", "host_device"].contains(options["file.driver"] ?? "") {
            probed = try BlockGraph.probe(path: ImageReference.stripped(path))
        } else {
            if options["file"] == nil { try openFile(&options, mode, graph) }
            guard let name = options["file"], let file = graph.node(named: name) else {
                throw .message("Cannot find device='\(options["file"] ?? "")' nor node-name='\(options["file"] ?? "")'")
            }
            let (status, head) = file.bytesAndWait(at: 0, count: ImageFormat.probeSize)
            guard status == 0 else { throw .message("Could not read image for determining its format") }
            probed = ImageFormat.probe(head, path: file.filename)
        }
        options["driver"] = probed.rawValue
        guard probed == .raw && mode.isWritable else { return }
        options["x-probed"] = "on"
        warnOfProbing(reference.text, session)
    }

    /// Says that a guest can choose what its image is taken for next time.
    static func warnOfProbing(_ name: String, _ session: Session) {
        session.console.putError(
            """
            WARNING: Image format was not specified for '\(name)' and probing guessed raw.
                     Automatically detecting the format is dangerous for raw images, write operations on block 0 \
            will be restricted.
                     Specify the 'raw' format explicitly to remove the restrictions.
            """)
    }

    /// Opens what is under the format first, to look at its content.
    private static func openFile(
        _ options: inout [String: String], _ mode: OpenMode, _ graph: BlockGraph
    ) throws(BlockError) {
        var inner: [String: String] = [
            "read-only": mode.isWritable ? "off" : "on", "cache.direct": mode.cache.direct ? "on" : "off",
            "cache.no-flush": mode.cache.noFlush ? "on" : "off", "discard": "unmap",
        ]
        for (key, value) in options where key.hasPrefix("file.") {
            inner[String(key.dropFirst(5))] = value
            options[key] = nil
        }
        options["file"] = try graph.open(inner).nodeName
    }

    /// A name that an image gives, seen from where the image is.
    static func combine(_ image: String, _ name: String) -> String {
        if name.hasPrefix("/") || name.hasPrefix("json:") { return name }
        if let colon = name.firstIndex(of: ":"), !name[..<colon].contains("/") { return name }
        guard let slash = image.lastIndex(of: "/") else { return name }
        return String(image[...slash]) + name
    }

    /// Whether images of the format can have one below.
    static func hasBacking(_ format: String?) -> Bool { ["qcow2", "qed", "qcow", "vmdk"].contains(format ?? "") }
}
