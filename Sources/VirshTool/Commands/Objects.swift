internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// Looking up what an option names, in libvirt's order: by number, UUID and name as far as the object has them.
extension Call {
    // MARK: - Domains

    /// The domain of an option.
    func domain(_ option: String = "domain", byID: Bool = true, byName: Bool = true) throws -> RemoteDomain {
        try domain(named: try text(option), byID: byID, byName: byName)
    }

    func domain(named name: String, byID: Bool = true, byName: Bool = true) throws -> RemoteDomain {
        if byID, let id = NumberText.integer(name).flatMap({ Int32(exactly: $0) }), id >= 0,
            let found = try? ask(Remote.DomainLookupByID.self, .init(id: id)).dom
        {
            return found
        }
        if name.utf8.count == 36, let uuid = UUIDBytes(name),
            let found = try? ask(Remote.DomainLookupByUUID.self, .init(uuid: uuid)).dom
        {
            return found
        }
        _ = try client
        if byName, let found = try? ask(Remote.DomainLookupByName.self, .init(name: name)).dom { return found }
        if let failure = shell.connectionFailure { throw failure }
        throw CommandFailure("failed to get domain '\(name)'")
    }

    /// A domain's XML.
    func xml(of domain: RemoteDomain, _ flags: UInt32 = 0) throws -> String {
        try ask(Remote.DomainGetXMLDesc.self, .init(dom: domain, flags: flags)).xml
    }

    /// The flags of `--live`, `--config`, `--current` and the old `--persistent`, which is both where the domain runs.
    func deviceImpact(_ domain: RemoteDomain) throws -> UInt32 {
        for other in ["config", "live"] { try exclusive("current", other) }
        try exclusive("persistent", "current")
        var flags = bits(("config", 2), ("live", 1))
        if has("persistent") {
            flags |= 2
            if try isActive(domain) { flags |= 1 }
        }
        return flags
    }

    func isActive(_ domain: RemoteDomain) throws -> Bool {
        try ask(Remote.DomainIsActive.self, .init(dom: domain)).active != 0
    }

    /// Names of what the user gave, for texts.
    var domainName: String { self["domain"] ?? "" }

    // MARK: - Files

    /// A file's text, for definitions.
    func file(_ path: String) throws -> String {
        do throws(HostError) {
            return String(decoding: try HostFile.contents(path, limit: 10 << 20), as: UTF8.self)
        } catch {
            throw CommandFailure("Failed to open file '\(path)': \(error.errno)")
        }
    }

    // MARK: - Networks

    func network(_ option: String = "network", byName: Bool = true) throws -> RemoteNetwork {
        let name = try text(option)
        if name.utf8.count == 36, let uuid = UUIDBytes(name),
            let found = try? ask(Remote.NetworkLookupByUUID.self, .init(uuid: uuid)).net
        {
            return found
        }
        _ = try client
        guard byName else { throw CommandFailure("failed to get network '\(name)'") }
        return try failing("failed to get network '\(name)'") {
            try ask(Remote.NetworkLookupByName.self, .init(name: name)).net
        }
    }

    // MARK: - Storage

    func pool(_ option: String = "pool", byName: Bool = true) throws -> RemoteStoragePool {
        let name = try text(option)
        if name.utf8.count == 36, let uuid = UUIDBytes(name),
            let found = try? ask(Remote.StoragePoolLookupByUUID.self, .init(uuid: uuid)).pool
        {
            return found
        }
        _ = try client
        guard byName else { throw CommandFailure("failed to get pool '\(name)'") }
        return try failing("failed to get pool '\(name)'") {
            try ask(Remote.StoragePoolLookupByName.self, .init(name: name)).pool
        }
    }

    /// A volume by its name in the pool of `--pool`, its key or its path.
    func volume(_ option: String = "vol", pool poolOption: String? = "pool", byName: Bool = true) throws
        -> RemoteStorageVol
    {
        let name = try text(option)
        var failure: (any Error)?
        var inPool: RemoteStoragePool?
        if let poolOption, has(poolOption) {
            let found = try pool(poolOption)
            guard try ask(Remote.StoragePoolIsActive.self, .init(pool: found)).active != 0 else {
                throw CommandFailure("pool '\(self[poolOption] ?? "")' is not active")
            }
            inPool = found
        }
        if let inPool, byName {
            do { return try ask(Remote.StorageVolLookupByName.self, .init(pool: inPool, name: name)).vol } catch {
                failure = error
            }
        }
        _ = try client
        if let found = try? ask(Remote.StorageVolLookupByKey.self, .init(key: name)).vol { return found }
        do { return try ask(Remote.StorageVolLookupByPath.self, .init(path: name)).vol } catch { failure = error }
        if inPool == nil, byName, poolOption != nil {
            let hint = "failed to get vol '\(name)', specifying --pool might help"
            throw CommandFailure(lines: [hint] + (failure.map(CommandFailure.lines) ?? []))
        }
        throw CommandFailure(lines: ["failed to get vol '\(name)'"] + (failure.map(CommandFailure.lines) ?? []))
    }

