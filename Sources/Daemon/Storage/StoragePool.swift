internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

/// One pool: a folder whose files are volumes, or block devices.
final class StoragePool: Sendable {
    struct State {
        var name: String
        /// What is defined, or what a transient pool was made of.
        var definition: XMLTree
        var persistent: Bool
        var active = false
        var autostart = false
        var removed = false
        /// Volumes by name, as of the last look.
        var volumes: [String: StorageVolume] = [:]
        /// Of block devices: what the last look found besides the volumes.
        var blocks = BlockPoolState()
    }

    let uuid: UUIDBytes
    let path: String
    /// Where volumes are block devices: what they are parts of.
    let blocks: (any BlockPool)?
    let job = JobLock()
    let state: Mutex<State>

    init(uuid: UUIDBytes, path: String, blocks: (any BlockPool)?, state: sending State) {
        self.uuid = uuid
        self.path = path
        self.blocks = blocks
        self.state = Mutex(state)
    }

    var reference: RemoteStoragePool { RemoteStoragePool(name: state.withLock { $0.name }, uuid: uuid) }
    var isActive: Bool { state.withLock { $0.active } }
    /// What no other pool may stand on.
    var key: String { blocks?.key ?? path }
    /// What is mounted while it runs; nil: nothing.
    var mounted: MountedPool? {
        get throws(LibvirtError) { try MountedPool(state.withLock { $0.definition }, path) }
    }

    func requireActive() throws(LibvirtError) {
        if !isActive {
            throw LibvirtError.operationInvalid("storage pool '\(state.withLock { $0.name })' is not active")
                .from(VirErrorDomain.storage)
        }
    }

    /// Looks at the folder again. A file that comes and goes meanwhile is no volume.
    func refresh() throws(LibvirtError) {
        if let blocks {
            let found = try blocks.look()
            let volumes = Dictionary(found.volumes.map { ($0.name, $0) }) { first, _ in first }
            return state.withLock { state in
                state.blocks = found
                state.volumes = volumes
            }
        }
        let names: [String]
        do throws(HostError) { names = try HostFolder.names(in: path) } catch {
            throw LibvirtError.system("cannot open directory '\(path)': \(error.errno)").from(VirErrorDomain.storage)
        }
        var volumes: [String: StorageVolume] = [:]
        for name in names where !name.hasPrefix(".") {
            if let volume = StorageVolume(name: name, path: "\(path)/\(name)") { volumes[name] = volume }
        }
        state.withLock { [volumes] in $0.volumes = volumes }
    }

    /// Bytes that the file system has, that are used, and that are free.
    var space: (capacity: UInt64, allocation: UInt64, available: UInt64) {
        if blocks != nil {
            let (found, volumes, active) = state.withLock { ($0.blocks, $0.volumes, $0.active) }
            guard active else { return (0, 0, 0) }
            return (found.capacity, volumes.values.reduce(0) { $0 &+ $1.allocation }, found.available)
        }
        guard isActive, let system = try? HostFile.fileSystem(path) else { return (0, 0, 0) }
        return (system.size, system.size - min(system.size, system.free), system.free)
    }

    /// The document that a client sees.
    func document(inactive: Bool) -> XMLTree {
        let (definition, active) = state.withLock { ($0.definition, $0.active) }
        var tree = XMLTree("pool", attributes: definition.attributes)
        tree.append(.text("name", state.withLock { $0.name }))
        tree.append(.text("uuid", uuid.description))
        let space = space
        for (name, value) in [
            ("capacity", space.capacity), ("allocation", space.allocation), ("available", space.available),
        ] { tree.append(.text(name, "\(value)", ["unit": "bytes"])) }
        // An empty element of two lines, as libvirt writes it.
        var source = definition.child("source") ?? XMLTree("source")
        if source.nodes.isEmpty { source.nodes = [.text("\n  ")] }
        if let group = blocks as? VolumeGroup {
            if source.child("name") == nil { source.append(.text("name", group.name)) }
            if source.child("format") == nil { source.append(.of("format", ["type": "lvm2"])) }
        }
        let free = active && !inactive ? state.withLock { $0.blocks.free } : []
        if !free.isEmpty {
            source.update("device") { device in
                for range in free {
                    device.append(.of("freeExtent", ["start": "\(range.lowerBound)", "end": "\(range.upperBound)"]))
                }
            }
        }
        tree.append(source)
        var target = XMLTree("target")
        target.append(.text("path", path))
        if active, !inactive, blocks == nil, let details = try? HostFile.details(path) {
            target.append(StorageVolume.permissions(details))
        } else if let permissions = definition.at("target", "permissions") {
            target.append(permissions)
        }
        tree.append(target)
        return tree
    }
}

