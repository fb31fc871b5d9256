public import HostOS
internal import Log
internal import Synchronization

/// A back-end whose frames go through a stream socket, each behind its length: `-netdev stream` and the TCP form of
/// `-netdev socket`. One peer at a time. Any thread.
///
/// What the peer does not read waits in a ring of a fixed size; what has no room there is dropped.
public final class StreamNetwork: NetworkBackend {
    /// How the peer is found.
    public enum Role: Sendable {
        /// Connects to the first address that answers.
        case connect([SocketAddress])
        /// Waits for peers at an address.
        case listen(SocketAddress)
        /// A connected socket.
        case connected(Descriptor)
    }
    /// What happened to the peer.
    public enum Change: Sendable, Equatable {
        /// There is one, at the address.
        case connected(String)
        /// It has gone.
        case disconnected
    }

    private let core: StreamCore
    private let thread: NetworkThread

    /// Makes the socket; connecting goes on in the background where the address can be waited for.
    ///
    /// - Parameters:
    ///   - reconnect: nanoseconds after which a connection is tried again; nil: never.
    ///   - hasHeaders: a `virtio_net_hdr` of 12 bytes goes before each frame, within its length.
    ///   - changed: called on the network's thread.
    public init(
        _ role: Role, name: String, reconnect: UInt64? = nil, hasHeaders: Bool = false,
        changed: @escaping @Sendable (Change) -> Void = { _ in }
    ) throws(HostError) {
        thread = try NetworkThread(name: name)
        core = StreamCore(
            loop: thread.loop, role: role, name: name, reconnect: reconnect, hasHeaders: hasHeaders, changed: changed)
        do throws(HostError) { try core.start() } catch {
            thread.stop()
            throw error
        }
    }

    deinit { stop() }

    public func transmit(_ frame: UnsafeRawBufferPointer) -> Bool { unsafe core.transmit(frame, FrameOffload.none) }
    public func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        unsafe core.transmit(frame, offload)
    }
    public func flush() { core.flush() }
    public var offloads: FrameOffloads { core.hasHeaders ? FrameOffloads.all : [] }
    public func setReceiver(_ receiver: (any FrameReceiver)?) { core.setReceiver(receiver) }
    public func receiverReady() { core.receiverReady() }
    public func stop() {
        core.stop()
        thread.stop()
    }
    /// The address that a peer connects to; nil for other roles.
    public var listeningAddress: SocketAddress? { core.listeningAddress }
    /// Whether there is a peer.
    public var isConnected: Bool { core.isConnected }
}

/// What the thread shares with others.
private final class StreamCore: Sendable {
    private struct Link: ~Copyable {
        var socket: Descriptor?
        var source: EventSource?
        var outbox = StreamOutbox(capacity: 1 << 21)
        var waitsForRoom = false
        var isStopped = false
        var attempt: EventSource?
        var listener: EventSource?
        var isPaused = false
    }
    /// Bytes after which a batch goes out before its end.
    private static let batch = 1 << 18

    private let loop: EventLoop
    private let role: StreamNetwork.Role
    private let reconnect: UInt64?
    let hasHeaders: Bool
    private let changed: @Sendable (StreamNetwork.Change) -> Void
    private let link = Mutex(Link())
    private let inbox = Mutex(StreamInbox())
    private let gate = ReceiverGate()
    private let log: RateLimitedLogger
    private let retry = Mutex<EventTimer?>(nil)

    init(
        loop: EventLoop, role: StreamNetwork.Role, name: String, reconnect: UInt64?, hasHeaders: Bool,
        changed: @escaping @Sendable (StreamNetwork.Change) -> Void
    ) {
        self.loop = loop
        self.role = role
        self.reconnect = reconnect
        self.hasHeaders = hasHeaders
        self.changed = changed
        log = RateLimitedLogger(Logger(name))
    }

    func start() throws(HostError) {
        switch role {
        case .connected(let socket):
            try socket.setNonBlocking()
            loop.post { [weak self] in self?.adopt(socket, "a given descriptor") }
        case .listen(let address):
            let listener = try Socket.listen(address)
            let source = try loop.add(listener, [.read]) { [weak self] _ in self?.accept(listener) }
            link.withLock { $0.listener = source }
        case .connect(let addresses):
            retry.withLock { $0 = loop.makeTimer { [weak self] in self?.connect() } }
            guard reconnect == nil else {
                loop.post { [weak self] in self?.connect() }
                return
            }
            // Without another try, one that fails must fail the start.
            let socket = try Socket.connect(anyOf: addresses)
            let text = addresses.first?.description ?? ""
            loop.post { [weak self] in self?.adopt(socket, text) }
        }
    }

