internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

extension StorageDriver {
    func volumes(_ pool: StoragePool) throws(LibvirtError) -> [StorageVolume] {
        try pool.requireActive()
        return pool.state.withLock { $0.volumes.values.sorted { $0.name < $1.name } }
    }

    func volume(_ pool: StoragePool, _ name: String) throws(LibvirtError) -> StorageVolume {
        try pool.requireActive()
        if let volume = pool.state.withLock({ $0.volumes[name] }) { return volume }
        throw StorageDriver.noVolume("no storage vol with matching name '\(name)'")
    }

    /// A volume as it is now: images grow.
    func volume(_ reference: RemoteStorageVol) throws(LibvirtError) -> (StoragePool, StorageVolume) {
        let pool = try find(name: reference.pool)
        let known = try volume(pool, reference.name)
        if pool.blocks != nil { return (pool, known) }
        guard let fresh = StorageVolume(name: known.name, path: known.path) else {
            throw StorageDriver.noVolume("no storage vol with matching name '\(reference.name)'")
        }
        pool.state.withLock { if $0.active { $0.volumes[fresh.name] = fresh } }
        return (pool, fresh)
    }

    func volume(path: String) throws(LibvirtError) -> (StoragePool, StorageVolume) {
        for pool in all where pool.isActive {
            if let found = pool.state.withLock({ $0.volumes.values.first { $0.path == path } }) { return (pool, found) }
        }
        throw StorageDriver.noVolume("no storage vol with matching path '\(path)'")
    }

    /// Keys are paths but for volumes that have names of their own.
    func volume(key: String) throws(LibvirtError) -> (StoragePool, StorageVolume) {
        for pool in all where pool.isActive {
            if let found = pool.state.withLock({ $0.volumes.values.first { $0.key == key } }) { return (pool, found) }
        }
        throw StorageDriver.noVolume("no storage vol with matching key \(key)")
    }

    // MARK: - Making and removing

    /// Bytes of what sizes are told in.
    static let units: [String: UInt64] = [
        "B": 1, "b": 1, "bytes": 1, "KB": 1000, "K": 1 << 10, "k": 1 << 10, "KiB": 1 << 10, "MB": 1_000_000,
        "M": 1 << 20, "MiB": 1 << 20, "GB": 1_000_000_000, "G": 1 << 30, "GiB": 1 << 30, "TB": 1_000_000_000_000,
        "T": 1 << 40, "TiB": 1 << 40, "PB": 1_000_000_000_000_000, "P": 1 << 50, "PiB": 1 << 50,
    ]

    private static func bytes(_ element: XMLTree?) throws(LibvirtError) -> UInt64? {
        guard let element else { return nil }
        guard let number = UInt64(HostDescription.trim(element.text)), let unit = units[element["unit"] ?? "bytes"],
            case let (bytes, overflow) = number.multipliedReportingOverflow(by: unit), !overflow, bytes < 1 << 62
        else { throw fail(.xml("malformed \(element.name) element")) }
        return bytes
    }

    private static func parse(_ text: String) throws(LibvirtError) -> WantedVolume {
        let tree: XMLTree
        do throws(DefinitionError) { tree = try XMLReader.parse(text, document: "(storage_volume_definition)") } catch {
            throw LibvirtError(code: error.code.rawValue, domain: VirErrorDomain.storage, message: error.message)
        }
        guard tree.name == "volume" else { throw fail(.xml("expecting root element of 'volume', not '\(tree.name)'")) }
        guard let name = tree.child("name")?.text, !name.isEmpty else {
            throw fail(.xml("missing volume name element"))
        }
        guard !name.contains("/"), !name.contains("\n"), !name.hasPrefix(".") else {
            throw fail(.xml("name \(name) cannot contain '/'"))
        }
        guard let capacity = try bytes(tree.child("capacity")) ?? (tree.at("backingStore", "path") == nil ? nil : 0)
        else { throw fail(.xml("missing capacity element")) }
        return WantedVolume(
            name: name, format: tree.at("target", "format")?["type"] ?? "raw", capacity: capacity,
            allocation: try bytes(tree.child("allocation")) ?? capacity, backing: tree.at("backingStore", "path")?.text,
            backingFormat: tree.at("backingStore", "format")?["type"])
    }

    /// Makes a volume, empty or as a copy of another.
    func create(_ pool: StoragePool, _ text: String, from source: StorageVolume? = nil) throws(LibvirtError)
        -> StorageVolume
    {
        try pool.requireActive()
        let wanted = try StorageDriver.parse(text)
        if let blocks = pool.blocks { return try create(pool, blocks, wanted, from: source) }
        let path = "\(pool.path)/\(wanted.name)"
        return try pool.job.run { () throws(LibvirtError) in
            guard HostFile.status(path).kind == .nothing else {
                throw LibvirtError(
                    code: VirErrorNumber.storageVolExist, domain: VirErrorDomain.storage,
                    message: "storage volume '\(wanted.name)' exists already", detail: wanted.name)
            }
            do throws(LibvirtError) {
                if let source {
                    try ImageProgram.run(
                        ["convert", "-f", source.format, "-O", wanted.format, source.path, path])
                    if wanted.capacity > source.capacity {
                        try ImageProgram.run(["resize", "-f", wanted.format, path, "\(wanted.capacity)"])
                    }
                } else if wanted.format == "raw", wanted.backing == nil {
                    try raw(path, wanted.capacity, wanted.allocation)
                } else {
                    try image(path, wanted)
                }
                try? HostFile.setPermissions(path, 0o600)
            } catch {
                try? HostFile.remove(path)
                throw StorageDriver.fail(error)
            }
            guard let volume = StorageVolume(name: wanted.name, path: path) else {
                throw StorageDriver.fail(.internalError("volume '\(wanted.name)' was not made"))
            }
            pool.state.withLock { $0.volumes[wanted.name] = volume }
            return volume
        }
    }

