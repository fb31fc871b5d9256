internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Removing definitions, with what belongs to them.
extension Run {
    private struct DiskVolume {
        let source: String
        let target: String
        let volume: RemoteStorageVol
    }

    static func undefine(_ c: Call) throws {
        try c.requires("delete-storage-volume-snapshots", "remove-all-storage")
        try c.exclusive("nvram", "keep-nvram")
        try c.exclusive("tpm", "keep-tpm")
        try c.exclusive("remove-all-storage", "storage")
        if c.has("wipe-storage"), !c.has("storage"), !c.has("remove-all-storage") {
            throw CommandFailure("'--wipe-storage' requires '--storage <string>' or '--remove-all-storage'")
        }
        typealias Flags = VirDomainUndefineFlagsValues
        var flags = c.bits(
            ("managed-save", Flags.managedSave), ("snapshots-metadata", Flags.snapshotsMetadata),
            ("checkpoints-metadata", Flags.checkpointsMetadata), ("nvram", Flags.nvram),
            ("keep-nvram", Flags.keepNvram), ("tpm", Flags.tpm), ("keep-tpm", Flags.keepTpm))
        let domain = try c.domain()
        let running = try c.isActive(domain)
        if running, c.has("storage") || c.has("remove-all-storage") {
            throw CommandFailure("Storage volume deletion is supported only on stopped domains")
        }
        let hasSave = try c.ask(Remote.DomainHasManagedSaveImage.self, .init(dom: domain, flags: 0)).result != 0
        if hasSave, !c.has("managed-save") {
            throw CommandFailure(
                "Refusing to undefine while domain managed save image exists")
        }
        if !hasSave { flags &= ~Flags.managedSave }
        let volumes = try c.has("storage") || c.has("remove-all-storage") ? diskVolumes(c, domain) : []
        try failing("Failed to undefine domain '\(domain.name)'") {
            if flags != 0 {
                try c.ask(Remote.DomainUndefineFlags.self, .init(dom: domain, flags: flags))
            } else {
                try c.ask(Remote.DomainUndefine.self, .init(dom: domain))
            }
        }
        c.say("Domain '\(domain.name)' has been undefined\n")
        if !volumes.isEmpty { c.say("\n") }
        var failed = false
        for entry in volumes where !removeVolume(c, entry) { failed = true }
        if failed { throw CommandFailure() }
    }

    /// Volumes of the disks that are to go.
    private static func diskVolumes(_ c: Call, _ domain: RemoteDomain) throws -> [DiskVolume] {
        let wanted = (c["storage"] ?? "").split(separator: ",").map(String.init)
        let xml = try c.xml(of: domain, VirDomainXMLFlags.inactive)
        var found: [DiskVolume] = []
        var left = wanted
        for disk in XMLDocument.parse(xml)?.child("devices")?.children ?? [] where disk.name == "disk" {
            let source = disk.child("source")
            let place = source?["file"] ?? source?["dev"] ?? source?["dir"] ?? source?["name"]
            guard let target = disk.child("target")?["dev"] else { continue }
            if !wanted.isEmpty {
                guard let index = left.firstIndex(where: { $0 == target || $0 == place }) else { continue }
                left.remove(at: index)
            }
            if let pool = source?["pool"], let name = source?["volume"] {
                guard let found1 = try? c.ask(Remote.StoragePoolLookupByName.self, .init(name: pool)).pool,
                    let volume = try? c.ask(Remote.StorageVolLookupByName.self, .init(pool: found1, name: name)).vol
                else { continue }
                found.append(DiskVolume(source: name, target: target, volume: volume))
                continue
            }
            guard let place else { continue }
            guard let volume = try? c.ask(Remote.StorageVolLookupByPath.self, .init(path: place)).vol else {
                c.say(
                    "Storage volume '\(target)'(\(place)) is not managed by libvirt. Remove it manually.\n")
                continue
            }
            found.append(DiskVolume(source: place, target: target, volume: volume))
        }
        for name in left { c.complain("Volume '\(name)' was not found in domain's definition.\n") }
        return found
    }

    private static func removeVolume(_ c: Call, _ entry: DiskVolume) -> Bool {
        let label = "'\(entry.target)'(\(entry.source))"
        do {
            if c.has("wipe-storage") {
                c.say("Wiping volume \(label) ... ")
                c.shell.flush()
                try c.ask(Remote.StorageVolWipe.self, .init(vol: entry.volume, flags: 0))
                c.say("Done.\n")
            }
            let flags = c.has("delete-storage-volume-snapshots") ? VirStorageVolDeleteFlags.withSnapshots : 0
            try c.ask(Remote.StorageVolDelete.self, .init(vol: entry.volume, flags: flags))
            c.say("Volume \(label) removed.\n")
            return true
        } catch {
            c.complain("Failed to remove storage volume \(label)")
            for line in CommandFailure.lines(of: error) { c.complain(line) }
            return false
        }
    }
}
