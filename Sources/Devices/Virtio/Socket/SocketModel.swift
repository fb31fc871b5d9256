/// The host's side of a guest's stream sockets: which connections there are, how far each is, and what the guest must be
/// told. virtio 1.2, 5.10.6. Packets in, effects out; no lock, no descriptor, no queue.
struct SocketModel {
    /// The host's address.
    static let host: UInt64 = 2
    /// Bytes of the guest's that wait for a socket of the host.
    static let room: UInt32 = 256 << 10
    /// Connections at a time.
    static let mostConnections = 1024
    /// Resets that wait for a buffer of the guest's; while there are so many nothing more is taken from it.
    static let mostResets = 256
    /// The first port that is given to those who come from the host.
    private static let firstPort: UInt32 = 1 << 30

    /// A connection's name: its port here and its port in the guest.
    struct Key: Hashable, Sendable {
        var host: UInt32
        var guest: UInt32
    }
    /// How far a connection is.
    enum Phase: Sendable {
        /// The guest was asked, or will be.
        case asking
        /// The guest asked; the host's socket is on its way.
        case asked
        case open
    }
    struct Connection: Sendable {
        var phase: Phase
        /// What the guest has room for and has taken; what it was sent.
        var guestRoom: UInt32 = 0
        var guestTaken: UInt32 = 0
        var sent: UInt32 = 0
        /// What came from the guest and went on to the host's socket; how much of that the guest has heard of.
        var received: UInt32 = 0
        var forwarded: UInt32 = 0
        var told: UInt32 = 0
        /// Ends of directions: the guest sends no more, takes no more; the host likewise.
        var guestSendsNoMore = false
        var guestTakesNoMore = false
        var hostSendsNoMore = false
        var hasSaidShutdown = false
        // What to tell the guest.
        var owesRequest = false
        var owesResponse = false
        var owesCredit = false
        var hasInput = false

        /// Bytes that the guest has room for.
        var credit: UInt32 {
            let underway = sent &- guestTaken
            return underway > guestRoom ? 0 : guestRoom - underway
        }
        /// Bytes that wait here for the host's socket.
        var waiting: UInt32 { received &- forwarded }
    }

    /// What a packet of the guest's asks of the host.
    enum Effect: Equatable, Sendable {
        /// A connection to whoever listens at the port.
        case connect(Key)
        /// The guest has accepted: the client hears it.
        case accepted(Key)
        /// The packet's bytes go to the socket.
        case data(Key)
        /// The guest will send no more.
        case endOfOutput(Key)
        /// The connection is over.
        case closed(Key)
        case nothing
    }

    /// The guest's address.
    let guest: UInt64
    private(set) var connections: [Key: Connection] = [:]
    /// Connections that have something to tell, in turn.
    private(set) var pending: [Key] = []
    private var pendingSet: Set<Key> = []
    private(set) var resets: [SocketPacket] = []
    private var nextPort = SocketModel.firstPort

    init(guest: UInt64) { self.guest = guest }

    var isFull: Bool { resets.count >= Self.mostResets }

    // MARK: From the guest

