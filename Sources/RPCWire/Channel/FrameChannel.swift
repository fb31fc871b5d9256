public import HostOS
public import SASL
internal import Synchronization

/// Frames over a connected socket. Reads on its loop's thread, sends from any.
///
/// What cannot be sent at once is queued without bound; who sends much asks `queuedBytes` first, and waits for
/// `onDrain`. Handlers run on the loop's thread, without a lock held, and never after `onClose`.
public final class FrameChannel: Sendable {
    /// What the owner wants to be told.
    public struct Handlers: Sendable {
        /// A whole frame came.
        public var frame: @Sendable (Frame) -> Void
        /// The connection has ended: by the other end (nil), or by an error.
        public var close: @Sendable ((any Error)?) -> Void
        /// All that was queued is with the kernel.
        public var drain: @Sendable () -> Void

        /// All handlers.
        public init(
            frame: @escaping @Sendable (Frame) -> Void, close: @escaping @Sendable ((any Error)?) -> Void,
            drain: @escaping @Sendable () -> Void = {}
        ) {
            self.frame = frame
            self.close = close
            self.drain = drain
        }
    }

    struct State {
        var output = FrameOutput()
        var source: EventSource?
        var paused = false
        var closed = false
        var closesWhenSent = false
    }

    /// Only the loop's thread uses it.
    private final class Input {
        var decoder = FrameDecoder()
        var delivering = false
    }

    /// What carries the frames.
    public let transport: FrameTransport
    /// The socket, for its options and credentials.
    public var socket: Descriptor { transport.socket }
    private let loop: EventLoop
    private let handlers: Handlers
    let state = Mutex(State())
    private nonisolated(unsafe) let input = Input()

    /// A channel that reads nothing until `start`. The socket must be in non-blocking mode.
    public convenience init(_ socket: Descriptor, loop: EventLoop, handlers: Handlers) {
        self.init(FrameTransport(socket), loop: loop, handlers: handlers)
    }

    /// A channel that reads nothing until `start`.
    public init(_ transport: FrameTransport, loop: EventLoop, handlers: Handlers) {
        self.transport = transport
        self.loop = loop
        self.handlers = handlers
    }

    /// Begins to read. Call once. The channel keeps itself until it is closed.
    public func start() throws(HostError) {
        let source = try loop.add(socket, EventLoop.Events.read) { events in self.ready(events) }
        state.withLock { $0.source = source }
    }

    /// Bytes that wait to be sent.
    public var queuedBytes: Int { state.withLock { $0.output.count } }

    /// Sends a frame after those before it. Does nothing once the channel is closed.
    ///
    /// - Parameter layer: what all bytes after that frame go through, both ways. Reading must be paused: nothing of the
    ///   other end may come in between, and what had come before ends the connection.
    public func send(_ frame: Frame, then layer: SASLSession? = nil) {
        state.withLock { state in
            guard !state.closed, !state.closesWhenSent else { return }
            let direct = state.output.isEmpty
            state.output.append(frame)
            if let layer {
                state.output.layer = layer
                loop.post { self.refuseEarlyBytes() }
            }
            // Errors are found again by the loop, which then closes.
            if direct { _ = state.output.flush(to: transport) }
            watch(&state)
        }
    }

    /// Stops and resumes reading, so that one client's calls do not pile up.
    public func setPaused(_ paused: Bool) {
        let resumed = state.withLock { state -> Bool in
            guard state.paused != paused, !state.closed else { return false }
            state.paused = paused
            watch(&state)
            return !paused
        }
        // Whole frames may lie in the decoder, of which no event will tell.
        if resumed { loop.post { self.deliver() } }
    }

    /// Closes once everything queued is sent.
    public func closeWhenSent() {
        let now = state.withLock { state -> Bool in
            state.closesWhenSent = true
            return state.output.isEmpty
        }
        if now { loop.post { self.close(nil) } }
    }

    /// Closes. On the loop's thread `onClose` runs before this returns, elsewhere soon.
    public func close() {
        if loop.isCurrent { close(nil) } else { loop.post { self.close(nil) } }
    }

    private func watch(_ state: inout State) {
        var events: EventLoop.Events = state.paused ? [.peerClosed] : [.read]
        if !state.output.isEmpty { events.insert(.write) }
        try? state.source?.modify(events)
    }

    private func close(_ error: (any Error)?) {
        let first = state.withLock { state -> Bool in
            guard !state.closed else { return false }
            state.closed = true
            state.source?.remove()
            state.source = nil
            state.output = FrameOutput()
            return true
        }
        guard first else { return }
        transport.shutDown()
        handlers.close(error)
    }

    // MARK: - The loop's thread

    /// Whoever sent something ahead of the layer is not whom the layer is with, perhaps.
    private func refuseEarlyBytes() {
        // SAFETY: only this thread touches the decoder.
        if unsafe input.decoder.pendingBytes > 0 { close(FrameError.unsecured) }
    }

    private func ready(_ events: EventLoop.Events) {
        if events.contains(.write) { flush() }
        if events.contains(.read) {
            receive()
        } else if !events.isDisjoint(with: [.peerClosed, .hangUp, .error]) {
            close(nil)
        }
    }

    private func flush() {
        let (result, sent) = state.withLock { state -> (Descriptor.Transfer, Bool) in
            let result = state.output.flush(to: transport)
            watch(&state)
            return (result, state.output.isEmpty)
        }
        if case .failed(let number) = result { return close(FrameOutput.error(number)) }
        guard sent else { return }
        if state.withLock({ $0.closesWhenSent }) { close(nil) } else { handlers.drain() }
    }

    private func receive() {
        var count = 0
        var outcome = Descriptor.Transfer.wouldBlock
        var descriptors: [Descriptor] = []
        // SAFETY: the buffer is filled by the kernel up to the reported count and copied before it goes.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, initialized in
            let (transfer, passed) = unsafe transport.receive(into: UnsafeMutableRawBufferPointer(buffer))
            if case .moved(let moved) = transfer { count = moved }
            (outcome, descriptors, initialized) = (transfer, passed, count)
        }
        switch outcome {
        case .moved:
            do throws(SASLError) {
                let plain = try opened(bytes)
                // SAFETY: only this thread touches the decoder.
                unsafe input.decoder.feed(plain, descriptors: descriptors)
                deliver()
            } catch { close(error) }
        case .wouldBlock: break
        case .end: close(nil)
        case .failed(let number): close(FrameOutput.error(number))
        }
    }

    /// What came, out of its layer.
    private func opened(_ bytes: [UInt8]) throws(SASLError) -> [UInt8] {
        guard let layer = state.withLock({ $0.output.layer }) else { return bytes }
        return try layer.decode(bytes)
    }

    private func deliver() {
        // SAFETY: only this thread touches the decoder.
        guard unsafe !input.delivering else { return }
        unsafe input.delivering = true
        defer { unsafe input.delivering = false }
        while !state.withLock({ $0.paused || $0.closed }) {
            do throws(FrameError) {
                guard let frame = try unsafe input.decoder.next() else { return }
                handlers.frame(frame)
            } catch {
                return close(error)
            }
        }
    }
}
