public import JSON
public import SPICE
public import VNC

/// Something that happened to a machine, for its monitors.
public struct MachineEvent: Equatable, Sendable {
    /// What happened.
    public enum Kind: Equatable, Sendable {
        /// The machine ends, or stops for `-no-shutdown`.
        case shutdown(ShutdownCause)
        /// The machine was reset.
        case reset(ShutdownCause)
        /// The guest was asked to power off.
        case powerDown
        /// Processors stopped.
        case stop
        /// Processors run again.
        case resume
        /// The guest was suspended.
        case suspend
        /// The guest has written itself to its disk, and ends.
        case suspendDisk
        /// The guest was woken.
        case wakeUp
        /// The guest panicked; what the machine does now.
        case guestPanicked(action: LifecycleConfiguration.Panic)
        /// The guest panicked and loads a crash kernel.
        case guestCrashLoaded
        /// The watchdog fired; what the machine does now.
        case watchdog(action: LifecycleConfiguration.Watchdog)
        /// A device is gone.
        case deviceDeleted(id: String?, path: String)
        /// The guest has told of its work on something that was plugged in or is to leave (`_OST`).
        case hotplugReport(id: String?, MemoryReport)
        /// The guest does not let go of a device.
        case unplugFailed(id: String?, path: String)
        /// The guest set its clock; seconds off the base.
        case rtcChange(offset: Int64, path: String)
        /// An image failed; what the machine does about it.
        case blockIOError(
            device: String, node: String?, isWrite: Bool, action: ErrorPolicy, noSpace: Bool, reason: String)
        /// The guest opened or closed a port of virtio-serial.
        case serialPortChange(id: String, isOpen: Bool)
        /// The guest changed which frames a card lets through. Told again only once somebody has asked for that.
        case receiveFilterChanged(id: String?, path: String)
        /// The balloon changed; bytes that the guest has now.
        case balloonChange(actual: UInt64)
        /// Something about a job on disks, in QMP's form.
        case blockJob(event: String, data: JSONObject)
        /// A viewer came or went.
        case vnc(VNCEvent, server: VNCStatus)
        /// A channel of SPICE's was opened or ended.
        case spice(SPICEEvent, server: SPICEStatus)
        /// A tray moved.
        case trayMoved(device: String, id: String, isOpen: Bool)
        /// A migration has come further.
        case migration(MigrationStatus)
        /// A round over memory begins.
        case migrationPass(UInt64)
        /// A stream network has a peer, at the address.
        case networkConnected(id: String, address: String)
        /// A stream network has a peer no more.
        case networkDisconnected(id: String)
    }
    /// What happened.
    public var kind: Kind
    /// When, in nanoseconds since 1970 by the host's wall clock.
    public var time: UInt64

    /// Something of a time.
    public init(_ kind: Kind, time: UInt64) {
        self.kind = kind
        self.time = time
    }
}

/// Names a subscription for `unsubscribe`.
public struct EventSubscription: Hashable, Sendable {
    /// The subscription's number in its machine.
    public let number: Int
    /// A subscription of a number.
    public init(number: Int) { self.number = number }
}
