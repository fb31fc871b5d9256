internal import BlockImage
internal import CLinux
internal import SystemPackage

extension CreationFormat {
    static var raw: CreationFormat {
        CreationFormat(name: "raw", options: [size]) { path, values, session throws(ToolFailure) in
            let way = try preallocation(values, allowed: ["off", "falloc", "full"])
            if let place = NewImagePlace(path) {
                return try made(path, "create") { () throws(BlockError) in
                    try place.makeRaw(size: (values.size + 511) / 512 * 512, session)
                }
            }
            let size = (values.size + 511) / 512 * 512
            guard size <= UInt64(Int64.max) else {
                throw ToolFailure("\(path): Could not resize file: Invalid argument")
            }
            try made(path, "create") { () throws(BlockError) in
                do throws(BlockError) {
                    try FileNode.create(path: ImageReference.stripped(path), size: size, preallocation: way)
                } catch {
                    guard case .system(_, _, .fileTooLarge) = error else { throw error }
                    throw .message("The image size is too large for file format 'raw'")
                }
                guard way == .off, size > 0 else { return }
                let graph = BlockGraph(defaultAIO: .threads)
                defer { graph.closeAll() }
                try OtherFormats.allocateFirstBlock(
                    try graph.open(["driver": "file", "filename": ImageReference.stripped(path)]))
            }
        }
    }

    static var qcow2: CreationFormat {
        let options: [Option] = [
            Option(
                "encryption", Kind.flag,
                "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)"),
            Option("encrypt.format", Kind.text, "Encrypt the image, format choices: 'aes', 'luks'"),
            Option("encrypt.key-secret", Kind.text, "ID of secret providing qcow AES key or LUKS passphrase"),
            Option("encrypt.cipher-alg", Kind.text, "Name of encryption cipher algorithm"),
            Option("encrypt.cipher-mode", Kind.text, "Name of encryption cipher mode"),
            Option("encrypt.ivgen-alg", Kind.text, "Name of IV generator algorithm"),
            Option("encrypt.ivgen-hash-alg", Kind.text, "Name of IV generator hash algorithm"),
            Option("encrypt.hash-alg", Kind.text, "Name of encryption hash algorithm"),
            Option("encrypt.iter-time", Kind.number, "Time to spend in PBKDF in milliseconds"),
            Option("cluster_size", Kind.size, "qcow2 cluster size"),
            Option("extended_l2", Kind.flag, "Extended L2 tables"),
            Option("preallocation", Kind.text, "Preallocation mode (allowed values: off, metadata, falloc, full)"),
            Option("compression_type", Kind.text, "Compression method used for image cluster compression"),
            size,
            Option("compat", Kind.text, "Compatibility level (v2 [0.10] or v3 [1.1])"),
            Option("backing_file", Kind.text, "File name of a base image"),
            Option("backing_fmt", Kind.text, "Image format of the base image"),
            Option("data_file", Kind.text, "File name of an external data file"),
            Option("data_file_raw", Kind.flag, "The external data file must stay valid as a raw image"),
            Option("lazy_refcounts", Kind.flag, "Postpone refcount updates"),
            Option("refcount_bits", Kind.number, "Width of a reference count entry in bits"),
        ]
        let defaults = [
            "cluster_size": "65536", "extended_l2": "off", "compression_type": "zlib", "lazy_refcounts": "off",
            "refcount_bits": "16",
        ]
        return CreationFormat(
            name: "qcow2", options: options, defaults: defaults
        ) { path, values, session throws(ToolFailure) in
            var options = try qcow2Options(values, path)
            try encrypt(&options, values, path, session)
            let way = try preallocation(values, allowed: ["off", "metadata", "falloc", "full"])
            guard options.backingFile == nil || way == .off || options.extendedL2 else {
                throw ToolFailure(
                    "\(path): Backing file and preallocation can only be used at the same time if extended_l2 is on")
            }
            if let data = options.dataFile {
                try made(path, "create") { () throws(BlockError) in
                    try FileNode.create(path: ImageReference.stripped(data), size: 0)
                }
            }
            try createQCow2(path, options, way, session, key: values.text("encrypt.key-secret"))
        }
    }

    /// Makes an empty file (or takes what is there of a device or an export) and opens it while the body writes into it.
    static func withNewFile(
        _ path: String, _ session: Session, _ body: (any Resizable) throws(BlockError) -> Void
    ) throws(BlockError) {
        if let place = NewImagePlace(path) {
            return try place.open(session) { file throws(BlockError) in
                try body(file.forNewImage)
            }
        }
        let path = ImageReference.stripped(path)
        try FileNode.create(path: path, size: 0)
        let graph = BlockGraph(defaultAIO: .threads)
        defer { graph.closeAll() }
        guard let file = try graph.open(["driver": "file", "filename": path]) as? any Resizable else { return }
        try body(file)
    }

