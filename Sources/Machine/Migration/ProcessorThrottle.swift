internal import HostOS
internal import Synchronization

/// Holds the processors of a machine back for a part of the time, so that a guest that writes faster than memory can
/// be sent comes to an end (`auto-converge`).
final class ProcessorThrottle: Sendable {
    private struct State: Sendable {
        var percent = 0
        var mustEnd = false
        var thread: HostThread?
    }
    private let machine: VirtualMachine
    private let state = Mutex(State())
    private let bell = Bell()
    /// The processors run so long at a stretch, in nanoseconds.
    private static let slice: UInt64 = 10_000_000

    init(_ machine: VirtualMachine) { self.machine = machine }

    /// What is taken from the processors.
    var percent: Int { state.withLock { $0.percent } }

    /// Takes more.
    func increase(_ settings: (initial: Int, increment: Int, most: Int, trigger: UInt64)) {
        let isFirst = state.withLock { state in
            let next = state.percent == 0 ? settings.initial : state.percent + settings.increment
            state.percent = min(max(1, next), settings.most, 99)
            return state.thread == nil
        }
        guard isFirst, let thread = try? HostThread(name: "throttle", body: { [self] in work() }) else { return }
        state.withLock { $0.thread = thread }
    }

    private func work() {
        while true {
            let (percent, mustEnd) = state.withLock { ($0.percent, $0.mustEnd) }
            if mustEnd { return }
            let pause = Self.slice * UInt64(percent) / UInt64(100 - percent)
            machine.holdProcessors(nanoseconds: pause)
            bell.wait(nanoseconds: Self.slice)
        }
    }

    /// Ends it, and waits.
    func end() {
        let thread = state.withLock { state -> HostThread? in
            state.mustEnd = true
            defer { state.thread = nil }
            return state.thread
        }
        bell.ring()
        thread?.join()
    }
}

extension VirtualMachine {
    /// Keeps running processors at the gate for a time. Time goes on for the guest.
    func holdProcessors(nanoseconds: UInt64) {
        let end = HostClock.monotonic + nanoseconds
        while HostClock.monotonic < end {
            control.withLock { _ in
                guard state.withLock({ $0.runState == .running && !$0.hasEnded }) else { return }
                // Short, as monitors wait for the lock.
                group.whileParked { _ in
                    Bell().wait(nanoseconds: min(50_000_000, end - min(end, HostClock.monotonic)))
                }
            }
        }
    }
}
