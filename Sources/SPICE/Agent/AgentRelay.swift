internal import Display
internal import Log

/// Between the guest's agent and the client: chunks on one side, messages of the main channel on the other, and tokens, by
/// which neither sends more than the other takes. Used on the server's thread.
final class AgentRelay {
    /// How many messages a client may have under way, and how many bytes each may have.
    static let tokens = 10
    static let chunkLimit = 2048
    /// Bytes for the client that wait for its tokens; with more, the client is sent away.
    private static let limit = 4 << 20
    /// The ports of chunks.
    private enum Port {
        static let client: UInt32 = 1
        static let server: UInt32 = 2
    }
    /// Types of messages.
    private enum Kind {
        static let mouse: UInt32 = 1
        static let monitors: UInt32 = 2
        static let clientLeft: UInt32 = 13
        static let clipboard: Set<UInt32> = [4, 7, 8, 9]
        static let fileTransfer: Set<UInt32> = [10, 11, 12]
    }

    unowned var server: SPICEServer!
    private let port: SPICEPort?
    private(set) var isOpen = false
    private var fromGuestFilter: AgentFilter
    private var fromClientFilter: AgentFilter
    private var head: [UInt8] = []
    private var chunkLeft = 0
    private var chunkPort: UInt32 = 0
    /// Of a chunk that is under way.
    private var collected: [UInt8] = []
    private var queue: [[UInt8]] = []
    private var queued = 0
    /// Messages of the client's whose tokens it has yet to get back.
    private var owed = 0
    private var pointer: (x: UInt32, y: UInt32, display: UInt8) = (0, 0, 0)

    init(port: SPICEPort?, hasCopyPaste: Bool, hasFileTransfer: Bool) {
        self.port = port
        func verdict(_ holdsMonitors: Bool) -> @Sendable (UInt32) -> AgentFilter.Verdict {
            { type in
                if !hasCopyPaste, Kind.clipboard.contains(type) { return .drop }
                if !hasFileTransfer, Kind.fileTransfer.contains(type) { return .drop }
                return holdsMonitors && type == Kind.monitors ? .hold : .pass
            }
        }
        fromGuestFilter = AgentFilter(verdict(false))
        fromClientFilter = AgentFilter(verdict(true))
    }

    /// Whether the agent can be told where the pointer is.
    func takesPointer(_ server: SPICEServer) -> Bool { isOpen && server.configuration.usesAgentMouse }

    // MARK: The guest's side

    func setOpen(_ isOpen: Bool) {
        guard isOpen != self.isOpen else { return }
        self.isOpen = isOpen
        (head, chunkLeft) = ([], 0)
        fromGuestFilter.dropCurrent()
        forget()
        server.main?.agentChanged(isOpen: isOpen)
        server.wantLook()
    }

    private func forget() {
        port?.taken(queued)
        (collected, queue, queued) = ([], [], 0)
    }

    /// Bytes of the agent's: chunks of a port, a count, and so many bytes.
    func fromGuest(_ bytes: [UInt8]) {
        var rest = bytes[...]
        let before = queued
        while !rest.isEmpty {
            if chunkLeft == 0 {
                let count = min(8 - head.count, rest.count)
                head += rest.prefix(count)
                rest = rest.dropFirst(count)
                guard head.count == 8 else { break }
                var fields = MessageFields(head)
                chunkPort = (try? fields.next()) ?? 0
                chunkLeft = Int((try? fields.next(UInt32.self)) ?? 0)
                head = []
                continue
            }
            let piece = rest.prefix(chunkLeft)
            rest = rest.dropFirst(piece.count)
            chunkLeft -= piece.count
            if chunkPort == Port.client { keep(fromGuestFilter.take(piece).passed, endsChunk: chunkLeft == 0) }
        }
        port?.taken(bytes.count - min(queued - before, bytes.count))
        guard queued > before else { return }
        guard queued <= Self.limit else {
            server.log.info("The SPICE client is sent away: it takes nothing of the guest's agent")
            return server.endSession()
        }
        goOn()
    }

