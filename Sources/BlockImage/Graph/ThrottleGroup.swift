internal import CLinux
internal import HostOS
internal import Synchronization

/// Limits of throughput, 0 for none: per second, and what may be done at once after a rest.
public struct ThrottleLimits: Sendable, Equatable {
    /// One kind of limit.
    public struct Limit: Sendable, Equatable {
        /// Units per second; 0 for no limit.
        public var average: UInt64 = 0
        /// Units per second in a burst; 0 for the average.
        public var maximum: UInt64 = 0
        /// How long a burst may last, in seconds.
        public var burstSeconds: UInt64 = 1
        /// No limit.
        public init() {}
    }
    /// Bytes of all requests, reads, writes.
    public var bytes = [Limit](repeating: Limit(), count: 3)
    /// Requests of all kinds, reads, writes.
    public var operations = [Limit](repeating: Limit(), count: 3)
    /// Bytes that count as one request more; 0: a request is one whatever its size.
    public var operationSize: UInt64 = 0
    /// No limits.
    public init() {}
    /// Whether anything is limited.
    public var isLimited: Bool { (bytes + operations).contains { $0.average > 0 } }

    /// Why the limits contradict each other, or nil.
    public var contradiction: String? {
        for limit in [bytes, operations] where limit[0].average > 0 || limit[0].maximum > 0 {
            if limit[1].average > 0 || limit[2].average > 0 {
                return "bps/iops/max total values and read/write values cannot be used at the same time"
            }
        }
        for limit in bytes + operations {
            if limit.maximum > 0 && limit.average == 0 { return "bps_max/iops_max require corresponding bps/iops values" }
            if limit.maximum > 0 && limit.maximum < limit.average { return "bps_max/iops_max cannot be lower than bps/iops" }
            if limit.burstSeconds == 0 { return "the burst length cannot be 0" }
            if limit.average > 1_000_000_000_000_000 || limit.maximum > 1_000_000_000_000_000 {
                return "bps/iops/max values must be within [0, 1000000000000000]"
            }
        }
        return nil
    }
}

/// One or more devices that share limits: a leaky bucket for each kind, as QEMU's throttling has it. Any thread.
public final class ThrottleGroup: Sendable {
    private struct State {
        var limits: ThrottleLimits
        /// What is in each bucket: bytes of all, of reads, of writes, then requests.
        var levels = [Double](repeating: 0, count: 6)
        var lastLeak: UInt64
        var waiting: [(length: UInt64, isWrite: Bool, go: @Sendable () -> Void)] = []
        var isRunning = false
        var hasEnded = false
    }
    /// Its name.
    public let name: String
    private let state: Mutex<State>
    private let bell = Bell()

    /// A group of a name.
    public init(name: String, limits: ThrottleLimits) {
        self.name = name
        state = Mutex(State(limits: limits, lastLeak: HostClock.monotonic))
    }

    /// The limits. Requests that wait hear of a change.
    public var limits: ThrottleLimits {
        get { state.withLock { $0.limits } }
        set {
            state.withLock { state in
                state.limits = newValue
                state.levels = [Double](repeating: 0, count: 6)
            }
            bell.ring()
        }
    }

    /// Calls `go` when the request may begin: at once, or from the group's thread.
    func admit(_ length: UInt64, isWrite: Bool, _ go: @escaping @Sendable () -> Void) {
        enum Next { case now, later, starts }
        let next = state.withLock { state -> Next in
            if state.waiting.isEmpty, Self.wait(&state) == 0 {
                Self.book(&state, length, isWrite)
                return .now
            }
            state.waiting.append((length, isWrite, go))
            defer { state.isRunning = true }
            return state.isRunning ? .later : .starts
        }
        switch next {
        case .now: go()
        case .later: break
        case .starts:
            do throws(HostError) {
                _ = try HostThread(name: "throttle", stackSize: 512 << 10) { [self] in
                    pthread_detach(pthread_self())
                    serve()
                }
            } catch {
                // Without a thread nothing is limited.
                for entry in takeAll() { entry() }
            }
        }
    }

    /// Lets everything begin that waits.
    func letGo() {
        let all = state.withLock { state in
            defer { state.waiting = [] }
            for entry in state.waiting { Self.book(&state, entry.length, entry.isWrite) }
            return state.waiting.map(\.go)
        }
        for go in all { go() }
    }

    private func takeAll() -> [@Sendable () -> Void] {
        state.withLock { state in
            defer { (state.waiting, state.isRunning) = ([], false) }
            return state.waiting.map(\.go)
        }
    }

    private func serve() {
        while true {
            let (go, pause, isOver) = state.withLock { state -> ((@Sendable () -> Void)?, UInt64, Bool) in
                guard let first = state.waiting.first else {
                    state.isRunning = false
                    return (nil, 0, true)
                }
                let pause = Self.wait(&state)
                guard pause == 0 else { return (nil, pause, false) }
                Self.book(&state, first.length, first.isWrite)
                return (state.waiting.removeFirst().go, 0, false)
            }
            if isOver { return }
            if let go { go() } else { bell.wait(nanoseconds: min(pause, 100_000_000)) }
        }
    }

    /// Nanoseconds until the next request may begin: a bucket takes another as long as it is not over its rim.
    private static func wait(_ state: inout State) -> UInt64 {
        let now = HostClock.monotonic
        let elapsed = Double(now &- state.lastLeak) / 1e9
        state.lastLeak = now
        var longest = 0.0
        for (index, limit) in (state.limits.bytes + state.limits.operations).enumerated() where limit.average > 0 {
            let rate = Double(limit.average)
            state.levels[index] = max(0, state.levels[index] - rate * elapsed)
            let rim = limit.maximum > 0 ? Double(limit.maximum) * Double(limit.burstSeconds) : rate / 10
            let over = state.levels[index] - rim
            if over > 0 { longest = max(longest, over / rate) }
        }
        return UInt64(longest * 1e9)
    }
    private static func book(_ state: inout State, _ length: UInt64, _ isWrite: Bool) {
        let size = state.limits.operationSize
        let operations = size > 0 ? Double(max(1, (length + size - 1) / size)) : 1
        for kind in [0, isWrite ? 2 : 1] {
            state.levels[kind] += Double(length)
            state.levels[3 + kind] += operations
        }
    }
}
