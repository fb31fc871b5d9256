internal import HostOS
internal import Synchronization

/// One stream socket of the host's that belongs to a connection of the guest's. Confined to the device's thread.
final class HostSocket: Sendable {
    /// Bytes that a client may write before its request is complete: `CONNECT 4294967295\n` and some room.
    private static let mostRequestBytes = 32

    private struct State {
        var source: EventSource?
        var output: [UInt8] = []
        /// Bytes at the beginning of `output` that are not the guest's.
        var own = 0
        var request: [UInt8] = []
        var isEnding = false
        var hasEnded = false
        var interest: EventLoop.Events = []
    }
    let descriptor: Descriptor
    private let state = Mutex(State())

    init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    /// Watches it; nothing is waited for yet.
    func watch(_ thread: WorkerThread, _ handler: @escaping EventSource.Handler) throws(HostError) {
        // A descriptor is in a loop once.
        state.withLock { $0.source }?.remove()
        let source = try thread.watch(descriptor, [], handler: handler)
        state.withLock { $0.source = source }
    }
    /// What is waited for besides room for what waits here.
    func wait(for events: EventLoop.Events) {
        state.withLock { state in
            state.interest = events
            update(&state)
        }
    }
    private func update(_ state: inout State) {
        let wanted = state.output.isEmpty ? state.interest : state.interest.union(.write)
        try? state.source?.modify(wanted)
    }

    func close() {
        let source = state.withLock { state -> EventSource? in
            defer { state.source = nil }
            return state.source
        }
        source?.remove()
        Socket.shutDown(descriptor)
    }

    /// The port that a client asks for, once its line is whole; nil while it is not. What is no request, or an end, is an
    /// error.
    func readRequest() throws(HostError) -> UInt32? {
        try state.withLock { state throws(HostError) -> UInt32? in
            // Byte by byte: what follows the line is the guest's.
            while true {
                var byte: UInt8 = 0
                // SAFETY: one byte on this stack.
                switch unsafe withUnsafeMutableBytes(of: &byte, { unsafe Socket.receive(descriptor, into: $0).0 }) {
                case .wouldBlock: return nil
                case .end, .failed: throw HostError.noDescriptor("read a request")
                case .moved: break
                }
                if byte != 10 {
                    state.request.append(byte)
                    guard state.request.count <= Self.mostRequestBytes else {
                        throw HostError.noDescriptor("read a request of that length")
                    }
                    continue
                }
                let words = String(decoding: state.request, as: UTF8.self).split(separator: " ")
                guard words.count == 2, words[0].uppercased() == "CONNECT", let port = UInt32(words[1]) else {
                    throw HostError.noDescriptor("understand a request")
                }
                return port
            }
        }
    }

    /// Up to `limit` bytes that are there; nil for none now, none at all for the end.
    func read(limit: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        // SAFETY: the buffer is the array.
        switch unsafe bytes.withUnsafeMutableBytes({ unsafe Socket.receive(descriptor, into: $0).0 }) {
        case .moved(let count): return Array(bytes.prefix(count))
        case .wouldBlock: return nil
        case .end, .failed: return []
        }
    }

    /// Writes a line of this process's own before all else.
    func greet(_ line: String) -> Bool {
        state.withLock { state in
            state.output = Array(line.utf8)
            state.own = state.output.count
            return flush(&state) != nil
        }
    }

    /// Writes what it can, keeps the rest. Returns how many bytes went; nil where the other end has gone.
    func write(_ bytes: [UInt8]) -> Int? {
        state.withLock { state in
            state.output += bytes
            return flush(&state)
        }
    }
    /// There is room again.
    func flush() -> Int? { state.withLock { flush(&$0) } }

    private func flush(_ state: inout State) -> Int? {
        var done = 0
        var failed = false
        unsafe state.output.withUnsafeBytes { buffer in
            while done < buffer.count {
                // SAFETY: a part of the array.
                switch unsafe Socket.send(descriptor, UnsafeRawBufferPointer(rebasing: buffer[done...])) {
                case .moved(let count) where count > 0: done += count
                case .moved, .wouldBlock: return
                case .end, .failed:
                    failed = true
                    return
                }
            }
        }
        state.output.removeFirst(done)
        if failed { return nil }
        if state.isEnding, state.output.isEmpty, !state.hasEnded {
            state.hasEnded = true
            Socket.endOutput(descriptor)
        }
        update(&state)
        let own = min(done, state.own)
        state.own -= own
        return done - own
    }

    /// No more is written after what waits.
    func endOutput() {
        state.withLock { $0.isEnding = true }
        _ = flush()
    }
}
