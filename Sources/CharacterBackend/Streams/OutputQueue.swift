package import HostOS
internal import Synchronization

/// Carries bytes to a descriptor as fast as it takes them, and keeps the rest in order up to a bound. Any thread.
package final class OutputQueue: Sendable {
    /// How bytes are written without waiting.
    package enum Way: Sendable {
        /// `write` on a descriptor in non-blocking mode, or one that is always ready.
        case write
        /// `send`: needs no mode and raises no signal.
        case send
        /// Small writes after a look at readiness, for a blocking descriptor whose mode others share.
        case guarded
    }

    private struct State {
        var descriptor: Descriptor?
        var source: EventSource?
        var way = Way.write
        var ring = ByteRing()
        var congested = false
        var dropped: UInt64 = 0
        var writable: (@Sendable () -> Void)?
        var failed: (@Sendable () -> Void)?
    }

    /// The back-pressure flag rises here.
    private static let congestionMark = 16 << 10
    /// What a waiting queue may hold because the loop's own thread cannot wait for itself.
    private static let loopBound = 16 << 20

    private let loop: EventLoop
    private let bound: Int
    private let policy: OverflowPolicy
    private let state = Mutex(State())

    /// A queue of at most `bound` bytes.
    package init(loop: EventLoop, policy: OverflowPolicy, bound: Int = 1 << 20) {
        self.loop = loop
        self.policy = policy
        self.bound = max(1, bound)
    }

    /// Bytes that wait.
    package var pendingCount: Int { state.withLock { $0.ring.count } }
    /// Bytes that were dropped so far.
    package var droppedCount: UInt64 { state.withLock { $0.dropped } }
    /// See `HostCharacterPort.isCongested`.
    package var isCongested: Bool { state.withLock { $0.congested } }
    /// Whether there is a descriptor to write to.
    package var isAttached: Bool { state.withLock { $0.descriptor != nil } }

    package func setWritableHandler(_ handler: (@Sendable () -> Void)?) { state.withLock { $0.writable = handler } }

    /// Writes to `descriptor` from now on, which must not be in the loop otherwise. `failed` runs on the loop's thread
    /// when it takes no more; what is written after that is lost.
    package func attach(
        _ descriptor: Descriptor, _ way: Way, failed: (@Sendable () -> Void)? = nil
    ) throws(HostError) {
        detach()
        let source = try loop.add(descriptor, []) { [weak self] _ in self?.flush() }
        state.withLock {
            $0.descriptor = descriptor
            $0.source = source
            $0.way = way
            $0.failed = failed
        }
    }

    /// Writes no more, and forgets what waits.
    package func detach() {
        let source = state.withLock { state -> EventSource? in
            defer {
                state.descriptor = nil
                state.source = nil
                state.failed = nil
                state.ring = ByteRing()
            }
            return state.source
        }
        source?.remove()
        endCongestion()
    }

    /// Sends bytes; with nothing attached they are lost. Waits only by policy.
    package func write(_ bytes: [UInt8]) {
        if bytes.isEmpty { return }
        let waitsForRoom = policy == OverflowPolicy.wait && !loop.isCurrent
        // By parts, or one great write would exceed the bound.
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(waitsForRoom ? min(bound, 64 << 10) : rest.count)
            state.withLock { enqueue(part, &$0) }
            rest = rest.dropFirst(part.count)
            if waitsForRoom { waitForRoom(below: bound) }
        }
    }

    /// Waits until all is written, at most so long.
    package func drain(milliseconds: Int32) {
        let end = HostClock.monotonic + UInt64(max(0, milliseconds)) * 1_000_000
        while let descriptor = state.withLock({ $0.ring.isEmpty ? nil : $0.descriptor }) {
            let now = HostClock.monotonic
            if now >= end { return }
            _ = descriptor.wait(for: [.write], milliseconds: Int32((end - now) / 1_000_000 + 1))
            flush()
        }
    }

    private func waitForRoom(below limit: Int) {
        while let descriptor = state.withLock({ $0.ring.count <= limit ? nil : $0.descriptor }) {
            _ = descriptor.wait(for: [.write], milliseconds: 100)
            flush()
        }
    }

    // MARK: - Under the lock

    private func enqueue(_ bytes: ArraySlice<UInt8>, _ state: inout State) {
        guard let descriptor = state.descriptor else { return }
        var rest = bytes
        if state.ring.isEmpty {
            unsafe rest.withUnsafeBytes { buffer in
                var left = unsafe buffer[...]
                while unsafe !left.isEmpty {
                    let transfer = unsafe OutputQueue.send(
                        descriptor, state.way, UnsafeRawBufferPointer(rebasing: left))
                    guard case .moved(let count) = transfer else {
                        if case .wouldBlock = transfer { return }
                        fail(&state)
                        return
                    }
                    unsafe left = left.dropFirst(count)
                    rest = rest.dropFirst(count)
                }
            }
            if rest.isEmpty || state.descriptor == nil { return }
        }
        state.ring.append(rest)
        let limit = policy == OverflowPolicy.dropOldest ? bound : loop.isCurrent ? OutputQueue.loopBound : Int.max
        let excess = state.ring.count - limit
        if excess > 0 {
            state.ring.removeFirst(excess)
            state.dropped &+= UInt64(excess)
        }
        if state.ring.count > min(OutputQueue.congestionMark, bound / 2) { state.congested = true }
        try? state.source?.modify([.write])
    }

    private func fail(_ state: inout State) {
        state.ring = ByteRing()
        state.descriptor = nil
        // epoll would report the error in every round.
        state.source?.remove()
        state.source = nil
        if let failed = state.failed { loop.post(failed) }
    }

    private static func send(_ descriptor: Descriptor, _ way: Way, _ buffer: UnsafeRawBufferPointer)
        -> Descriptor.Transfer
    {
        switch way {
        case .write: return unsafe descriptor.write(buffer)
        case .send: return unsafe Socket.send(descriptor, buffer)
        case .guarded:
            guard descriptor.wait(for: [.write], milliseconds: 0).contains(.write) else { return .wouldBlock }
            return unsafe descriptor.write(UnsafeRawBufferPointer(rebasing: buffer.prefix(512)))
        }
    }

    /// Writes what waits, as far as it goes.
    private func flush() {
        state.withLock { state in
            while !state.ring.isEmpty, let descriptor = state.descriptor {
                let way = state.way
                let transfer = unsafe state.ring.withFront { unsafe OutputQueue.send(descriptor, way, $0) }
                guard case .moved(let count) = transfer else {
                    if case .wouldBlock = transfer { return }
                    fail(&state)
                    break
                }
                state.ring.removeFirst(count)
            }
            try? state.source?.modify([])
        }
        endCongestion()
    }

    private func endCongestion() {
        let handler = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.congested, state.ring.isEmpty else { return nil }
            state.congested = false
            return state.writable
        }
        if let handler { loop.post(handler) }
    }
}
