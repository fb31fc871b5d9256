public import HostOS
public import RPCWire
internal import SASL

/// One connection with a daemon. Calls wait for their answers; what comes in between is kept for who wants it.
///
/// Of one thread. The other end may be hostile: frames, counts and serials are checked, memory is bounded, and a
/// daemon that says nothing ends in an error: at once where the connection breaks, after `keepalive` otherwise.
public final class LibvirtConnection {
    /// How to open.
    public struct Options: Sendable {
        /// Asks for the socket that changes nothing.
        public var readOnly = false
        /// Seconds of silence before a ping while a call waits; 0: never.
        public var keepaliveInterval = 5
        /// Pings without an answer that end the connection.
        public var keepaliveCount = 6
        /// How long the daemon may take for its first words, in milliseconds.
        public var greeting: Int32 = 30_000
        /// What starts the user's own daemon where none listens, and returns when it does; empty: nothing does.
        public var starter: [String] = []

        public init() {}
    }

    /// A message that the daemon sent of its own accord.
    public struct Event: Sendable {
        public let program: UInt32
        public let procedure: Int32
        let payload: [UInt8]

        /// Its body, if it is of that kind and well formed.
        public func body<Kind: RPCEvent>(_ kind: Kind.Type) -> Kind.Body? {
            guard program == Kind.program.rawValue, procedure == Kind.number else { return nil }
            var reader = XDRReader(payload)
            return try? Kind.Body(from: &reader)
        }
    }

    /// What the user asked for; nil for the default daemon.
    public let uri: ConnectionURI?
    public let options: Options
    private(set) var transport: any ClientTransport
    private var decoder = FrameDecoder()
    private var serial: UInt32 = 0
    private var answers: [UInt32: Frame] = [:]
    private var waiting: Set<UInt32> = []
    private var events: [Event] = []
    /// What came for open streams, by serial; streams put themselves here.
    var streams: [UInt32: [Frame]] = [:]
    /// Why nothing more can be said.
    public private(set) var failure: ClientError?
    private var hasKeepalive = false
    private var unanswered = 0
    private var features: [Int32: Bool] = [:]
    /// What is kept of events that nobody takes.
    private static let eventLimit = 65_536
    /// What is kept of a stream that is not read.
    static let streamLimit = 4096

    init(_ transport: any ClientTransport, uri: ConnectionURI?, options: Options) {
        self.transport = transport
        self.uri = uri
        self.options = options
    }

    /// The socket, to be waited for beside other things.
    public var descriptor: Descriptor { transport.descriptor }
    /// Whether calls can still be made.
    public var isAlive: Bool { failure == nil }

    // MARK: - Calls

