internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Backups of machines that run: written to images (push), or fetched by clients over NBD (pull); whole, or what has
/// changed since a checkpoint.
extension DomainDriver {
    func beginBackup(
        _ domain: Domain, _ text: String, checkpoint: String?, flags: UInt32
    ) throws(LibvirtError) {
        let wanted: DomainBackup
        do throws(DefinitionError) { wanted = try DomainBackup(xml: text) } catch {
            throw LibvirtError(error, VirErrorDomain.none)
        }
        try domain.job.run { () throws(LibvirtError) in
            let machine = try domain.running()
            let isBusy = domain.state.withLock { $0.backup != nil || !$0.blockJobs.isEmpty }
            guard !isBusy else {
                throw LibvirtError.operationInvalid("another backup or block job is under way")
            }
            let prepared = try checkpoint.map { (text) throws(LibvirtError) in
                try prepareCheckpoint(domain, text, isRedefined: false)
            }
            var backup = Backup(isPull: wanted.mode == "pull", document: XMLTree("domainbackup"))
            let suffix = prepared?.name ?? "\(HostClock.realtime / 1_000_000_000)"
            do throws(LibvirtError) {
                try choose(domain, wanted, suffix, &backup)
                try make(domain, machine, wanted, &backup, reuses: flags & VirDomainBackupBeginFlags.reuseExternal != 0)
                // Before it starts: its end may be told before the monitor's answer.
                let known = backup
                domain.state.withLock { state in
                    state.backup = known
                    state.activity = Activity(operation: VirDomainJobOperation.backup)
                }
                try start(machine, backup, prepared?.actions ?? [], wanted)
                if backup.isPull { try serve(domain, machine, wanted, &backup) }
            } catch {
                drop(domain, machine, backup, isWhole: false)
                throw error
            }
            if let prepared { _ = try enter(domain, prepared) }
        }
    }

    // MARK: - Making

    /// The disks of a backup, with all that a client left open.
    private func choose(
        _ domain: Domain, _ wanted: DomainBackup, _ suffix: String, _ backup: inout Backup
    ) throws(LibvirtError) {
        let live = domain.state.withLock { $0.current }
        for own in wanted.disks where DomainFigures.disk(live, own.name) == nil {
            throw LibvirtError.configUnsupported("no disk named '\(own.name)'")
        }
        var number = freeImageNumber(domain)
        var list = XMLTree("disks")
        for disk in DomainFigures.devices(live, "disk") {
            let target = disk.child("target")?["dev"] ?? ""
            let own = wanted.disks.first { $0.name == target }
            let isChosen = own.map { $0.backup != .no } ?? (wanted.disks.isEmpty && writable(live).contains(disk))
            guard isChosen, let path = DomainFigures.path(disk) else {
                list.append(.of("disk", ["name": target, "backup": "no"]))
                continue
            }
            let source = backup.isPull ? own?.scratch : own?.target
            let copy = source?.localPath ?? "\(path).\(suffix)"
            guard copy.hasPrefix("/") else { throw LibvirtError.invalidArgument("path '\(copy)' is not absolute") }
            let base = own?.incremental ?? (own?.backupMode == "full" ? nil : wanted.incremental)
            if let base { _ = try checkpoint(domain, base) }
            var entry = Backup.Disk(
                target: target, node: DomainDriver.topNode(disk), number: number, path: copy,
                isTemporary: backup.isPull)
            if base != nil { entry.bitmap = own?.exportBitmap ?? "backup-\(target)" }
            if backup.isPull { entry.export = own?.exportName ?? target }
            backup.disks.append(entry)
            number += 1
            list.append(DomainDriver.describe(entry, base, own?.driver?.type ?? "qcow2", isPull: backup.isPull))
        }
        guard !backup.disks.isEmpty else { throw LibvirtError.configUnsupported("no disks selected for backup") }
        backup.document.set("mode", backup.isPull ? "pull" : "push")
        if let base = wanted.incremental { backup.document.append(.text("incremental", base)) }
        backup.document.append(list)
    }

    private static func describe(
        _ disk: Backup.Disk, _ base: String?, _ format: String, isPull: Bool
    ) -> XMLTree {
        var element = XMLTree.of("disk", ["name": disk.target, "backup": "yes", "type": "file"])
        element.set("backupmode", base == nil ? "full" : "incremental")
        if let base { element.set("incremental", base) }
        if let export = disk.export { element.set("exportname", export) }
        if isPull, let bitmap = disk.bitmap { element.set("exportbitmap", bitmap) }
        element.set("index", "\(disk.number)")
        element.append(.of("driver", ["type": format]))
        element.append(.of(isPull ? "scratch" : "target", ["file": disk.path]))
        return element
    }

