internal import HostOS
internal import Network
internal import Synchronization

/// Asks other name servers, and gives their answers to whoever asked. On the loop's thread; bounded.
final class DNSForwarder: Sendable {
    private static let limit = 256
    private static let patience: UInt64 = 5_000_000_000

    private struct Asked: Sendable {
        let id: UInt16
        let question: [UInt8]
        let asked: UInt64
        /// Where to ask again over TCP, and what, if the answer is too long; nil: it is cut.
        let again: (server: SocketAddress, query: [UInt8])?
        let done: @Sendable ([UInt8]) -> Void
    }
    private struct State {
        var pending: [UInt16: Asked] = [:]
        var sockets: [String: (Descriptor, EventSource)] = [:]
        var servers: [SocketAddress] = []
        var readAt: UInt64 = 0
    }
    private let loop: EventLoop
    private let state = Mutex(State())

    init(_ loop: EventLoop) { self.loop = loop }

    /// Sends a query to the first of the servers, or of the host's own. `overTCP`: an answer of any length is taken.
    func ask(
        _ query: [UInt8], _ servers: [String], overTCP: Bool = false, done: @escaping @Sendable ([UInt8]) -> Void
    ) {
        let now = HostClock.monotonic
        let given = servers.compactMap { text in
            IPv4Address(text).map { SocketAddress.ipv4($0.rawValue, port: 53) }
                ?? IPv6Address(text).map { SocketAddress.ipv6($0.bytes, port: 53) }
        }
        guard query.count >= 12, let server = given.first ?? hostServers(now).first,
            let socket = socket(for: server)
        else { return done(Self.failure(query)) }
        let id = state.withLock { state -> UInt16? in
            state.pending = state.pending.filter { now - $0.value.asked < Self.patience }
            guard state.pending.count < Self.limit else { return nil }
            var id = UInt16.random(in: 0...UInt16.max)
            while state.pending[id] != nil { id &+= 1 }
            state.pending[id] = Asked(
                id: UInt16(query[0]) << 8 | UInt16(query[1]), question: Array(query[12...].prefix(16)), asked: now,
                again: overTCP ? (server, query) : nil, done: done)
            return id
        }
        guard let id else { return }
        let bytes = [UInt8(id >> 8), UInt8(id & 255)] + query[2...]
        // SAFETY: the array lives for the call.
        let result = unsafe bytes.withUnsafeBytes { unsafe Socket.send(socket, $0) }
        if case .moved = result { return }
        state.withLock { _ = $0.pending.removeValue(forKey: id) }
        done(Self.failure(query))
    }

    private func socket(for server: SocketAddress) -> Descriptor? {
        if let (socket, _) = state.withLock({ $0.sockets[server.description] }) { return socket }
        guard let socket = try? Socket.datagram(local: nil, remote: server),
            let source = try? loop.add(socket, [.read], handler: { [weak self] _ in self?.receive(socket) })
        else { return nil }
        state.withLock { state in
            if state.sockets.count >= 16, let old = state.sockets.first {
                old.value.1.remove()
                state.sockets[old.key] = nil
            }
            state.sockets[server.description] = (socket, source)
        }
        return socket
    }

    private func receive(_ socket: Descriptor) {
        for _ in 0..<32 {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let result = unsafe bytes.withUnsafeMutableBytes { unsafe socket.read(into: $0) }
            guard case .moved(let count) = result else { return }
            guard count >= 12 else { continue }
            bytes.removeSubrange(count...)
            let id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
            let asked = state.withLock { state -> Asked? in
                guard let asked = state.pending[id], bytes[2] & 0x80 != 0,
                    bytes[12...].prefix(asked.question.count).elementsEqual(asked.question)
                else { return nil }
                state.pending[id] = nil
                return asked
            }
            guard let asked else { continue }
            bytes[0] = UInt8(asked.id >> 8)
            bytes[1] = UInt8(asked.id & 255)
            if let again = asked.again {
                guard bytes[2] & 2 != 0 else {
                    asked.done(bytes)
                    continue
                }
                DNSUpstream.ask(again.server, again.query, loop) { asked.done($0 ?? Self.failure(again.query)) }
                continue
            }
            // What does not fit a frame is cut, and says so.
            if bytes.count > 1400 {
                bytes = Array(bytes.prefix(12))
                bytes[2] |= 2
                bytes.replaceSubrange(4..<12, with: [UInt8](repeating: 0, count: 8))
            }
            asked.done(bytes)
        }
    }

    /// The servers of /etc/resolv.conf, read again after a while.
    private func hostServers(_ now: UInt64) -> [SocketAddress] {
        let (old, readAt) = state.withLock { ($0.servers, $0.readAt) }
        if readAt != 0, now - readAt < 10_000_000_000 { return old }
        let text = (try? HostFile.contents("/etc/resolv.conf", limit: 1 << 20)).map {
            String(decoding: $0, as: UTF8.self)
        }
        var servers: [SocketAddress] = []
        for line in (text ?? "").split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 2, words[0] == "nameserver" else { continue }
            let host = String(words[1])
            guard IPv4Address(host) != nil || IPv6Address(host) != nil else { continue }
            servers += (try? SocketAddress.resolve(host: host, port: "53", datagram: true)) ?? []
        }
        let all = servers
        state.withLock { state in
            state.servers = all
            state.readAt = now
        }
        return servers
    }

    /// "The server could not tell."
    private static func failure(_ query: [UInt8]) -> [UInt8] {
        guard query.count >= 12 else { return query }
        if let parsed = DNSQuery(query) { return parsed.answer(.failed) }
        return [query[0], query[1], 0x80, 0x82] + [UInt8](repeating: 0, count: 8)
    }
}
