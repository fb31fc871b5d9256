public import HostOS
public import JSON

/// How far a migration is, in QMP's words.
public enum MigrationStatus: String, CaseIterable, Sendable {
    /// There was none.
    case none
    /// It begins.
    case setup
    /// It is being cancelled.
    case cancelling
    /// It was cancelled.
    case cancelled
    /// Memory is on its way.
    case active
    /// The machine stands until somebody says that it may go.
    case preSwitchover = "pre-switchover"
    /// The machine stands, and its devices are on their way.
    case device
    /// The machine runs at the other end, and memory follows.
    case postcopyActive = "postcopy-active"
    /// So it did, until the connection broke.
    case postcopyPaused = "postcopy-paused"
    /// There is another connection, on which the ends find out what is missing.
    case postcopyRecover = "postcopy-recover"
    /// The machine is at the other end.
    case completed
    /// It failed; the machine goes on.
    case failed

    /// Whether something is on its way.
    public var isUnderWay: Bool {
        switch self {
        case .none, .cancelled, .completed, .failed: false
        default: true
        }
    }
    /// Whether the machine runs at the other end already.
    public var isLate: Bool { self == .postcopyActive || self == .postcopyPaused || self == .postcopyRecover }
}

/// What is known of a migration, for `query-migrate`. Times are in milliseconds.
public struct MigrationInformation: Equatable, Sendable {
    /// How far it is.
    public var status = MigrationStatus.none
    /// Whether this machine is the one that comes.
    public var isIncoming = false
    /// Why it failed.
    public var error: String?
    /// Since it began.
    public var totalTime: UInt64 = 0
    /// How long the machine stood; nil before it did.
    public var downtime: UInt64?
    /// How long it would stand now.
    public var expectedDowntime: UInt64 = 0
    /// Until the first page went.
    public var setupTime: UInt64 = 0
    /// Bytes that went.
    public var transferred: UInt64 = 0
    /// Bytes of memory that have yet to go.
    public var remaining: UInt64 = 0
    /// Bytes of memory.
    public var total: UInt64 = 0
    /// Pages that were zero.
    public var zeroPages: UInt64 = 0
    /// Pages that went with their contents.
    public var fullPages: UInt64 = 0
    /// Pages that the guest writes in a second.
    public var dirtyRate: UInt64 = 0
    /// Millions of bits a second.
    public var megabitsPerSecond: Double = 0
    /// The same as pages of memory a second.
    public var pagesPerSecond: UInt64 {
        UInt64(max(0, min(megabitsPerSecond, 1e12)) * 1e6 / 8 / 4096)
    }
    /// Rounds over memory.
    public var rounds: UInt64 = 0
    /// What the processors are held back by, in percent.
    public var throttle: Int = 0
    /// Bytes that went while the machine ran here, while it stood, and since it runs there.
    public var bytesBefore: UInt64 = 0
    public var bytesStanding: UInt64 = 0
    public var bytesLate: UInt64 = 0
    /// Bytes over connections beside the first.
    public var laneBytes: UInt64 = 0
    /// Pages that the other end asked for.
    public var requests: UInt64 = 0
    /// Pages that were packed, and what became of them; nil where none are.
    public var packedPages: UInt64?
    public var packedBytes: UInt64 = 0
    /// Where an incoming machine is waited for, `tcp:0.0.0.0:4444`; nil elsewhere.
    public var address: String?

    /// Nothing is known.
    public init() {}
}

/// A snapshot within an image.
public struct SnapshotInformation: Equatable, Sendable {
    /// The number that the image gave it.
    public var id: String
    /// Its name, the tag.
    public var name: String
    /// Bytes of the machine's state; 0 where it holds the disk alone.
    public var stateSize: UInt64
    /// When it was made, in seconds and nanoseconds since 1970.
    public var seconds: UInt32
    public var nanoseconds: UInt32
    /// The guest's time, in nanoseconds.
    public var guestClock: UInt64

    /// A snapshot of all parts.
    public init(
        id: String, name: String, stateSize: UInt64, seconds: UInt32, nanoseconds: UInt32, guestClock: UInt64
    ) {
        self.id = id
        self.name = name
        self.stateSize = stateSize
        self.seconds = seconds
        self.nanoseconds = nanoseconds
        self.guestClock = guestClock
    }
}

