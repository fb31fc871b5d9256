internal import BlockImage
internal import JSON
internal import Synchronization

/// The images of a machine: the block graph, and the drives that options name.
final class Storage: Sendable {
    /// A drive that is open, with what the monitor shows of it.
    struct Drive: Sendable {
        let device: BlockDevice
        let configuration: DriveConfiguration?
        var user: String?
    }
    let graph = BlockGraph()
    private let drives = Mutex<[(name: String, drive: Drive)]>([])
    // Drives without a medium, which only the monitor hears of.
    private let empty = Mutex<[(name: String, user: String)]>([])

    /// Opens all nodes and drives of a configuration. Empty drives are not there.
    init(_ configuration: MachineConfiguration) throws(MachineBuildError) {
        do throws(MachineBuildError) {
            for node in configuration.blockNodes {
                let options = Self.options(node)
                do throws(BlockError) { try graph.open(options) } catch {
                    throw MachineBuildError("-blockdev \(node.nodeName ?? node.driver): \(error)")
                }
            }
            for drive in configuration.drives where drive.file != nil { try open(drive) }
        } catch {
            graph.closeAll()
            throw error
        }
    }

    private func open(_ drive: DriveConfiguration) throws(MachineBuildError) {
        guard let file = drive.file else { return }
        if drive.snapshot { throw MachineBuildError("\(drive.origin): snapshot=on is not supported") }
        var options = DriveOptions(id: drive.id, path: file, format: drive.format)
        options.cache = BlockImage.CacheMode(name: drive.cache.rawValue) ?? BlockImage.CacheMode.writeback
        options.discard = drive.discardUnmap ? DiscardMode.unmap : DiscardMode.ignore
        options.detectZeroes = BlockImage.DetectZeroes(rawValue: drive.detectZeroes.rawValue) ?? .off
        options.readOnly = drive.readOnly || drive.media == .cdrom
        do throws(BlockError) {
            let device = try graph.openDrive(options)
            let entry = Drive(device: device, configuration: drive)
            drives.withLock { $0.append((drive.id, entry)) }
        } catch {
            throw MachineBuildError("\(drive.origin): \(error)")
        }
    }

    /// A device's end of a drive or of a named node.
    func attach(_ name: String, to user: String, writeCache: Bool = true) throws(MachineBuildError) -> BlockDevice {
        enum Found {
            case device(BlockDevice)
            case taken
            case none
        }
        let found = drives.withLock { drives -> Found in
            guard let place = drives.firstIndex(where: { $0.name == name }) else { return .none }
            if drives[place].drive.user != nil { return .taken }
            drives[place].drive.user = user
            return .device(drives[place].drive.device)
        }
        switch found {
        case .device(let device): return device
        case .taken: throw MachineBuildError("Drive '\(name)' is already in use by another block device")
        case .none: break
        }
        do throws(BlockError) {
            let device = try graph.attach(name, id: "", writeCache: writeCache)
            let entry = Drive(device: device, configuration: nil, user: user)
            drives.withLock { $0.append((name, entry)) }
            return device
        } catch {
            throw MachineBuildError("Cannot use drive '\(name)': \(error)")
        }
    }

    /// Notes a drive that has no medium.
    func noteEmpty(_ name: String, user: String) { empty.withLock { $0.append((name, user)) } }

    /// The drives for `info block`.
    var status: [BlockDeviceStatus] {
        full
            + empty.withLock { $0 }.map {
                BlockDeviceStatus(device: $0.name, devicePath: $0.user, isRemovable: true, isTrayOpen: false)
            }
    }
    private var full: [BlockDeviceStatus] {
        drives.withLock { $0 }.map { name, drive in
            let device = drive.device
            var status = BlockDeviceStatus(
                device: drive.configuration == nil ? "" : name, devicePath: drive.user,
                isRemovable: drive.configuration?.media == .cdrom,
                image: BlockDeviceStatus.Image(
                    file: drive.configuration?.file ?? name, format: drive.configuration?.format ?? "raw",
                    nodeName: device.root.nodeName, virtualSize: device.sizeInBytes, isReadOnly: device.isReadOnly,
                    cache: drive.configuration?.cache ?? .writeback,
                    detectZeroes: drive.configuration?.detectZeroes ?? .off))
            let counts = device.statistics
            status.statistics.reads = counts.read.operations
            status.statistics.writes = counts.write.operations
            status.statistics.flushes = counts.flush.operations
            status.statistics.discards = counts.unmap.operations
            status.statistics.readBytes = counts.read.bytes
            status.statistics.writtenBytes = counts.write.bytes
            status.statistics.discardedBytes = counts.unmap.bytes
            status.statistics.readTime = counts.read.nanoseconds
            status.statistics.writeTime = counts.write.nanoseconds
            status.statistics.flushTime = counts.flush.nanoseconds
            status.statistics.discardTime = counts.unmap.nanoseconds
            status.statistics.failedReads = counts.read.failed
            status.statistics.failedWrites = counts.write.failed
            status.statistics.failedFlushes = counts.flush.failed
            return status
        }
    }

    /// Makes everything durable and closes all images.
    func close() {
        for (_, drive) in drives.withLock({ $0 }) { drive.device.drain() }
        graph.closeAll()
    }

    /// A node's options as the graph reads them: flat, with dots.
    static func options(_ node: BlockNodeConfiguration) -> [String: String] {
        var result = ["driver": node.driver]
        func flag(_ value: Bool) -> String { value ? "on" : "off" }
        if let name = node.nodeName { result["node-name"] = name }
        if node.readOnly { result["read-only"] = "on" }
        if node.autoReadOnly { result["auto-read-only"] = "on" }
        if node.discardUnmap { result["discard"] = "unmap" }
        if node.detectZeroes != .off { result["detect-zeroes"] = node.detectZeroes.rawValue }
        if node.cacheDirect { result["cache.direct"] = "on" }
        if node.cacheNoFlush { result["cache.no-flush"] = "on" }
        if node.forceShare { result["force-share"] = "on" }
        if let filename = node.filename { result["filename"] = filename }
        if let aio = node.asynchronousIO { result["aio"] = aio.rawValue }
        func add(_ child: BlockNodeConfiguration.Child, _ role: String) {
            switch child {
            case .reference(let name): result[role] = name
            case .node(let below): for (key, value) in options(below) { result["\(role).\(key)"] = value }
            }
        }
        if let file = node.file { add(file, "file") }
        if case .some(.some(let backing)) = node.backing { add(backing, "backing") }
        for member in node.other.members {
            if let text = member.value.stringValue {
                result[member.name] = text
            } else if let on = member.value.boolValue {
                result[member.name] = flag(on)
            } else if let number = member.value.uint64Value {
                result[member.name] = String(number)
            }
        }
        return result
    }
}
