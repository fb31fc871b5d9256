internal import HostOS
public import RPCWire

/// A stream of bytes beside a connection's calls: a console, a volume's contents, a picture.
///
/// It has the number of the call that opened it. Data go both ways until one end finishes or aborts.
public final class ClientStream {
    /// What came.
    public enum Piece: Sendable {
        case data([UInt8])
        /// So many zeroes that were not sent.
        case hole(Int64)
        /// The daemon has no more.
        case end
    }

    private let connection: LibvirtConnection
    private let header: RPCHeader
    private var isOpen = true
    private var isFinished = false

    fileprivate init<Procedure: RPCProcedure>(
        _ connection: LibvirtConnection, _ type: Procedure.Type, _ serial: UInt32
    ) {
        self.connection = connection
        header = RPCHeader(
            program: Procedure.program, procedure: Procedure.number, type: RPCMessageType.stream, serial: serial,
            status: RPCStatus.continue)
    }

    deinit { connection.streams[header.serial] = nil }

    /// The next piece; nil when none came within so many milliseconds (-1: for ever).
    public func next(within milliseconds: Int32 = -1) throws(ClientError) -> Piece? {
        if !isOpen { return .end }
        if connection.streams[header.serial]?.isEmpty ?? true { _ = try connection.receive(milliseconds) }
        guard let frame = connection.streams[header.serial]?.first else { return nil }
        connection.streams[header.serial]?.removeFirst()
        return try piece(frame)
    }

    /// Whether something has come that `next` would give at once.
    public var hasNext: Bool { !(connection.streams[header.serial]?.isEmpty ?? true) }

    private func piece(_ frame: Frame) throws(ClientError) -> Piece? {
        switch frame.header.status {
        case RPCStatus.error.rawValue:
            isOpen = false
            var reader = XDRReader(frame.payload)
            if let answer = try? RemoteError(from: &reader) { throw ClientError(answer) }
            throw ClientError.broken("the stream was aborted")
        case RPCStatus.ok.rawValue:
            isOpen = false
            isFinished = true
            return .end
        default: break
        }
        if frame.header.messageType == .streamHole {
            var reader = XDRReader(frame.payload)
            guard let length = try? Int64(from: &reader), length >= 0 else {
                throw connection.fail(ClientError(VirErrorNumber.rpc, "a hole of a stream has no length"))
            }
            return .hole(length)
        }
        return frame.payload.isEmpty ? .end : .data(frame.payload)
    }

    /// Sends bytes, in frames of the protocol's size.
    public func send(_ bytes: some Collection<UInt8>) throws(ClientError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(RPCLimits.streamChunk)
            try connection.send(Frame(header, payload: Array(part)))
            rest = rest.dropFirst(part.count)
            // An error of the daemon's ends it now, and not when all is sent.
            if let frame = connection.streams[header.serial]?.first, frame.header.status == RPCStatus.error.rawValue {
                _ = try piece(frame)
            }
        }
    }

    /// Sends zeroes without sending them.
    public func sendHole(_ length: Int64) throws(ClientError) {
        var hole = header
        hole.type = RPCMessageType.streamHole.rawValue
        var writer = XDRWriter(capacity: 12)
        guard (try? length.write(to: &writer)) != nil else { return }
        writer.word(0)
        try connection.send(Frame(hole, payload: writer.bytes))
    }

    /// Says that all is sent or taken, and waits until the daemon agrees.
    public func finish() throws(ClientError) {
        guard isOpen else {
            // The daemon's own end is answered, and nothing more comes.
            return
        }
        var end = header
        end.status = RPCStatus.ok.rawValue
        try connection.send(Frame(end))
        while isOpen {
            guard let frame = connection.streams[header.serial]?.first else {
                _ = try connection.receive(-1)
                continue
            }
            connection.streams[header.serial]?.removeFirst()
            _ = try piece(frame)
        }
    }

    /// Ends it without its end.
    public func abort() {
        guard isOpen else { return }
        isOpen = false
        var end = header
        end.status = RPCStatus.error.rawValue
        try? connection.send(Frame(end))
    }
}

extension LibvirtConnection {
    /// Makes a call that opens a stream.
    public func openStream<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments
    ) throws(ClientError) -> (answer: Procedure.Result, stream: ClientStream) {
        let serial = try begin(type, arguments)
        // Before the answer is taken, as data may come with it.
        streams[serial] = []
        let stream = ClientStream(self, type, serial)
        return (try answer(type, to: serial), stream)
    }
}
