internal import HostOS
internal import Synchronization
internal import SystemPackage

/// A socket where a machine's state is waited for. The first who connects is taken, and nobody else; or all are, where the
/// state comes over several connections.
final class IncomingState: Sendable {
    private struct State {
        var source: EventSource?
        var path: String?
        var hasCome = false
    }

    private let state = Mutex(State())
    /// What the source is told: `tcp:10.0.0.1:40123`.
    let uri: String
    /// The host's address in that; empty for a socket's path.
    let host: String

    /// Listens. `connected` is called on the loop's thread, once where it `takesOne`.
    ///
    /// - Parameter address: the host's address that goes into the URI.
    init(
        _ place: MigrationPlace, address: String, loop: EventLoop, takesOne: Bool = true,
        connected: @escaping @Sendable (Descriptor) -> Void
    ) throws(HostError) {
        let listener: Descriptor
        switch place {
        case .unix(let path):
            listener = try Socket.listen(SocketAddress.unix(path), backlog: 32)
            uri = "unix:\(path)"
            host = ""
            state.withLock { $0.path = path }
        case .tcp(let place):
            var found: Descriptor?
            var failure: HostError?
            for candidate in try SocketAddress.resolve(host: place.host, port: "\(place.port)", listening: true) {
                do throws(HostError) { found = try Socket.listen(candidate, backlog: 32) } catch { failure = error }
                if found != nil { break }
            }
            guard let found else { throw failure ?? HostError("listen on '\(place.host)'", .addressNotAvailable) }
            listener = found
            let port = try Socket.localAddress(listener).port
            host = address
            uri = "tcp:\(address.contains(":") ? "[\(address)]" : address):\(port)"
        }
        let source = try loop.add(listener, EventLoop.Events.read) { [weak self] _ in
            guard let self, let socket = try? Socket.accept(listener) else { return }
            state.withLock { $0.hasCome = true }
            if takesOne { close() }
            Socket.setNoDelay(socket)
            connected(socket)
        }
        state.withLock { $0.source = source }
    }

    /// Whether somebody has come. What little a machine has is all on its way before it is seen here who brings it: that may
    /// take some time yet.
    func hasCome(within nanoseconds: UInt64) -> Bool {
        let deadline = HostClock.monotonic &+ nanoseconds
        let pause = Bell()
        while true {
            let (isClosed, hasCome) = state.withLock { ($0.source == nil, $0.hasCome) }
            if hasCome || isClosed || HostClock.monotonic >= deadline { return hasCome || isClosed }
            pause.wait(nanoseconds: 5_000_000)
        }
    }

    func close() {
        let (source, path) = state.withLock { state -> (EventSource?, String?) in
            defer { (state.source, state.path) = (nil, nil) }
            return (state.source, state.path)
        }
        source?.remove()
        if let path { try? HostFile.remove(path) }
    }
}
