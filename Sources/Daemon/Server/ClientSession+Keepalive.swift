internal import HostOS
internal import RPCWire
internal import Synchronization

/// Pings of the daemon's own, for clients that said that they answer: one after each interval without a frame of
/// theirs, and the end after too many without an answer.
extension ClientSession {
    static let keepaliveInterval: UInt64 = 5_000_000_000
    static let keepaliveCount = 5

    /// The client takes part. Asked for by its question for the feature.
    func startKeepalive() {
        let timer = daemon.loop.makeTimer { [weak self] in self?.keepaliveFired() }
        let first = state.withLock { state -> Bool in
            guard state.keepalive == nil, !state.closed else { return false }
            state.keepalive = KeepaliveState(timer: timer)
            return true
        }
        if first { timer.arm(after: ClientSession.keepaliveInterval) }
    }

    private func keepaliveFired() {
        let alive = state.withLock { state -> (Bool, EventTimer)? in
            guard state.keepalive != nil, let timer = state.keepalive?.timer else { return nil }
            state.keepalive?.unanswered += 1
            // While calls wait unread, the client's pongs do as well.
            let busy = state.running >= ClientSession.maximumRunning || state.fullStreams > 0
            if busy { state.keepalive?.unanswered = 0 }
            return ((state.keepalive?.unanswered ?? 0) <= ClientSession.keepaliveCount, timer)
        }
        guard let (goOn, timer) = alive else { return }
        guard goOn else { return close() }
        send(Frame.ping)
        timer.arm(after: ClientSession.keepaliveInterval)
    }
}
