internal import DomainModel
internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization

/// Pools and their volumes. Pools are folders, file systems that are mounted on one while the pool runs, or block
/// devices; other kinds are refused with a clear error.
final class StorageDriver: Sendable {
    private let pools = Mutex<[UUIDBytes: StoragePool]>([:])
    private let definitions: String
    private let autostart: String
    private let running: String
    let log = Logger("storage")
    private let secrets: SecretDriver

    init(paths: DaemonPaths, secrets: SecretDriver) {
        self.secrets = secrets
        definitions = paths.configuration + "/storage"
        autostart = definitions + "/autostart"
        running = paths.run + "/storage"
    }

    static func fail(_ error: LibvirtError) -> LibvirtError { error.from(VirErrorDomain.storage) }

    /// Runs a program of the host.
    @discardableResult
    static func run(_ path: String, _ arguments: [String]) throws(LibvirtError) -> String {
        do throws(LibvirtError) { return try ChildProgram.run(path, arguments) } catch { throw fail(error) }
    }

    /// All, by name.
    var all: [StoragePool] {
        pools.withLock { Array($0.values) }.sorted { $0.reference.name < $1.reference.name }
    }

    func find(_ reference: RemoteStoragePool) throws(LibvirtError) -> StoragePool {
        if let pool = pools.withLock({ $0[reference.uuid] }) { return pool }
        throw StorageDriver.noPool("no storage pool with matching uuid '\(reference.uuid)' (\(reference.name))")
    }

    func find(name: String) throws(LibvirtError) -> StoragePool {
        if let pool = all.first(where: { $0.reference.name == name }) { return pool }
        throw StorageDriver.noPool("no storage pool with matching name '\(name)'")
    }

    func find(uuid: UUIDBytes) throws(LibvirtError) -> StoragePool {
        if let pool = pools.withLock({ $0[uuid] }) { return pool }
        throw StorageDriver.noPool("no storage pool with matching uuid '\(uuid)'")
    }

