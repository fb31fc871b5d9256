internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Machines that are written to files and come back.
extension DomainDriver {
    /// Writes a machine to a file and ends it.
    func save(_ domain: Domain, to path: String, document: String?, flags: UInt32) throws(LibvirtError) {
        guard path.hasPrefix("/") else { throw LibvirtError.invalidArgument("path '\(path)' is not absolute") }
        try domain.job.run { () throws(LibvirtError) in
            let machine = try domain.running()
            let (live, wasRunning) = domain.state.withLock {
                ($0.live ?? XMLTree("domain"), $0.state == VirDomainState.running)
            }
            var saved = live
            MachineConfinement.unlabel(&saved)
            if let document {
                let other = try DomainDefaults.parse(document, emulators)
                guard other.uuid == domain.uuid, other.name == domain.name else {
                    throw LibvirtError.configUnsupported("the document is of another domain")
                }
                saved = other.tree
            }
            saved.set("id", nil)
            let resumes =
                flags & VirDomainSaveRestoreFlags.running != 0
                || flags & VirDomainSaveRestoreFlags.paused == 0 && wasRunning
            let file = try SavedMachine.begin(path, saved, wasRunning: resumes)
            if wasRunning {
                domain.state.withLock { state in
                    state.state = VirDomainState.paused
                    state.reason = VirDomainPausedReason.save
                }
                try machine.qmp().execute("stop")
                machine.settle()
                emit(.lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.paused), domain)
            }
            do throws(LibvirtError) {
                try labelImage(domain, path, writes: true)
                try write(domain, machine, file)
                try SavedMachine.finish(path)
            } catch {
                try? HostFile.remove(path)
                if wasRunning {
                    _ = try? machine.monitor?.execute("cont")
                    machine.settle()
                }
                throw error
            }
            try end(domain, machine, VirDomainShutoffReason.saved, VirDomainEventStoppedDetailType.saved)
        }
    }

    /// Ends a machine for a reason of ours and waits until everybody knows. The job is held.
    func end(_ domain: Domain, _ machine: RunningMachine, _ reason: Int32, _ detail: Int32) throws(LibvirtError) {
        domain.state.withLock { if $0.machine === machine { $0.ending = (reason, detail) } }
        try machine.end()
        machine.hearOut()
        let done = Bell()
        machine.events.submit { [self] in
            ended(domain, machine)
            done.ring()
        }
        done.wait(nanoseconds: 30_000_000_000)
        machine.process.reap()
    }

    /// Lets the machine write its state, and waits for its end.
    func write(_ domain: Domain, _ machine: RunningMachine, _ file: Descriptor) throws(LibvirtError) {
        let monitor = try machine.qmp()
        // As fast as the disk: there is nobody to be fair to.
        _ = try? monitor.execute("migrate-set-parameters", ["max-bandwidth": .number(Int64(1) << 52)])
        try monitor.execute("getfd", ["fdname": "migrate"], passing: file)
        domain.state.withLock { $0.activity = Activity(operation: VirDomainJobOperation.save) }
        defer { domain.state.withLock { $0.activity = nil } }
        try monitor.execute("migrate", ["uri": "fd:migrate"])
        let pause = Bell()
        while true {
            let answer = try monitor.execute("query-migrate")
            switch answer["status"]?.stringValue {
            case "completed": return
            case "failed", "cancelled", "cancelling":
                throw LibvirtError.operationFailed(
                    "domain save job: "
                        + (answer["status"]?.stringValue == "failed"
                            ? answer["error-desc"]?.stringValue ?? "unexpectedly failed" : "canceled by client"))
            default: pause.wait(nanoseconds: 10_000_000)
            }
        }
    }

    /// Waits until a machine has read the state that it begins with.
    func waitForArrival(_ machine: RunningMachine) throws(LibvirtError) {
        let pause = Bell()
        while true {
            let status = try machine.qmp().execute("query-status")["status"]?.stringValue
            if status != "inmigrate" { break }
            let migration = try machine.qmp().execute("query-migrate")
            if migration["status"]?.stringValue == "failed" {
                throw LibvirtError.operationFailed(
                    "job 'restore' failed: " + (migration["error-desc"]?.stringValue ?? "the state cannot be read"))
            }
            pause.wait(nanoseconds: 5_000_000)
        }
    }

    /// Brings a machine back from a file.
    func restore(from path: String, document: String?, flags: UInt32) throws(LibvirtError) {
        let image = try SavedMachine(path)
        var parsed = try DomainDefaults.read(try image.definition(keeping: nil))
        if let document {
            let other = try DomainDefaults.parse(document, emulators)
            guard other.uuid == parsed.uuid, other.name == parsed.name else {
                throw LibvirtError.configUnsupported("the document is of another domain")
            }
            parsed = other
        }
        let (domain, isNew) = try list.findOrAdd(parsed.uuid, parsed.name)
        try domain.job.run { () throws(LibvirtError) in
            guard !domain.isActive else {
                throw LibvirtError.operationInvalid("domain '\(parsed.name)' is already active")
            }
            let paused = flags & VirDomainSaveRestoreFlags.paused != 0
            do throws(LibvirtError) {
                try launch(domain, parsed.tree, paused ? VirDomainCreateFlags.startPaused : 0, from: image)
            } catch {
                if isNew { list.remove(domain) }
                throw error
            }
        }
    }

    /// Saves a machine where its next start finds it.
    func managedSave(_ domain: Domain, flags: UInt32) throws(LibvirtError) {
        let (name, persistent) = domain.state.withLock { ($0.name, $0.definition != nil) }
        guard persistent else { throw LibvirtError.operationInvalid("cannot do managed save for transient domain") }
        try save(domain, to: store.savedPath(name), document: nil, flags: flags)
    }

    /// Writes the machine's memory to a file, as a debugger reads it or as a migration.
    func dumpCore(_ domain: Domain, to path: String, format: UInt32, flags: UInt32) throws(LibvirtError) {
        guard path.hasPrefix("/") else { throw LibvirtError.invalidArgument("path '\(path)' is not absolute") }
        try domain.job.run { () throws(LibvirtError) in
            let machine = try domain.running()
            let file = try onHost { () throws(HostError) in
                try HostFile.open(path, HostFile.Mode.replace, permissions: 0o600)
            }
            let wasRunning = domain.state.withLock { $0.state == VirDomainState.running }
            if wasRunning, flags & VirDomainCoreDumpFlags.live == 0 {
                try machine.qmp().execute("stop")
                machine.settle()
            }
            do throws(LibvirtError) {
                try labelImage(domain, path, writes: true)
                if flags & VirDomainCoreDumpFlags.memoryOnly != 0 {
                    try machine.qmp().execute("getfd", ["fdname": "dump"], passing: file)
                    try machine.qmp().execute(
                        "dump-guest-memory", ["paging": false, "protocol": "fd:dump"])
                } else {
                    try write(domain, machine, file)
                }
            } catch {
                try? HostFile.remove(path)
                if wasRunning { _ = try? machine.monitor?.execute("cont") }
                throw error
            }
            if flags & VirDomainCoreDumpFlags.crash != 0 {
                return try end(
                    domain, machine, VirDomainShutoffReason.crashed, VirDomainEventStoppedDetailType.crashed)
            }
            if wasRunning, flags & VirDomainCoreDumpFlags.live == 0 {
                if flags & VirDomainCoreDumpFlags.reset != 0 { try machine.qmp().execute("system_reset") }
                try machine.qmp().execute("cont")
                machine.settle()
            }
        }
    }
}

/// What takes long with a domain at this moment.
struct Activity: Sendable {
    let operation: Int32
    /// A client wants it to end.
    var isAborted = false
    let since = HostClock.monotonic
}
