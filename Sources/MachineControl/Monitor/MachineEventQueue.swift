internal import JSON
internal import Machine
internal import Synchronization

/// Events on their way from the machine's threads to a monitor's. Any thread.
///
/// Bounded: of events that only tell the last state (`RTC_CHANGE`, `BALLOON_CHANGE`) the last is kept, and beyond the
/// limit the oldest is dropped, so that a guest that makes events cannot fill a monitor that nobody reads.
final class MachineEventQueue: Sendable {
    private let events = Mutex<[MachineEvent]>([])
    private let wake: @Sendable () -> Void
    private static let limit = 1024

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    func push(_ event: MachineEvent) {
        let wasEmpty = events.withLock { events in
            let wasEmpty = events.isEmpty
            if let last = events.last, event.replaces(last) { events.removeLast() }
            if events.count >= Self.limit { events.removeFirst() }
            events.append(event)
            return wasEmpty
        }
        if wasEmpty { wake() }
    }

    func drain() -> [MachineEvent] {
        events.withLock { events in
            let all = events
            events = []
            return all
        }
    }
}

extension MachineEvent {
    /// Whether an event right before this one need not be told any more.
    fileprivate func replaces(_ other: MachineEvent) -> Bool {
        switch (kind, other.kind) {
        case (.rtcChange(_, let path), .rtcChange(_, let before)): path == before
        case (.balloonChange, .balloonChange): true
        case (.watchdog, .watchdog): true
        default: false
        }
    }
}