    var listeningAddress: SocketAddress? {
        link.withLock { $0.listener }.flatMap { try? Socket.localAddress($0.descriptor) }
    }
    var isConnected: Bool { link.withLock { $0.socket != nil } }

    func stop() {
        gate.setReceiver(nil)
        let (sources, socket) = link.withLock { link -> ([EventSource?], Descriptor?) in
            link.isStopped = true
            defer {
                link.source = nil
                link.listener = nil
                link.attempt = nil
                link.socket = nil
            }
            return ([link.source, link.listener, link.attempt], link.socket)
        }
        for source in sources { source?.remove() }
        retry.withLock { $0?.cancel() }
        if let socket { Socket.shutDown(socket) }
        if case .listen(let address) = role, sources[1] != nil, address.description.hasPrefix("/") {
            try? HostFile.remove(address.description)
        }
    }

    // MARK: - Sending

    func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        guard frame.count >= 14, frame.count <= FrameFinisher.mostBytes else { return true }
        return link.withLock { link in
            // Nobody is at the other end of the cable.
            guard link.socket != nil else { return true }
            var isTaken = unsafe push(frame, offload, &link)
            if !isTaken, !link.waitsForRoom {
                send(&link)
                isTaken = unsafe push(frame, offload, &link)
            }
            if link.outbox.count >= Self.batch, !link.waitsForRoom { send(&link) }
            return isTaken
        }
    }

    private func push(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload, _ link: inout Link) -> Bool {
        guard hasHeaders else { return unsafe link.outbox.push(nil, frame) }
        var header: (UInt64, UInt32) = (0, 0)
        // SAFETY: the header is on this stack; its first 12 bytes are used.
        return unsafe withUnsafeMutableBytes(of: &header) { bytes in
            let header = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<FrameOffload.headerSize])
            unsafe offload.write(to: header)
            return unsafe link.outbox.push(UnsafeRawBufferPointer(header), frame)
        }
    }

    func flush() {
        link.withLock { link in
            if link.outbox.count > 0, !link.waitsForRoom { send(&link) }
        }
    }

    /// Gives the socket what waits, and has the loop tell where it takes no more.
    private func send(_ link: inout Link) {
        guard let socket = link.socket else { return link.outbox.removeAll() }
        while link.outbox.count > 0 {
            switch unsafe link.outbox.withPieces({ unsafe PacketSocket.send(socket, $0, $1) }) {
            case .moved(let count): link.outbox.remove(count)
            case .wouldBlock:
                if !link.waitsForRoom {
                    link.waitsForRoom = true
                    try? link.source?.modify(link.isPaused ? [.write] : [.read, .write])
                }
                return
            case .end, .failed:
                // The reading side sees the end too, and ends the connection.
                link.outbox.removeAll()
                return
            }
        }
        if link.waitsForRoom {
            link.waitsForRoom = false
            try? link.source?.modify(link.isPaused ? [] : [.read])
        }
    }

    // MARK: - Receiving, on the thread

    func setReceiver(_ receiver: (any FrameReceiver)?) {
        gate.setReceiver(receiver)
        receiverReady()
    }

    func receiverReady() {
        if gate.takeWait() { loop.post { [weak self] in self?.goOn() } }
    }

    private func goOn() {
        deliver()
        guard gate.isOpen() else { return }
        link.withLock { link in
            guard link.isPaused else { return }
            link.isPaused = false
            try? link.source?.modify(link.waitsForRoom ? [.read, .write] : [.read])
        }
    }

    private func happened(_ events: EventLoop.Events, _ socket: Descriptor) {
        guard link.withLock({ $0.socket === socket }) else { return }
        if events.contains(.write) { link.withLock { send(&$0) } }
        guard !events.isDisjoint(with: [.read, .hangUp, .error]) else { return }
        var ended = false
        // Some rounds, then others of the loop have theirs.
        for _ in 0..<8 where !ended {
            var moved = 0
            inbox.withLock { inbox in
                unsafe inbox.fill { buffer in
                    switch unsafe socket.read(into: buffer) {
                    case .moved(let count):
                        moved = count
                        return count
                    case .wouldBlock: return 0
                    case .end, .failed:
                        ended = true
                        return 0
                    }
                }
            }
            if moved > 0, !deliver() { break }
            if moved == 0 { break }
        }
        if ended { disconnect(socket) }
    }

    /// Gives the receiver the whole frames that are there. False: it has no room, and nothing is read until it has.
    @discardableResult
    private func deliver() -> Bool {
        while true {
            let found = inbox.withLock { $0.next() }
            switch found {
            case .incomplete: return true
            case .invalid:
                log.warning("The peer sent a frame of an impossible length: the connection ends")
                if let socket = link.withLock({ $0.socket }) { disconnect(socket) }
                return false
            case .frame(let place, let count):
                guard gate.isOpen() else {
                    link.withLock { link in
                        guard !link.isPaused else { return }
                        link.isPaused = true
                        try? link.source?.modify(link.waitsForRoom ? [.write] : [])
                    }
                    return false
                }
                inbox.withLock { inbox in
                    unsafe inbox.withFrame(place, count) { bytes in
                        guard hasHeaders else { return unsafe gate.deliver(bytes, FrameOffload.none) }
                        guard bytes.count >= FrameOffload.headerSize + 14, let offload = unsafe FrameOffload(bytes) else {
                            return
                        }
                        unsafe gate.deliver(
                            UnsafeRawBufferPointer(rebasing: bytes[FrameOffload.headerSize...]), offload)
                    }
                    inbox.removeFirst(count)
                }
            }
        }
    }

    // MARK: - Connecting, on the thread

    private func accept(_ listener: Descriptor) {
        guard let peer = try? Socket.accept(listener) else { return }
        // One peer at a time: the next waits until this one has gone.
        link.withLock { $0.listener }.map { try? $0.modify([]) }
        adopt(peer, (try? Socket.localAddress(listener))?.description ?? "")
    }

    private func connect() {
        guard case .connect(let addresses) = role, let address = addresses.first,
            !link.withLock({ $0.isStopped || $0.socket != nil })
        else { return }
        do throws(HostError) {
            let (socket, isConnected) = try Socket.startConnecting(address)
            if isConnected { return adopt(socket, address.description) }
            let source = try loop.add(socket, [.write]) { [weak self] _ in self?.connected(socket, address) }
            link.withLock { $0.attempt = source }
        } catch {
            log.debug("\(error)")
            tryAgain()
        }
    }

    private func connected(_ socket: Descriptor, _ address: SocketAddress) {
        link.withLock { link -> EventSource? in
            defer { link.attempt = nil }
            return link.attempt
        }?.remove()
        do throws(HostError) {
            try Socket.connectResult(socket, address)
            adopt(socket, address.description)
        } catch {
            log.debug("\(error)")
            tryAgain()
        }
    }

    private func tryAgain() {
        guard let reconnect, !link.withLock({ $0.isStopped }) else { return }
        retry.withLock { $0?.arm(after: reconnect) }
    }

    private func adopt(_ socket: Descriptor, _ address: String) {
        Socket.setNoDelay(socket)
        inbox.withLock { $0.removeAll() }
        guard
            let source = try? loop.add(
                socket, [.read], handler: { [weak self] events in self?.happened(events, socket) })
        else { return }
        let isKept = link.withLock { link in
            guard !link.isStopped else { return false }
            link.socket = socket
            link.source = source
            link.waitsForRoom = false
            link.isPaused = false
            link.outbox.removeAll()
            return true
        }
        guard isKept else { return source.remove() }
        changed(StreamNetwork.Change.connected(address))
    }

    private func disconnect(_ socket: Descriptor) {
        let (source, listener) = link.withLock { link -> (EventSource?, EventSource?) in
            guard link.socket === socket else { return (nil, nil) }
            defer {
                link.socket = nil
                link.source = nil
                link.outbox.removeAll()
            }
            return (link.source, link.listener)
        }
        guard let source else { return }
        source.remove()
        Socket.shutDown(socket)
        try? listener?.modify([.read])
        changed(StreamNetwork.Change.disconnected)
        tryAgain()
    }
}
