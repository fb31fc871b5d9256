internal import BlockImage
internal import HostOS
internal import JSON
internal import Synchronization

/// The images of a machine: the block graph, and the drives that options name.
final class Storage: Sendable {
    /// A drive that is open, with what the monitor shows of it.
    struct Drive: Sendable {
        let device: BlockDevice
        let configuration: DriveConfiguration?
        var user: String?
        /// The node that it began with.
        let first: String
        /// Its image as the command line has it, until jobs or snapshots put another in its place.
        var shownFile: String {
            let root = device.image
            guard root.nodeName == first, let file = configuration?.file else { return root.filename }
            return file
        }
        init(device: BlockDevice, configuration: DriveConfiguration?, user: String? = nil) {
            (self.device, self.configuration, self.user) = (device, configuration, user)
            first = device.image.nodeName
        }
        /// The format that it was opened with.
        var format: String { device.root.driverName }
    }
    let graph: BlockGraph
    /// O_ACCMODE of open(2); O_RDONLY is 0.
    private static let accessMode: Int32 = 3
    private let drives = Mutex<[(name: String, drive: Drive)]>([])
    private let removables = Mutex<[RemovableDrive]>([])
    private let configuration: MachineConfiguration
    /// Jobs, snapshots, bitmaps, limits and exports of the disks while the machine runs.
    let live = LiveStorage()

    /// Opens all nodes and drives of a configuration. Empty drives are not there.
    init(
        _ configuration: MachineConfiguration, descriptors: DescriptorSets, lockedMemory: [MemoryRange] = []
    ) throws(MachineBuildError) {
        self.configuration = configuration
        graph = BlockGraph(
            opener: { path, flags, mode in
                switch descriptors.open(path, writes: flags & Self.accessMode != 0) {
                case .success(let copy)?: .success(copy)
                case .failure(let error)?: .failure(error.errno)
                case nil: FileNode.openDirectly(path, flags, mode)
                }
            }, isInactive: configuration.incoming != nil, lockedMemory: lockedMemory)
        for object in configuration.objects {
            do throws(BlockError) { try addObject(object) } catch {
                throw MachineBuildError("-object \(object.type),id=\(object.id): \(error)")
            }
        }
        try Self.makeOverlays(configuration.overlays)
        do throws(MachineBuildError) {
            for node in configuration.blockNodes {
                let options = Self.options(node)
                do throws(BlockError) { try graph.open(options) } catch {
                    throw MachineBuildError("-blockdev \(node.nodeName ?? node.driver): \(error)")
                }
            }
            for drive in configuration.drives where drive.hasMedium { try open(drive) }
            live.connect(self)
            graph.observeCorruption { [live] in live.tell($0) }
        } catch {
            graph.closeAll()
            throw error
        }
    }

    private static func makeOverlays(_ overlays: [OverlayConfiguration]) throws(MachineBuildError) {
        guard !overlays.isEmpty else { return }
        let graph = BlockGraph()
        defer { graph.closeAll() }
        for overlay in overlays {
            do throws(BlockError) {
                try graph.makeImage(
                    overlay.path, format: "qcow2", size: overlay.size, backing: (overlay.backing, overlay.format))
            } catch { throw MachineBuildError("The overlay of '\(overlay.backing)': \(error)") }
        }
    }

    /// Takes a secret, TLS credentials or a throttle group that images may name; other objects are none of its business. A
    /// secret that is encrypted itself is not known here: who needs it hears that.
    func addObject(_ object: ObjectConfiguration) throws(BlockError) {
        if ThrottleGroups.takes(object.type) {
            return try graph.throttles.add(object.id, try ImageName.flat(object.properties))
        }
        guard BlockSecrets.takes(object.type), object.properties["keyid"] == nil else { return }
        var properties = object.properties
        properties["loaded"] = nil
        var options = try ImageName.flat(properties)
        options["id"] = object.id
        try graph.secrets.add(type: object.type, options)
    }