/// One file or block device of a pool.
struct StorageVolume: Sendable {
    let name: String
    let path: String
    let kind: Int32
    let format: String
    let capacity: UInt64
    let allocation: UInt64
    let physical: UInt64
    var backing: String?
    /// What tells it from all others.
    var key: String
    /// Which part of which device it is.
    struct Extent: Sendable {
        var device: String
        var range: Range<UInt64>
    }
    var extents: [Extent] = []

    /// A block device of a known size in bytes.
    init(device name: String, path: String, capacity: UInt64, allocation: UInt64? = nil, key: String? = nil) {
        self.name = name
        self.path = path
        self.capacity = capacity
        self.allocation = allocation ?? capacity
        (self.key, kind, format, physical) = (key ?? path, VirStorageVolType.block, "raw", capacity)
    }

    /// Looks at a file; nil if it is none that can be a volume.
    init?(name: String, path: String) {
        let status = HostFile.status(path)
        switch status.kind {
        case .file: kind = VirStorageVolType.file
        case .folder: kind = VirStorageVolType.dir
        case .blockDevice: kind = VirStorageVolType.block
        case .nothing, .socket, .other: return nil
        }
        self.name = name
        self.path = path
        key = path
        let head = status.kind == .file ? ImageHead(path) : nil
        format = status.kind == .folder ? "dir" : head?.format ?? "raw"
        physical = UInt64(max(0, status.size))
        allocation = UInt64(max(0, status.allocated))
        capacity = head?.virtualSize ?? physical
        backing = head?.backing
    }

    func reference(_ pool: StoragePool) -> RemoteStorageVol {
        RemoteStorageVol(pool: pool.reference.name, name: name, key: key)
    }

    var document: XMLTree {
        let types = [VirStorageVolType.file: "file", VirStorageVolType.block: "block", VirStorageVolType.dir: "dir"]
        var tree = XMLTree.of("volume", ["type": types[kind] ?? "file"])
        tree.append(.text("name", name))
        tree.append(.text("key", key))
        for extent in extents {
            var device = XMLTree.of("device", ["path": extent.device])
            let (start, end) = ("\(extent.range.lowerBound)", "\(extent.range.upperBound)")
            device.append(.of("extent", ["start": start, "end": end]))
            var source = XMLTree("source")
            source.append(device)
            tree.append(source)
        }
        for (name, value) in [("capacity", capacity), ("allocation", allocation), ("physical", physical)] {
            tree.append(.text(name, "\(value)", ["unit": "bytes"]))
        }
        tree.append(StorageVolume.place("target", path, format))
        if let backing {
            tree.append(StorageVolume.place("backingStore", backing, ImageHead(backing)?.format ?? "raw"))
        }
        return tree
    }

    private static func place(_ name: String, _ path: String, _ format: String) -> XMLTree {
        var element = XMLTree(name)
        element.append(.text("path", path))
        element.append(.of("format", ["type": format]))
        guard let details = try? HostFile.details(path) else { return element }
        element.append(permissions(details))
        var times = XMLTree("timestamps")
        for (name, time) in [("atime", details.accessed), ("mtime", details.modified), ("ctime", details.changed)] {
            let digits = String(time.nanoseconds)
            let padded = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
            times.append(.text(name, time.nanoseconds == 0 ? "\(time.seconds)" : "\(time.seconds).\(padded)"))
        }
        element.append(times)
        return element
    }

    static func permissions(_ details: HostFile.Details) -> XMLTree {
        var element = XMLTree("permissions")
        element.append(.text("mode", "0" + String(details.mode, radix: 8)))
        element.append(.text("owner", "\(details.owner)"))
        element.append(.text("group", "\(details.group)"))
        return element
    }
}
