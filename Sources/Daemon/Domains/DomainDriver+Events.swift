internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// What a machine tells of itself. One event of a machine at a time, in order, on a worker.
extension DomainDriver {
    func handle(_ event: QMPClient.Event, _ domain: Domain) {
        let details = MonitorEventDetails(
            seconds: event.seconds, microseconds: event.microseconds, data: event.data.map(\.description))
        outlet.monitor(event.name, details, domain.reference)
        let data = event.data
        switch event.name {
        case "STOP": stopped(domain)
        case "RESUME": resumed(domain)
        case "RESET": emit(.reboot, domain)
        // The end of a machine whose guest has crashed is for `<on_crash>` to say.
        case "SHUTDOWN" where data?["reason"]?.stringValue == "guest-panic": break
        case "SHUTDOWN": shutDown(domain, byGuest: data?["guest"]?.boolValue ?? false)
        case "POWERDOWN": break
        case "SUSPEND":
            change(domain, VirDomainState.pmsuspended, 0)
            emit(.lifecycle(VirDomainEventType.pmsuspended, VirDomainEventPMSuspendedDetailType.memory), domain)
            emit(.suspendedByGuest, domain)
        case "SUSPEND_DISK":
            change(domain, VirDomainState.pmsuspended, 0)
            emit(.lifecycle(VirDomainEventType.pmsuspended, VirDomainEventPMSuspendedDetailType.disk), domain)
            emit(.suspendedToDiskByGuest, domain)
        case "WAKEUP":
            change(domain, VirDomainState.running, VirDomainRunningReason.wakeup)
            emit(.wokenByGuest, domain)
        case "RTC_CHANGE": if let offset = data?["offset"]?.int64Value { emit(.rtcChange(offset), domain) }
        case "WATCHDOG": watchdogBit(domain, data?["action"]?.stringValue)
        case "BALLOON_CHANGE": balloonChanged(domain, data?["actual"]?.uint64Value ?? 0)
        case "DEVICE_DELETED": if let device = data?["device"]?.stringValue { deviceDeleted(domain, device) }
        case "DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR":
            if let device = data?["device"]?.stringValue { emit(.deviceRemovalFailed(device), domain) }
        case "DEVICE_TRAY_MOVED":
            let open = data?["tray-open"]?.boolValue ?? false
            let reason = open ? VirDomainEventTrayChangeReason.open : VirDomainEventTrayChangeReason.close
            emit(.trayChange(data?["id"]?.stringValue ?? data?["device"]?.stringValue ?? "", reason), domain)
        case "BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED": blockJobChanged(domain, event.name, data)
        case "BLOCK_IO_ERROR": ioError(domain, data)
        case "VSERPORT_CHANGE": portChanged(domain, data)
        case "GUEST_PANICKED": panicked(domain)
        case "GUEST_CRASHLOADED":
            emit(.lifecycle(VirDomainEventType.crashed, VirDomainEventCrashedDetailType.crashloaded), domain)
        default: handleDeviceEvent(event.name, data, domain)
        }
    }

    /// Enters a state and writes it down.
    func change(_ domain: Domain, _ value: Int32, _ reason: Int32) {
        domain.state.withLock { state in
            guard state.isActive else { return }
            state.state = value
            state.reason = reason
        }
        try? writeStatus(domain)
    }

