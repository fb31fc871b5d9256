internal import Synchronization

/// A one-shot timer of an event loop, by `HostClock.monotonic`. Any thread.
public final class EventTimer: Sendable {
    private let loop: EventLoop
    let fire: @Sendable () -> Void
    // Guarded by the loop's lock: place in the heap, or -1.
    nonisolated(unsafe) var position = -1
    nonisolated(unsafe) var deadline: UInt64 = 0
    nonisolated(unsafe) var sequence: UInt64 = 0

    init(loop: EventLoop, fire: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.fire = fire
    }

    /// Fires once at or after `deadline` (nanoseconds); replaces an earlier deadline. The past means at once.
    public func arm(at deadline: UInt64) {
        loop.state.withLock { state in
            state.timers.insert(self, deadline: deadline)
            loop.setKernelTimer(&state, exact: false)
        }
    }

    /// Fires once after so many nanoseconds.
    public func arm(after nanoseconds: UInt64) {
        let (deadline, overflow) = HostClock.monotonic.addingReportingOverflow(nanoseconds)
        arm(at: overflow ? UInt64.max : deadline)
    }

    /// Does not fire unless it already does.
    public func cancel() { loop.state.withLock { $0.timers.remove(self) } }

    /// Whether it will fire.
    public var isArmed: Bool { loop.state.withLock { _ in unsafe position >= 0 } }
}

/// Armed timers, the earliest first: a binary heap whose members know their places, so that arming again moves one
/// and adds none. Not thread-safe; its owner's lock guards it and the timers in it.
struct TimerHeap {
    private var entries: [EventTimer] = []
    /// Given to the next timer armed: equal deadlines fire in the order of arming.
    private(set) var nextSequence: UInt64 = 0

    var isEmpty: Bool { entries.isEmpty }
    var earliest: UInt64? { entries.first.map { unsafe $0.deadline } }

    mutating func insert(_ timer: EventTimer, deadline: UInt64) {
        remove(timer)
        unsafe timer.deadline = deadline
        unsafe timer.sequence = nextSequence
        nextSequence &+= 1
        unsafe timer.position = entries.count
        entries.append(timer)
        siftUp(entries.count - 1)
    }

    mutating func remove(_ timer: EventTimer) {
        let position = unsafe timer.position
        guard position >= 0 else { return }
        let last = entries.count - 1
        if position != last { exchange(position, last) }
        entries.removeLast()
        unsafe timer.position = -1
        if position < entries.count {
            siftUp(position)
            siftDown(position)
        }
    }

    /// Takes out the earliest timer if it is due and was armed before `sequence`.
    mutating func popDue(now: UInt64, before sequence: UInt64) -> EventTimer? {
        guard let first = entries.first, unsafe first.deadline <= now else { return nil }
        // One armed in this round for the past stands in front of others that are due: look for the earliest of those.
        var chosen: EventTimer? = unsafe first.sequence < sequence ? first : nil
        if chosen == nil {
            for timer in entries where unsafe timer.deadline <= now && timer.sequence < sequence {
                if let best = chosen, TimerHeap.precedes(best, timer) { continue }
                chosen = timer
            }
        }
        if let chosen { remove(chosen) }
        return chosen
    }

    private static func precedes(_ a: EventTimer, _ b: EventTimer) -> Bool {
        unsafe a.deadline != b.deadline ? a.deadline < b.deadline : a.sequence < b.sequence
    }

    private mutating func exchange(_ i: Int, _ j: Int) {
        entries.swapAt(i, j)
        unsafe entries[i].position = i
        unsafe entries[j].position = j
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0, TimerHeap.precedes(entries[child], entries[(child - 1) / 2]) {
            exchange(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if TimerHeap.precedes(entries[child], entries[least]) { least = child }
            }
            if least == parent { return }
            exchange(parent, least)
            parent = least
        }
    }
}
