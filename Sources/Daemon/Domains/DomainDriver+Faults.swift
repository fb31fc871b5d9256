internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// Guests that crash, watchdogs that nobody feeds, disks that fail: what is told of them, and what a definition wants done.
extension DomainDriver {
    // MARK: - Crashes

    /// The guest says that it has crashed. What `<on_crash>` says is done by a worker, as it may take long.
    func panicked(_ domain: Domain) {
        change(domain, VirDomainState.crashed, VirDomainCrashedReason.panicked)
        emit(.lifecycle(VirDomainEventType.crashed, VirDomainEventCrashedDetailType.panicked), domain)
        let (machine, policy) = domain.state.withLock { ($0.machine, $0.live?.child("on_crash")?.text ?? "destroy") }
        guard let machine, policy != "preserve" else { return }
        workers.submit { [self] in
            do throws(LibvirtError) {
                if policy.hasPrefix("coredump-") { try dumpByItself(domain) }
                try domain.job.run { () throws(LibvirtError) in try settleCrash(domain, machine, policy) }
            } catch { log.error("What is to follow the crash of '\(domain.name)' fails: \(error)") }
        }
    }

    private func settleCrash(_ domain: Domain, _ machine: RunningMachine, _ policy: String) throws(LibvirtError) {
        // Somebody may have reset or ended it meanwhile.
        let isCrashed = domain.state.withLock { $0.machine === machine && $0.state == VirDomainState.crashed }
        guard isCrashed else { return }
        switch policy {
        case "destroy", "coredump-destroy":
            try end(domain, machine, VirDomainShutoffReason.crashed, VirDomainEventStoppedDetailType.crashed)
        case "restart", "coredump-restart":
            try machine.qmp().execute("system_reset")
            try machine.qmp().execute("cont")
            change(domain, VirDomainState.running, VirDomainRunningReason.crashed)
            emit(.lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.unpaused), domain)
        default: break
        }
    }

    /// Writes the memory of a machine to a file of the daemon's choice, for who looks for its fault later.
    private func dumpByItself(_ domain: Domain) throws(LibvirtError) {
        let folder = paths.dumps
        try onHost { () throws(HostError) in try HostFolder.make(folder, permissions: 0o700) }
        let time = Timestamp.text(HostClock.realtime).prefix(19).replacing("T", with: "-")
        let path = "\(folder)/\(domain.reference.id)-\(domain.name)-\(time)"
        try dumpCore(domain, to: path, format: 0, flags: VirDomainCoreDumpFlags.memoryOnly)
    }

    // MARK: - Watchdogs

    func watchdogBit(_ domain: Domain, _ action: String?) {
        emit(.watchdog(watchdogAction(action)), domain)
        guard action == "pause" else { return }
        let (isPaused, dumps) = domain.state.withLock { state -> (Bool, Bool) in
            guard state.state == VirDomainState.running else { return (false, false) }
            state.state = VirDomainState.paused
            state.reason = VirDomainPausedReason.watchdog
            return (true, state.live?.at("devices", "watchdog")?["action"] == "dump")
        }
        guard isPaused else { return }
        try? writeStatus(domain)
        emit(.lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.watchdog), domain)
        guard dumps else { return }
        workers.submit { [self] in
            do throws(LibvirtError) {
                try dumpByItself(domain)
                try resume(domain)
            } catch { log.error("The memory of '\(domain.name)' is not dumped: \(error)") }
        }
    }

    private func watchdogAction(_ action: String?) -> Int32 {
        switch action {
        case "pause": VirDomainEventWatchdogAction.pause
        case "reset": VirDomainEventWatchdogAction.reset
        case "poweroff": VirDomainEventWatchdogAction.poweroff
        case "shutdown": VirDomainEventWatchdogAction.shutdown
        case "debug": VirDomainEventWatchdogAction.debug
        case "inject-nmi": VirDomainEventWatchdogAction.injectnmi
        default: VirDomainEventWatchdogAction.none
        }
    }

    // MARK: - Disks

    func ioError(_ domain: Domain, _ data: JSONValue?) {
        let disks = domain.state.withLock { $0.live.map { DomainFigures.devices($0, "disk") } ?? [] }
        let node = data?["node-name"]?.stringValue ?? ""
        let disk = disks.first { DomainDriver.isNode(node, of: $0) }
        let (path, alias) = (
            disk.flatMap { DomainFigures.path($0) } ?? "",
            disk?.child("alias")?["name"] ?? data?["device"]?.stringValue ?? ""
        )
        let action =
            switch data?["action"]?.stringValue {
            case "stop": VirDomainEventIOErrorAction.pause
            case "report": VirDomainEventIOErrorAction.report
            default: VirDomainEventIOErrorAction.none
            }
        let reason = data?["nospace"]?.boolValue == true ? "enospc" : ""
        emit(.ioError(path: path, alias: alias, action: action, reason: nil), domain)
        emit(.ioError(path: path, alias: alias, action: action, reason: reason), domain)
        if action == VirDomainEventIOErrorAction.pause {
            change(domain, VirDomainState.paused, VirDomainPausedReason.ioerror)
            emit(.lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.ioerror), domain)
        }
    }

    /// Whether a node of the monitor is of a disk's image, or of one below it.
    private static func isNode(_ name: String, of disk: XMLTree) -> Bool {
        DomainFigures.images(disk).contains { image in
            let index = image.child("source")?["index"] ?? "?"
            return ["libvirt-\(index)-format", "libvirt-\(index)-storage"].contains(name)
        }
    }
}
