internal import HostOS
internal import Synchronization

/// Keeps requests apart that would spoil each other: a write that must read, change and write back whole sectors
/// excludes every other write to them. Requests start in the order they came where they overlap.
final class RangeLocks: Sendable {
    private struct Entry {
        let ticket: UInt64
        let start: UInt64
        let end: UInt64
        let isExclusive: Bool
        var work: (@Sendable (UInt64) -> Void)?

        func conflicts(_ other: Entry) -> Bool {
            (isExclusive || other.isExclusive) && start < other.end && other.start < end
        }
    }

    private struct State {
        var nextTicket: UInt64 = 0
        var active: [Entry] = []
        var waiting: [Entry] = []
    }

    private final class Turn: Sendable {
        let ticket = Atomic(UInt64(0))
        let bell = Bell()
    }

    private let state = Mutex(State())

    /// Calls `work` with a ticket for `release`: at once, or from another request's release, when nothing that
    /// conflicts is active or waits before it.
    func acquire(start: UInt64, end: UInt64, isExclusive: Bool, _ work: @escaping @Sendable (UInt64) -> Void) {
        let ticket = state.withLock { state -> UInt64? in
            state.nextTicket &+= 1
            var entry = Entry(
                ticket: state.nextTicket, start: start, end: end, isExclusive: isExclusive, work: nil)
            guard
                state.active.contains(where: { $0.conflicts(entry) })
                    || state.waiting.contains(where: { $0.conflicts(entry) })
            else {
                state.active.append(entry)
                return entry.ticket
            }
            entry.work = work
            state.waiting.append(entry)
            return nil
        }
        if let ticket { work(ticket) }
    }

    /// Waits for the range; gives the ticket for `release`. Only on threads that may block.
    func acquireAndWait(start: UInt64, end: UInt64, isExclusive: Bool) -> UInt64 {
        let turn = Turn()
        acquire(start: start, end: end, isExclusive: isExclusive) { ticket in
            turn.ticket.store(ticket, ordering: .releasing)
            turn.bell.ring()
        }
        while true {
            let ticket = turn.ticket.load(ordering: .acquiring)
            if ticket != 0 { return ticket }
            turn.bell.wait(nanoseconds: nil)
        }
    }

    /// Ends a range, and starts those that waited for it.
    func release(_ ticket: UInt64) {
        let started = state.withLock { state -> [Entry] in
            guard let index = state.active.firstIndex(where: { $0.ticket == ticket }) else { return [] }
            state.active.swapAt(index, state.active.count - 1)
            state.active.removeLast()
            guard !state.waiting.isEmpty else { return [] }
            var started: [Entry] = []
            var waiting: [Entry] = []
            for var entry in state.waiting {
                if state.active.contains(where: { $0.conflicts(entry) })
                    || waiting.contains(where: { $0.conflicts(entry) })
                {
                    waiting.append(entry)
                    continue
                }
                started.append(entry)
                entry.work = nil
                state.active.append(entry)
            }
            state.waiting = waiting
            return started
        }
        for entry in started { entry.work?(entry.ticket) }
    }
}