/// What monitors ask of a machine that is saved, moved or looked at as a whole. Any thread, as `MachineOperations`.
public protocol MigrationOperations: AnyObject, Sendable {
    /// Starts to send the machine to an address in QEMU's form. Returns while it is on its way.
    /// `descriptor` is what `fd:` names.
    func migrate(to address: String, descriptor: Descriptor?) throws(MachineError)
    /// Ends a migration on its way; the machine goes on.
    func cancelMigration()
    /// Lets one go on that waits before the switch (`pause-before-switchover`).
    func continueMigration(from status: MigrationStatus) throws(MachineError)
    /// Has the machine run at the other end as soon as it can, with memory following (`postcopy-ram`).
    func startLateMigration() throws(MachineError)
    /// Gives a machine whose memory comes late another connection, after one broke. At the end that runs the address
    /// to wait at, at the other the one to go to.
    func recoverMigration(at address: String, descriptor: Descriptor?) throws(MachineError)
    func resumeMigration(to address: String, descriptor: Descriptor?) throws(MachineError)
    /// Breaks the connection of one whose memory comes late, so that it can get another.
    func pauseMigration() throws(MachineError)
    /// Waits for the end of the one on its way. The loop's thread only.
    func waitForMigration()
    /// What is known of the last one.
    var migration: MigrationInformation { get }
    /// Why the machine can neither go nor be saved now, in sentences; empty where it can.
    var migrationBlockers: [String] { get }
    /// Parameters by QEMU's names.
    var migrationParameters: JSONObject { get }
    /// Sets some of them; none where one is out of range.
    func setMigrationParameters(_ parameters: JSONObject) throws(MachineError)
    /// Capabilities by QEMU's names.
    var migrationCapabilities: [(name: String, isOn: Bool)] { get }
    /// Turns some of them on or off; none where one is not there.
    func setMigrationCapabilities(_ capabilities: [(name: String, isOn: Bool)]) throws(MachineError)
    /// Takes a machine from an address: only one that was started to wait for it (`-incoming defer`).
    func receiveMigration(from address: String, descriptor: Descriptor?) throws(MachineError)

    /// Tells networks that the machine is here: switches send its frames this way from then on. Returns at once.
    func announce(_ parameters: AnnounceParameters)
    /// How that is done when a machine has come.
    var announceParameters: AnnounceParameters { get throws(MachineError) }

    /// Snapshots of the machine: in its images, with its state.
    var snapshots: [SnapshotInformation] { get throws(MachineError) }
    /// Makes one, in place of another of the name where that is `replaces`.
    func saveSnapshot(_ name: String, vmstate: String?, devices: [String]?, replaces: Bool) throws(MachineError)
    /// Goes back to one. A machine that ran goes on.
    func loadSnapshot(_ name: String, vmstate: String?, devices: [String]?) throws(MachineError)
    /// Removes one.
    func deleteSnapshot(_ name: String, devices: [String]?) throws(MachineError)

    /// Starts one of these three as a job.
    func startSnapshotJob(_ job: SnapshotJob) throws(MachineError)

    /// Starts to make copies of the machine: children that wait for it. The machine goes on. `migration` tells how far
    /// it is.
    func fork(_ request: ForkRequest) throws(MachineError)
    /// The disks that a fork needs overlays for, as they are now.
    var forkedDisks: [ForkedIdentity.Disk] { get throws(MachineError) }
    /// The identifier of the machine's generation, 16 bytes in the order of their text; nil without the device.
    var generation: [UInt8]? { get }

    /// Writes guest memory for `gdb` and `crash`.
    func dumpMemory(_ request: DumpRequest) throws(MachineError)
    /// How far the last such file is.
    var dumpProgress: DumpProgress { get }
}

/// What `snapshot-save`, `-load` and `-delete` ask for.
public struct SnapshotJob: Sendable {
    /// Which.
    public enum Kind: String, CaseIterable, Sendable {
        case save = "snapshot-save"
        case load = "snapshot-load"
        case delete = "snapshot-delete"
    }
    /// Which.
    public var kind: Kind
    /// The job's name.
    public var id: String
    /// The snapshot's.
    public var tag: String
    /// The node that has the machine's state.
    public var vmstate: String?
    /// The nodes that take part.
    public var devices: [String]

    /// A job of all parts.
    public init(kind: Kind, id: String, tag: String, vmstate: String?, devices: [String]) {
        self.kind = kind
        self.id = id
        self.tag = tag
        self.vmstate = vmstate
        self.devices = devices
    }
}

