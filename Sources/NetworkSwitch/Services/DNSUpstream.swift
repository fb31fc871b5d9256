internal import HostOS
internal import Synchronization

/// One question to another name server over TCP, for an answer that was too long for a datagram. On the loop's thread;
/// it keeps itself until it is done, which is after some seconds at the latest.
final class DNSUpstream: Sendable {
    private static let patience: UInt64 = 5_000_000_000

    private struct State {
        var source: EventSource?
        var timer: EventTimer?
        var output: [UInt8]
        var input: [UInt8] = []
        var done: (@Sendable ([UInt8]?) -> Void)?
    }
    private let state: Mutex<State>

    private init(_ query: [UInt8], _ done: @escaping @Sendable ([UInt8]?) -> Void) {
        state = Mutex(State(output: [UInt8(query.count >> 8), UInt8(query.count & 255)] + query, done: done))
    }

    /// Asks; `done` gets the answer, or nil where there is none.
    static func ask(
        _ server: SocketAddress, _ query: [UInt8], _ loop: EventLoop, done: @escaping @Sendable ([UInt8]?) -> Void
    ) {
        guard query.count <= 65535, let (socket, _) = try? Socket.startConnecting(server) else { return done(nil) }
        let upstream = DNSUpstream(query, done)
        guard let source = try? loop.add(socket, [.read, .write], handler: { upstream.happened($0, socket) }) else {
            return done(nil)
        }
        let timer = loop.makeTimer { upstream.finish(nil) }
        upstream.state.withLock { state in
            state.source = source
            state.timer = timer
        }
        timer.arm(after: patience)
    }

    private func happened(_ events: EventLoop.Events, _ socket: Descriptor) {
        if events.contains(.write) {
            let failed = state.withLock { state -> Bool in
                while !state.output.isEmpty {
                    // SAFETY: the array lives for the call.
                    switch unsafe state.output.withUnsafeBytes({ unsafe Socket.send(socket, $0) }) {
                    case .moved(let count): state.output.removeFirst(count)
                    case .wouldBlock: return false
                    case .end, .failed: return true
                    }
                }
                try? state.source?.modify([.read])
                return false
            }
            if failed { return finish(nil) }
        }
        guard !events.isDisjoint(with: [.read, .hangUp, .error]) else { return }
        guard let bytes = try? socket.readAvailable(limit: 1 << 17) else { return finish(nil) }
        let answer = state.withLock { state -> [UInt8]? in
            state.input += bytes
            guard state.input.count >= 2 else { return nil }
            let count = Int(state.input[0]) << 8 | Int(state.input[1])
            return state.input.count >= 2 + count ? Array(state.input[2..<2 + count]) : nil
        }
        if let answer { finish(answer) } else if bytes.isEmpty { finish(nil) }
    }

    private func finish(_ answer: [UInt8]?) {
        let (source, timer, done) = state.withLock { state in
            defer {
                state.source = nil
                state.timer = nil
                state.done = nil
            }
            return (state.source, state.timer, state.done)
        }
        source?.remove()
        timer?.cancel()
        done?(answer)
    }
}
