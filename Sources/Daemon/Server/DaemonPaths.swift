internal import HostOS
internal import NetworkSwitch

/// Where the daemon keeps what it knows, and where clients find it.
public struct DaemonPaths: Sendable, Equatable {
    /// Sockets.
    public var sockets: String
    /// Definitions: what a user may keep a copy of.
    public var configuration: String
    /// What runs; gone after the host's restart.
    public var run: String
    /// What lasts and is no definition: saved machines, snapshots' metadata.
    public var state: String
    /// One log for each machine.
    public var logs: String
    /// Certificates for machines on their way, with QEMU's names; nil: where libvirt has them.
    public var migrationCertificates: String?

    /// libvirt's own places for root.
    public static let system = DaemonPaths(
        sockets: "/run/libvirt", configuration: "/etc/libvirt", run: "/run/libvirt", state: "/var/lib/libvirt",
        logs: "/var/log/libvirt")

    /// libvirt's own places for an ordinary user.
    public static var session: DaemonPaths {
        let home = HostIdentity.home
        let run = (HostIdentity.environment("XDG_RUNTIME_DIR") ?? "\(home)/.cache") + "/libvirt"
        return DaemonPaths(
            sockets: run,
            configuration: (HostIdentity.environment("XDG_CONFIG_HOME") ?? "\(home)/.config") + "/libvirt",
            run: run, state: (HostIdentity.environment("XDG_DATA_HOME") ?? "\(home)/.local/share") + "/libvirt",
            logs: (HostIdentity.environment("XDG_CACHE_HOME") ?? "\(home)/.cache") + "/libvirt")
    }

    /// Everything below one folder: several daemons on one host do not meet.
    public static func below(_ folder: String) -> DaemonPaths {
        DaemonPaths(
            sockets: folder, configuration: folder + "/etc", run: folder + "/run", state: folder + "/lib",
            logs: folder + "/log")
    }

    /// Whether everything lies where it does in `other`.
    func isSame(as other: DaemonPaths) -> Bool {
        var own = self
        own.migrationCertificates = other.migrationCertificates
        return own == other
    }

    var domains: String { configuration + "/qemu" }
    var autostart: String { domains + "/autostart" }
    var running: String { run + "/qemu" }
    var saved: String { state + "/qemu/save" }
    /// Variables of machines' firmware: a user's are with the definitions.
    var variables: String { (isSame(as: Self.session) ? configuration : state) + "/qemu/nvram" }
    /// Memory of machines that the daemon dumps by itself.
    var dumps: String { (isSame(as: Self.session) ? configuration : state) + "/qemu/dump" }
    var machineLogs: String { logs + "/qemu" }
    /// Where the processes of networks are: the daemon of a user or of the system shares them with `apus network`.
    var networks: NetworkPaths {
        isSame(as: Self.system) || isSame(as: Self.session)
            ? NetworkPaths.standard : NetworkPaths(run: run + "/switch", state: state + "/network")
    }

    /// Makes the folders that are not there.
    func prepare() throws(HostError) {
        try HostFolder.make(sockets, permissions: 0o755)
        if isSame(as: Self.system) {
            // As libvirt's packages make them. virt-install uploads kernels and discs to `boot`, which it expects.
            try HostFolder.make(state)
            for folder in ["boot", "images"] { try HostFolder.make("\(state)/\(folder)", permissions: 0o711) }
        }
        for folder in [domains, autostart, running, saved, machineLogs] {
            try HostFolder.make(folder, permissions: 0o700)
        }
        // Machines of other users find their own folders there, and see no others.
        if HostIdentity.userID == 0 {
            for folder in [run, running] { try HostFile.setPermissions(folder, folder == run ? 0o755 : 0o711) }
        }
    }
}