    // MARK: - Other objects

    func secret(_ option: String = "secret") throws -> RemoteSecret {
        let name = try text(option)
        _ = try client
        return try failing("failed to get secret '\(name)'") {
            guard let uuid = UUIDBytes(name), name.utf8.count >= 32 else {
                throw CommandFailure("uuidstr in virSecretLookupByUUIDString must be a valid UUID")
            }
            return try ask(Remote.SecretLookupByUUID.self, .init(uuid: uuid)).secret
        }
    }

    func interface(_ option: String = "interface", byMAC: Bool = true, byName: Bool = true) throws -> RemoteInterface {
        let name = try text(option)
        _ = try client
        var failure: (any Error)?
        if byName {
            do { return try ask(Remote.InterfaceLookupByName.self, .init(name: name)).iface } catch { failure = error }
        }
        if byMAC, name.split(separator: ":").count == 6 {
            do { return try ask(Remote.InterfaceLookupByMACString.self, .init(mac: name)).iface } catch {
                failure = failure ?? error
            }
        }
        throw CommandFailure(
            lines: ["failed to get interface '\(name)'"] + (failure.map(CommandFailure.lines) ?? []))
    }

    func filter(_ option: String = "nwfilter") throws -> RemoteNWFilter {
        let name = try text(option)
        if name.utf8.count == 36, let uuid = UUIDBytes(name),
            let found = try? ask(Remote.NWFilterLookupByUUID.self, .init(uuid: uuid)).nwfilter
        {
            return found
        }
        _ = try client
        return try failing("failed to get nwfilter '\(name)'") {
            try ask(Remote.NWFilterLookupByName.self, .init(name: name)).nwfilter
        }
    }

    func filterBinding() throws -> RemoteNWFilterBinding {
        let name = try text("binding")
        _ = try client
        return try failing("failed to get nwfilter binding '\(name)'") {
            try ask(Remote.NWFilterBindingLookupByPortDev.self, .init(name: name)).nwfilter
        }
    }

    /// A device by its name, or by `wwnn,wwpn`.
    func nodeDevice(_ option: String = "device") throws -> RemoteNodeDevice {
        let name = try text(option)
        _ = try client
        if name.contains(",") {
            let parts = name.split(separator: ",").map(String.init)
            guard parts.count == 2 else { throw CommandFailure("Malformed device value '\(name)'") }
            return try failing("Could not find matching device '\(name)'") {
                try ask(Remote.NodeDeviceLookupSCSIHostByWWN.self, .init(wwnn: parts[0], wwpn: parts[1], flags: 0)).dev
            }
        }
        return try failing("Could not find matching device '\(name)'") {
            try ask(Remote.NodeDeviceLookupByName.self, .init(name: name)).dev
        }
    }

    // MARK: - Snapshots and checkpoints

    func snapshot(_ domain: RemoteDomain, _ name: String) throws -> RemoteDomainSnapshot {
        try ask(Remote.DomainSnapshotLookupByName.self, .init(dom: domain, name: name, flags: 0)).snap
    }

    /// The snapshot of `--snapshotname` or, with `--current`, the domain's current one.
    func snapshotOrCurrent(_ domain: RemoteDomain, option: String = "snapshotname", exclusive: Bool = true) throws
        -> RemoteDomainSnapshot
    {
        if let name = self[option] {
            if exclusive { try self.exclusive("current", option) }
            return try snapshot(domain, name)
        }
        guard has("current") else { throw CommandFailure("--\(option) or --current is required") }
        return try ask(Remote.DomainSnapshotCurrent.self, .init(dom: domain, flags: 0)).snap
    }

    func checkpoint(_ domain: RemoteDomain) throws -> RemoteDomainCheckpoint {
        let name = try text("checkpointname")
        return try ask(Remote.DomainCheckpointLookupByName.self, .init(dom: domain, name: name, flags: 0)).checkpoint
    }
}
