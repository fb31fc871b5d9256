internal import CLinux
public import SystemPackage

/// A disk as `-drive`, `-hda` or a positional image describes it.
public struct DriveOptions: Sendable {
    /// The drive's name.
    public var id: String
    /// The image.
    public var path: String
    /// `format=`; nil: by content.
    public var format: String?
    /// `cache=`.
    public var cache = CacheMode.writeback
    /// `aio=`.
    public var aio = FileAIO.auto
    /// `discard=`.
    public var discard = DiscardMode.ignore
    /// `detect-zeroes=`.
    public var detectZeroes = DetectZeroes.off
    /// `read-only=`.
    public var readOnly = false
    /// `auto-read-only=`.
    public var autoReadOnly = false
    /// Options by dotted names (`file.driver`), which go before those that follow from `path`.
    public var more: [String: String] = [:]
    /// `file.locking=`.
    public var locking = FileLocking.auto
    /// `copy-on-read=`.
    public var copiesOnRead = false

    /// The defaults for an image.
    public init(id: String, path: String, format: String? = nil) {
        self.id = id
        self.path = path
        self.format = format
    }
}

extension BlockGraph {
    /// Opens an image with its format and puts a device on it. Without a format the content decides; an image taken
    /// for raw in this way cannot be turned into another format by its guest.
    public func openDrive(_ drive: DriveOptions) throws(BlockError) -> BlockDevice {
        var options: [String: String] = [
            "read-only": drive.readOnly ? "on" : "off", "auto-read-only": drive.autoReadOnly ? "on" : "off",
            "discard": drive.discard.rawValue, "detect-zeroes": drive.detectZeroes.rawValue,
            "cache.direct": drive.cache.direct ? "on" : "off",
            "cache.no-flush": drive.cache.noFlush ? "on" : "off",
        ]
        let path = drive.path.hasPrefix("file:") ? String(drive.path.dropFirst(5)) : drive.path
        var head: [UInt8]?
        let ofName = try drive.path.isEmpty ? nil : ImageName.options(of: drive.path)
        var named = ofName ?? [:]
        named.merge(drive.more) { first, _ in first }
        // Options may say what is under the format, or only add to what the path says.
        let isFile: Bool
        if let driver = named["file.driver"] {
            isFile = ["file", "host_device"].contains(driver)
        } else {
            isFile = named.isEmpty || (ofName == nil && !path.isEmpty && named["file"] == nil)
        }
        if isFile {
            let isDevice: Bool
            let found = try BlockGraph.examine(named["file.filename"] ?? path, opener)
            (isDevice, head) = (found.isDevice, found.head)
            options["file.driver"] = isDevice ? "host_device" : "file"
            options["file.filename"] = path
            options["file.aio"] = drive.aio.rawValue
            options["file.locking"] = drive.locking.rawValue
        }
        for (key, value) in named { options[key] = value }
        if let format = drive.format { options["driver"] = format }
        let hasFile = options.keys.contains { $0 == "file" || $0.hasPrefix("file.") }
        if options["driver"] == nil && hasFile {
            if head == nil { head = try bytes(ofFile: &options) }
            let format = ImageFormat.probe(head ?? [], path: drive.path)
            options["driver"] = format.rawValue
            if format == .raw { options["x-probed"] = "on" }
            guard driverNames.contains(format.rawValue) else {
                throw .unsupported(path: drive.path, feature: "the image format '\(format.rawValue)'")
            }
        }
        if drive.copiesOnRead && !drive.readOnly {
            options = Dictionary(uniqueKeysWithValues: options.map { ("file.\($0.key)", $0.value) })
            options["driver"] = "copy-on-read"
            options["discard"] = drive.discard.rawValue
        }
        return try openDevice(options, id: drive.id, writeCache: drive.cache.writeback)
    }

    /// Opens what is under a format whose name is not known yet, and reads its head.
    private func bytes(ofFile options: inout [String: String]) throws(BlockError) -> [UInt8] {
        if options["file"] == nil {
            var inner: [String: String] = [:]
            for name in ["read-only", "auto-read-only", "cache.direct", "cache.no-flush"] {
                inner[name] = options[name]
            }
            inner["discard"] = "unmap"
            for (key, value) in options where key.hasPrefix("file.") {
                inner[String(key.dropFirst(5))] = value
                options[key] = nil
            }
            options["file"] = try openImplicitly(inner).nodeName
        }
        guard let name = options["file"], let file = node(named: name) else {
            throw .unknownNode(options["file"] ?? "")
        }
        let (status, head) = file.bytesAndWait(at: 0, count: ImageFormat.probeSize)
        guard status == 0 else {
            try? remove(name)
            throw .message("Could not read '\(file.filename)' to determine its format")
        }
        return head
    }

    /// Opens a node that goes with its device, and puts the device on it.
    public func openDevice(
        _ options: [String: String], id: String, writeCache: Bool = true
    ) throws(BlockError) -> BlockDevice {
        let node = try openImplicitly(options)
        do throws(BlockError) {
            return try attach(node.nodeName, id: id, writeCache: writeCache)
        } catch {
            try? remove(node.nodeName)
            throw error
        }
    }

    /// The format of an image by its content. Opens it for a moment, without a lock.
    public static func probe(
        path: String, opener: FileOpener = FileNode.openDirectly
    ) throws(BlockError) -> ImageFormat {
        ImageFormat.probe(try examine(path, opener).head, path: path)
    }

    /// Whether a path names a block device.
    public static func isDevice(
        _ path: String, opener: FileOpener = FileNode.openDirectly
    ) throws(BlockError) -> Bool {
        try examine(path.hasPrefix("file:") ? String(path.dropFirst(5)) : path, opener).isDevice
    }

    /// What a file is and begins with, and which it is of all files.
    static func examine(
        _ path: String, _ opener: FileOpener
    ) throws(BlockError) -> (isDevice: Bool, head: [UInt8], identity: String) {
        guard !path.utf8.contains(0) else { throw .notFound(path: path) }
        let descriptor: Int32
        switch opener(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0) {
        case .success(let opened): descriptor = opened
        case .failure(let reason): throw .opening(path, forWriting: false, reason)
        }
        defer { close(descriptor) }
        var status = stat()
        // SAFETY: the structure outlives the calls.
        guard unsafe apus_fstat(descriptor, &status) == 0 else {
            throw .system(path: path, operation: "examine", Errno(rawValue: apus_errno()))
        }
        if unsafe apus_is_directory(&status) != 0 { throw .isDirectory(path: path) }
        let isDevice = unsafe apus_is_block_device(&status) != 0
        guard unsafe isDevice || apus_is_regular(&status) != 0 else { throw .notRegularFile(path: path) }
        var head = [UInt8](repeating: 0, count: ImageFormat.probeSize)
        // SAFETY: the kernel writes at most the array's count.
        let count = unsafe head.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress!, $0.count, 0) }
        guard count >= 0 else { throw .system(path: path, operation: "read", Errno(rawValue: apus_errno())) }
        return (isDevice, Array(head.prefix(count)), "\(status.st_dev):\(status.st_ino)")
    }
}
