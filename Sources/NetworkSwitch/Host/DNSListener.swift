internal import HostOS
internal import Synchronization

/// Questions for names over TCP on a bridge of the host, whose kernel speaks TCP itself. On the loop's thread.
final class DNSListener: Sendable {
    private static let clientLimit = 64
    private static let patience: UInt64 = 10_000_000_000

    private final class Client: Sendable {
        let socket: Descriptor
        let state = Mutex<(source: EventSource?, input: [UInt8], seen: UInt64)>((nil, [], HostClock.monotonic))
        init(_ socket: Descriptor) { self.socket = socket }
    }
    private let loop: EventLoop
    private let ask: DNSStreams.Ask
    private let clients = Mutex<[ObjectIdentifier: Client]>([:])

    init(_ loop: EventLoop, ask: @escaping DNSStreams.Ask) {
        self.loop = loop
        self.ask = ask
    }

    /// Listens at an address.
    func listen(_ address: SocketAddress) throws -> EventSource {
        let listener = try Socket.listen(address, backlog: 16)
        return try loop.add(listener, [.read]) { [weak self] _ in
            while let socket = try? Socket.accept(listener) { self?.take(socket) }
        }
    }

    private func take(_ socket: Descriptor) {
        let now = HostClock.monotonic
        // Whoever is silent makes room for others.
        let silent = clients.withLock { $0.values.filter { now - $0.state.withLock { $0.seen } > Self.patience } }
        for client in silent { drop(client) }
        let client = Client(socket)
        let isTaken = clients.withLock { clients in
            guard clients.count < Self.clientLimit else { return false }
            clients[ObjectIdentifier(client)] = client
            return true
        }
        guard isTaken,
            let source = try? loop.add(
                socket, [.read],
                handler: { [weak self, weak client] _ in
                    if let client { self?.read(client) }
                })
        else { return Socket.shutDown(socket) }
        client.state.withLock { $0.source = source }
    }

    private func drop(_ client: Client) {
        client.state.withLock { $0.source }?.remove()
        Socket.shutDown(client.socket)
        clients.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(client)) }
    }

    private func read(_ client: Client) {
        guard let bytes = try? client.socket.readAvailable(limit: 1 << 16), !bytes.isEmpty else { return drop(client) }
        let messages = client.state.withLock { state -> [[UInt8]]? in
            state.seen = HostClock.monotonic
            state.input += bytes
            var messages: [[UInt8]] = []
            while state.input.count >= 2 {
                let count = Int(state.input[0]) << 8 | Int(state.input[1])
                guard count <= 8192 else { return nil }
                guard state.input.count >= 2 + count else { break }
                messages.append(Array(state.input[2..<2 + count]))
                state.input.removeFirst(2 + count)
            }
            return messages
        }
        guard let messages else { return drop(client) }
        for message in messages {
            ask(message) { [weak self, weak client] answer in
                guard let self, let client, answer.count <= 65535 else { return }
                let bytes = [UInt8(answer.count >> 8), UInt8(answer.count & 255)] + answer
                // Who does not read his answers is let go.
                // SAFETY: the array lives for the call.
                let sent = unsafe bytes.withUnsafeBytes { unsafe Socket.send(client.socket, $0) }
                if sent != .moved(bytes.count) { drop(client) }
            }
        }
    }

    /// Ends all connections.
    func close() { for client in clients.withLock({ Array($0.values) }) { drop(client) } }
}
