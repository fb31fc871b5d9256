internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// What is done with a domain that runs.
extension DomainDriver {
    func suspend(_ domain: Domain) throws(LibvirtError) {
        // Whoever has had enough of a machine that does not get away may stop it.
        let isLeaving = domain.state.withLock { state -> Bool in
            guard state.activity?.operation == VirDomainJobOperation.migrationOut,
                state.state == VirDomainState.running
            else { return false }
            state.isUserPause = true
            return true
        }
        if isLeaving {
            let machine = try domain.running()
            try machine.qmp().execute("stop")
            return machine.settle()
        }
        try domain.job.run { () throws(LibvirtError) in
            let machine = try domain.running()
            let state = domain.state.withLock { $0.state }
            if state == VirDomainState.pmsuspended { throw LibvirtError.operationInvalid("domain is pmsuspended") }
            if state == VirDomainState.paused { return }
            try machine.qmp().execute("stop")
            machine.settle()
        }
    }

    func resume(_ domain: Domain) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in
            let machine = try domain.running()
            let state = domain.state.withLock { $0.state }
            if state == VirDomainState.running { throw LibvirtError.operationInvalid("domain is already running") }
            if state == VirDomainState.pmsuspended { throw LibvirtError.operationInvalid("domain is pmsuspended") }
            try machine.qmp().execute("cont")
            machine.settle()
        }
    }

    func shutdown(_ domain: Domain, flags: UInt32) throws(LibvirtError) {
        try end(domain, flags, restarts: false, function: "qemuDomainShutdownFlags")
    }

    func reboot(_ domain: Domain, flags: UInt32) throws(LibvirtError) {
        try end(domain, flags, restarts: true, function: "qemuDomainReboot")
    }

    /// Asks the guest to end: by its agent where that is wanted or, without `flags`, there; else by the power button.
    private func end(
        _ domain: Domain, _ flags: UInt32, restarts: Bool, function: String
    ) throws(LibvirtError) {
        let button: UInt32 = 1, agent: UInt32 = 2
        guard flags & ~(button | agent) == 0 else {
            let other = String(flags & ~(button | agent), radix: 16)
            let words = "unsupported flags (0x\(other)) in function \(function)"
            throw LibvirtError(code: VirErrorNumber.invalidArg, message: words, detail: words)
        }
        let machine = try domain.running()
        if flags & agent != 0 || flags == 0 && GuestAgent.isConnected(domain) {
            domain.state.withLock { $0.restartsOnShutdown = false }
            do throws(LibvirtError) {
                return try GuestAgent.end(domain, mode: restarts ? "reboot" : "powerdown")
            } catch {
                if flags == agent { throw error }
            }
        }
        domain.state.withLock { $0.restartsOnShutdown = restarts }
        try machine.qmp().execute("system_powerdown")
    }

    func reset(_ domain: Domain) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in _ = try domain.running().qmp().execute("system_reset") }
    }

    func injectNMI(_ domain: Domain) throws(LibvirtError) {
        try domain.job.run { () throws(LibvirtError) in _ = try domain.running().qmp().execute("inject-nmi") }
    }

    /// Ends the machine. Takes no job: whatever hangs must not keep a machine alive.
    func destroy(_ domain: Domain, flags: UInt32) throws(LibvirtError) {
        let machine = try domain.running()
        domain.state.withLock { state in
            guard state.machine === machine else { return }
            state.ending = (VirDomainShutoffReason.destroyed, VirDomainEventStoppedDetailType.destroyed)
        }
        do throws(LibvirtError) {
            try machine.end(gracefulOnly: flags & UInt32(VirDomainDestroyFlagsValues.graceful) != 0)
        } catch {
            domain.state.withLock { if $0.machine === machine { $0.ending = nil } }
            throw error
        }
        // What it told before its end goes to the subscribers first.
        machine.hearOut()
        let done = Bell()
        machine.events.submit { [self] in
            ended(domain, machine)
            done.ring()
        }
        done.wait(nanoseconds: 30_000_000_000)
        machine.process.reap()
    }

    /// A client that went had asked for this.
    func destroyAbandoned(_ uuid: UUIDBytes) {
        guard let domain = list.find(uuid: uuid), domain.isActive else { return }
        do throws(LibvirtError) { try destroy(domain, flags: 0) } catch { log.warning("\(error)") }
    }

    /// A command for the monitor as the client wrote it; the answer as the machine gave it.
    func monitorCommand(_ domain: Domain, _ text: String, human: Bool) throws(LibvirtError) -> String {
        let machine = try domain.running()
        let monitor = try machine.qmp()
        machine.mayHaveThresholds.store(true, ordering: .relaxed)
        if human {
            let answer = try monitor.execute("human-monitor-command", ["command-line": .string(text)])
            return answer.stringValue ?? ""
        }
        guard case .object(let object)? = try? JSONReader.parse(text) else {
            throw LibvirtError.internalError("cannot parse json \(text)")
        }
        if let answer = try fork(domain, object) { return answer }
        return try monitor.ask(object).compact
    }
}

extension JSONValue {
    /// As libvirt hands it on: without spaces.
    fileprivate var compact: String {
        switch self {
        case .object(let object):
            "{"
                + object.members.map { JSONValue.string($0.name).description + ":" + $0.value.compact }
                .joined(separator: ",") + "}"
        case .array(let values): "[" + values.map(\.compact).joined(separator: ",") + "]"
        default: description
        }
    }
}

extension JSONObject {
    /// Named values.
    init(_ members: KeyValuePairs<String, JSONValue>) {
        self.init()
        for (name, value) in members { self[name] = value }
    }
}