    /// Keeps what goes to the client: a chunk makes one message, a long one several.
    private func keep(_ bytes: [UInt8], endsChunk: Bool) {
        guard server.main != nil else { return collected = [] }
        collected += bytes
        while collected.count >= Self.chunkLimit || endsChunk && !collected.isEmpty {
            let part = Array(collected.prefix(Self.chunkLimit))
            collected.removeFirst(part.count)
            queue.append(part)
            queued += part.count
        }
    }

    /// Sends what the client has tokens for.
    func goOn() {
        guard let main = server.main else { return forget() }
        var sent = 0
        while sent < queue.count, main.takeAgentData(queue[sent]) {
            queued -= queue[sent].count
            port?.taken(queue[sent].count)
            sent += 1
        }
        queue.removeFirst(min(sent, queue.count))
    }

    // MARK: The client's side

    func clientCame() {
        if !fromGuestFilter.isBetweenMessages { fromGuestFilter.dropCurrent() }
        owed = 0
    }
    func clientLeft() {
        forget()
        // The agent forgets what was half said.
        if isOpen { tell(Kind.clientLeft, []) }
        fromClientFilter = fromClientFilter.renewed
    }

    func fromClient(_ bytes: [UInt8]) throws(ProtocolViolation) {
        owed += 1
        guard owed <= 2 * Self.tokens else { throw ProtocolViolation("more messages for the agent than it may send") }
        let (passed, held) = fromClientFilter.take(bytes[...])
        if isOpen {
            if !passed.isEmpty { send(Port.client, passed) }
            for message in held where !resize(message.data) { send(Port.client, message.bytes) }
        }
        hasRoom()
    }

    /// The guest takes bytes: the client gets its tokens back.
    func hasRoom() {
        guard owed > 0, (port?.incoming ?? 0) < SPICEPort.congestion / 2 else { return }
        server.main?.giveTokens(owed)
        owed = 0
    }

    private func send(_ chunkPort: UInt32, _ bytes: [UInt8]) {
        var message = MessageBytes(capacity: 8 + bytes.count)
        message.append(chunkPort, UInt32(bytes.count))
        message.append(contentsOf: bytes)
        port?.deliver(message.bytes)
    }

    /// A message of the server's own.
    private func tell(_ type: UInt32, _ data: [UInt8]) {
        var message = MessageBytes()
        message.append(1, type)
        message.append(0 as UInt64)
        message.append(UInt32(data.count))
        message.append(contentsOf: data)
        send(Port.server, message.bytes)
    }

    /// The sizes that the client's windows have (VDAgentMonitorsConfig): adapters that can be told are. False where the
    /// agent should hear of it.
    private func resize(_ data: ArraySlice<UInt8>) -> Bool {
        var fields = MessageFields(data)
        do throws(ProtocolViolation) {
            let (count, _): (UInt32, UInt32) = (try fields.next(), try fields.next())
            var isTold = false
            for screen in server.screens.prefix(Int(min(count, 16))) {
                let (height, width): (UInt32, UInt32) = (try fields.next(), try fields.next())
                _ = (try fields.next(UInt32.self), try fields.next(UInt64.self))
                guard 1...UInt32(Picture.limit) ~= width, 1...UInt32(Picture.limit) ~= height else { continue }
                if screen.want(width: Int(width), height: Int(height)) { isTold = true }
            }
            return isTold
        } catch { return false }
    }

    // MARK: The pointer

    func point(x: UInt32, y: UInt32, buttons: UInt16, display: UInt8) {
        pointer = (x, y, display)
        press(buttons, buttons)
    }
    /// Buttons go down, and those of the wheel up again.
    func press(_ down: UInt16, _ after: UInt16) {
        for mask in down == after ? [down] : [down, after] {
            // Left, middle, right, wheel up and wheel down stand from bit 1 on here.
            var data = MessageBytes()
            data.append(pointer.x, pointer.y, UInt32(mask & 0x1F) << 1)
            data.append(pointer.display)
            // An agent that takes nothing misses movements.
            if (port?.incoming ?? 0) < SPICEPort.congestion { tell(Kind.mouse, data.bytes) }
        }
    }
}
