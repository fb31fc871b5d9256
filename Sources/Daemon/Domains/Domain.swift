internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

/// One domain: what is defined, and what runs of it.
final class Domain: Sendable {
    struct State {
        var name: String
        /// -1: it does not run.
        var id: Int32 = -1
        /// What is defined; nil: the domain goes when it stops.
        var definition: XMLTree?
        /// What runs.
        var live: XMLTree?
        /// A `virDomainState` and its reason.
        var state = VirDomainState.shutoff
        var reason: Int32 = 0
        var autostart = false
        var machine: RunningMachine?
        /// Why the machine is being ended: what is told when its process is gone.
        var ending: (reason: Int32, detail: Int32)?
        /// The guest's power-off is to become a restart.
        var restartsOnShutdown = false
        /// No longer in the list: whoever still holds it finds that out here.
        var removed = false
        /// Remarks on what was left out of the machine.
        var messages: [String] = []
        /// Consoles that somebody has open, by their device.
        var consoles: [String: ConsoleStream] = [:]

        /// Who waits for a device to leave, by its alias.
        var departures: [String: Bell] = [:]
        /// A job that takes long, for those who ask how far it is.
        var activity: Activity?
        /// A client paused a machine that is on its way.
        var isUserPause = false
        /// Seconds that the guest's agent has for an answer; -1: the usual ones.
        var agentPatience: Int32 = -1
        /// How far the last one came.
        var lastJob: JobProgress?
        /// On its way from or to another daemon.
        var migration: Migration?
        /// MiB a second; 0: as fast as it goes.
        var migrationSpeed: UInt64 = 0
        /// Milliseconds; nil: the machine's own.
        var migrationDowntime: UInt64?
        var snapshots = SnapshotTree()
        /// Of the same shape: times from which images count what changes.
        var checkpoints = SnapshotTree()
        var backup: Backup?
        /// Brings disks of a machine with namespaces of its own to who fetches them, and to where they go.
        var relay: SocketRelay?
        var blockJobs: [String: BlockJob] = [:]

        /// What a client sees: the running form, or what is defined.
        var current: XMLTree { live ?? definition ?? XMLTree("domain") }
        var isActive: Bool { id >= 0 }
    }

    let uuid: UUIDBytes
    let job = JobLock()
    let state: Mutex<State>

    init(uuid: UUIDBytes, state: sending State) {
        self.uuid = uuid
        self.state = Mutex(state)
    }

    /// How the protocol names it.
    var reference: RemoteDomain { state.withLock { RemoteDomain(name: $0.name, uuid: uuid, id: $0.id) } }

    var name: String { state.withLock { $0.name } }
    var isActive: Bool { state.withLock { $0.isActive } }
    var machine: RunningMachine? { state.withLock { $0.machine } }

    /// The machine, for what needs one that runs.
    func running() throws(LibvirtError) -> RunningMachine {
        guard let machine else { throw Domain.notRunning }
        return machine
    }

    static let notRunning = LibvirtError.operationInvalid("domain is not running")
}