    /// Makes a file and writes an empty image into it.
    static func createQCow2(
        _ path: String, _ options: QCow2CreateOptions, _ way: Preallocation, _ session: Session, key: String?
    ) throws(ToolFailure) {
        try made(path, "write") { () throws(BlockError) in
            try withNewFile(path, session) { file throws(BlockError) in try QCow2Node.create(options, in: file) }
        }
        guard way != .off || options.dataFile != nil else { return }
        try made(path, "reserve space in") { () throws(BlockError) in
            let graph = BlockGraph(
                defaultAIO: .threads, secrets: session.secrets, throttles: session.throttles,
                references: session.references)
            defer { graph.closeAll() }
            var open = ["driver": "qcow2", "file.filename": path, "backing": ""]
            open["file.driver"] = NewImagePlace(path)?.driver ?? "file"
            if let key { open["encrypt.key-secret"] = key }
            let node = try graph.open(open)
            try (node as? QCow2Node)?.reserve(way)
        }
    }

    private static func qcow2Options(
        _ values: CreationValues, _ path: String
    ) throws(ToolFailure) -> QCow2CreateOptions {
        func refuse(_ text: String) -> ToolFailure { ToolFailure("\(path): \(text)") }
        func needsNewer(_ what: String) -> ToolFailure {
            refuse("\(what) with compatibility level 1.1 and above (use version=v3 or greater)")
        }
        var options = QCow2CreateOptions(size: (values.size + 511) / 512 * 512)
        guard options.size <= UInt64(Int64.max) else {
            throw refuse("Could not resize image: Image size cannot be negative")
        }
        switch values.text("compat") {
        case nil, "1.1", "v3": break
        case "0.10", "v2": options.version = 2
        case .some(let other): throw refuse("Parameter 'version' does not accept value '\(other)'")
        }
        switch values.text("compression_type") {
        case nil, "zlib": break
        case "zstd": options.compression = .zstd
        case .some(let other): throw refuse("Parameter 'compression-type' does not accept value '\(other)'")
        }
        let cluster = values.number("cluster_size") ?? 65536
        guard cluster >= 512, cluster <= 2 << 20, cluster & (cluster - 1) == 0 else {
            throw refuse("Cluster size must be a power of two between 512 and 2048k")
        }
        options.clusterSize = Int(cluster)
        if values.flag("extended_l2") {
            guard options.version >= 3 else { throw needsNewer("Extended L2 entries are only supported") }
            guard cluster >= 16384 else {
                throw refuse("Extended L2 entries are only supported with cluster sizes of at least 16384 bytes")
            }
            options.extendedL2 = true
        }
        if values.flag("lazy_refcounts") {
            guard options.version >= 3 else { throw needsNewer("Lazy refcounts only supported") }
            options.lazyRefcounts = true
        }
        let bits = values.number("refcount_bits") ?? 16
        guard bits >= 1, bits <= 64, bits & (bits - 1) == 0 else {
            throw refuse("Refcount width must be a power of two and may not exceed 64 bits")
        }
        guard bits == 16 || options.version >= 3 else {
            throw refuse(
                "Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or "
                    + "greater)")
        }
        options.refcountBits = Int(bits)
        options.backingFile = values.text("backing_file")
        options.backingFormat = values.text("backing_fmt")
        options.dataFile = values.text("data_file")
        options.dataFileRaw = values.flag("data_file_raw")
        if options.dataFileRaw {
            guard options.dataFile != nil else { throw refuse("data-file-raw requires data-file") }
            guard options.backingFile == nil else {
                throw refuse("Backing file and data-file-raw cannot be used at the same time")
            }
        }
        if options.dataFile != nil && options.version < 3 {
            throw needsNewer("External data files are only supported")
        }
        if options.compression != .zlib && options.version < 3 {
            throw needsNewer("Non-zlib compression type is only supported")
        }
        if (options.backingFile?.utf8.count ?? 0) > 1023 { throw refuse("Backing file name too long") }
        if !options.fitsTables {
            throw refuse(
                "The image size is too large for file format 'qcow2' (try using a larger cluster size)")
        }
        return options
    }

    static func preallocation(
        _ values: CreationValues, allowed: [String]
    ) throws(ToolFailure) -> Preallocation {
        guard let text = values.text("preallocation") else { return .off }
        guard let way = Preallocation(rawValue: text) else {
            throw ToolFailure(
                values.format.name == "raw"
                    ? "invalid parameter value: \(text)" : "Parameter 'preallocation' does not accept value '\(text)'")
        }
        guard allowed.contains(text) else { throw ToolFailure("Unsupported preallocation mode: \(text)") }
        return way
    }

    /// Runs a step of a creation; its error names the image.
    static func made(
        _ path: String, _ operation: String, _ body: () throws(BlockError) -> Void
    ) throws(ToolFailure) {
        do throws(BlockError) {
            try body()
        } catch {
            switch error {
            case .notFound(let file):
                throw ToolFailure("\(path): Could not create '\(file)': No such file or directory")
            case .noPermission(let file, _): throw ToolFailure("\(path): Could not create '\(file)': Permission denied")
            case .isDirectory(let file): throw ToolFailure("\(path): Could not create '\(file)': Is a directory")
            case .readOnly(let file):
                throw ToolFailure("\(path): Could not create '\(file)': Read-only file system")
            default: throw ToolFailure("\(path): \(Wording.reason(error))")
            }
        }
    }
}