/// What `dump-guest-memory` asks for.
public struct DumpRequest: Sendable {
    /// The form of the file.
    public enum Format: String, CaseIterable, Sendable {
        /// An ELF core file.
        case elf
        /// makedumpfile's flattened form, pages compressed by zlib.
        case kdumpZlib = "kdump-zlib"
    }
    /// Where to: `file:PATH` or `fd:NAME`.
    public var address: String
    /// What `fd:` names.
    public var descriptor: Descriptor?
    /// Program headers by linear address too.
    public var paging = false
    /// The first physical address, with `length`; nil: all.
    public var begin: UInt64?
    /// Bytes from there.
    public var length: UInt64?
    /// The form.
    public var format = Format.elf

    /// All memory as an ELF file.
    public init(address: String) { self.address = address }
}

/// How far a file of guest memory is.
public struct DumpProgress: Equatable, Sendable {
    /// Where it is, in QMP's words.
    public enum Status: String, Sendable {
        /// There was none.
        case none
        /// It is being written.
        case active
        /// It is whole.
        case completed
        /// It could not be written.
        case failed
    }
    /// Where it is.
    public var status = Status.none
    /// Bytes of guest memory that were written.
    public var done: UInt64 = 0
    /// Bytes that it is to hold.
    public var total: UInt64 = 0

    /// None.
    public init() {}
}

extension MigrationOperations {
    public var dumpProgress: DumpProgress { DumpProgress() }
    public func migrate(to address: String, descriptor: Descriptor?) throws(MachineError) {
        throw .notSupported("This machine cannot be migrated")
    }
    public func cancelMigration() {}
    public func continueMigration(from status: MigrationStatus) throws(MachineError) {
        throw .notSupported("This machine cannot be migrated")
    }
    public func startLateMigration() throws(MachineError) { throw .notSupported("This machine cannot be migrated") }
    public func recoverMigration(at address: String, descriptor: Descriptor?) throws(MachineError) {
        throw .notSupported("This machine cannot be migrated")
    }
    public func resumeMigration(to address: String, descriptor: Descriptor?) throws(MachineError) {
        throw .notSupported("This machine cannot be migrated")
    }
    public func pauseMigration() throws(MachineError) { throw .notSupported("This machine cannot be migrated") }
    public func waitForMigration() {}
    public var migration: MigrationInformation { MigrationInformation() }
    public var migrationBlockers: [String] { [] }
    public var migrationParameters: JSONObject { JSONObject() }
    public func setMigrationParameters(_ parameters: JSONObject) throws(MachineError) {
        throw .notSupported("This machine cannot be migrated")
    }
    public var migrationCapabilities: [(name: String, isOn: Bool)] { [] }
    public func setMigrationCapabilities(_ capabilities: [(name: String, isOn: Bool)]) throws(MachineError) {
        throw .notSupported("This machine cannot be migrated")
    }
    public func receiveMigration(from address: String, descriptor: Descriptor?) throws(MachineError) {
        throw .failed("'-incoming' was not specified on the command line")
    }
    public func announce(_ parameters: AnnounceParameters) {}
    public var announceParameters: AnnounceParameters {
        get throws(MachineError) { try AnnounceParameters(initial: 50, most: 550, rounds: 5, step: 100) }
    }
    public var snapshots: [SnapshotInformation] { get throws(MachineError) { [] } }
    public func saveSnapshot(
        _ name: String, vmstate: String?, devices: [String]?, replaces: Bool
    ) throws(MachineError) { throw .notSupported("This machine has no snapshots") }
    public func loadSnapshot(_ name: String, vmstate: String?, devices: [String]?) throws(MachineError) {
        throw .notSupported("This machine has no snapshots")
    }
    public func deleteSnapshot(_ name: String, devices: [String]?) throws(MachineError) {
        throw .notSupported("This machine has no snapshots")
    }
    public func startSnapshotJob(_ job: SnapshotJob) throws(MachineError) {
        throw .notSupported("This machine has no snapshots")
    }
    public func fork(_ request: ForkRequest) throws(MachineError) {
        throw .notSupported("This machine cannot be forked")
    }
    public var forkedDisks: [ForkedIdentity.Disk] { get throws(MachineError) { [] } }
    public var generation: [UInt8]? { nil }
    public func dumpMemory(_ request: DumpRequest) throws(MachineError) {
        throw .notSupported("Memory of this machine cannot be dumped")
    }
}