    /// Makes the images that take the copies, and gives them to the machine.
    private func make(
        _ domain: Domain, _ machine: RunningMachine, _ wanted: DomainBackup, _ backup: inout Backup, reuses: Bool
    ) throws(LibvirtError) {
        let monitor = try machine.qmp()
        let live = domain.state.withLock { $0.current }
        var made: [Backup.Disk] = []
        do throws(LibvirtError) {
            for disk in backup.disks {
                let format = wanted.disks.first { $0.name == disk.target }?.driver?.type ?? "qcow2"
                guard !backup.isPull || format == "qcow2" else {
                    throw LibvirtError.configUnsupported("scratch images are of format qcow2, not '\(format)'")
                }
                if !reuses {
                    guard HostFile.status(disk.path).kind == .nothing else {
                        throw LibvirtError.configUnsupported(
                            "backup image for disk \(disk.target) already exists: '\(disk.path)'")
                    }
                    let size = DomainFigures.disk(live, disk.target).map { DomainFigures.capacity($0) } ?? 0
                    try ImageProgram.run(["create", "-f", format, disk.path, "\(size)"])
                }
                made.append(disk)
                try monitor.execute(
                    "blockdev-add",
                    [
                        "driver": "file", "filename": .string(disk.path),
                        "node-name": .string("libvirt-\(disk.number)-storage"), "auto-read-only": true,
                        "discard": "unmap",
                    ])
                var node: JSONObject = [
                    "driver": .string(format), "node-name": .string(disk.copy), "read-only": false,
                    "file": .string("libvirt-\(disk.number)-storage"),
                ]
                // What was not copied yet is the disk itself.
                if format == "qcow2" { node["backing"] = backup.isPull ? .string(disk.node) : .null }
                try monitor.execute("blockdev-add", node)
            }
        } catch {
            backup.disks = made
            throw error
        }
    }

    /// All disks at the same moment, and the checkpoint with them.
    private func start(
        _ machine: RunningMachine, _ backup: Backup, _ checkpoint: [JSONValue], _ wanted: DomainBackup
    ) throws(LibvirtError) {
        var actions: [JSONValue] = []
        for disk in backup.disks {
            if let bitmap = disk.bitmap {
                let own = wanted.disks.first { $0.name == disk.target }
                let base = own?.incremental ?? wanted.incremental ?? ""
                actions.append(
                    .object([
                        "type": "block-dirty-bitmap-add",
                        "data": .object([
                            "node": .string(disk.node), "name": .string(bitmap), "disabled": true,
                            // Only bitmaps of the image itself are exported by our machine.
                            "persistent": .bool(backup.isPull),
                        ]),
                    ]))
                actions.append(
                    .object([
                        "type": "block-dirty-bitmap-merge",
                        "data": .object([
                            "node": .string(disk.node), "target": .string(bitmap), "bitmaps": .array([.string(base)]),
                        ]),
                    ]))
            }
            var job: JSONObject = [
                "job-id": .string(disk.job), "device": .string(disk.node), "target": .string(disk.copy),
                "auto-dismiss": true,
            ]
            if backup.isPull {
                job["sync"] = "none"
            } else if let bitmap = disk.bitmap {
                job["sync"] = "incremental"
                job["bitmap"] = .string(bitmap)
            } else {
                job["sync"] = "full"
            }
            actions.append(.object(["type": "blockdev-backup", "data": .object(job)]))
        }
        try machine.qmp().execute("transaction", ["actions": .array(actions + checkpoint)])
    }

