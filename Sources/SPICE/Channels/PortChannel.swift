/// Bytes between a client and a device of the guest's: a USB device that the client redirects, or a port by name.
final class PortChannel: Channel {
    private enum Event {
        static let opened: UInt8 = 0
        static let closed: UInt8 = 1
        static let lineBreak: UInt8 = 2
    }
    /// Bytes of one message to the client.
    private static let chunk = 64 << 10
    /// Bytes that wait for a client; with more it is sent away.
    private static let limit = 32 << 20

    private unowned let connection: SPICEConnection
    let port: SPICEPort
    private var queue: [UInt8] = []
    private var isFlushing = false
    var messageLimit: Int { 4 << 20 }

    init(_ connection: SPICEConnection, _ port: SPICEPort) {
        self.connection = connection
        self.port = port
    }

    func begin() {
        if case .port(let name) = port.use {
            let name = Array(name.utf8) + [0]
            var message = MessageBytes()
            // The name stands behind the message, 9 bytes from its start.
            message.append(UInt32(name.count), 9)
            message.append(UInt8(port.isGuestOpen ? 1 : 0))
            message.append(contentsOf: name)
            connection.send(Message.Port.initialise, message.bytes)
        }
        port.setClient(true)
    }

    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation) {
        switch type {
        case Message.Port.data:
            port.deliver(body)
            if port.incoming > SPICEPort.congestion { connection.isPaused = true }
        case Message.Port.clientEvent:
            if case .port = port.use, body.first == Event.lineBreak { port.sendBreak() }
        default: break
        }
    }

    /// The guest has taken what the client sent.
    func hasRoom() {
        guard connection.isPaused else { return }
        connection.isPaused = false
        connection.readAll()
    }

    /// The guest has written.
    func wrote(_ bytes: [UInt8]) {
        queue += bytes
        guard queue.count <= Self.limit else { return connection.close() }
        drained()
    }
    func opened(_ isOpen: Bool) {
        guard case .port = port.use else { return }
        connection.send(Message.Port.event, [isOpen ? Event.opened : Event.closed])
    }

    func drained() {
        // What is sent may be taken at once, and say so.
        guard !isFlushing else { return }
        isFlushing = true
        defer { isFlushing = false }
        while !queue.isEmpty, connection.pending < SPICEPort.congestion, !connection.isClosed {
            let part = Array(queue.prefix(Self.chunk))
            queue.removeFirst(part.count)
            connection.send(Message.Port.data, part)
            port.taken(part.count)
        }
    }
    func end() {
        port.taken(queue.count)
        queue = []
        port.setClient(false)
    }
}
