internal import CLinux
internal import HostOS
internal import Synchronization

/// One of a client's connections: when it is lost, another takes its place, if requests may wait for that
/// (`reconnect-delay`). Those that come then, and those that were on their way, go with the next connection.
final class NBDLink: Sendable {
    /// A request as the node has made it.
    struct Request: Sendable {
        var pending: NBDConnection.Pending
        var flags: UInt16 = 0
        /// What a write sends.
        var data: [BlockSegment] = []
        /// When it waits no more; nil: it has not waited yet.
        var deadline: UInt64?
    }

    private struct State {
        var connection: NBDConnection
        /// What waits for the next connection.
        var waiting: [Request] = []
        var isConnecting = false
        var isClosed = false
        var holds = 0
    }

    /// Of the first connection.
    let result: NBDNegotiation.Result
    private let state: Mutex<State>
    /// How long requests wait, in nanoseconds; 0: not at all, and there is no other connection.
    private let delay: UInt64
    private let connect: @Sendable () throws(BlockError) -> NBDConnection

    /// Takes a connection over; `connect` makes another to the same export.
    init(
        _ connection: NBDConnection, delaySeconds: UInt64,
        connect: @escaping @Sendable () throws(BlockError) -> NBDConnection
    ) {
        result = connection.result
        state = Mutex(State(connection: connection))
        delay = min(delaySeconds, 86_400) * 1_000_000_000
        self.connect = connect
    }

    /// Sends a request, now or with the next connection. Its completion is called on another thread. False: the
    /// connection is lost for good, and nothing is called.
    func submit(_ request: Request) -> Bool {
        let connection = state.withLock { $0.isConnecting ? nil : $0.connection }
        if let connection, send(request, by: connection) { return true }
        guard delay > 0 else { return false }
        wait(request)
        return true
    }

    /// False: the connection is lost.
    private func send(_ request: Request, by connection: NBDConnection) -> Bool {
        var pending = request.pending
        // Another connection numbers the contexts anew.
        if pending.command == NBD.Command.blockStatus {
            pending.context = connection.result.contexts.values.first ?? pending.context
        }
        if delay > 0 {
            pending.completion = { [self] status, extents in
                guard status == NBDConnection.lost else { return request.pending.completion(status, extents) }
                wait(request)
            }
        }
        return connection.submit(pending, flags: request.flags, data: request.data)
    }

    /// Keeps a request for the next connection, and sees to it that there is one.
    private func wait(_ request: Request) {
        enum Next {
            case again
            case connect
            case nothing
            case fail
        }
        let now = HostClock.monotonic
        var request = request
        let deadline = request.deadline ?? now + delay
        request.deadline = deadline
        let waiting = request
        let next = state.withLock { state -> Next in
            // A server that hangs up at each request gets it no more than that.
            guard !state.isClosed, now <= deadline else { return .fail }
            // Another request has had it made meanwhile.
            if !state.isConnecting && state.connection.isAlive { return .again }
            state.waiting.append(waiting)
            guard !state.isConnecting else { return .nothing }
            state.isConnecting = true
            return .connect
        }
        switch next {
        case .again: _ = submit(request)
        case .nothing: break
        case .fail: request.pending.completion(NBDConnection.lost, [])
        case .connect:
            do throws(HostError) {
                _ = try HostThread(name: "block-nbd-again", stackSize: 256 << 10) { [self] in
                    pthread_detach(pthread_self())
                    connectAgain()
                }
            } catch { giveUp() }
        }
    }

    private func connectAgain() {
        let begun = HostClock.monotonic
        var pause: UInt64 = 50_000_000
        while !state.withLock({ $0.isClosed }) {
            if let made = attempt() { return take(made) }
            let gone = HostClock.monotonic - begun
            guard gone < delay else { break }
            Bell().wait(nanoseconds: min(pause, delay - gone))
            pause = min(2 * pause, 1_000_000_000)
        }
        giveUp()
    }

    /// A connection to the same export as before; nil: there is none to be had now.
    private func attempt() -> NBDConnection? {
        guard let made = try? connect() else { return nil }
        let (now, before) = (made.result.info, result.info)
        guard now.size == before.size, now.flags == before.flags,
            made.result.contexts.isEmpty == result.contexts.isEmpty
        else {
            made.close()
            return nil
        }
        return made
    }

    private func take(_ made: NBDConnection) {
        let (old, waiting) = state.withLock { state -> (NBDConnection, [Request]) in
            defer { (state.connection, state.waiting, state.isConnecting) = (made, [], false) }
            // Who has begun a batch ends it here.
            for _ in 0..<state.holds { made.beginBatch() }
            return (state.connection, state.waiting)
        }
        old.close()
        if state.withLock({ $0.isClosed }) { made.close() }
        for request in waiting { _ = submit(request) }
    }

    private func giveUp() {
        let waiting = state.withLock { state in
            defer { (state.waiting, state.isConnecting) = ([], false) }
            return state.waiting
        }
        for request in waiting { request.pending.completion(NBDConnection.lost, []) }
    }

    func beginBatch() {
        state.withLock { state in
            state.holds += 1
            state.connection.beginBatch()
        }
    }
    func endBatch() {
        state.withLock { state in
            state.holds -= 1
            return state.connection
        }.endBatch()
    }

    /// Ends the connection. Nothing is in flight.
    func close() {
        let connection = state.withLock { state in
            state.isClosed = true
            return state.connection
        }
        connection.close()
    }
}