    /// Opens a drive while the machine is there.
    func add(_ drive: DriveConfiguration) throws(MachineError) {
        let isTaken =
            drives.withLock { $0.contains { $0.name == drive.id } } || graph.node(named: drive.id) != nil
            || removableDrives.contains { $0.name == drive.id }
        guard !isTaken else { throw .failed("Duplicate ID '\(drive.id)' for drive") }
        do throws(MachineBuildError) { try open(drive) } catch {
            // It comes of no option that would be named.
            let words = "\(error)"
            throw .failed(drive.origin.isEmpty && words.hasPrefix(": ") ? String(words.dropFirst(2)) : words)
        }
    }

    private func open(_ drive: DriveConfiguration) throws(MachineBuildError) {
        var options = DriveOptions(id: drive.id, path: drive.file ?? "", format: drive.format)
        do throws(BlockError) { options.more = try ImageName.flat(drive.fileOptions) } catch {
            throw MachineBuildError("\(drive.origin): \(error)")
        }
        options.aio = drive.asynchronousIO?.engine ?? FileAIO.auto
        options.cache = BlockImage.CacheMode(name: drive.cache.rawValue) ?? BlockImage.CacheMode.writeback
        options.discard = drive.discardUnmap ? DiscardMode.unmap : DiscardMode.ignore
        options.detectZeroes = BlockImage.DetectZeroes(rawValue: drive.detectZeroes.rawValue) ?? .off
        options.readOnly = drive.readOnly || drive.media == .cdrom
        options.copiesOnRead = drive.copyOnRead
        do throws(BlockError) {
            let device = try drive.snapshot ? openSnapshot(options) : graph.openDrive(options)
            let entry = Drive(device: device, configuration: drive)
            if drive.throttling.members.contains(where: { $0.name != "group" }) {
                do throws(MachineError) {
                    let limits = try LiveStorage.limits(drive.throttling)
                    try live.setThrottle(device, limits, group: drive.throttling.string("group"), among: graph.throttles)
                } catch { throw BlockError.message("\(error)") }
            }
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
            live.settleBitmaps()
            return device
        } catch {
            throw MachineBuildError("Cannot use drive '\(name)': \(error)")
        }
    }

    /// The device of a drive or of a named node is gone: a drive stays, for another device; a node is free again.
    func release(_ name: String) {
        let node = drives.withLock { drives -> BlockDevice? in
            guard let place = drives.firstIndex(where: { $0.name == name }) else { return nil }
            drives[place].drive.user = nil
            return drives[place].drive.configuration == nil ? drives.remove(at: place).drive.device : nil
        }
        if let node {
            graph.detach(node)
            live.settleBitmaps()
        }
        let gone = removables.withLock { removables -> [RemovableDrive] in
            let gone = removables.filter { $0.name == name && !$0.isConnected }
            removables.removeAll { one in gone.contains { $0 === one } }
            return gone
        }
        for drive in gone { if let medium = drive.current { graph.detach(medium.device) } }
    }

    /// Forgets errors, as the machine goes on.
    func resetHealth() {
        for (_, drive) in drives.withLock({ $0 }) { drive.device.resetHealth() }
        for drive in removableDrives { drive.current?.device.resetHealth() }
    }

    /// Sets what a drive's device does about errors: by the device's properties, or the drive's options.
    func setErrorRules(_ device: BlockDevice, _ properties: JSONObject, _ lifecycle: LifecyclePort) {
        let drive = configuration.drives.first { $0.id == device.id }
        func rule(_ name: String, _ own: ErrorPolicy?, _ usual: BlockErrorRules.Rule) -> BlockErrorRules.Rule {
            let word = properties.string(name).flatMap { $0 == "auto" ? nil : $0 } ?? own?.rawValue
            return word.flatMap(BlockErrorRules.Rule.init) ?? usual
        }
        device.errorRules = BlockErrorRules(
            reads: rule("rerror", drive?.readErrors, .report), writes: rule("werror", drive?.writeErrors, .enospc)
        ) { lifecycle.send(.blockFailed($0)) }
    }