    /// Asks, and waits for the answer.
    @discardableResult
    public func call<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments, within limit: Int32? = nil
    ) throws(ClientError) -> Procedure.Result {
        try answer(type, to: try begin(type, arguments), within: limit)
    }

    /// Asks without waiting. The number is for `answer`.
    public func begin<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ arguments: Procedure.Arguments, descriptors: [Descriptor] = []
    ) throws(ClientError) -> UInt32 {
        if let failure { throw failure }
        serial &+= 1
        var frame: Frame
        do throws(XDRError) { frame = try Frame.call(type, arguments, serial: serial) } catch {
            throw ClientError(VirErrorNumber.rpc, "Unable to encode message payload: \(error)")
        }
        if !descriptors.isEmpty {
            frame.header.type = RPCMessageType.callWithDescriptors.rawValue
            frame.descriptors = descriptors
        }
        waiting.insert(serial)
        try send(frame)
        return serial
    }

    /// Whether the answer is there. Takes what has come, and waits for at most so many milliseconds.
    public func isAnswered(_ serial: UInt32, within milliseconds: Int32 = 0) throws(ClientError) -> Bool {
        if answers[serial] != nil { return true }
        _ = try receive(milliseconds)
        return answers[serial] != nil
    }

    /// Waits for the answer of a call that was begun.
    public func answer<Procedure: RPCProcedure>(
        _ type: Procedure.Type, to serial: UInt32, within limit: Int32? = nil
    ) throws(ClientError) -> Procedure.Result {
        let frame = try answerFrame(serial, within: limit)
        var reader = XDRReader(frame.payload)
        let refusal: RemoteError
        do throws(XDRError) {
            guard frame.header.status == RPCStatus.error.rawValue else { return try Procedure.Result(from: &reader) }
            refusal = try RemoteError(from: &reader)
        } catch {
            throw ClientError(VirErrorNumber.rpc, "Unable to decode message payload: \(error)")
        }
        throw ClientError(refusal)
    }

    private func answerFrame(_ serial: UInt32, within limit: Int32?) throws(ClientError) -> Frame {
        let deadline = limit.map { HostClock.monotonic + UInt64(max(0, $0)) * 1_000_000 }
        while true {
            if let frame = answers.removeValue(forKey: serial) {
                waiting.remove(serial)
                return frame
            }
            guard deadline.map({ HostClock.monotonic < $0 }) ?? true else {
                throw fail(ClientError.broken("the daemon does not answer"))
            }
            try receiveOrPing(limit.map { min($0, 1000) })
        }
    }

    /// Waits for something to come; pings after the interval, and gives up after the count.
    private func receiveOrPing(_ limit: Int32?) throws(ClientError) {
        let interval =
            hasKeepalive && options.keepaliveInterval > 0 ? Int32(clamping: options.keepaliveInterval * 1000) : nil
        if try receive(limit ?? interval ?? -1) {
            unanswered = 0
        } else if interval != nil, limit == nil {
            guard unanswered < options.keepaliveCount else {
                throw fail(ClientError.broken("connection closed due to keepalive timeout"))
            }
            unanswered += 1
            try send(Frame.ping)
        }
    }

    /// From now on all bytes go through a layer. Nothing may have come ahead of it.
    func secure(by layer: SASLSession) throws(ClientError) {
        guard decoder.pendingBytes == 0 else {
            throw fail(ClientError(VirErrorNumber.rpc, "the daemon sent bytes before the connection was secured"))
        }
        transport = LayeredTransport(transport, layer)
    }

    // MARK: - Features

    /// Whether the daemon has a feature (`virDriverFeature`). Asked once.
    public func supports(_ feature: Int32) -> Bool {
        if let known = features[feature] { return known }
        let answer = try? call(Remote.ConnectSupportsFeature.self, .init(feature: feature), within: options.greeting)
        features[feature] = answer.map { $0.supported != 0 } ?? false
        return features[feature] ?? false
    }

    /// Agrees with the daemon that both ends answer pings.
    func startKeepalive() {
        guard options.keepaliveInterval > 0 else { return }
        hasKeepalive = supports(VirDriverFeature.programKeepalive)
    }

    /// Says goodbye, and closes.
    public func close() {
        guard failure == nil else { return }
        _ = try? call(Remote.ConnectClose.self, NoPayload(), within: 5000)
        failure = ClientError.broken("connection is closed")
        Socket.shutDown(transport.descriptor)
    }

    // MARK: - Events

    /// The next event; nil when none came within so many milliseconds (-1: for ever).
    public func nextEvent(within milliseconds: Int32) throws(ClientError) -> Event? {
        if !events.isEmpty { return events.removeFirst() }
        _ = try receive(milliseconds)
        return events.isEmpty ? nil : events.removeFirst()
    }

    // MARK: - Bytes

    /// Marks the connection as of no more use.
    @discardableResult
    func fail(_ error: ClientError) -> ClientError {
        if failure == nil {
            failure = error
            Socket.shutDown(transport.descriptor)
        }
        return error
    }

    func send(_ frame: Frame) throws(ClientError) {
        let bytes = frame.bytes
        var sent = 0
        while sent < bytes.count {
            // SAFETY: the array lives for the call, and `sent` is within it.
            let result = unsafe bytes.withUnsafeBytes { buffer in
                unsafe transport.send(UnsafeRawBufferPointer(rebasing: buffer[sent...]))
            }
            switch result {
            case .moved(let count): sent += count
            case .wouldBlock:
                // The other end may itself wait for us to read: so both are waited for.
                _ = try receive(-1, orRoom: true)
            case .end, .failed: throw fail(closed("cannot write to the daemon"))
            }
        }
        for descriptor in frame.descriptors {
            do throws(HostError) { try transport.pass(descriptor) } catch {
                throw fail(ClientError.broken("\(error)"))
            }
        }
    }

    private func closed(_ what: String) -> ClientError {
        let words = transport.lastWords.map { ": \($0)" } ?? ""
        return ClientError(VirErrorNumber.systemError, "Cannot recv data\(words): \(what)")
    }

    /// Takes what has come, and waits for it up to a time. False: nothing came. With `orRoom` it also returns when
    /// there is room to send.
    func receive(_ milliseconds: Int32, orRoom: Bool = false) throws(ClientError) -> Bool {
        if let failure { throw failure }
        if try readOnce() { return true }
        var events: EventLoop.Events = [.read]
        if orRoom { events.insert(.write) }
        let ready = transport.descriptor.wait(for: events, milliseconds: milliseconds)
        if ready.isDisjoint(with: [.read, .hangUp, .error]) { return false }
        return try readOnce()
    }

    private func readOnce() throws(ClientError) -> Bool {
        var outcome = Descriptor.Transfer.wouldBlock
        var descriptors: [Descriptor] = []
        // SAFETY: the buffer is filled by the transport up to the reported count.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
            let (transfer, passed) = unsafe transport.receive(into: UnsafeMutableRawBufferPointer(buffer))
            if case .moved(let moved) = transfer { count = moved }
            (outcome, descriptors) = (transfer, passed)
        }
        switch outcome {
        case .moved: break
        case .wouldBlock: return false
        case .end: throw fail(endOfFile())
        case .failed(let number): throw fail(closed(HostError.text(number)))
        }
        decoder.feed(bytes, descriptors: descriptors)
        do throws(FrameError) {
            while let frame = try decoder.next() { take(frame) }
        } catch {
            throw fail(ClientError(VirErrorNumber.rpc, "packet of the daemon is not valid: \(error)"))
        }
        if let failure { throw failure }
        return true
    }

    private func endOfFile() -> ClientError {
        let words = transport.lastWords.map { "Cannot recv data: \($0)" } ?? "End of file while reading data"
        return ClientError(VirErrorNumber.systemError, "\(words): Input/output error")
    }

    private func take(_ frame: Frame) {
        let header = frame.header
        if header.program == RPCProgram.keepalive.rawValue {
            if header.procedure == 1 { try? send(Frame.pong) }
            return
        }
        switch header.messageType {
        case .reply, .replyWithDescriptors:
            // An answer to nothing that was asked is dropped.
            if waiting.contains(header.serial) { answers[header.serial] = frame }
        case .message:
            if events.count < Self.eventLimit {
                events.append(Event(program: header.program, procedure: header.procedure, payload: frame.payload))
            }
        case .stream, .streamHole:
            streams[header.serial]?.append(frame)
        default:
            fail(ClientError(VirErrorNumber.rpc, "got unexpected RPC call type \(header.type)"))
        }
    }
}

extension LibvirtConnection {
    /// Takes what has come, without waiting: pings are answered.
    public func receiveNow() throws(ClientError) -> Bool { try receive(0) }
}