    private func stopped(_ domain: Domain) {
        let changed = domain.state.withLock { state -> Bool in
            // A machine on its way stands when it has gone: that is told at the end of the sending.
            let isLeaving = state.activity?.operation == VirDomainJobOperation.migrationOut && !state.isUserPause
            guard state.state == VirDomainState.running, !isLeaving else { return false }
            state.state = VirDomainState.paused
            state.reason = VirDomainPausedReason.user
            state.isUserPause = false
            return true
        }
        guard changed else { return }
        try? writeStatus(domain)
        emit(.lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.paused), domain)
    }

    private func resumed(_ domain: Domain) {
        let changed = domain.state.withLock { state -> Bool in
            guard state.state == VirDomainState.paused, state.migration == nil else { return false }
            let starting = state.reason == VirDomainPausedReason.startingUp
            state.state = VirDomainState.running
            state.reason = starting ? VirDomainRunningReason.booted : VirDomainRunningReason.unpaused
            return true
        }
        guard changed else { return }
        try? writeStatus(domain)
        emit(.lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.unpaused), domain)
    }

    private func shutDown(_ domain: Domain, byGuest: Bool) {
        let (machine, restart, ending, policy) = domain.state.withLock { state in
            defer { state.restartsOnShutdown = false }
            return (
                state.machine, state.restartsOnShutdown, state.ending,
                state.live?.child("on_poweroff")?.text ?? "destroy"
            )
        }
        guard let machine else { return }
        if restart || (ending == nil && policy == "restart") {
            _ = try? machine.monitor?.execute("system_reset")
            _ = try? machine.monitor?.execute("cont")
            change(domain, VirDomainState.running, VirDomainRunningReason.booted)
            return
        }
        let detail =
            byGuest ? VirDomainEventShutdownDetailType.guest : VirDomainEventShutdownDetailType.host
        emit(.lifecycle(VirDomainEventType.shutdown, detail), domain)
        guard ending == nil else { return }
        domain.state.withLock { state in
            state.ending = (VirDomainShutoffReason.shutdown, VirDomainEventStoppedDetailType.shutdown)
            state.state = VirDomainState.shutdown
            state.reason = VirDomainShutdownReason.user
        }
        try? machine.end()
    }

    private func balloonChanged(_ domain: Domain, _ bytes: UInt64) {
        domain.state.withLock { state in
            state.live?.update("currentMemory") { $0.nodes = [.text("\(bytes / 1024)")] }
        }
        emit(.balloonChange(bytes / 1024), domain)
    }

    private func deviceDeleted(_ domain: Domain, _ alias: String) {
        let (device, bell) = domain.state.withLock { state -> (XMLTree?, Bell?) in
            let device = state.live?.child("devices")?.children.first { $0.child("alias")?["name"] == alias }
            state.live?.update("devices") { devices in
                devices.nodes.removeAll { node in
                    if case .element(let device) = node { device.child("alias")?["name"] == alias } else { false }
                }
            }
            return (device, state.departures[alias])
        }
        if let device { releaseBackends(domain, device) }
        try? writeStatus(domain)
        bell?.ring()
        if device != nil { emit(.deviceRemoved(alias), domain) }
        if alias.hasPrefix("vcpu"), let number = UInt32(alias.dropFirst(4)) { emit(.processorRemoved(number), domain) }
    }

    private func portChanged(_ domain: Domain, _ data: JSONValue?) {
        guard let alias = data?["id"]?.stringValue, let open = data?["open"]?.boolValue else { return }
        var isAgent = false
        var name = ""
        domain.state.withLock { state in
            state.live?.update("devices") { devices in
                devices.updateChildren { device in
                    guard device.child("alias")?["name"] == alias else { return }
                    device.update("target") { target in
                        target.set("state", open ? "connected" : "disconnected")
                        name = target["name"] ?? ""
                        isAgent = name == "org.qemu.guest_agent.0"
                    }
                }
            }
        }
        // The numbers of the two are the same.
        typealias State = VirConnectDomainEventAgentLifecycleState
        let (state, reason) = (
            open ? State.connected : State.disconnected, VirConnectDomainEventAgentLifecycleReason.channel
        )
        if isAgent { emit(.agentLifecycle(state, reason), domain) }
        if !name.isEmpty { emit(.channelLifecycle(name, state, reason), domain) }
    }

    // MARK: - The end

    /// Works the end of the process up when it comes.
    func watchEnd(_ domain: Domain, _ machine: RunningMachine) {
        do throws(HostError) {
            try machine.watchEnd(loop) { [self] in
                workers.submit(urgent: true) { [self] in
                    machine.hearOut()
                    machine.events.submit { [self] in ended(domain, machine) }
                }
            }
        } catch {
            log.error("The end of '\(domain.name)' will not be seen: \(error)")
        }
    }

    /// The process is gone, for whatever reason.
    func ended(_ domain: Domain, _ machine: RunningMachine) {
        machine.monitor?.close()
        var made: [String] = []
        let (reason, persistent, consoles, live) = domain.state.withLock {
            state -> ((Int32, Int32)?, Bool, [ConsoleStream], XMLTree?) in
            guard state.machine === machine else { return (nil, true, [], nil) }
            let live = state.live
            let ending = state.ending ?? (VirDomainShutoffReason.crashed, VirDomainEventStoppedDetailType.failed)
            let consoles = Array(state.consoles.values)
            // One that did not come takes with it what was made for it.
            if let lost = state.migration, lost.isIncoming { made = lost.made + [lost.disksLink].compactMap { $0 } }
            state.migration = nil
            state.relay = nil
            state.machine = nil
            state.live = nil
            state.ending = nil
            state.consoles = [:]
            state.state = VirDomainState.shutoff
            state.reason = ending.0
            return (ending, state.definition != nil, consoles, live)
        }
        guard let reason else { return }
        for card in live.map({ DomainFigures.devices($0, "interface") }) ?? [] { networks.release(card) }
        store.removeStatus(domain.name)
        ControlGroup(process: machine.process.number).remove()
        fileServers.end(domain.uuid)
        tpms.end(domain.uuid)
        if !persistent, let live { tpms.forget(domain.uuid, live) }
        releaseImages(domain)
        for path in made { try? HostFile.remove(path) }
        HostFile.removeTree(folder(domain))
        let before = domain.reference
        list.deactivate(domain)
        for console in consoles { console.machineEnded() }
        // Clients know the number that it had.
        outlet.event(.lifecycle(VirDomainEventType.stopped, reason.1), before)
        if !persistent { list.remove(domain) }
    }
}
