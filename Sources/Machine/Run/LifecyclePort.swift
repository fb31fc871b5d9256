internal import BlockImage
internal import JSON
internal import Synchronization

/// What a guest asks of its machine's life.
enum LifecycleRequest: Sendable, Equatable {
    /// Power off.
    case shutdown(ShutdownCause)
    /// Reset.
    case reset(ShutdownCause)
    /// Suspend to RAM.
    case suspended
    /// Suspend to disk, which the guest has done.
    case suspendedToDisk
    /// The clock's alarm rings.
    case alarm
    /// End of the process with a status (isa-debug-exit).
    case exit(Int32)
    /// The guest's kernel panicked.
    case panicked
    /// It did, and its crash kernel takes over.
    case crashLoaded
    /// The balloon was blown up or let down: bytes that the guest has now.
    case balloonChanged(actual: UInt64)
    /// The guest has set its clock, which is now so many seconds ahead of what it began with.
    case clockSet(offset: Int64)
    /// A CD drive's tray moved.
    case trayMoved(device: String, id: String, isOpen: Bool)
    /// A program of the guest has opened or closed a virtio serial port.
    case serialPortChanged(id: String, isOpen: Bool)
    /// The guest has changed which frames a card lets through.
    case receiveFilterChanged(id: String?, path: String)
    /// A watchdog fired.
    case watchdog
    /// A network back-end has a peer.
    case networkConnected(id: String, address: String)
    /// It has one no more.
    case networkDisconnected(id: String)
    /// An image failed; what is done about it.
    case blockFailed(BlockFailure)
    /// Something about a job on disks.
    case blockJob(event: String, data: JSONObject)
    /// Damage was met in an image: the line for people.
    case imageCorrupted(String)
    /// The engine cannot go on.
    case internalError(String)
}

/// The wire from devices, which are made first, to the machine that owns them. Any thread.
final class LifecyclePort: Sendable {
    private let handler = Mutex<(@Sendable (LifecycleRequest) -> Void)?>(nil)

    func connect(_ handler: @escaping @Sendable (LifecycleRequest) -> Void) {
        self.handler.withLock { $0 = handler }
    }
    func send(_ request: LifecycleRequest) { handler.withLock { $0 }?(request) }
}
