internal import CLinux
internal import Synchronization

/// A descriptor's place in an event loop. It stays there, and keeps the descriptor open, until `remove`.
public final class EventSource: Sendable {
    /// Called on the loop's thread with what happened.
    public typealias Handler = @Sendable (EventLoop.Events) -> Void

    let loop: EventLoop
    let token: UInt64
    let handler: Handler
    /// The descriptor that is watched.
    public let descriptor: Descriptor
    // Guarded by the loop's lock.
    nonisolated(unsafe) var interest: EventLoop.Events
    nonisolated(unsafe) var registered = false
    nonisolated(unsafe) var refused = false

    init(
        loop: EventLoop, token: UInt64, descriptor: Descriptor, interest: EventLoop.Events, handler: @escaping Handler
    ) {
        self.loop = loop
        self.token = token
        self.descriptor = descriptor
        unsafe self.interest = interest
        self.handler = handler
    }

    /// Changes what is waited for. With nothing, not even a hang-up is reported.
    public func modify(_ events: EventLoop.Events) throws(HostError) {
        let (failure, wake) = loop.state.withLock { state -> (Int32, Bool) in
            guard state.sources[token] != nil, unsafe interest != events else { return (0, false) }
            unsafe interest = events
            return (update(&state), unsafe refused)
        }
        if wake && !loop.isCurrent { loop.post {} }
        if failure != 0 { throw HostError(reason: failure, "watch descriptor \(descriptor.rawValue)") }
    }

    /// Takes the descriptor out of the loop. After this returns on the loop's thread the handler does not run again;
    /// on another thread it may be running. May be called again.
    public func remove() {
        loop.state.withLock { state in
            guard state.sources.removeValue(forKey: token) != nil else { return }
            unsafe interest = []
            _ = update(&state)
        }
    }

    /// Tells epoll about `interest`; returns an error number or 0.
    func update(_ state: inout EventLoop.State) -> Int32 {
        let (epoll, raw) = (loop.epoll.rawValue, descriptor.rawValue)
        state.alwaysReady.removeAll { $0 == token }
        // A descriptor without interest is taken out: epoll would report its hang-up in every round.
        if unsafe interest.isEmpty {
            if unsafe registered { _ = apus_epoll_control(epoll, EPOLL_CTL_DEL, raw, 0, token) }
            unsafe registered = false
            return 0
        }
        if unsafe !refused {
            let operation = unsafe registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD
            if unsafe apus_epoll_control(epoll, operation, raw, interest.rawValue, token) == 0 {
                unsafe registered = true
                return 0
            }
            let reason = apus_errno()
            guard reason == EPERM else { return reason }
            unsafe refused = true
        }
        if unsafe !interest.isDisjoint(with: [.read, .write]) { state.alwaysReady.append(token) }
        return 0
    }
}

extension EventLoop {
    /// Watches a descriptor. Regular files and devices without readiness count as always ready.
    public func add(
        _ descriptor: Descriptor, _ events: Events, handler: @escaping EventSource.Handler
    ) throws(HostError) -> EventSource {
        let result = state.withLock { state -> Result<EventSource, HostError> in
            let source = EventSource(
                loop: self, token: state.nextToken, descriptor: descriptor, interest: events, handler: handler)
            state.nextToken += 1
            let failure = source.update(&state)
            if failure != 0 {
                return .failure(HostError(reason: failure, "watch descriptor \(descriptor.rawValue)"))
            }
            state.sources[source.token] = source
            return .success(source)
        }
        let source = try result.get()
        // The loop may sleep: an always-ready source is found only by a new round.
        if unsafe source.refused, !isCurrent { post {} }
        return source
    }
}
