internal import DomainModel
internal import HostOS
internal import Log
internal import NetworkSwitch
internal import RPCWire
internal import Synchronization

/// The processes of networks: found by the next daemon, and started again where somebody killed them.
extension NetworkDriver {
    /// A network whose process dies again within this time stays dead.
    private static let restartPause: UInt64 = 2_000_000_000

    /// A network that ran under the daemon before this one.
    func takeUp(_ net: VirtualNet, _ network: VirtualNetwork) {
        do throws(LibvirtError) {
            try processes.start(network)
            watch(net)
        } catch {
            log.error("Network '\(net.name)' ran and cannot be taken up: \(error)")
            try? hasStopped(net)
        }
    }

    private final class Gate: Sendable {
        let bell = Bell()
        let isOpen = Mutex(false)
    }

    /// Starts what starts by itself, and waits for it: clients and machines are to find it. A network that cannot say
    /// whether it has started keeps nobody from the daemon for ever: its start then goes on beside the clients'.
    func startByThemselves() {
        let nets = all.filter { net in !net.isActive && net.state.withLock { $0.autostart } }
        if nets.isEmpty { return }
        let gate = Gate()
        workers.submit { [self] in
            for net in nets {
                do { try start(net) } catch { log.error("Cannot start network '\(net.name)': \(error)") }
            }
            gate.isOpen.withLock { $0 = true }
            gate.bell.ring()
        }
        let deadline = HostClock.monotonic + 10_000_000_000
        while !gate.isOpen.withLock({ $0 }) {
            let now = HostClock.monotonic
            guard now < deadline else { return log.warning("Networks are slow to start: clients come first") }
            gate.bell.wait(nanoseconds: deadline - now)
        }
    }

    /// Hears of the end of a network's process.
    func watch(_ net: VirtualNet) {
        net.unwatch()
        guard let live = net.state.withLock({ $0.live }), NetworkProcesses.hasProcess(live),
            let number = processes.client.processID(of: net.name), let process = try? HostProcess(number: number)
        else { return }
        let source = try? loop.add(process.descriptor, [.read]) { [weak self, weak net] _ in
            guard let self, let net else { return }
            net.unwatch()
            process.reap()
            workers.submit { self.processEnded(net) }
        }
        net.state.withLock { $0.watch = source }
    }

    private func processEnded(_ net: VirtualNet) {
        try? net.job.run { () throws(LibvirtError) in
            guard let live = net.state.withLock({ $0.live }), net.state.withLock({ $0.watch == nil }),
                !processes.client.isRunning(net.name)
            else { return }
            let now = HostClock.monotonic
            let isSoon = net.state.withLock { state in
                defer { state.restarted = now }
                return state.restarted != 0 && now - state.restarted < NetworkDriver.restartPause
            }
            // One that was asked to end has taken its definition away; one that was killed has not.
            let wasKilled = processes.client.definition(net.name) != nil
            if wasKilled, !isSoon {
                log.warning("The process of network '\(net.name)' was killed: it is started again")
                do throws(LibvirtError) {
                    try processes.start(live)
                    watch(net)
                    return plugAgain(net)
                } catch { log.error("\(error)") }
            }
            try? processes.stop(live)
            try hasStopped(net)
        }
    }
}

extension VirtualNet {
    /// Hears no more of its process.
    func unwatch() {
        let source = state.withLock { state in
            defer { state.watch = nil }
            return state.watch
        }
        source?.remove()
    }
}
