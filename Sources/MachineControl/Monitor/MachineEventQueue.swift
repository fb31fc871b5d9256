internal import JSON
internal import Machine
internal import Synchronization

/// Events on their way from the machine's threads to a monitor's. Any thread.
///
/// Bounded, so that a guest that makes events cannot fill a monitor that nobody reads: beyond the limit the oldest is
/// dropped. Of events that only tell the last state, which guests make at will, there is one a second: the first at once,
/// and then the last of each second (QEMU's `monitor_qapi_event_conf`).
final class MachineEventQueue: Sendable {
    private struct Pause {
        var end: UInt64
        var last: MachineEvent?
    }
    private struct State {
        var events: [MachineEvent] = []
        /// By what is told; as many as there are ports at most.
        var pauses: [String: Pause] = [:]
    }
    private let state = Mutex(State())
    private let wake: @Sendable () -> Void
    private let now: @Sendable () -> UInt64
    private static let limit = 1024
    private static let pause: UInt64 = 1_000_000_000

    /// `wake` is called when there is something to drain where nothing was before.
    init(now: @escaping @Sendable () -> UInt64, wake: @escaping @Sendable () -> Void) {
        self.now = now
        self.wake = wake
    }

    func push(_ event: MachineEvent) {
        let wasEmpty = state.withLock { state in
            if let name = event.kind.limitedName {
                guard state.pauses[name] == nil else {
                    state.pauses[name]?.last = event
                    return false
                }
                state.pauses[name] = Pause(end: now() &+ Self.pause)
            }
            if state.events.count >= Self.limit { state.events.removeFirst() }
            state.events.append(event)
            return state.events.count == 1
        }
        if wasEmpty { wake() }
    }

    /// What is to be told now.
    func drain() -> [MachineEvent] {
        state.withLock { state in
            var all = state.events
            state.events = []
            guard !state.pauses.isEmpty else { return all }
            let time = now()
            for (name, pause) in state.pauses.sorted(by: { $0.value.end < $1.value.end }) where pause.end <= time {
                if let last = pause.last { all.append(last) }
                state.pauses[name] = pause.last == nil ? nil : Pause(end: time &+ Self.pause)
            }
            return all
        }
    }

    /// When there may be more to drain although nothing new happens; nil: never.
    var deadline: UInt64? { state.withLock { $0.pauses.values.map(\.end).min() } }

    /// Nothing of what happened is told.
    func clear() { state.withLock { $0 = State() } }
}

extension MachineEvent.Kind {
    /// What is told at most once a second; nil: whatever comes.
    fileprivate var limitedName: String? {
        switch self {
        case .rtcChange(_, let path): "RTC_CHANGE \(path)"
        case .balloonChange: "BALLOON_CHANGE"
        case .watchdog: "WATCHDOG"
        case .serialPortChange(let id, _): "VSERPORT_CHANGE \(id)"
        default: nil
        }
    }
}
