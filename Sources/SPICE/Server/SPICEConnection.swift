internal import Display
internal import HostOS
internal import Log
internal import TLS

/// One connection of a client's: its bytes, its link, and then a channel. Used on the server's thread.
final class SPICEConnection: @unchecked Sendable {
    // Sendable: everything happens on the server's loop.

    private enum Phase {
        /// The handshake of TLS.
        case securing
        case header
        case request(size: Int)
        case mechanism
        case ticket
        case running
    }
    /// How long a link may take, in nanoseconds.
    private static let patience: UInt64 = 10_000_000_000

    let socket: Descriptor
    unowned let server: SPICEServer
    let skipsAuthentication: Bool
    private(set) var status: SPICEChannelStatus
    /// What the client can do in its channel.
    private(set) var request = Link.Request(session: 0, kind: nil, channel: 0, common: [], own: [])
    private(set) var channel: (any Channel)?
    private var secure: TLSSession?
    private var source: EventSource?
    private var timer: EventTimer?
    private var phase = Phase.header
    private var waiting: [UInt8] = []
    private var frames = ClientFrames(hasMiniHeader: true, limit: 4096)
    private var output = SendBuffer()
    private var serial: UInt64 = 0
    /// Messages since the client last said that it has taken some.
    private(set) var unacknowledged = 0
    /// How many messages a client takes before it says so.
    static let window = 20
    /// Reading stops while somebody behind the channel has no room.
    var isPaused = false { didSet { if isPaused != oldValue { watch() } } }
    private var isClosing = false
    private(set) var isClosed = false

    init(_ socket: Descriptor, _ status: SPICEChannelStatus, server: SPICEServer, skipsAuthentication: Bool) {
        self.socket = socket
        self.status = status
        self.server = server
        self.skipsAuthentication = skipsAuthentication
    }

    func start(_ loop: EventLoop, _ credentials: TLSCredentials?) throws(HostError) {
        source = try loop.add(socket, [.read]) { [weak self] events in self?.happened(events) }
        timer = loop.makeTimer { [weak self] in
            if let self, channel == nil { close() }
        }
        timer?.arm(after: Self.patience)
        guard let credentials else { return }
        phase = .securing
        guard let session = try? TLSSession(socket.rawValue, credentials, host: nil) else { return close() }
        secure = session
        secureOn()
    }

    // MARK: Bytes

    private func happened(_ events: EventLoop.Events) {
        if case .securing = phase { return secureOn() }
        if events.contains(.write) { flush() }
        guard !isClosed, !isClosing else { return }
        if isPaused {
            if !events.isDisjoint(with: [.hangUp, .error]) { close() }
            return
        }
        if !events.isDisjoint(with: [.read, .hangUp, .error, .peerClosed]) { readAll() }
    }

    private func secureOn() {
        guard let secure, !isClosed else { return }
        do throws(TLSError) {
            switch try secure.shakeHands() {
            case .done:
                phase = .header
                watch()
                readAll()
            case .wantsRead: try? source?.modify([.read])
            case .wantsWrite: try? source?.modify([.read, .write])
            }
        } catch {
            server.log.info("SPICE client \(status.host):\(status.port): \(error)")
            close()
        }
    }

    /// Goes on with what has come, after a pause too.
    func readAll() {
        handleFrames()
        var buffer = [UInt8](repeating: 0, count: 65536)
        // A client that never stops talking leaves time for others.
        for _ in 0..<4 where !isClosed && !isClosing && !isPaused {
            let transfer = unsafe buffer.withUnsafeMutableBytes {
                // SAFETY: the buffer lives for the call.
                unsafe secure?.receive(into: $0) ?? Socket.receive(socket, into: $0).0
            }
            switch transfer {
            case .moved(let count): take(buffer[..<count])
            case .wouldBlock: return
            case .end, .failed: return close()
            }
        }
        // What TLS has taken off the socket wakes nobody.
        if secure != nil, !isClosed, !isPaused { server.loop.post { [weak self] in self?.readAll() } }
    }

    private func take(_ bytes: ArraySlice<UInt8>) {
        if case .running = phase {
            frames.append(bytes)
            return handleFrames()
        }
        waiting += bytes
        while !isClosed, !isClosing, link() {}
        if case .running = phase, !waiting.isEmpty {
            frames.append(waiting[...])
            waiting = []
            handleFrames()
        }
    }