    static func noPool(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.noStoragePool, domain: VirErrorDomain.storage,
            message: "Storage pool not found: " + detail, detail: detail)
    }

    static func noVolume(_ detail: String) -> LibvirtError {
        LibvirtError(
            code: VirErrorNumber.noStorageVol, domain: VirErrorDomain.storage,
            message: "Storage volume not found: " + detail, detail: detail)
    }

    // MARK: - Definitions

    private struct Parsed {
        var name: String
        var uuid: UUIDBytes?
        var path: String
        var blocks: (any BlockPool)?
        var tree: XMLTree
    }

    private static func parse(_ text: String) throws(LibvirtError) -> Parsed {
        let tree: XMLTree
        do throws(DefinitionError) { tree = try XMLReader.parse(text, document: "(storage_pool_definition)") } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.storage, message: error.message)
        }
        return try parse(tree)
    }

    private static func parse(_ tree: XMLTree) throws(LibvirtError) -> Parsed {
        guard tree.name == "pool" else { throw fail(.xml("expecting root element of 'pool', not '\(tree.name)'")) }
        let kinds = ["dir", "fs", "netfs", "disk", "logical", "iscsi", "scsi", "mpath", "zfs"]
        guard kinds.contains(tree["type"] ?? "") else {
            throw fail(.configUnsupported("missing backend for pool type '\(tree["type"] ?? "")'"))
        }
        let isGroup = tree["type"] == "logical" || tree["type"] == "zfs"
        guard let name = tree.child("name")?.text ?? (isGroup ? tree.at("source", "name")?.text : nil), !name.isEmpty
        else { throw fail(.xml("missing pool source name element")) }
        guard !name.contains("/"), !name.contains("\n"), name != ".", name != ".." else {
            throw fail(.xml("name \(name) cannot contain '/'"))
        }
        let blocks = try blocks(tree, name: name)
        let place: String? =
            switch blocks {
            case let group as VolumeGroup: "/dev/\(group.name)"
            case let pool as ZFSPool: "/dev/zvol/\(pool.name)"
            default: tree.at("target", "path")?.text
            }
        guard var path = place, path.hasPrefix("/") else { throw fail(.xml("missing storage pool target path")) }
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        _ = try MountedPool(tree, path)
        var uuid: UUIDBytes?
        if let text = tree.child("uuid")?.text {
            uuid = UUIDBytes(text)
            if uuid == nil { throw fail(.xml("malformed uuid element")) }
        }
        return Parsed(name: name, uuid: uuid, path: path, blocks: blocks, tree: tree)
    }

    /// Defines a pool.
    func define(_ text: String) throws(LibvirtError) -> StoragePool {
        let parsed = try StorageDriver.parse(text)
        let pool = try enter(parsed, persistent: true)
        try save(pool)
        return pool
    }

    /// Makes a pool that goes when it stops, or when it cannot be started. `flags`: `virStoragePoolCreateFlags`.
    func create(_ text: String, flags: UInt32) throws(LibvirtError) -> StoragePool {
        let parsed = try StorageDriver.parse(text)
        let pool = try enter(parsed, persistent: false)
        do throws(LibvirtError) { try start(pool, flags: flags) } catch {
            let isOurs = pool.state.withLock { !$0.active && !$0.persistent }
            if isOurs { pools.withLock { $0[pool.uuid] = nil } }
            throw error
        }
        return pool
    }

    private func enter(_ parsed: Parsed, persistent: Bool) throws(LibvirtError) -> StoragePool {
        let uuid = parsed.uuid ?? UUIDBytes((try? HostRandom.bytes(16)) ?? [])
        guard let uuid else { throw StorageDriver.fail(.internalError("Failed to generate UUID")) }
        let result = pools.withLock { pools -> Result<StoragePool, LibvirtError> in
            let named = pools.values.first { $0.state.withLock { $0.name } == parsed.name }
            if let named, named.uuid != uuid {
                return .failure(
                    .operationFailed("pool '\(parsed.name)' already exists with uuid \(named.uuid)"))
            }
            let key = parsed.blocks?.key ?? parsed.path
            if let other = pools.values.first(where: { $0.key == key && $0.uuid != uuid }) {
                return .failure(
                    .operationFailed(
                        "Storage source conflict with pool: '\(other.state.withLock { $0.name })'"))
            }
            if let same = pools[uuid], same.path == parsed.path, same.key == key {
                same.state.withLock { state in
                    state.definition = parsed.tree
                    state.persistent = state.persistent || persistent
                }
                return .success(same)
            }
            let state = StoragePool.State(name: parsed.name, definition: parsed.tree, persistent: persistent)
            let pool = StoragePool(uuid: uuid, path: parsed.path, blocks: parsed.blocks, state: state)
            pools[uuid] = pool
            return .success(pool)
        }
        do { return try result.get() } catch { throw StorageDriver.fail(error) }
    }

    private func onDisk(_ body: () throws(HostError) -> Void) throws(LibvirtError) {
        do throws(HostError) { try body() } catch { throw StorageDriver.fail(.system("\(error)")) }
    }

    private func save(_ pool: StoragePool) throws(LibvirtError) {
        let text = XMLWriter.write(pool.document(inactive: true))
        try onDisk { () throws(HostError) in
            try HostFolder.make(autostart, permissions: 0o700)
            try HostFile.replace("\(definitions)/\(pool.reference.name).xml", with: Array(text.utf8))
        }
    }

    func undefine(_ pool: StoragePool) throws(LibvirtError) {
        guard !pool.isActive else {
            throw StorageDriver.fail(.operationInvalid("storage pool '\(pool.reference.name)' is still active"))
        }
        let name = pool.reference.name
        try onDisk { () throws(HostError) in
            try HostFile.remove("\(autostart)/\(name).xml")
            try HostFile.remove("\(definitions)/\(name).xml")
        }
        pools.withLock { $0[pool.uuid] = nil }
    }

    func setAutostart(_ pool: StoragePool, _ on: Bool) throws(LibvirtError) {
        let name = pool.reference.name
        guard pool.state.withLock({ $0.persistent }) else {
            throw StorageDriver.fail(.invalidArgument("pool has no config file"))
        }
        try onDisk { () throws(HostError) in
            let link = "\(autostart)/\(name).xml"
            if on { try HostFile.link(link, to: "\(definitions)/\(name).xml") } else { try HostFile.remove(link) }
        }
        pool.state.withLock { $0.autostart = on }
    }

    // MARK: - Lives

    /// Starts a pool. `flags` (`virStoragePoolCreateFlags`) say whether what it stands on is made first.
    func start(_ pool: StoragePool, flags: UInt32 = 0) throws(LibvirtError) {
        if pool.isActive {
            throw StorageDriver.fail(.operationInvalid("storage pool '\(pool.reference.name)' is already active"))
        }
        typealias Create = VirStoragePoolCreateFlags
        var building: UInt32 = 0
        if flags & Create.withBuildOverwrite != 0 {
            building = VirStoragePoolBuildFlags.overwrite
        } else if flags & Create.withBuildNoOverwrite != 0 {
            building = VirStoragePoolBuildFlags.noOverwrite
        }
        if building != 0 || flags & Create.withBuild != 0 { try build(pool, flags: building) }
        let mounted = try pool.mounted
        try mounted?.mount()
        try pool.blocks?.start(secrets)
        do throws(LibvirtError) { try pool.refresh() } catch {
            try? mounted?.unmount()
            try? pool.blocks?.stop()
            throw error
        }
        pool.state.withLock { $0.active = true }
        try onDisk { () throws(HostError) in
            try HostFolder.make(running, permissions: 0o700)
            let text = XMLWriter.write(pool.document(inactive: true))
            try HostFile.replace("\(running)/\(pool.reference.name).xml", with: Array(text.utf8))
        }
    }

    func stop(_ pool: StoragePool) throws(LibvirtError) {
        try pool.requireActive()
        try pool.mounted?.unmount()
        try pool.blocks?.stop()
        try onDisk { () throws(HostError) in try HostFile.remove("\(running)/\(pool.reference.name).xml") }
        let persistent = pool.state.withLock { state in
            state.active = false
            state.volumes = [:]
            return state.persistent
        }
        if !persistent { pools.withLock { $0[pool.uuid] = nil } }
    }

    /// `flags`: `virStoragePoolBuildFlags`.
    func build(_ pool: StoragePool, flags: UInt32) throws(LibvirtError) {
        guard !pool.isActive else {
            throw StorageDriver.fail(.operationInvalid("storage pool '\(pool.reference.name)' is already active"))
        }
        if let blocks = pool.blocks {
            return try blocks.build(overwrites: flags & VirStoragePoolBuildFlags.overwrite != 0)
        }
        if let mounted = try pool.mounted {
            return try mounted.build(
                overwrites: flags & VirStoragePoolBuildFlags.overwrite != 0,
                keeps: flags & VirStoragePoolBuildFlags.noOverwrite != 0)
        }
        try onDisk { () throws(HostError) in try HostFolder.make(pool.path, permissions: 0o711) }
    }

    func delete(_ pool: StoragePool) throws(LibvirtError) {
        guard !pool.isActive else {
            throw StorageDriver.fail(.operationInvalid("storage pool '\(pool.reference.name)' is still active"))
        }
        if let blocks = pool.blocks { return try blocks.delete() }
        try onDisk { () throws(HostError) in try HostFile.removeFolder(pool.path) }
    }

    /// At the daemon's start: what is defined, what was active, what starts by itself.
    func load() {
        for (folder, persistent) in [(definitions, true), (running, false)] {
            for name in (try? HostFolder.names(in: folder)) ?? [] where name.hasSuffix(".xml") {
                guard let bytes = try? HostFile.contents("\(folder)/\(name)", limit: 4 << 20),
                    let tree = try? XMLReader.parse(bytes: bytes), let parsed = try? StorageDriver.parse(tree),
                    let pool = try? enter(parsed, persistent: persistent)
                else {
                    log.error("Cannot use '\(folder)/\(name)'")
                    continue
                }
                let starts = HostFile.status("\(autostart)/\(name)").kind == .file
                if persistent { pool.state.withLock { $0.autostart = starts } }
                if !persistent || starts, !pool.isActive { try? start(pool) }
            }
        }
    }
}