    /// A CD drive of a device, with what `attach` has given it. From now on its medium can be changed.
    func addRemovable(
        _ name: String, id: String?, path: String, channel: Int, unit: Int
    ) {
        let found = drives.withLock { drives -> Drive? in
            guard let place = drives.firstIndex(where: { $0.drive.user == path }) else { return nil }
            return drives.remove(at: place).drive
        }
        let medium = found.map { drive in
            RemovableDrive.Medium(
                device: drive.device, file: drive.configuration?.file ?? drive.device.root.filename,
                format: drive.format, cache: drive.configuration?.cache ?? .writeback,
                detectZeroes: drive.configuration?.detectZeroes ?? .off)
        }
        // A node that a device names is no drive of its own.
        let isDrive = found == nil || found?.configuration != nil
        let made = RemovableDrive(
            name: isDrive ? name : "", id: id, path: path, channel: channel, unit: unit, medium: medium)
        removables.withLock { $0.append(made) }
    }

    /// A drive's device by the drive's name, the device's, or its disk's node. Not of a CD drive.
    func device(_ wanted: String) -> BlockDevice? {
        // QEMU's virtio disks on PCI have the disk in a device of its own below theirs.
        let ending = "/virtio-backend"
        let name = wanted.hasSuffix(ending) ? String(wanted.dropLast(ending.count)) : wanted
        return drives.withLock { drives in
            drives.first { entry in
                entry.name == name || entry.drive.user == name || entry.drive.user?.hasSuffix("/\(name)") ?? false
                    || entry.drive.device.root.nodeName == name || entry.drive.device.image.nodeName == name
            }?.drive.device
        }
    }
    /// The names of all drives with their devices.
    var fixedDevices: [(name: String, device: BlockDevice)] {
        drives.withLock { $0.map { ($0.drive.configuration == nil ? "" : $0.name, $0.drive.device) } }
    }

    /// The drives whose media can be changed.
    var removableDrives: [RemovableDrive] { removables.withLock { $0 } }

    /// Whether a name is one of a drive or a device's drive that stays where it is.
    func isFixed(_ name: String) -> Bool {
        drives.withLock { $0.contains { $0.name == name || $0.drive.user?.hasSuffix("/\(name)") ?? false } }
    }

    /// The disks that are written to, by the names of their drives or nodes.
    var writable: [(name: String, device: BlockDevice)] {
        let fixed = drives.withLock { $0.map { ($0.name, $0.drive.device) } }
        let media = removables.withLock { $0 }.compactMap { drive in drive.current.map { (drive.name, $0.device) } }
        return (fixed + media).filter { !$0.1.isReadOnly }
    }

    /// The nodes for `query-named-block-nodes`.
    var nodes: [BlockNodeStatus] {
        graph.nodes.map { node in
            BlockNodeStatus(
                driver: node.driverName,
                image: image(
                    node, file: node.filename, format: node.driverName, cache: .writeback, detectZeroes: .off))
        }
    }

    /// Opens one more node (`blockdev-add`).
    func add(_ node: BlockNodeConfiguration) throws(MachineError) {
        do throws(BlockError) { try graph.open(Self.options(node)) } catch { throw .failed("\(error)") }
    }
    /// Closes a node that nothing uses (`blockdev-del`).
    func remove(node name: String) throws(MachineError) {
        guard graph.node(named: name) != nil else {
            throw .failed("Failed to find node with node-name='\(name)'")
        }
        try live.checkRemoval(of: name)
        do throws(BlockError) { try graph.remove(name) } catch { throw .failed("\(error)") }
        live.settleBitmaps()
    }