    /// Takes a packet whose bytes (`count`) the buffer has.
    mutating func take(_ packet: SocketPacket, count: Int) -> Effect {
        // Others than the host are not there, and a guest speaks for itself alone.
        guard packet.source == guest, packet.destination == Self.host, packet.type == SocketPacket.stream else {
            if packet.operation != SocketPacket.Operation.reset { refuse(packet) }
            return .nothing
        }
        let key = Key(host: packet.destinationPort, guest: packet.sourcePort)
        guard var connection = connections[key] else {
            switch packet.operation {
            case SocketPacket.Operation.request where connections.count < Self.mostConnections:
                var new = Connection(phase: .asked)
                new.guestRoom = packet.room
                new.guestTaken = packet.taken
                connections[key] = new
                return .connect(key)
            case SocketPacket.Operation.reset: return .nothing
            default:
                refuse(packet)
                return .nothing
            }
        }
        connection.guestRoom = packet.room
        connection.guestTaken = packet.taken
        defer { if connections[key] != nil { connections[key] = connection } }
        switch (packet.operation, connection.phase) {
        case (SocketPacket.Operation.response, .asking):
            connection.phase = .open
            return .accepted(key)
        case (SocketPacket.Operation.reset, _):
            remove(key)
            return .closed(key)
        case (SocketPacket.Operation.creditUpdate, .open):
            if connection.hasInput { note(key) }
            return .nothing
        case (SocketPacket.Operation.creditRequest, .open):
            connection.owesCredit = true
            note(key)
            return .nothing
        case (SocketPacket.Operation.shutdown, .open):
            connection.guestTakesNoMore =
                connection.guestTakesNoMore || packet.flags & SocketPacket.Shutdown.receive != 0
            let ends = !connection.guestSendsNoMore && packet.flags & SocketPacket.Shutdown.send != 0
            connection.guestSendsNoMore = connection.guestSendsNoMore || ends
            // A connection that is over in both directions is confirmed with a reset, once the last bytes are out.
            if connection.guestTakesNoMore, connection.guestSendsNoMore, connection.waiting == 0 {
                reset(key)
                return .closed(key)
            }
            return ends ? .endOfOutput(key) : .nothing
        case (SocketPacket.Operation.data, .open):
            if connection.hasInput { note(key) }
            // More than there is room for, or after its own end: the guest does not keep to the rules.
            guard packet.count <= UInt32(SocketPacket.mostBytes), Int(packet.count) <= count,
                !connection.guestSendsNoMore, packet.count <= Self.room - min(Self.room, connection.waiting)
            else {
                reset(key)
                return .closed(key)
            }
            connection.received &+= packet.count
            return packet.count == 0 ? .nothing : .data(key)
        default:
            reset(key)
            return .closed(key)
        }
    }

    /// Answers a packet of no connection with a reset.
    private mutating func refuse(_ packet: SocketPacket) {
        var answer = SocketPacket()
        answer.source = packet.destination
        answer.destination = packet.source
        answer.sourcePort = packet.destinationPort
        answer.destinationPort = packet.sourcePort
        answer.type = packet.type
        answer.operation = SocketPacket.Operation.reset
        resets.append(answer)
    }

    // MARK: From the host

    /// Somebody of the host wants the guest's port; nil where there are too many.
    mutating func open(port: UInt32) -> Key? {
        guard connections.count < Self.mostConnections else { return nil }
        var key = Key(host: nextPort, guest: port)
        while connections[key] != nil {
            key.host = key.host == UInt32.max - 1 ? Self.firstPort : key.host + 1
        }
        nextPort = key.host == UInt32.max - 1 ? Self.firstPort : key.host + 1
        var new = Connection(phase: .asking)
        new.owesRequest = true
        connections[key] = new
        note(key)
        return key
    }

    /// The host's socket of a guest's request is there.
    mutating func connected(_ key: Key) {
        guard connections[key]?.phase == .asked else { return }
        connections[key]?.phase = .open
        connections[key]?.owesResponse = true
        note(key)
    }

    /// The host's socket has something, or its end.
    mutating func input(_ key: Key) {
        guard connections[key] != nil else { return }
        connections[key]?.hasInput = true
        note(key)
    }
    /// It has nothing more for now.
    mutating func inputIsEmpty(_ key: Key) { connections[key]?.hasInput = false }

    /// The host will send no more.
    mutating func hostEnds(_ key: Key) {
        guard connections[key] != nil else { return }
        connections[key]?.hasInput = false
        connections[key]?.hostSendsNoMore = true
        note(key)
    }

    /// So many bytes of the guest's have gone to the host's socket. True where the connection is over by that.
    mutating func forwarded(_ key: Key, _ count: Int) -> Bool {
        guard var connection = connections[key] else { return false }
        connection.forwarded &+= UInt32(truncatingIfNeeded: count)
        // The guest hears of it before it has no room left.
        if connection.forwarded &- connection.told >= Self.room / 4 {
            connection.owesCredit = true
            note(key)
        }
        connections[key] = connection
        guard connection.guestTakesNoMore, connection.guestSendsNoMore, connection.waiting == 0 else { return false }
        reset(key)
        return true
    }

