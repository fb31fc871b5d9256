internal import HostOS

/// Where a network's process is found: sockets and what runs below `run`, leases and definitions below `state`.
public struct NetworkPaths: Sendable, Equatable {
    /// A folder for each running network; gone after the host's restart.
    public var run: String
    /// What lasts.
    public var state: String

    /// Folders of a caller's own, such as a daemon's.
    public init(run: String, state: String) {
        self.run = run
        self.state = state
    }

    /// The usual places: of the system for root, of the user for others.
    public static var standard: NetworkPaths {
        if HostIdentity.userID == 0 { return NetworkPaths(run: "/run/apus/networks", state: "/var/lib/apus/networks") }
        let home = HostIdentity.home
        return NetworkPaths(
            run: (HostIdentity.environment("XDG_RUNTIME_DIR") ?? "\(home)/.cache") + "/apus/networks",
            state: (HostIdentity.environment("XDG_STATE_HOME") ?? "\(home)/.local/state") + "/apus/networks")
    }

    /// The folder of a running network.
    public func folder(_ name: String) -> String { "\(run)/\(name)" }
    /// The socket that machines without a port of their own connect to (`-netdev stream`).
    public func socket(_ name: String) -> String { folder(name) + "/switch.sock" }
    /// The same with `vnet_hdr=on`.
    public func offloadSocket(_ name: String) -> String { folder(name) + "/offload.sock" }
    /// The socket of a port that was asked for.
    public func portSocket(_ name: String, _ port: String) -> String { folder(name) + "/port-\(port).sock" }
    /// The control socket.
    public func control(_ name: String) -> String { folder(name) + "/control.sock" }
    /// The definition that runs.
    public func definition(_ name: String) -> String { folder(name) + "/network.xml" }
    /// The leases.
    public func leases(_ name: String) -> String { "\(state)/\(name).leases" }
    /// The leases of IPv6.
    public func leases6(_ name: String) -> String { "\(state)/\(name).leases6" }
    /// The definition that is kept.
    public func kept(_ name: String) -> String { "\(state)/\(name).xml" }
    /// What was made on the host for a running network.
    public func traces(_ name: String) -> String { "\(state)/\(name).host" }

    /// Whether a name can be a network's: no path, short enough for a socket.
    public static func isName(_ name: String) -> Bool {
        (1...48).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x2F && $0 < 0x7F }
    }
}