    /// Makes a drive's or node's image as long as is wanted, and lets the device that uses it know.
    func resize(device: String?, node name: String?, size: UInt64) throws(MachineError) {
        let drive = drives.withLock { drives in
            drives.first { entry in
                if let device { return entry.name == device && entry.drive.configuration != nil }
                return entry.drive.device.root.nodeName == name || entry.drive.device.image.nodeName == name
                    || (name != nil && entry.name == name)
            }?.drive
        }
        guard let root = drive?.device.root ?? name.flatMap({ graph.node(named: $0) }) else {
            if let device { throw .deviceNotFound(device) }
            throw .failed("Cannot find device='' nor node-name='\(name ?? "")'")
        }
        guard !root.isReadOnly, let target = root as? any Resizable else {
            throw .failed("Node '\(root.nodeName)' cannot be resized")
        }
        guard size % 512 == 0 else { throw .failed("The new size must be a multiple of 512") }
        drive?.device.beginDrained()
        let result = Result { () throws(BlockError) in try target.resize(to: size, preallocation: .off) }
        drive?.device.endDrained()
        if case .failure(let error) = result { throw .failed("\(error)") }
        drive?.device.sizeChanged()
    }

    /// The drives for `info block`.
    var status: [BlockDeviceStatus] {
        (full + removableDrives.map(status)).sorted { left, right in
            place(of: left.device) < place(of: right.device)
        }
    }
    /// Drives in the order of the command line; the rest after them.
    private func place(of name: String) -> Int {
        name.isEmpty ? Int.max : configuration.drives.firstIndex { $0.id == name } ?? Int.max - 1
    }
    private func status(_ drive: RemovableDrive) -> BlockDeviceStatus {
        let (isOpen, isLocked) = drive.tray
        var status = BlockDeviceStatus(
            device: drive.name, devicePath: drive.id ?? drive.path, isRemovable: true, isLocked: isLocked,
            isTrayOpen: isOpen)
        guard let medium = drive.current else { return status }
        status.image = image(
            medium.device, file: medium.file, format: medium.format, cache: medium.cache,
            detectZeroes: medium.detectZeroes)
        status.statistics = Self.statistics(medium.device)
        status.health = Self.health(medium.device)
        return status
    }
    private func image(
        _ device: BlockDevice, file: String, format: String, cache: CacheMode, detectZeroes: DetectZeroes
    ) -> BlockDeviceStatus.Image {
        image(device.root, file: file, format: format, cache: cache, detectZeroes: detectZeroes)
    }
    private func image(
        _ root: any BlockNode, file: String, format: String, cache: CacheMode, detectZeroes: DetectZeroes
    ) -> BlockDeviceStatus.Image {
        let backing = BlockGraph.chain(root).dropFirst()
        var status = BlockDeviceStatus.Image(
            file: file, format: format, nodeName: root.nodeName, virtualSize: root.sizeInBytes,
            actualSize: Self.allocated(root), isReadOnly: root.isReadOnly, cache: cache, detectZeroes: detectZeroes,
            backingDepth: backing.count,
            backingFile: backing.first?.filename)
        if let file = root.children.first(where: { $0.role == "file" })?.node {
            status.fileNodeName = file.nodeName
            status.fileHighestWrite = (file as? FileNode)?.highestWrite ?? 0
        }
        status.writeThreshold = graph.writeThreshold(of: root)
        status.bitmaps = live.bitmapStatus(root)
        if let device = fixedDevices.first(where: { $0.device.root === root })?.device, let group = device.throttle {
            status.limits = LiveStorage.values(group.limits)
            status.limitGroup = group.name
        }
        return status
    }
    private var full: [BlockDeviceStatus] {
        drives.withLock { $0 }.map { name, drive in
            let configuration = drive.configuration
            var status = BlockDeviceStatus(
                device: configuration == nil ? "" : name, devicePath: drive.user,
                image: image(
                    drive.device, file: drive.shownFile, format: drive.format,
                    cache: configuration?.cache ?? .writeback, detectZeroes: configuration?.detectZeroes ?? .off))
            status.statistics = Self.statistics(drive.device)
            status.health = Self.health(drive.device)
            return status
        }
    }

    /// Makes everything durable and closes all images.
    func close() {
        live.end()
        for (_, drive) in drives.withLock({ $0 }) { drive.device.drain() }
        for drive in removableDrives { drive.current?.device.drain() }
        graph.closeAll()
    }
}