    /// Lets clients fetch the copies.
    private func serve(
        _ domain: Domain, _ machine: RunningMachine, _ wanted: DomainBackup, _ backup: inout Backup
    ) throws(LibvirtError) {
        let monitor = try machine.qmp()
        var server = XMLTree("server")
        let address: JSONObject
        if wanted.server?.transport == "unix" {
            let path = wanted.server?.socket ?? "\(paths.running)/\(domain.uuid)/backup.sock"
            guard path.hasPrefix("/") else { throw LibvirtError.xml("socket path '\(path)' is not absolute") }
            var own = path
            if monitor.opensImages, !path.hasPrefix(folder(domain)) {
                // A confined machine makes sockets in its own folder alone.
                own = "\(folder(domain))/nbd.sock"
                try onHost { () throws(HostError) in try HostFile.link(path, to: own) }
                backup.link = path
            }
            address = ["type": "unix", "data": .object(["path": .string(own)])]
            server = .of("server", ["transport": "unix", "socket": path])
        } else {
            let host = wanted.server?.name ?? "localhost"
            let port = "\(wanted.server?.port ?? 10809)"
            address = ["type": "inet", "data": .object(["host": .string(host), "port": .string(port)])]
            server = .of("server", ["transport": "tcp", "name": host, "port": port])
        }
        if wanted.server?.transport != "unix", machine.hasOwnNetwork {
            try serve(
                domain, monitor, host: server["name"] ?? "localhost", port: server["port"] ?? "10809",
                path: "\(folder(domain))/nbd.sock")
        } else {
            try monitor.execute("nbd-server-start", ["addr": .object(address)])
        }
        backup.hasServer = true
        backup.document.insert(server, before: ["disks"])
        let known = backup
        domain.state.withLock { $0.backup = known }
        for disk in backup.disks {
            var export: JSONObject = [
                "device": .string(disk.copy), "name": .string(disk.export ?? disk.target), "writable": false,
            ]
            if let bitmap = disk.bitmap { export["bitmap"] = .string(bitmap) }
            try monitor.execute("nbd-server-add", export)
        }
    }

    // MARK: - The end

    /// A job of a backup has ended by itself. True: it is one.
    func backupJobEnded(_ domain: Domain, _ id: String, failure: String?, wasCancelled: Bool) -> Bool {
        let (known, over) = domain.state.withLock { state -> (Bool, Backup?) in
            guard var backup = state.backup, let index = backup.disks.firstIndex(where: { $0.job == id }) else {
                return (false, nil)
            }
            backup.disks[index].isDone = true
            if let failure { backup.failure = failure }
            if wasCancelled, backup.failure == nil { backup.failure = "canceled" }
            state.backup = backup
            return (true, !backup.isPull && backup.disks.allSatisfy(\.isDone) ? backup : nil)
        }
        if let over, let machine = domain.machine {
            // Not here: what comes next waits for the monitor, whose events are worked up here.
            workers.submit { [self] in drop(domain, machine, over, isWhole: over.failure == nil) }
        }
        return known
    }

    /// Ends a backup that a client does not want any more, or has fetched. False: there is none.
    func abortBackup(_ domain: Domain) throws(LibvirtError) -> Bool {
        guard let backup = domain.state.withLock({ $0.backup }), let machine = domain.machine else { return false }
        if !backup.isPull {
            for disk in backup.disks where !disk.isDone {
                _ = try? machine.qmp().execute("block-job-cancel", ["device": .string(disk.job), "force": true])
            }
            return true
        }
        drop(domain, machine, backup, isWhole: false)
        return true
    }

    /// Takes away what a backup needed.
    private func drop(_ domain: Domain, _ machine: RunningMachine, _ backup: Backup, isWhole: Bool) {
        let last = JobProgress(domain)
        if let monitor = machine.monitor {
            if backup.hasServer { _ = try? monitor.execute("nbd-server-stop") }
            for disk in backup.disks where !disk.isDone {
                _ = try? monitor.execute("block-job-cancel", ["device": .string(disk.job), "force": true])
            }
            awaitEnd(of: backup, monitor)
            for disk in backup.disks {
                for layer in ["format", "storage"] {
                    let node = "libvirt-\(disk.number)-\(layer)"
                    _ = try? monitor.execute("blockdev-del", ["node-name": .string(node)])
                }
                if let bitmap = disk.bitmap {
                    _ = try? monitor.execute(
                        "block-dirty-bitmap-remove", ["node": .string(disk.node), "name": .string(bitmap)])
                }
            }
        }
        if let link = backup.link { try? HostFile.remove(link) }
        for disk in backup.disks where disk.isTemporary || !isWhole { try? HostFile.remove(disk.path) }
        domain.state.withLock { state in
            state.backup = nil
            state.relay = nil
            state.activity = nil
            state.lastJob = last
        }
        emit(.jobCompleted(last.parameters), domain)
    }

    /// Nodes are free when their jobs are over.
    private func awaitEnd(of backup: Backup, _ monitor: QMPClient) {
        let deadline = HostClock.monotonic + 30_000_000_000
        let pause = Bell()
        let ids = Set(backup.disks.map(\.job))
        while HostClock.monotonic < deadline {
            let jobs = (try? monitor.execute("query-block-jobs"))?.arrayValue ?? []
            guard jobs.contains(where: { ids.contains($0["device"]?.stringValue ?? "") }) else { return }
            pause.wait(nanoseconds: 5_000_000)
        }
    }
}
