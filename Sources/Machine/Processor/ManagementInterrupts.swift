internal import HostOS
internal import Synchronization

/// The wire from a chipset to the processors' SMI pins, connected when their threads are made.
public final class ManagementInterrupts: Sendable {
    private struct Pin {
        weak var thread: (any ProcessorThread)?
    }
    private let pins = Mutex<[Pin]>([])

    /// A wire to nobody.
    public init() {}

    func connect(_ threads: [any ProcessorThread]) {
        pins.withLock { $0 = threads.map { Pin(thread: $0) } }
    }

    /// Requests the interrupt of all processors, or of the one whose thread this is; the first where it is no processor's.
    func raise(all: Bool) {
        let threads = pins.withLock { $0.compactMap(\.thread) }
        guard !all else { return threads.forEach { $0.injectSMI() } }
        let own = Int(HostThread.currentID)
        (threads.first { $0.threadID == own } ?? threads.first)?.injectSMI()
    }
}
