internal import CLinux
internal import SystemPackage
internal import Synchronization

/// One thread that waits for descriptors, timers and work of other threads, and runs their handlers one at a time.
///
/// Every method may be called from any thread and from inside handlers. Handlers run on the thread that is in `run`,
/// with no lock of the loop held. In each round they run in this order: posted work, first in first out; timers, by
/// deadline; descriptors.
public final class EventLoop: Sendable {
    /// What can happen to a descriptor: the bits of epoll(7).
    public struct Events: OptionSet, Sendable, Hashable {
        /// The `EPOLL*` bits.
        public let rawValue: UInt32
        /// A set from `EPOLL*` bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// There is something to read, or the other end has closed.
        public static let read = Events(rawValue: 0x001)
        /// There is room to write.
        public static let write = Events(rawValue: 0x004)
        /// An error is pending. Always reported.
        public static let error = Events(rawValue: 0x008)
        /// Both directions are closed. Always reported.
        public static let hangUp = Events(rawValue: 0x010)
        /// The other end will write no more.
        public static let peerClosed = Events(rawValue: 0x2000)
        /// Report each change once, not for as long as it holds.
        public static let edgeTriggered = Events(rawValue: 1 << 31)
    }

    struct State {
        var sources: [UInt64: EventSource] = [:]
        var nextToken: UInt64 = 2
        /// Sources that epoll refuses (files, /dev/null): always ready.
        var alwaysReady: [UInt64] = []
        var work: [@Sendable () -> Void] = []
        var timers = TimerHeap()
        /// What the kernel's timer is set to; `max`: nothing.
        var armed = UInt64.max
        var stopping = false
        var wakeSent = false
    }

    private static let wakeToken: UInt64 = 0
    private static let timerToken: UInt64 = 1

    let epoll: Descriptor
    private let wakeUp: EventCounter
    private let timer: Descriptor
    let state = Mutex(State())
    /// The `pthread_t` of the thread in `run`; 0 outside of it.
    private let thread = Atomic<UInt>(0)

