internal import DomainModel
internal import HostOS
internal import NetworkSwitch
internal import RPCWire

/// How networks are made on this host: each is a process of its own with a switch in it or, as root, with a bridge of
/// the kernel, its rules and its services. The processes outlive the daemon. Any thread; calls wait for the processes.
struct NetworkProcesses: Sendable {
    let client: NetworkClient
    /// Whether networks are bridges of the kernel, and machines have taps on them.
    let usesBridges: Bool

    /// - Parameters:
    ///   - emulators: programs of machines, beside which `apus` may be.
    ///   - usesBridges: nil leaves it to the host: as the system's daemon, where the kernel lets us.
    init(paths: DaemonPaths, emulators: [String], usesBridges: Bool?) {
        client = NetworkClient(paths: paths.networks, program: Self.program(beside: emulators))
        self.usesBridges = usesBridges ?? (paths == DaemonPaths.system && HostIdentity.userID == 0 && Self.hasBridges)
    }

    /// Whether bridges can be made here: with taps, and with rules for what crosses them.
    private static var hasBridges: Bool {
        let nft = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"].contains { HostFile.status($0).kind == .file }
        return nft && HostLink.mayChange && (try? HostFile.open("/dev/net/tun", HostFile.Mode.readWrite)) != nil
    }

    private static func program(beside emulators: [String]) -> String {
        if let own = try? HostFile.target(ofLink: "/proc/self/exe"), own.hasSuffix("/apus") { return own }
        let beside = emulators.compactMap { path in path.lastIndex(of: "/").map { path[..<$0] + "/apus" } }
        return beside.map { String($0) }.first { HostFile.status($0).kind == .file } ?? "/usr/bin/apus"
    }

    /// Whether a network is a process; others are devices of the host that are there already.
    static func hasProcess(_ network: VirtualNetwork) -> Bool {
        ["none", "nat", "route", "open"].contains(network.forward.map { $0.mode ?? "nat" } ?? "none")
    }

    /// Starts a network's process, or takes up the one that runs.
    func start(_ network: VirtualNetwork) throws(LibvirtError) {
        guard Self.hasProcess(network) else { return }
        try call { () throws(NetworkError) in
            if client.isRunning(network.name) {
                let other = client.definition(network.name)
                guard let other, try NetworkPlan(other) == NetworkPlan(network) else {
                    throw NetworkError("a network '\(network.name)' runs already, with another definition")
                }
                return
            }
            try client.start(network, onHost: usesBridges)
        }
    }

    /// Ends a network's process, with its leases and whatever it made on the host.
    func stop(_ network: VirtualNetwork) throws(LibvirtError) {
        guard Self.hasProcess(network) else { return }
        try call { () throws(NetworkError) in try client.stop(network.name) }
    }

    /// A network's errors as libvirt tells them.
    func call<Result>(_ body: () throws(NetworkError) -> Result) throws(LibvirtError) -> Result {
        do throws(NetworkError) { return try body() } catch {
            throw LibvirtError.internalError(error.description).from(VirErrorDomain.network)
        }
    }
}
