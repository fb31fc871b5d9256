public import DeviceModel
public import HostOS
internal import Log
internal import Synchronization

/// A stream socket: a server with one client at a time, or a client that may connect again.
///
/// What is written while nobody is connected is lost. A client that hangs up makes room for the next; what it sent
/// before is still delivered.
public final class SocketPort: HostCharacterPort {
    public let label: String
    public let filename: String
    private let specification: SocketSpecification
    private let loop: EventLoop
    private let log: Logger
    private let input: InputPump
    private let output: OutputQueue
    private let addresses: [SocketAddress]
    /// The path of a server's Unix socket, which goes with it. Its folder may not be the process's one at the end.
    private let path: String?
    /// Whether descriptors may come with the bytes.
    private let isUnix: Bool

    private struct State {
        var closed = false
        /// The connected socket, and how many there were: a late end of an older one must not end it.
        var socket: Descriptor?
        var generation: UInt64 = 0
        var listener: EventSource?
        var attempt: EventSource?
        var retry: EventTimer?
        var nextAddress = 0
        var passed: [Descriptor] = []
        /// A failure is told once for each outage.
        var complained = false
    }
    private let state = Mutex(State())

    /// Opens a socket. A server listens, and with `waits` returns when its first client is there, after telling so by
    /// `announce`. A client without `reconnect` is connected when this returns.
    public init(
        label: String, _ specification: SocketSpecification, overflow: OverflowPolicy = OverflowPolicy.dropOldest,
        loop: EventLoop, announce: (String) -> Void = { _ in }
    ) throws(HostError) {
        self.label = label
        self.specification = specification
        self.loop = loop
        log = Logger(label)
        filename = specification.description
        addresses = try specification.addresses()
        var adopted: Descriptor?
        switch specification.endpoint {
        case .unix(let name): (path, isUnix) = (HostFile.absolute(name), true)
        case .tcp: (path, isUnix) = (nil, false)
        case .descriptor(let number):
            let socket = try Socket.adopt(number, listening: specification.isServer)
            let address = try Socket.localAddress(socket)
            (path, isUnix) = (address.path.map(HostFile.absolute), address.isUnix)
            adopted = socket
        }
        input = InputPump(loop: loop)
        output = OutputQueue(loop: loop, policy: overflow)
        if specification.isServer {
            try listen(adopted, announce)
        } else if let adopted {
            connected(adopted)
        } else if specification.reconnectMilliseconds > 0 {
            let timer = loop.makeTimer { [weak self] in self?.tryConnecting() }
            state.withLock { $0.retry = timer }
            loop.post { [weak self] in self?.tryConnecting() }
        } else {
            connected(try Socket.connect(anyOf: addresses))
        }
    }

    public var isConnected: Bool { state.withLock { $0.socket != nil } }
    public var isCongested: Bool { output.isCongested }

    /// The port of a TCP server, also when it was told 0 and the kernel chose.
    public var boundPort: UInt16 {
        guard let listener = state.withLock({ $0.listener }) else { return 0 }
        return (try? Socket.localAddress(listener.descriptor))?.port ?? 0
    }

    /// The oldest descriptor that the peer passed over a Unix socket and nobody has taken.
    public func takePassedDescriptor() -> Descriptor? {
        state.withLock { $0.passed.isEmpty ? nil : $0.passed.removeFirst() }
    }

    public func write(_ bytes: [UInt8]) {
        output.write(specification.isTelnet ? TelnetFilter.quote(bytes) : bytes)
    }