    /// A loop with nothing in it, run by nobody yet.
    public init() throws(HostError) {
        let raw = apus_epoll_create()
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "make an epoll descriptor") }
        epoll = Descriptor(owning: raw)
        wakeUp = try EventCounter()
        let clock = apus_timerfd()
        guard clock >= 0 else { throw HostError(reason: apus_errno(), "make a timer descriptor") }
        timer = Descriptor(owning: clock)
        // Edge-triggered: each write and each expiry counts as a new edge, so neither needs to be read.
        let events = Events([.read, .edgeTriggered]).rawValue
        guard apus_epoll_control(raw, EPOLL_CTL_ADD, wakeUp.descriptor.rawValue, events, EventLoop.wakeToken) == 0,
            apus_epoll_control(raw, EPOLL_CTL_ADD, clock, events, EventLoop.timerToken) == 0
        else { throw HostError(reason: apus_errno(), "add to an epoll descriptor") }
    }

    /// Whether the caller is a handler of this loop.
    public var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// Runs `work` once on the loop's thread, later than this call returns.
    public func post(_ work: @escaping @Sendable () -> Void) {
        let wake = state.withLock { state in
            state.work.append(work)
            return needsWake(&state)
        }
        if wake { wakeUp.signal() }
    }

    /// A timer that is not armed; `fire` runs on the loop's thread.
    public func makeTimer(_ fire: @escaping @Sendable () -> Void) -> EventTimer {
        EventTimer(loop: self, fire: fire)
    }

    /// Makes `run` return after the handlers of its round. Before `run`: the next one returns at once.
    public func stop() {
        let wake = state.withLock { state in
            state.stopping = true
            return needsWake(&state)
        }
        if wake { wakeUp.signal() }
    }

    /// Runs handlers until `stop`. One thread at a time; may be called again afterwards.
    public func run() {
        // SAFETY: the buffer is used inside the closure.
        unsafe withEventBuffer { events in
            while unsafe turn(&events, wait: true) {}
        }
    }

    /// Runs the handlers that are due, after waiting for the first if `wait`. False: the loop was stopped.
    @discardableResult
    public func turn(wait: Bool) -> Bool {
        var goOn = true
        // SAFETY: the buffer is used inside the closure.
        unsafe withEventBuffer { goOn = unsafe turn(&$0, wait: wait) }
        return goOn
    }

    // MARK: - A round

    private func withEventBuffer(_ body: (inout UnsafeMutableBufferPointer<epoll_event>) -> Void) {
        var events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 64)
        // SAFETY: the buffer lives until the body returns; the kernel fills what is read.
        unsafe events.initialize(repeating: epoll_event())
        let before = thread.exchange(UInt(pthread_self()), ordering: .relaxed)
        unsafe body(&events)
        thread.store(before, ordering: .relaxed)
        unsafe events.deallocate()
    }

    private func turn(_ events: inout UnsafeMutableBufferPointer<epoll_event>, wait: Bool) -> Bool {
        let (stopping, busy) = state.withLock { state -> (Bool, Bool) in
            defer { state.stopping = false }
            return (state.stopping, !state.work.isEmpty || !state.alwaysReady.isEmpty)
        }
        if stopping { return false }
        // SAFETY: the kernel writes at most `count` elements of the buffer.
        let count = unsafe apus_epoll_wait(
            epoll.rawValue, events.baseAddress, Int32(events.count), wait && !busy ? -1 : 0)
        runWork()
        runTimers()
        for index in 0..<max(0, Int(count)) {
            let event = unsafe events[index]
            let token = unsafe event.data.u64
            if token > EventLoop.timerToken { dispatch(token, Events(rawValue: unsafe event.events)) }
        }
        if busy {
            for token in state.withLock({ $0.alwaysReady }) { dispatch(token, [.read, .write]) }
        }
        return true
    }

    private func runWork() {
        let work = state.withLock { state -> [@Sendable () -> Void] in
            state.wakeSent = false
            guard !state.work.isEmpty else { return [] }
            defer { state.work = [] }
            return state.work
        }
        for item in work { item() }
    }

    private func runTimers() {
        let now = HostClock.monotonic
        let round = state.withLock { state -> UInt64? in
            // Expired: the same deadline armed once more must set it again.
            if state.armed <= now { state.armed = UInt64.max }
            return state.timers.isEmpty ? nil : state.timers.nextSequence
        }
        if let round {
            // One at a time: a handler may cancel or arm any of the others. One armed in this round waits for the next.
            while let timer = state.withLock({ $0.timers.popDue(now: now, before: round) }) { timer.fire() }
        }
        state.withLock { setKernelTimer(&$0, exact: true) }
    }

    private func dispatch(_ token: UInt64, _ events: Events) {
        let found = state.withLock { state -> (EventSource.Handler, Events)? in
            // A handler before this one in the round may have removed the source or lost interest.
            guard let source = state.sources[token], unsafe !source.interest.isEmpty else { return nil }
            let reported = unsafe events.intersection(source.interest.union([.error, .hangUp]))
            return reported.isEmpty ? nil : (source.handler, reported)
        }
        if let found { found.0(found.1) }
    }

    // MARK: - Wake-ups

    /// True if the loop may sleep through what was just queued.
    private func needsWake(_ state: inout State) -> Bool {
        if state.wakeSent || isCurrent { return false }
        state.wakeSent = true
        return true
    }

    /// Sets the kernel's timer to the earliest deadline. Not `exact`: only if that is sooner than it is set to.
    func setKernelTimer(_ state: inout State, exact: Bool) {
        let earliest = state.timers.earliest ?? UInt64.max
        if earliest == state.armed || (!exact && earliest > state.armed) { return }
        // An expiry that became too early costs one empty round.
        state.armed = earliest
        _ = apus_timerfd_arm(timer.rawValue, earliest == UInt64.max ? 0 : max(1, min(earliest, 1 << 62)))
    }
}
