internal import CLinux
internal import HostOS
internal import Synchronization

/// Devices and nodes that share limits. Those with requests to be made have their turn one after the other, so that none
/// of them takes all; reads and writes wait for their own limits. Any thread.
public final class ThrottleGroup: Sendable {
    private struct Waiting {
        let length: UInt64
        let go: @Sendable () -> Void
    }
    private struct Seat {
        let id: Int
        /// Reads and writes that wait.
        var waiting: [[Waiting]] = [[], []]
        /// How many wait for its end: its requests do not wait for anything.
        var drains = 0
    }
    private struct State {
        var buckets: ThrottleBuckets
        /// In the order of their numbers.
        var seats: [Seat] = []
        var nextID = 1
        /// Who came last, among reads and among writes.
        var last = [0, 0]
        /// The direction that is looked at first.
        var turn = 0
        var isRunning = false

        func isAwaited(_ direction: Int) -> Bool { seats.contains { !$0.waiting[direction].isEmpty } }
        func place(of id: Int) -> Int? { seats.firstIndex { $0.id == id } }
    }
    private enum Step {
        case go(@Sendable () -> Void)
        case pause(UInt64)
        case over
    }
    /// Its name.
    public let name: String
    private let state: Mutex<State>
    private let bell = Bell()

    /// A group of a name.
    public init(name: String, limits: ThrottleLimits) {
        self.name = name
        state = Mutex(State(buckets: ThrottleBuckets(limits, now: HostClock.monotonic)))
    }

    /// The limits. Requests that wait hear of a change.
    public var limits: ThrottleLimits {
        get { state.withLock { $0.buckets.limits } }
        set {
            state.withLock { $0.buckets.limits = newValue }
            bell.ring()
        }
    }

    /// Whether anybody is in it.
    public var isUsed: Bool { state.withLock { !$0.seats.isEmpty } }

    fileprivate func join() -> Int {
        state.withLock { state in
            defer { state.nextID += 1 }
            state.seats.append(Seat(id: state.nextID))
            return state.nextID
        }
    }

    fileprivate func leave(_ id: Int) {
        letGo(id)
        state.withLock { state in state.seats.removeAll { $0.id == id } }
    }

    /// Calls `go` when the request may begin: at once, or from the group's thread.
    fileprivate func admit(_ id: Int, _ length: UInt64, isWrite: Bool, _ go: @escaping @Sendable () -> Void) {
        enum Next { case now, later, starts }
        let direction = isWrite ? 1 : 0
        let next = state.withLock { state -> Next in
            let place = state.place(of: id)
            let isFree = place.map { state.seats[$0].drains > 0 } ?? true
            let isAwaited = state.isAwaited(direction)
            guard let place, !isFree,
                isAwaited || state.buckets.wait(isWrite: isWrite, now: HostClock.monotonic) > 0
            else {
                state.buckets.book(length, isWrite: isWrite)
                state.last[direction] = id
                return .now
            }
            state.seats[place].waiting[direction].append(Waiting(length: length, go: go))
            defer { state.isRunning = true }
            // The thread may sleep for the other direction.
            if state.isRunning && !isAwaited { bell.ring() }
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
                let ids = state.withLock { state in
                    state.isRunning = false
                    return state.seats.map(\.id)
                }
                for id in ids { letGo(id) }
            }
        }
    }

    /// Begins or ends (-1) a drain of a member: what waits begins, and what comes meanwhile does not wait.
    fileprivate func drain(_ id: Int, by step: Int) {
        state.withLock { state in
            if let place = state.place(of: id) { state.seats[place].drains += step }
        }
        if step > 0 { letGo(id) }
    }

    /// Lets everything of a member begin that waits.
    private func letGo(_ id: Int) {
        let all = state.withLock { state -> [Waiting] in
            guard let place = state.place(of: id) else { return [] }
            let waiting = state.seats[place].waiting
            state.seats[place].waiting = [[], []]
            for (direction, list) in waiting.enumerated() {
                for entry in list { state.buckets.book(entry.length, isWrite: direction == 1) }
            }
            return waiting[0] + waiting[1]
        }
        for entry in all { entry.go() }
    }

    private func serve() {
        while true {
            switch state.withLock({ Self.step(&$0) }) {
            case .go(let go): go()
            case .pause(let time): bell.wait(nanoseconds: min(time, 100_000_000))
            case .over: return
            }
        }
    }

    private static func step(_ state: inout State) -> Step {
        var pause = UInt64.max
        for direction in [state.turn, 1 - state.turn] where state.isAwaited(direction) {
            let wait = state.buckets.wait(isWrite: direction == 1, now: HostClock.monotonic)
            guard wait == 0 else {
                pause = min(pause, wait)
                continue
            }
            // The next one after who came last, around the table.
            let awaited = state.seats.indices.filter { !state.seats[$0].waiting[direction].isEmpty }
            let last = state.last[direction]
            guard let place = awaited.first(where: { state.seats[$0].id > last }) ?? awaited.first else { continue }
            let entry = state.seats[place].waiting[direction].removeFirst()
            state.buckets.book(entry.length, isWrite: direction == 1)
            state.last[direction] = state.seats[place].id
            state.turn = 1 - direction
            return .go(entry.go)
        }
        guard pause != .max else {
            state.isRunning = false
            return .over
        }
        return .pause(pause)
    }
}

/// A place in a group: a device's, or a node's. It leaves when it goes, and what waits begins.
final class ThrottleMember: Sendable {
    let group: ThrottleGroup
    private let id: Int

    init(_ group: ThrottleGroup) {
        self.group = group
        id = group.join()
    }
    deinit { group.leave(id) }

    /// Calls `go` when a request of `length` bytes may begin: at once, or from the group's thread.
    func admit(_ length: UInt64, isWrite: Bool, _ go: @escaping @Sendable () -> Void) {
        group.admit(id, length, isWrite: isWrite, go)
    }

    /// From now on nothing of it waits, until `endDrain`. Nests.
    func beginDrain() { group.drain(id, by: 1) }
    func endDrain() { group.drain(id, by: -1) }
}
