internal import DomainModel
internal import HostOS
internal import RPCWire

/// Pools whose volumes are block devices: parts of what the host's own tools manage.
protocol BlockPool: Sendable {
    /// What no other pool may stand on.
    var key: String { get }
    func start() throws(LibvirtError)
    /// Starts one that may need a password.
    func start(_ secrets: SecretDriver) throws(LibvirtError)
    func stop() throws(LibvirtError)
    /// Makes what the pool stands on. Without `overwrites` nothing that is there is lost.
    func build(overwrites: Bool) throws(LibvirtError)
    /// Takes it away, with all that is in it.
    func delete() throws(LibvirtError)
    /// What is there now.
    func look() throws(LibvirtError) -> BlockPoolState
    /// Makes a volume: its name, as the pool has it.
    func create(_ wanted: WantedVolume) throws(LibvirtError) -> String
    func remove(_ volume: StorageVolume) throws(LibvirtError)
    func resize(_ volume: StorageVolume, to size: UInt64) throws(LibvirtError)
}

/// What a look at a pool of block devices found; sizes in bytes.
struct BlockPoolState: Sendable {
    var capacity: UInt64 = 0
    var available: UInt64 = 0
    var volumes: [StorageVolume] = []
    /// Where a disk has room, and which volumes take which part of it.
    var free: [Range<UInt64>] = []
}

/// A volume as a client wants it.
struct WantedVolume: Sendable {
    var name: String
    var format: String
    /// Bytes.
    var capacity: UInt64
    var allocation: UInt64
    var backing: String?
    var backingFormat: String?
}

extension BlockPool {
    static func fail(_ code: Int32, _ category: String, _ detail: String) -> LibvirtError {
        LibvirtError(
            code: code, domain: VirErrorDomain.storage, message: "\(category): \(detail)", detail: detail)
    }

    static func needsBuild(_ device: String) -> LibvirtError {
        fail(
            VirErrorNumber.storageProbeFailed, "Storage pool probe failed",
            "Device '\(device)' is unrecognized, requires build")
    }

    static func isBuilt(_ detail: String) -> LibvirtError {
        fail(VirErrorNumber.storagePoolBuilt, "Storage pool already built", detail)
    }

    /// Refuses devices with bytes at their beginning: they may be somebody's data.
    static func requireEmpty(_ device: String) throws(LibvirtError) {
        let head = try? HostFile.open(device, HostFile.Mode.read).readAvailable(limit: 1 << 16)
        guard let head, head.allSatisfy({ $0 == 0 }) else {
            throw StorageDriver.fail(
                .operationInvalid(
                    "Device '\(device)' is not empty or cannot be read: --overwrite takes it all the same"))
        }
    }

    func start(_ secrets: SecretDriver) throws(LibvirtError) { try start() }

    func resize(_ volume: StorageVolume, to size: UInt64) throws(LibvirtError) {
        throw StorageDriver.fail(.noSupport("storage pool does not support changing of volume capacity"))
    }
}

extension StorageDriver {
    /// The kind of a pool of block devices; nil: its volumes are files.
    static func blocks(_ tree: XMLTree, name: String) throws(LibvirtError) -> (any BlockPool)? {
        switch tree["type"] {
        case "disk": try PartitionPool(tree)
        case "logical": try VolumeGroup(tree, name: name)
        case "iscsi": try TargetPool(tree)
        case "scsi": try AdapterPool(tree)
        case "mpath": MultipathPool()
        case "zfs": try ZFSPool(tree)
        default: nil
        }
    }
}
