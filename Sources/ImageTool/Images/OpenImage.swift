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
    /// An internal snapshot instead of the disk.
    var snapshot: String?

    static let read = OpenMode()
    static let write = OpenMode(isWritable: true)
}

/// An image that a command works on, with all that is below it.
final class OpenImage {
    let graph: BlockGraph
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
    var backing: (any BlockNode)? { node.children.first { $0.role == "backing" }?.node }
    var qcow2: QCow2Node? { node as? QCow2Node }

    /// Opens an image. Without a format its content decides.
    init(
        _ text: String, format: String?, isOptionList: Bool = false, _ mode: OpenMode = .read, _ session: Session
    ) throws(ToolFailure) {
        let reference = try ImageReference(text, isOptionList: isOptionList)
        name = text
        path = reference.path
        graph = BlockGraph(defaultAIO: mode.isParallel ? .auto : .threads, secrets: session.secrets)
        do throws(BlockError) {
            if let format, !graph.driverNames.contains(format) { throw BlockError.unknownDriver(format) }
            var options = try OpenImage.options(reference, format, mode, session)
            for (name, value) in mode.keys where options[name] == nil { options[name] = value }
            node = try graph.open(options)
        } catch {
            graph.closeAll()
            if case .snapshot(let text) = error { throw ToolFailure("Failed to load snapshot: \(text)") }
            throw ToolFailure("Could not open '\(text)': \(Wording.reason(error))")
        }
    }

    /// Writes back and closes. Must be called for an image that was written to.
    func close() { graph.closeAll() }

    private static func options(
        _ reference: ImageReference, _ format: String?, _ mode: OpenMode, _ session: Session
    ) throws(BlockError) -> [String: String] {
        var options = reference.options
        let isPath = options.isEmpty
        if let format { options["driver"] = format }
        if isPath {
            options["file.filename"] = reference.path
        } else if options["driver"] == nil, let path = options.removeValue(forKey: "filename") {
            options["file.filename"] = path
        }
        if let driver = options["driver"], isProtocol(driver), options["file.filename"] == nil {
            // A protocol alone: the format on it is probed, as with a path.
            let inner = options
            options = [:]
            for (key, value) in inner { options["file.\(key)"] = value }
        }
        if options["file.driver"] == nil && options["file"] == nil, let path = options["file.filename"] {
            options["file.driver"] = try BlockGraph.isDevice(path) ? "host_device" : "file"
        }
        if options["driver"] == nil {
            if let path = options["file.filename"] {
                let probed = try BlockGraph.probe(path: ImageReference.stripped(path))
                options["driver"] = probed.rawValue
                if probed == .raw && mode.isWritable {
                    options["x-probed"] = "on"
                    session.console.putError(
                        """
                        WARNING: Image format was not specified for '\(reference.text)' and probing guessed raw.
                                 Automatically detecting the format is dangerous for raw images, write operations on \
                        block 0 will be restricted.
                                 Specify the 'raw' format explicitly to remove the restrictions.
                        """)
                }
            } else {
                options["driver"] = "raw"
            }
        }
        set("read-only", mode.isWritable ? "off" : "on")
        if mode.isShared { set("force-share", "on") }
        set("cache.direct", mode.cache.direct ? "on" : "off")
        set("cache.no-flush", mode.cache.noFlush ? "on" : "off")
        if mode.isWritable { set("discard", "unmap") }
        if mode.hasNoBacking && hasBacking(options["driver"]) { set("backing", "") }
        if mode.writableDepth > 0 {
            set(String(repeating: "backing.", count: mode.writableDepth) + "read-only", "off")
        }
        if let snapshot = mode.snapshot {
            guard options["driver"] == "qcow2" else { throw BlockError.snapshot("Can't find snapshot") }
            options["x-snapshot"] = snapshot
        }
        if mode.isDescription && ["qcow2", "luks"].contains(options["driver"]) { options["x-describe"] = "on" }
        if mode.isRepair && options["driver"] == "qcow2" { options["x-repair"] = "on" }
        func set(_ key: String, _ value: String) { if options[key] == nil { options[key] = value } }
        return options
    }

    /// A name that an image gives, seen from where the image is.
    static func combine(_ image: String, _ name: String) -> String {
        if name.hasPrefix("/") || name.hasPrefix("json:") { return name }
        if let colon = name.firstIndex(of: ":"), !name[..<colon].contains("/") { return name }
        guard let slash = image.lastIndex(of: "/") else { return name }
        return String(image[...slash]) + name
    }

    private static func isProtocol(_ driver: String) -> Bool {
        ["file", "host_device", "null-co", "null-aio"].contains(driver)
    }

    /// Whether images of the format can have one below.
    static func hasBacking(_ format: String?) -> Bool { ["qcow2", "qed", "vmdk"].contains(format ?? "") }
}