    /// Makes a block device, which gets the bytes that a guest reads of the other.
    private func create(
        _ pool: StoragePool, _ blocks: any BlockPool, _ wanted: WantedVolume, from source: StorageVolume?
    ) throws(LibvirtError) -> StorageVolume {
        try pool.job.run { () throws(LibvirtError) in
            guard pool.state.withLock({ $0.volumes[wanted.name] }) == nil else {
                throw LibvirtError(
                    code: VirErrorNumber.storageVolExist, domain: VirErrorDomain.storage,
                    message: "storage volume '\(wanted.name)' exists already", detail: wanted.name)
            }
            var wanted = wanted
            if let source { wanted.capacity = max(wanted.capacity, source.capacity) }
            let name = try blocks.create(wanted)
            try pool.refresh()
            guard let volume = pool.state.withLock({ $0.volumes[name] }) else {
                throw StorageDriver.fail(.internalError("volume '\(name)' was not made"))
            }
            guard let source else { return volume }
            do throws(LibvirtError) {
                try ImageProgram.run(["convert", "-n", "-f", source.format, "-O", "raw", source.path, volume.path])
            } catch {
                try? blocks.remove(volume)
                try? pool.refresh()
                throw StorageDriver.fail(error)
            }
            return volume
        }
    }

    private func raw(_ path: String, _ size: UInt64, _ allocation: UInt64) throws(LibvirtError) {
        do throws(HostError) {
            let file = try HostFile.open(path, HostFile.Mode.replace, permissions: 0o600)
            try HostFile.setSize(file, Int64(clamping: size))
            try HostFile.allocate(file, Int64(clamping: min(size, allocation)))
        } catch {
            throw LibvirtError.system("cannot create path '\(path)': \(error)")
        }
    }

    private func image(_ path: String, _ wanted: WantedVolume) throws(LibvirtError) {
        var words = ["create", "-f", wanted.format]
        if let backing = wanted.backing {
            words += ["-b", backing, "-F", wanted.backingFormat ?? ImageHead(backing)?.format ?? "raw"]
        }
        words.append(path)
        if wanted.capacity > 0 { words.append("\(wanted.capacity)") }
        try ImageProgram.run(words)
    }

    func delete(_ reference: RemoteStorageVol) throws(LibvirtError) {
        let (pool, volume) = try volume(reference)
        try pool.job.run { () throws(LibvirtError) in
            if let blocks = pool.blocks {
                try blocks.remove(volume)
                return try pool.refresh()
            }
            do throws(HostError) {
                if volume.kind == VirStorageVolType.dir {
                    try HostFile.removeFolder(volume.path)
                } else {
                    try HostFile.remove(volume.path)
                }
            } catch {
                throw StorageDriver.fail(.system("cannot unlink file '\(volume.path)': \(error)"))
            }
            pool.state.withLock { $0.volumes[volume.name] = nil }
        }
    }

    func resize(_ reference: RemoteStorageVol, _ size: UInt64, flags: UInt32) throws(LibvirtError) {
        let (pool, volume) = try volume(reference)
        let delta = flags & VirStorageVolResizeFlags.delta != 0
        let shrink = flags & VirStorageVolResizeFlags.shrink != 0
        let (sum, overflow) =
            delta
            ? (shrink
                ? volume.capacity.subtractingReportingOverflow(size) : volume.capacity.addingReportingOverflow(size))
            : (size, false)
        guard !overflow, sum < 1 << 62 else { throw StorageDriver.fail(.invalidArgument("capacity is out of range")) }
        guard sum >= volume.capacity || shrink else {
            throw StorageDriver.fail(
                .invalidArgument("Can't shrink capacity below current capacity unless shrink flag explicitly specified")
            )
        }
        try pool.job.run { () throws(LibvirtError) in
            if let blocks = pool.blocks {
                try blocks.resize(volume, to: sum)
                return try pool.refresh()
            }
            do throws(LibvirtError) {
                try ImageProgram.run(
                    ["resize", "-f", volume.format] + (shrink ? ["--shrink"] : []) + [volume.path, "\(sum)"])
            } catch { throw StorageDriver.fail(error) }
        }
    }

    /// Overwrites everything with zeroes.
    func wipe(_ reference: RemoteStorageVol) throws(LibvirtError) {
        let (pool, volume) = try volume(reference)
        try pool.job.run { () throws(LibvirtError) in
            do throws(HostError) {
                let file = try HostFile.open(volume.path, HostFile.Mode.readWrite)
                let zeroes = [UInt8](repeating: 0, count: 1 << 20)
                var left = Int(clamping: volume.physical)
                while left > 0 {
                    try file.writeAll(left >= zeroes.count ? zeroes : Array(zeroes.prefix(left)))
                    left -= min(left, zeroes.count)
                }
            } catch {
                throw StorageDriver.fail(.system("cannot wipe '\(volume.path)': \(error)"))
            }
        }
    }
}
