internal import HostOS
internal import JSON
internal import Log
internal import RPCWire
internal import Synchronization

/// Machines that run at the other end while their memory follows (post-copy). From the switch on neither end has all of
/// it: whatever fails then, the source must not run the machine again, and the destination must not be ended.
extension DomainDriver {
    /// Lets a migration that may do so go on with memory to follow.
    func startPostcopy(_ domain: Domain) throws(LibvirtError) {
        let machine = try domain.running()
        let isUnderWay = domain.state.withLock { state in
            state.activity?.operation == VirDomainJobOperation.migrationOut && state.migration?.isIncoming == false
        }
        guard isUnderWay else {
            throw LibvirtError.operationInvalid("post-copy can only be started while outgoing migration is in progress")
        }
        let capabilities = try machine.qmp().execute("query-migrate-capabilities").arrayValue ?? []
        let isWanted = capabilities.contains {
            $0["capability"]?.stringValue == "postcopy-ram" && $0["state"]?.boolValue == true
        }
        guard isWanted else {
            throw LibvirtError.operationInvalid(
                "switching to post-copy requires migration to be started with VIR_MIGRATE_POSTCOPY flag")
        }
        try machine.qmp().execute("migrate-start-postcopy")
    }

    /// The source's wait for the end. An error leaves the machine here as it stands.
    ///
    /// - Parameter cancelled: the destination has already said that something went wrong.
    func waitForMemory(_ domain: Domain, _ machine: RunningMachine, cancelled: Bool) throws(LibvirtError) {
        do throws(LibvirtError) {
            guard !cancelled else { throw DomainDriver.lost }
            try waitUntilWhole(machine)
            endJob(domain)
        } catch {
            endJob(domain)
            domain.state.withLock { state in
                state.migration = nil
                guard state.machine === machine else { return }
                state.state = VirDomainState.paused
                state.reason = VirDomainPausedReason.postcopyFailed
            }
            try? writeStatus(domain)
            emit(
                .lifecycle(VirDomainEventType.suspended, VirDomainEventSuspendedDetailType.postcopyFailed), domain)
            log.error("Memory of '\(domain.name)' does not follow it: \(error)")
            throw error
        }
    }

    private static let lost = LibvirtError.operationFailed("job 'migration out' failed in post-copy phase")

    /// Waits until all memory has come, or gone.
    private func waitUntilWhole(_ machine: RunningMachine) throws(LibvirtError) {
        let pause = Bell()
        while true {
            let answer = try machine.qmp().execute("query-migrate")
            switch answer["status"]?.stringValue {
            case "completed", nil: return
            case "failed", "cancelled", "postcopy-paused": throw DomainDriver.lost
            default: pause.wait(nanoseconds: 10_000_000)
            }
        }
    }

    /// Refuses what the kernel would refuse when there is no way back: an ordinary user's machine cannot wait for its
    /// memory where the host does not let it.
    static func checkPageFaults() throws(LibvirtError) {
        let allowed = HostDescription.trim(HostDescription.text("/proc/sys/vm/unprivileged_userfaultfd"))
        let device = try? HostFile.open("/dev/userfaultfd", HostFile.Mode.readWrite)
        guard HostIdentity.userID != 0, allowed != "1", device == nil else { return }
        throw LibvirtError.operationUnsupported(
            "Postcopy is not supported: userfaultfd is for root alone (vm.unprivileged_userfaultfd)")
    }

    /// Whether a machine that has come lacks memory.
    func isLate(_ machine: RunningMachine) throws(LibvirtError) -> Bool {
        let status = try machine.qmp().execute("query-migrate")["status"]?.stringValue
        return status?.hasPrefix("postcopy") == true
    }

    /// The destination's wait for the end; the machine runs.
    func waitForMemory(ofArrived domain: Domain, _ machine: RunningMachine) throws(LibvirtError) {
        do throws(LibvirtError) { try waitUntilWhole(machine) } catch {
            domain.state.withLock { state in
                state.migration = nil
                guard state.machine === machine, state.state == VirDomainState.running else { return }
                state.reason = VirDomainRunningReason.postcopyFailed
            }
            try? writeStatus(domain)
            emit(.lifecycle(VirDomainEventType.resumed, VirDomainEventResumedDetailType.postcopyFailed), domain)
            throw error
        }
    }
}
