internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// Machines that outlive the daemon: written down while they run, taken up by the next one.
extension DomainDriver {
    /// Writes what is needed to find the machine again.
    func writeStatus(_ domain: Domain) throws(LibvirtError) {
        let (name, status) = domain.state.withLock { state -> (String, XMLTree?) in
            guard let machine = state.machine, let live = state.live else { return (state.name, nil) }
            var status = XMLTree.of(
                "domstatus",
                [
                    "state": "\(state.state)", "reason": "\(state.reason)", "pid": "\(machine.process.number)",
                    "start": "\(machine.startTime)", "persistent": state.definition == nil ? "no" : "yes",
                    "confined": machine.monitor?.opensImages == true ? "yes" : "no",
                ])
            status.append(.of("monitor", ["path": machine.monitorPath, "type": "unix"]))
            status.append(live)
            return (state.name, status)
        }
        if let status { try store.saveStatus(name, status) }
    }

    /// Finds a machine that a daemon before this one started.
    func takeUp(_ status: XMLTree) {
        guard let live = status.child("domain"), let name = live.child("name")?.text,
            let uuid = (live.child("uuid")?.text).flatMap({ UUIDBytes($0) }),
            let number = status["pid"].flatMap({ Int32($0) }), let start = status["start"].flatMap({ UInt64($0) }),
            let path = status.child("monitor")?["path"], let id = live["id"].flatMap({ Int32($0) }),
            let domain = try? list.findOrAdd(uuid, name).domain
        else { return log.error("A machine's status cannot be used") }
        // The number alone may long be another process's.
        guard HostProcess.startTime(of: number) == start, let process = try? HostProcess(number: number),
            HostProcess.startTime(of: number) == start
        else {
            for card in DomainFigures.devices(live, "interface") { networks.release(card) }
            ControlGroup(process: number).remove()
            return isGone(domain)
        }
        let machine: RunningMachine
        do throws(LibvirtError) {
            machine = try connectAgain(domain, process, path, isConfined: status["confined"] == "yes")
        } catch {
            log.warning("The monitor of '\(name)' does not answer: \(error)")
            machine = RunningMachine(
                process: process, startTime: start, monitorPath: path, monitor: nil, events: SerialQueue(workers))
        }
        machine.mayHaveThresholds.store(true, ordering: .relaxed)
        let answer = try? machine.monitor?.execute("query-status")
        if answer?["status"]?.stringValue == "inmigrate" {
            // Whoever sent its state did so to a daemon that is gone, or the state is in a file still.
            log.warning("'\(name)' waited for a state that does not come any more: it is ended")
            machine.leave()
            process.kill()
            _ = process.waitForEnd(milliseconds: 10_000)
            process.reap()
            for card in DomainFigures.devices(live, "interface") { networks.release(card) }
            return isGone(domain)
        }
        endJourney(machine)
        _ = list.activate(domain, id: id)
        labels.takeUp(uuid, live)
        let running = answer?["running"]?.boolValue
        let written = Int32(status["state"] ?? "") ?? VirDomainState.running
        let reason = Int32(status["reason"] ?? "") ?? 0
        var form = live
        DomainDriver.connectPorts(&form, machine)
        domain.state.withLock { [form] state in
            state.machine = machine
            state.live = form
            switch running {
            case true?:
                state.state = VirDomainState.running
                state.reason = written == VirDomainState.running ? reason : VirDomainRunningReason.unknown
            case false?:
                state.state = written == VirDomainState.running ? VirDomainState.paused : written
                state.reason = written == VirDomainState.running ? VirDomainPausedReason.unknown : reason
            case nil:
                state.state = written
                state.reason = reason
            }
        }
        // A daemon that was killed in the middle of a start left a machine that has not run yet.
        if written == VirDomainState.paused, reason == VirDomainPausedReason.startingUp, running == false {
            _ = try? machine.monitor?.execute("cont")
            domain.state.withLock { state in
                state.state = VirDomainState.running
                state.reason = VirDomainRunningReason.booted
            }
        }
        try? writeStatus(domain)
        watchEnd(domain, machine)
    }

    /// A machine that the daemon before this one was sending away stays: nobody would tell the other end.
    private func endJourney(_ machine: RunningMachine) {
        let status = (try? machine.monitor?.execute("query-migrate"))?["status"]?.stringValue
        guard ["setup", "active", "device", "pre-switchover", "wait-unplug"].contains(status) else { return }
        _ = try? machine.monitor?.execute("migrate_cancel")
    }

    /// Connects to a monitor that may not have noticed yet that the daemon before this one has gone.
    private func connectAgain(
        _ domain: Domain, _ process: HostProcess, _ path: String, isConfined: Bool
    ) throws(LibvirtError) -> RunningMachine {
        let deadline = HostClock.monotonic + 5_000_000_000
        let pause = Bell()
        while true {
            do throws(LibvirtError) { return try connect(domain, process, path, isConfined: isConfined) } catch {
                if process.hasEnded || HostClock.monotonic > deadline { throw error }
                pause.wait(nanoseconds: 20_000_000)
            }
        }
    }

    /// Lets go of the monitors of machines, which go on.
    func leaveMachines() {
        for domain in list.all { domain.machine?.leave() }
    }

    /// The machine ended while no daemon looked.
    private func isGone(_ domain: Domain) {
        store.removeStatus(domain.name)
        releaseImages(domain)
        HostFile.removeTree(folder(domain))
        let persistent = domain.state.withLock { state in
            state.reason = VirDomainShutoffReason.crashed
            return state.definition != nil
        }
        if !persistent { list.remove(domain) }
    }
}
