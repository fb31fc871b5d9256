internal import CLinux
internal import HostOS

extension BlockGraph {
    /// How the file of a new image comes to be (`mode` of QMP's commands).
    public enum NewImage: String, Sendable, CaseIterable {
        /// It is made.
        case absolutePaths = "absolute-paths"
        /// It is there.
        case existing
    }

    /// The formats of images that a machine can make.
    private static let made: Set<String> = ["raw", "qcow2", "vdi", "vpc", "vhdx", "vmdk"]

    /// Throws unless images of a format can be made.
    public func checkMaking(_ format: String) throws(BlockError) {
        guard !Self.made.contains(format) else { return }
        guard driverNames.contains(format) else { throw .message("Unknown file format '\(format)'") }
        throw .message(
            ["qed", "luks", "parallels", "qcow"].contains(format)
                ? "Images of the format '\(format)' cannot be made by a machine"
                : "Format driver '\(format)' does not support image creation")
    }

    /// Makes a qcow2 or raw image of a size on the host.
    public func makeImage(
        _ path: String, format: String, size: UInt64, backing: (name: String, format: String)? = nil
    ) throws(BlockError) {
        try checkMaking(format)
        // An image that somebody uses is not emptied.
        try FileNode.create(path: path, size: 0, open: opener)
        let file = try openImplicitly(["driver": "file", "filename": path])
        defer { try? remove(file.nodeName) }
        guard let target = file as? any Resizable else { throw .notFound(path: path) }
        switch format {
        case "raw": try target.resize(to: size, preallocation: .off)
        case "qcow2":
            var options = QCow2CreateOptions(size: size)
            options.backingFile = backing?.name
            options.backingFormat = backing?.format
            try QCow2Node.create(options, in: target)
        case "vdi": try OtherFormats.createVDI(size: size, isStatic: false, in: target)
        case "vpc": try OtherFormats.createVPC(size: size, isFixed: false, isExact: true, in: target)
        case "vhdx":
            try OtherFormats.createVHDX(
                size: size, blockSize: 0, logSize: 1 << 20, isFixed: false, marksZero: true, in: target)
        case "vmdk":
            try OtherFormats.createVMDK(VMDKCreateOptions(size: size), at: path) {
                (_, body) throws(BlockError) in try body(target)
            }
        default: throw .message("Images of the format '\(format)' cannot be made by a machine")
        }
    }

    /// The name by which another image can refer to this one from anywhere.
    public static func absoluteName(_ node: any BlockNode) -> String {
        let name = node.filename
        return ImageName.scheme(name) == nil ? HostFile.absolute(name) : name
    }

    /// Opens the image of a target of a job or of a snapshot, with the cache options of the disk beside it; its
    /// backing file is not opened.
    public func openTarget(
        _ path: String, format: String, nodeName: String?, like node: any BlockNode, hasBacking: Bool = false
    ) throws(BlockError) -> any BlockNode {
        let like = nodeOptions(of: node)
        var options = [
            "driver": format, "file.filename": path, "cache.direct": like.cache.direct ? "on" : "off",
            "cache.no-flush": like.cache.noFlush ? "on" : "off", "discard": like.discard.rawValue,
            "detect-zeroes": like.detectZeroes.rawValue,
        ]
        if format == "qcow2" && !hasBacking { options["backing"] = "" }
        options["node-name"] = nodeName
        return try openImplicitly(options)
    }

    /// From now on the guest writes to `overlay`, over what its disk was until now, which is not written to any
    /// more. The device is drained and held so. What is returned undoes it.
    public func takeSnapshot(_ device: BlockDevice, overlay: any BlockNode) throws(BlockError) -> @Sendable () -> Void {
        guard let overlay = overlay as? QCow2Node else {
            throw .message("The overlay does not support backing images")
        }
        guard overlay.backing == nil else { throw .message("The overlay already has a backing image") }
        guard users(of: overlay) == 0 else { throw .message("The overlay is already in use") }
        guard !overlay.isReadOnly else { throw .message("Device '\(device.id)' is read only") }
        let old = device.image
        let status = old.performAndWait(.flush)
        guard old.isReadOnly || status == 0 else { throw .io(path: old.filename, operation: "flush", status) }
        setBacking(of: overlay, to: old)
        exchange(device, to: overlay)
        let wasWritable = !old.isReadOnly
        // One that cannot be reopened stays as it is: nobody writes to it.
        if wasWritable { try? (old as? any Reopenable)?.reopen(readOnly: true) }
        return { [self] in
            if wasWritable { try? (old as? any Reopenable)?.reopen(readOnly: false) }
            // Between the overlay that lets it go and the device that takes it again, nobody uses the old node.
            pin(old)
            setBacking(of: overlay, to: nil)
            exchange(device, to: old)
            unpin(old)
        }
    }
}