    private func handleFrames() {
        guard case .running = phase else { return }
        do throws(ProtocolViolation) {
            while !isClosed, !isClosing, !isPaused, let frame = try frames.next() {
                switch frame.type {
                case Message.FromClient.ackSync: unacknowledged = 0
                case Message.FromClient.ack:
                    unacknowledged = max(0, unacknowledged - Self.window)
                    channel?.drained()
                case Message.FromClient.pong: break
                case Message.FromClient.disconnecting: close()
                default: try channel?.handle(frame.type, frame.body)
                }
            }
        } catch {
            server.log.info("SPICE client \(status.host):\(status.port) is sent away: \(error.reason)")
            close()
        }
    }

    /// Sends a message of the channel.
    func send(_ type: UInt16, _ body: [UInt8] = []) {
        var head = MessageBytes(capacity: 18)
        serial += 1
        if request.common.contains(.miniHeader) {
            head.append(type)
            head.append(UInt32(body.count))
        } else {
            head.append(serial)
            head.append(type)
            head.append(UInt32(body.count), 0)
        }
        unacknowledged += 1
        queue(head.bytes)
        queue(body)
        flush()
    }

    private func queue(_ bytes: [UInt8]) {
        guard !isClosed else { return }
        if !output.append(bytes) { close() }
    }

    private func sendRaw(_ bytes: [UInt8]) {
        queue(bytes)
        flush()
    }

    /// Bytes that wait for the client.
    var pending: Int { output.count }

    private func flush() {
        guard !isClosed, pending > 0 else { return }
        switch unsafe output.send({ [secure, socket] in unsafe secure?.send($0) ?? Socket.send(socket, $0) }) {
        case .blocked: return watch()
        case .failed: return close()
        case .empty: break
        }
        if isClosing { return close() }
        watch()
        channel?.drained()
    }

    private func watch() {
        var events: EventLoop.Events = []
        if !isClosing, !isPaused { events.insert(.read) }
        if pending > 0 { events.insert(.write) }
        try? source?.modify(events)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        source?.remove()
        Socket.shutDown(socket)
        channel?.end()
        server.ended(self)
    }

    private func closeWhenSent() {
        isClosing = true
        if pending > 0 { watch() } else { close() }
    }

    // MARK: The link

    private func takeWaiting(_ count: Int) -> [UInt8]? {
        guard waiting.count >= count else { return nil }
        defer { waiting.removeFirst(count) }
        return Array(waiting.prefix(count))
    }

    /// Takes one step; false until there is more.
    private func link() -> Bool {
        do throws(Link.Result) {
            switch phase {
            case .securing, .running: return false
            case .header:
                guard let header = takeWaiting(Link.headerSize) else { return false }
                phase = .request(size: try Link.size(of: header))
            case .request(let size):
                guard let message = takeWaiting(size) else { return false }
                request = try Link.request(message)
                try server.check(self)
                let key = try server.publicKey()
                sendRaw(Link.reply(.ok, key: key, own: server.capabilities(of: request)))
                phase = request.common.contains(.authSelection) ? .mechanism : .ticket
            case .mechanism:
                guard let word = takeWaiting(4) else { return false }
                var fields = MessageFields(word)
                guard (try? fields.next(UInt32.self)) == Link.Mechanism.ticket else {
                    finish(.error)
                    return false
                }
                phase = .ticket
            case .ticket:
                guard let ticket = takeWaiting(Link.ticketSize) else { return false }
                guard skipsAuthentication || server.accepts(ticket) else {
                    finish(.permissionDenied)
                    return false
                }
                do throws(Link.Result) { channel = try server.open(self) } catch {
                    finish(error)
                    return false
                }
                finish(.ok)
            }
            return true
        } catch {
            sendRaw(Link.reply(error, key: [], own: []))
            closeWhenSent()
            return false
        }
    }

    private func finish(_ result: Link.Result) {
        var message = MessageBytes()
        message.append(result.rawValue)
        sendRaw(message.bytes)
        guard result == .ok, let channel else { return closeWhenSent() }
        frames = ClientFrames(hasMiniHeader: request.common.contains(.miniHeader), limit: channel.messageLimit)
        phase = .running
        // Clients say when they have taken so many messages, from here on.
        var window = MessageBytes()
        window.append(UInt32(1), UInt32(Self.window))
        send(Message.Common.setAck, window.bytes)
        channel.begin()
    }

    /// Notes which channel of which session it is.
    func belongs(to session: UInt32, _ kind: ChannelKind, _ number: Int) {
        status.session = session
        status.kind = kind
        status.channel = number
    }
}