    public func setReceiver(_ receiver: (any CharacterReceiver)?) { input.setReceiver(receiver) }
    public func acceptInput() { input.acceptInput() }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) { output.setWritableHandler(handler) }

    public func close() {
        output.drain(milliseconds: 100)
        let old = state.withLock { state -> State in
            defer {
                state = State()
                state.closed = true
            }
            return state
        }
        old.retry?.cancel()
        old.attempt?.remove()
        old.listener?.remove()
        drop(old.socket)
        if specification.isServer, let path { try? HostFile.remove(path) }
    }

    /// What a socket is to a device that speaks on it by itself.
    public struct Parts: Sendable {
        /// The connection, where there is one.
        public let connection: Descriptor?
        /// Of a server, the socket that listens.
        public let listener: Descriptor?
        /// Of a client, where it connects to.
        public let address: SocketAddress?
        /// How long after its end a client connects again; 0: never.
        public let reconnectMilliseconds: Int
    }

    /// Hands a Unix socket over with its connection; from then on this port does nothing but keep the path. Nil for
    /// another kind of socket, and where it was done before.
    public func surrender() -> Parts? {
        guard isUnix, !specification.isTelnet else { return nil }
        let old = state.withLock { state -> State? in
            guard !state.closed else { return nil }
            defer {
                state = State()
                state.closed = true
            }
            return state
        }
        guard let old else { return nil }
        old.retry?.cancel()
        old.attempt?.remove()
        old.listener?.remove()
        input.detach()
        output.detach()
        return Parts(
            connection: old.socket, listener: old.listener?.descriptor, address: addresses.first,
            reconnectMilliseconds: specification.reconnectMilliseconds)
    }

    /// Ends the connection; a server waits for the next, a client with `reconnect` connects again.
    public func disconnect() {
        loop.post { [weak self] in
            guard let self else { return }
            self.lost(generation: self.state.withLock { $0.generation })
        }
    }

    // MARK: - Server

    private func listen(_ adopted: Descriptor?, _ announce: (String) -> Void) throws(HostError) {
        let listener: Descriptor
        if let adopted {
            listener = adopted
        } else {
            guard let address = addresses.first else { return }
            listener = try Socket.listen(address)
        }
        let source = try loop.add(listener, []) { [weak self] _ in self?.accept() }
        state.withLock { $0.listener = source }
        if specification.waits {
            announce("Waiting for a connection on \(filename)")
            while !isConnected {
                _ = listener.wait(for: [.read], milliseconds: -1)
                if let socket = try Socket.accept(listener) { connected(socket) }
            }
        } else {
            try source.modify([.read])
        }
    }

    private func accept() {
        guard let listener = state.withLock({ $0.listener }) else { return }
        do {
            guard let socket = try Socket.accept(listener.descriptor) else { return }
            // Further clients wait in the kernel.
            try listener.modify([])
            connected(socket)
        } catch {
            log.warning("\(error)")
        }
    }

    // MARK: - Client

    private func tryConnecting() {
        let address = state.withLock { state -> SocketAddress? in
            guard !state.closed, state.socket == nil, !addresses.isEmpty else { return nil }
            state.nextAddress = (state.nextAddress + 1) % addresses.count
            return addresses[state.nextAddress]
        }
        guard let address else { return }
        do {
            let (socket, done) = try Socket.startConnecting(address)
            if done { return connected(socket) }
            let source = try loop.add(socket, [.write]) { [weak self] _ in self?.attemptEnded(socket, address) }
            state.withLock { $0.attempt = source }
        } catch {
            retry(after: error)
        }
    }

    private func attemptEnded(_ socket: Descriptor, _ address: SocketAddress) {
        let attempt = state.withLock { state -> EventSource? in
            defer { state.attempt = nil }
            return state.attempt
        }
        attempt?.remove()
        do {
            try Socket.connectResult(socket, address)
            connected(socket)
        } catch {
            retry(after: error)
        }
    }

    private func retry(after error: HostError?) {
        let (timer, first) = state.withLock { state -> (EventTimer?, Bool) in
            defer { state.complained = true }
            return (state.closed ? nil : state.retry, !state.complained)
        }
        if let error, first { log.warning("\(error); trying again") }
        timer?.arm(after: UInt64(specification.reconnectMilliseconds) * 1_000_000)
    }

    // MARK: - Connection

    private func connected(_ socket: Descriptor) {
        if specification.noDelay { Socket.setNoDelay(socket) }
        let generation = state.withLock { state -> UInt64? in
            if state.closed { return nil }
            state.socket = socket
            state.generation &+= 1
            state.complained = false
            return state.generation
        }
        guard let generation else { return }
        do {
            // A failure needs no care here: the input ends too, after what the peer sent before it went.
            try output.attach(socket.duplicate(), OutputQueue.Way.send)
            if specification.isTelnet && specification.isServer { output.write(TelnetFilter.greeting) }
            try input.attach(feed(socket, generation))
            input.notify(CharacterEvent.opened)
        } catch {
            log.warning("\(error)")
            lost(generation: generation)
        }
    }

    private func feed(_ socket: Descriptor, _ generation: UInt64) -> InputPump.Feed {
        var feed = InputPump.Feed(socket) { [weak self] in self?.lost(generation: generation) }
        if isUnix { feed.passed = { [weak self] in self?.keep($0) } }
        if specification.isTelnet {
            let filter = TelnetBox()
            feed.filter = { filter.receive($0) }
        }
        return feed
    }

    /// A peer may pass descriptors without end: the newest are kept.
    private func keep(_ passed: [Descriptor]) {
        state.withLock { $0.passed = Array(($0.passed + passed).suffix(16)) }
    }

    private func lost(generation: UInt64) {
        let socket = state.withLock { state -> Descriptor? in
            guard state.generation == generation else { return nil }
            defer {
                state.socket = nil
                state.passed = []
            }
            return state.socket
        }
        guard let socket else { return }
        drop(socket)
        input.notify(CharacterEvent.closed)
        if specification.isServer {
            try? state.withLock { $0.listener }?.modify([.read])
        } else if specification.reconnectMilliseconds > 0 {
            retry(after: nil)
        }
    }

    private func drop(_ socket: Descriptor?) {
        input.detach()
        output.detach()
        if let socket { Socket.shutDown(socket) }
    }
}

/// A telnet filter that the read path of one connection owns.
private final class TelnetBox: Sendable {
    private let filter = Mutex(TelnetFilter())
    func receive(_ bytes: [UInt8]) -> ([UInt8], [CharacterEvent]) { filter.withLock { $0.receive(bytes) } }
}
