internal import HostOS
internal import Synchronization

/// Keeps processors out of KVM_RUN while KVM's view of memory changes.
final class RunGate: Sendable {
    private let closed = Atomic<Bool>(false)
    private let change = Mutex(())

    /// True while processors must stay outside.
    var isClosed: Bool { closed.load(ordering: .sequentiallyConsistent) }

    /// Waits until the gate is open. A processor's thread, outside KVM_RUN.
    func wait() { change.withLock { _ in } }

    /// Runs `body` while no processor is inside KVM_RUN. Not from inside one.
    func whileOutside(_ processors: [HardwareProcessor], _ body: () -> Void) {
        change.withLock { _ in
            closed.store(true, ordering: .sequentiallyConsistent)
            let bell = Bell()
            for processor in processors {
                while processor.isInside {
                    processor.interrupt()
                    bell.wait(nanoseconds: 20_000)
                }
            }
            body()
            closed.store(false, ordering: .sequentiallyConsistent)
        }
    }
}
