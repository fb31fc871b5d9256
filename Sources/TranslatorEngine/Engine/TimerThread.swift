internal import CEngine
internal import HostOS
internal import Synchronization

/// Wakes processors when their local APIC's timer is due, also while they execute.
final class TimerThread: Sendable {
    private let bell = Bell()
    private let stopped = Atomic<Bool>(false)
    private let thread = Mutex<HostThread?>(nil)
    /// The deadline that the thread sleeps for, host nanoseconds. While it looks at the processors' it is the end of time:
    /// one that changes behind the look's back rings.
    private let sleepsUntil = Atomic<UInt64>(UInt64.max)

    init() throws(HostError) {}

    func start(_ processors: [SoftwareProcessor]) {
        let references = processors.map { Weak($0) }
        let made = try? HostThread(name: "APIC timers") { [self] in run(references) }
        thread.withLock { $0 = made }
    }

    private struct Weak: Sendable {
        weak let value: SoftwareProcessor?
        init(_ value: SoftwareProcessor) { self.value = value }
    }

    private func run(_ processors: [Weak]) {
        while !stopped.load(ordering: .acquiring) {
            // Before the look, not with its result: a processor that is posted below may have run, and have set its next
            // deadline, before this thread goes on, and would compare that with the one which has just passed.
            sleepsUntil.store(UInt64.max, ordering: .sequentiallyConsistent)
            let now = HostClock.monotonic
            var next = UInt64.max
            for reference in processors {
                guard let processor = reference.value else { return }
                let deadline = processor.deadline.load(ordering: .sequentiallyConsistent)
                if deadline <= now {
                    // The processor computes the next one.
                    _ = processor.deadline.compareExchange(
                        expected: deadline, desired: .max, ordering: .acquiringAndReleasing)
                    processor.post(UInt32(APUS_PENDING_TIMER))
                } else {
                    next = min(next, deadline)
                }
            }
            sleepsUntil.store(next, ordering: .sequentiallyConsistent)
            let current = HostClock.monotonic
            if next > current { bell.wait(nanoseconds: next == .max ? nil : next - current) }
        }
    }

    /// A processor's deadline may be earlier than before.
    func deadlineChanged(_ deadline: UInt64) {
        if deadline < sleepsUntil.load(ordering: .sequentiallyConsistent) { bell.ring() }
    }

    func stop() {
        stopped.store(true, ordering: .releasing)
        bell.ring()
        thread.withLock { $0 }?.join()
    }
}
