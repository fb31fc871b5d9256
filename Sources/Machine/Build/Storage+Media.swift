internal import BlockImage
internal import HostOS

// Drives with `snapshot=on`, and the changing of media.
extension Storage {
    /// Opens a drive whose writes go to a new image, which ends with the process. The drive's own is only read.
    func openSnapshot(_ drive: DriveOptions) throws(BlockError) -> BlockDevice {
        let head = try BlockGraph.probe(path: drive.path, opener: graph.opener)
        let format = drive.format ?? head.rawValue
        let folder: String
        do throws(HostError) {
            folder = try HostFile.makeTemporaryFolder(prefix: "/var/tmp/apus-")
        } catch { throw BlockError.notFound(path: "/var/tmp") }
        defer { HostFile.removeTree(folder) }
        let path = "\(folder)/snapshot"
        _ = try? HostFile.open(path, HostFile.Mode.replace, permissions: 0o600)
        let base = [
            "driver": format, "read-only": "on",
            "file.driver": try BlockGraph.isDevice(drive.path, opener: graph.opener) ? "host_device" : "file",
            "file.filename": drive.path, "file.aio": drive.aio.rawValue, "file.locking": drive.locking.rawValue,
        ]
        let size = try size(of: base)
        try makeImage(path, size: size)
        var options = [
            "driver": "qcow2", "file.driver": "file", "file.filename": path, "discard": "unmap",
            "cache.no-flush": "on", "detect-zeroes": drive.detectZeroes.rawValue,
        ]
        for (name, value) in base { options["backing.\(name)"] = value }
        return try graph.openDevice(options, id: drive.id)
    }

    private func makeImage(_ path: String, size: UInt64) throws(BlockError) {
        let file = try graph.open(["driver": "file", "filename": path])
        defer { try? graph.remove(file.nodeName) }
        guard let target = file as? any Resizable else { throw .notFound(path: path) }
        // It is this machine's own, also while it waits for the one that uses the others.
        if graph.isInactive { try graph.activate(file) }
        try QCow2Node.create(QCow2CreateOptions(size: size), in: target)
    }

    private func size(of base: [String: String]) throws(BlockError) -> UInt64 {
        let node = try graph.open(base)
        defer { try? graph.remove(node.nodeName) }
        return node.sizeInBytes
    }

    // MARK: Media

    /// The drive of a name: the drive's, the device's, or the device's path.
    private func removable(_ target: MediumTarget) throws(MachineError) -> RemovableDrive {
        let name = target.name
        let found = removableDrives.first { drive in
            switch target {
            case .device: !drive.name.isEmpty && drive.name == name
            case .id: drive.id == name || drive.path == name
            case .either: (!drive.name.isEmpty && drive.name == name) || drive.id == name || drive.path == name
            }
        }
        if let found { return found }
        if isFixed(name) { throw .failed("Device '\(name)' is not removable") }
        throw .deviceNotFound(name)
    }

    func openTray(_ target: MediumTarget, force: Bool) throws(MachineError) {
        let drive = try removable(target)
        guard drive.open(force: force) else {
            throw .failed(
                "Device '\(target.name)' is locked and force was not specified, wait for tray to open and try again")
        }
    }
    func closeTray(_ target: MediumTarget) throws(MachineError) { try removable(target).close() }

    func removeMedium(_ target: MediumTarget) throws(MachineError) {
        let drive = try removable(target)
        guard drive.tray.isOpen else { throw .failed("Tray of device '\(target.name)' is not open") }
        if let old = drive.exchange(nil) { graph.detach(old.device) }
    }

    func insertMedium(_ target: MediumTarget, node: String) throws(MachineError) {
        let drive = try removable(target)
        guard drive.tray.isOpen else { throw .failed("Tray of device '\(target.name)' is not open") }
        guard drive.current == nil else { throw .failed("There already is a medium in device '\(target.name)'") }
        do throws(BlockError) {
            let device = try graph.attach(node, id: drive.name)
            let medium = RemovableDrive.Medium(
                device: device, file: device.root.filename, format: device.root.driverName, cache: .writeback,
                detectZeroes: .off)
            if let old = drive.exchange(medium) { graph.detach(old.device) }
        } catch { throw .failed("\(error)") }
    }

    func eject(_ target: MediumTarget, force: Bool) throws(MachineError) {
        try openTray(target, force: force)
        try removeMedium(target)
    }

    /// Opens an image first: where that fails, the old medium stays.
    func changeMedium(
        _ target: MediumTarget, file: String, format: String?, force: Bool
    ) throws(MachineError) {
        let drive = try removable(target)
        var options = DriveOptions(id: drive.name, path: file, format: format)
        options.readOnly = !drive.isDiskette
        options.autoReadOnly = drive.isDiskette
        let device: BlockDevice
        do throws(BlockError) { device = try graph.openDrive(options) } catch { throw .failed("\(error)") }
        do throws(MachineError) { try openTray(target, force: force) } catch {
            graph.detach(device)
            throw error
        }
        let medium = RemovableDrive.Medium(
            device: device, file: file, format: device.root.driverName, cache: .writeback, detectZeroes: .off)
        if let old = drive.exchange(medium) { graph.detach(old.device) }
        drive.close()
    }
}

/// Names a drive whose medium is to be changed.
public enum MediumTarget: Equatable, Sendable {
    /// By the drive's name.
    case device(String)
    /// By the device's name or path.
    case id(String)
    /// By any of them.
    case either(String)

    /// The name.
    public var name: String {
        switch self {
        case .device(let name), .id(let name), .either(let name): name
        }
    }
}

extension AsynchronousIO {
    /// The image engine's word for it.
    var engine: FileAIO {
        switch self {
        case .threads: .threads
        case .native: .native
        case .uring: .io_uring
        }
    }
}