    /// Ends a connection, and the guest hears of it.
    mutating func reset(_ key: Key) {
        guard connections[key] != nil else { return }
        var packet = SocketPacket()
        fill(&packet, key, Connection(phase: .open))
        packet.operation = SocketPacket.Operation.reset
        resets.append(packet)
        remove(key)
    }

    /// Forgets a connection.
    mutating func remove(_ key: Key) {
        connections[key] = nil
        if pendingSet.remove(key) != nil { pending.removeAll { $0 == key } }
    }

    // MARK: To the guest

    private mutating func note(_ key: Key) {
        if pendingSet.insert(key).inserted { pending.append(key) }
    }

    /// Whether the guest has something to hear.
    var hasPackets: Bool { !resets.isEmpty || !pending.isEmpty }

    /// What the guest is told next.
    enum Next: Equatable, Sendable {
        /// A packet without bytes.
        case packet(SocketPacket)
        /// A packet with bytes of a connection's socket, at most so many.
        case data(Key, limit: Int)
    }

    /// The next packet; nil where there is none. Of data, `sent` says how much it was.
    mutating func next() -> Next? {
        if !resets.isEmpty { return .packet(resets.removeFirst()) }
        while let key = pending.first {
            pending.removeFirst()
            pendingSet.remove(key)
            guard var connection = connections[key], let next = next(key, &connection) else { continue }
            connections[key] = connection
            // Whoever has more stands at the end of the line.
            if connection.owesCredit || connection.hasInput && connection.credit > 0
                || connection.hostSendsNoMore && !connection.hasSaidShutdown
            {
                note(key)
            }
            return next
        }
        return nil
    }

    private func next(_ key: Key, _ connection: inout Connection) -> Next? {
        var packet = SocketPacket()
        if connection.owesRequest {
            connection.owesRequest = false
            packet.operation = SocketPacket.Operation.request
        } else if connection.owesResponse {
            connection.owesResponse = false
            packet.operation = SocketPacket.Operation.response
        } else if connection.phase == .open, connection.hasInput, connection.credit > 0, !connection.guestTakesNoMore {
            return .data(key, limit: Int(min(connection.credit, UInt32(SocketPacket.mostBytes))))
        } else if connection.phase == .open, connection.hostSendsNoMore, !connection.hasSaidShutdown {
            connection.hasSaidShutdown = true
            packet.operation = SocketPacket.Operation.shutdown
            packet.flags = SocketPacket.Shutdown.send
        } else if connection.owesCredit {
            packet.operation = SocketPacket.Operation.creditUpdate
        } else {
            return nil
        }
        connection.owesCredit = false
        connection.told = connection.forwarded
        fill(&packet, key, connection)
        return .packet(packet)
    }

    /// The head of a packet of so many bytes of a connection's.
    mutating func data(_ key: Key, count: Int) -> SocketPacket {
        var packet = SocketPacket()
        guard var connection = connections[key] else { return packet }
        connection.sent &+= UInt32(truncatingIfNeeded: count)
        connection.owesCredit = false
        connection.told = connection.forwarded
        connections[key] = connection
        fill(&packet, key, connection)
        packet.operation = SocketPacket.Operation.data
        packet.count = UInt32(truncatingIfNeeded: count)
        return packet
    }

    private func fill(_ packet: inout SocketPacket, _ key: Key, _ connection: Connection) {
        packet.source = Self.host
        packet.destination = guest
        packet.sourcePort = key.host
        packet.destinationPort = key.guest
        packet.room = Self.room
        packet.taken = connection.forwarded
    }

    /// Forgets all: the guest's driver begins anew.
    mutating func clear() -> [Key] {
        defer { self = SocketModel(guest: guest) }
        return Array(connections.keys)
    }
}
