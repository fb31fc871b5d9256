internal import CLinux
internal import HostOS
internal import Synchronization

/// A connection with a queue of what is to be sent. One thread receives, and sends what had to wait while it waits
/// itself; any thread queues and sends.
final class NBDChannel: Sendable {
    /// A part of the queue: memory that lives while its owner does.
    @safe struct Piece: @unchecked Sendable {
        // Sendable: nobody writes to the memory while it is in the queue.
        let owner: AnyObject?
        let base: UnsafeRawPointer
        let count: Int

        /// Memory that the owner keeps; without an owner, the submitter of the request in flight does.
        init(owner: AnyObject?, base: UnsafeRawPointer, count: Int) {
            self.owner = owner
            unsafe self.base = base
            self.count = count
        }

        /// A copy of bytes.
        init(_ bytes: [UInt8]) {
            let buffer = NBDBuffer(count: bytes.count)
            buffer.store(bytes, at: 0)
            unsafe self.init(owner: buffer, base: UnsafeRawPointer(buffer.base), count: bytes.count)
        }
    }

    private struct Outgoing {
        var queue: [Piece] = []
        var head = 0
        /// Bytes of the first piece that have gone.
        var sent = 0
        /// Bytes of the whole queue.
        var bytes = 0
        var held = 0
        var failure: Int32 = 0
    }

    let transport: any NBDTransport
    private let outgoing = Mutex(Outgoing())
    private let wake: EventCounter
    private let isAsleep = Atomic(false)

    init(_ transport: any NBDTransport) throws(HostError) {
        self.transport = transport
        wake = try EventCounter()
    }

    // MARK: Sending

    /// Bytes that wait to be sent.
    var queuedBytes: Int { outgoing.withLock { $0.bytes } }

    /// Queues pieces, in one go. They are sent at once where they can be, unless `isHeld` or a hold is on.
    func send(_ pieces: [Piece], isHeld: Bool = false) {
        let waits = outgoing.withLock { state -> Bool in
            guard state.failure == 0 else { return false }
            for piece in pieces where piece.count > 0 {
                state.queue.append(piece)
                state.bytes += piece.count
            }
            return !isHeld && state.held == 0 && flush(&state)
        }
        if waits || isHeld { ring() }
    }

    /// Until `release`, what is queued is not sent. Nests.
    func hold() { outgoing.withLock { $0.held += 1 } }

    /// Sends what was held.
    func release() {
        let waits = outgoing.withLock { state -> Bool in
            state.held -= 1
            return state.held == 0 && flush(&state)
        }
        if waits { ring() }
    }

    /// Sends what can be sent; whether some is left. Any thread.
    @discardableResult
    func flush() -> Bool { outgoing.withLock { flush(&$0) } }

    /// Wakes the receiving thread out of its sleep.
    func ring() {
        if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { wake.signal() }
    }

    private func flush(_ state: inout Outgoing) -> Bool {
        while state.head < state.queue.count {
            var vectors = unsafe [iovec]()
            var skip = state.sent
            for piece in state.queue[state.head..<min(state.queue.count, state.head + 256)] {
                let base = unsafe UnsafeMutableRawPointer(mutating: piece.base + skip)
                unsafe vectors.append(iovec(iov_base: base, iov_len: piece.count - skip))
                skip = 0
            }
            let result = unsafe transport.send(vectors)
            switch result {
            case .moved(let count): advance(&state, count)
            case .wouldBlock: return true
            case .end, .failed:
                state.failure = EPIPE
                state.queue = []
                (state.head, state.sent, state.bytes) = (0, 0, 0)
                transport.shutDown()
                return false
            }
        }
        return false
    }

    private func advance(_ state: inout Outgoing, _ count: Int) {
        var left = count
        state.bytes -= count
        while left > 0, state.head < state.queue.count {
            let rest = state.queue[state.head].count - state.sent
            guard left >= rest else {
                state.sent += left
                return
            }
            left -= rest
            state.sent = 0
            state.head += 1
        }
        if state.head == state.queue.count {
            state.queue.removeAll(keepingCapacity: true)
            state.head = 0
        } else if state.head >= 1024 {
            state.queue.removeFirst(state.head)
            state.head = 0
        }
    }

    /// Whether pieces of an owner have not been sent yet.
    func isQueued(_ owner: AnyObject) -> Bool {
        outgoing.withLock { state in state.queue[state.head...].contains { $0.owner === owner } }
    }

    /// Forgets what has not been sent, and what will be.
    func abandon() {
        outgoing.withLock { state in
            state.failure = EPIPE
            state.queue = []
            (state.head, state.sent, state.bytes) = (0, 0, 0)
        }
    }

    // MARK: Receiving

    /// Takes what is there, without waiting.
    func receive(into base: UnsafeMutableRawPointer, count: Int) -> Descriptor.Transfer {
        unsafe transport.receive(into: base, count: count)
    }

    /// Sleeps until there is something to receive (if asked for) or a ring, and sends meanwhile. `isReady` is looked
    /// at after other threads have been told to ring. False when `milliseconds` are over (-1: never).
    func wait(receives: Bool, milliseconds: Int32 = -1, unless isReady: () -> Bool = { false }) -> Bool {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        defer { isAsleep.store(false, ordering: .sequentiallyConsistent) }
        if isReady() { return true }
        let sends = outgoing.withLock { $0.held == 0 && flush(&$0) }
        var requests = [
            pollfd(fd: wake.descriptor.rawValue, events: Int16(POLLIN), revents: 0),
            pollfd(
                fd: transport.descriptor, events: Int16((receives ? POLLIN : 0) | (sends ? POLLOUT : 0)), revents: 0),
        ]
        // SAFETY: the array outlives the call.
        let count = unsafe apus_poll(&requests, 2, milliseconds)
        if requests[0].revents != 0 { wake.take() }
        return count != 0
    }

    /// Ends the connection: the receiving thread sees its end.
    func shutDown() {
        transport.shutDown()
        wake.signal()
    }
}

/// Memory for the bytes of a request or reply.
@safe final class NBDBuffer: @unchecked Sendable {
    // Sendable: whoever holds the request works on it alone.
    let base: UnsafeMutableRawPointer
    let count: Int

    init(count: Int) {
        self.count = count
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 16)
    }

    deinit { unsafe base.deallocate() }

    /// Stores bytes; what does not fit is left away.
    func store(_ bytes: [UInt8], at offset: Int) {
        guard offset >= 0, offset <= count, !bytes.isEmpty else { return }
        // SAFETY: the range lies inside the buffer.
        unsafe bytes.withUnsafeBytes {
            unsafe (base + offset).copyMemory(from: $0.baseAddress!, byteCount: min(bytes.count, count - offset))
        }
    }
}
