internal import Display
internal import HostOS

/// The first channel of a session: which others there are, who moves the pointer, and the guest's agent.
final class MainChannel: Channel {
    private enum MouseMode {
        static let server: UInt16 = 1
        static let client: UInt16 = 2
    }
    private unowned let connection: SPICEConnection
    private let server: SPICEServer
    private let session: UInt32
    private var allowed = MouseMode.server
    private(set) var mode = MouseMode.server
    /// How many messages of the agent's the client takes.
    private var tokens = 0
    var messageLimit: Int { 64 << 10 }

    init(_ connection: SPICEConnection, session: UInt32) {
        self.connection = connection
        server = connection.server
        self.session = session
    }
    private var canTakeTokens: Bool { connection.request.can(2) }

    /// Milliseconds, as the protocol's clock has them.
    static var time: UInt32 { UInt32(truncatingIfNeeded: HostClock.monotonic / 1_000_000) }

    func begin() {
        allowed = modes
        mode = allowed & MouseMode.client != 0 ? MouseMode.client : MouseMode.server
        noteMode()
        var message = MessageBytes()
        message.append(session, UInt32(max(1, server.screens.count)), UInt32(allowed), UInt32(mode))
        let relay = server.relay
        message.append(UInt32(relay.isOpen ? 1 : 0), UInt32(AgentRelay.tokens), Self.time, 0 as UInt32)
        connection.send(Message.Main.initialise, message.bytes)
        if connection.request.can(1) {
            let name = Array(server.title.utf8) + [0]
            var body = MessageBytes()
            body.append(UInt32(name.count))
            body.append(contentsOf: name)
            connection.send(Message.Main.name, body.bytes)
            if let identifier = server.identifier { connection.send(Message.Main.uuid, identifier) }
        }
        relay.clientCame()
    }

    /// Places go to a tablet, or to the guest's agent.
    private var modes: UInt16 {
        let takesPlaces = server.input.isAbsolute || server.relay.takesPointer(server)
        return takesPlaces ? MouseMode.server | MouseMode.client : MouseMode.server
    }
    var isClientMouse: Bool { mode == MouseMode.client }
    private func noteMode() { server.noteMouse(isClient: isClientMouse) }

    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation) {
        var fields = MessageFields(body)
        switch type {
        case Message.Main.attachChannels:
            let offered = server.offered
            var message = MessageBytes()
            message.append(UInt32(offered.count))
            for channel in offered { message.append(channel.kind.rawValue, UInt8(truncatingIfNeeded: channel.number)) }
            connection.send(Message.Main.channels, message.bytes)
        case Message.Main.mouseModeRequest:
            let wanted: UInt16 = try fields.next()
            guard wanted == MouseMode.server || wanted == MouseMode.client, wanted & allowed != 0 else { return }
            if wanted != mode {
                mode = wanted
                noteMode()
                tellMode()
            }
        case Message.Main.agentStart:
            tokens = Int(try fields.next(UInt32.self))
            server.relay.goOn()
        case Message.Main.clientAgentToken:
            tokens = min(tokens + Int(try fields.next(UInt32.self)), Int(UInt32.max))
            server.relay.goOn()
        case Message.Main.clientAgentData:
            guard body.count <= AgentRelay.chunkLimit else {
                throw ProtocolViolation("\(body.count) bytes for the agent at once; at most \(AgentRelay.chunkLimit) are")
            }
            try server.relay.fromClient(body)
        default: break
        }
    }

    private func tellMode() {
        var message = MessageBytes()
        message.append(allowed, mode)
        connection.send(Message.Main.mouseMode, message.bytes)
    }

    func look(now: UInt64) -> Bool {
        let modes = modes
        guard modes != allowed else { return false }
        allowed = modes
        if modes & mode == 0 { mode = MouseMode.server }
        noteMode()
        tellMode()
        return true
    }

    /// The machine runs elsewhere: the client goes there.
    func leave(for destination: SPICEDestination) {
        connection.send(Message.Main.migrateSwitchHost, destination.message)
    }

    // MARK: The agent

    /// The guest's agent is there, or is not any more.
    func agentChanged(isOpen: Bool) {
        var message = MessageBytes()
        guard isOpen else {
            message.append(0 as UInt32)
            return connection.send(Message.Main.agentDisconnected, message.bytes)
        }
        guard canTakeTokens else { return connection.send(Message.Main.agentConnected) }
        message.append(UInt32(AgentRelay.tokens))
        connection.send(Message.Main.agentConnectedTokens, message.bytes)
    }

    /// Whether the client takes one more message of the agent's, which is then sent.
    func takeAgentData(_ bytes: [UInt8]) -> Bool {
        guard tokens > 0 else { return false }
        tokens -= 1
        connection.send(Message.Main.agentData, bytes)
        return true
    }
    /// The client may send so many messages more to the agent.
    func giveTokens(_ count: Int) {
        var message = MessageBytes()
        message.append(UInt32(count))
        connection.send(Message.Main.agentToken, message.bytes)
    }
    func end() {
        tokens = 0
        server.relay.clientLeft()
    }
}
