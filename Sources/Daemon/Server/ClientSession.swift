internal import HostOS
internal import Log
internal import RPCWire
internal import SASL
internal import Synchronization

/// One client's connection: its calls, streams and subscriptions. Frames come on the loop's thread; workers answer.
final class ClientSession: Sendable {
    struct State {
        /// The URI it opened; nil: not yet, and then only a few procedures are answered.
        var uri: String?
        var readOnly: Bool
        /// What it has to go through before it is let in.
        var pending: ClientAuthentication?
        /// How far that is, by SASL.
        var exchange: SASLSession?
        /// Whether a step of that is under way: what the client says meanwhile may have to be read otherwise.
        var isAuthenticating = false
        /// Calls that are not answered yet.
        var running = 0
        /// Streams that cannot take more at the moment.
        var fullStreams = 0
        /// It reads its answers more slowly than it asks.
        var isBehind = false

        /// Whether nothing more is read.
        var isPaused: Bool {
            running >= ClientSession.maximumRunning || fullStreams > 0 || isBehind || isAuthenticating
        }
        var streams: [UInt32: any ServerStream] = [:]
        var subscriptions: [Int32: Subscription] = [:]
        var nextSubscription: Int32 = 0
        var wantsCloseNotice = false
        /// Definitions that are to come from other daemons without their machines, by name.
        var offlineDocuments: [String: String] = [:]
        /// Domains that end with the connection.
        var autoDestroy: Set<UUIDBytes> = []
        var keepalive: KeepaliveState?
        /// Ends it if it does not prove who it is.
        var limit: EventTimer?
        var closed = false
    }

    struct KeepaliveState {
        var unanswered = 0
        var timer: EventTimer
    }

    /// Calls of one client that may run at once; more wait unread.
    static let maximumRunning = 5
    /// Nothing more is read of a client that leaves this much unread, until it has read all.
    static let fullQueue = 1 << 20
    /// A client that leaves this much unread, of events, is disconnected.
    static let maximumQueue = 128 << 20

    let number: UInt64
    let daemon: DaemonCore
    let origin: ClientOrigin
    private let channelBox = Mutex<FrameChannel?>(nil)
    let state: Mutex<State>

    init(number: UInt64, daemon: DaemonCore, origin: ClientOrigin, readOnly: Bool) {
        self.number = number
        self.daemon = daemon
        self.origin = origin
        state = Mutex(
            State(readOnly: readOnly, pending: daemon.access.authentication(origin, readOnly: readOnly)))
    }

    /// Takes the connection up. On the loop's thread.
    func start(_ transport: FrameTransport) throws(HostError) {
        let channel = FrameChannel(
            transport, loop: daemon.loop,
            handlers: FrameChannel.Handlers(
                frame: { [self] in receive($0) }, close: { [self] _ in closed() }, drain: { [self] in drained() }))
        channelBox.withLock { $0 = channel }
        try channel.start()
        if isStranger { limitStranger() }
    }

    /// How long a client may take until it has proved who it is; a person may be typing.
    private static let patience: UInt64 = 180_000_000_000

    private func limitStranger() {
        let timer = daemon.loop.makeTimer { [weak self] in
            if let self, isStranger { close() }
        }
        timer.arm(after: ClientSession.patience)
        state.withLock { $0.limit = timer }
    }

    /// Whether it has yet to prove who it is.
    var isStranger: Bool { state.withLock { $0.pending != nil } }

    private var channel: FrameChannel? { channelBox.withLock { $0 } }

    var isReadOnly: Bool { state.withLock { $0.readOnly } }
    var queuedBytes: Int { channel?.queuedBytes ?? 0 }

    func send(_ frame: Frame, then layer: SASLSession? = nil) {
        guard let channel else { return }
        channel.send(frame, then: layer)
        if channel.queuedBytes > ClientSession.maximumQueue { channel.close() }
    }

    /// The host's address that the client reached; nil for a Unix socket.
    var localAddress: String? {
        guard !origin.isLocal, let socket = channel?.socket,
            let text = (try? Socket.localAddress(socket))?.description, let colon = text.lastIndex(of: ":")
        else { return nil }
        return String(text[..<colon]).filter { $0 != "[" && $0 != "]" }
    }

    /// This end's address and the other's; nil for a Unix socket.
    var addresses: (local: SocketAddress, remote: SocketAddress)? {
        guard !origin.isLocal, let socket = channel?.socket, let local = try? Socket.localAddress(socket),
            let remote = try? Socket.peerAddress(socket)
        else { return nil }
        return (local, remote)
    }

    /// Closes once what was said is sent.
    func closeWhenSent() { channel?.closeWhenSent() }

    func close() { channel?.close() }

    // MARK: - Frames

    private func receive(_ frame: Frame) {
        state.withLock { $0.keepalive?.unanswered = 0 }
        let header = frame.header
        guard let program = RPCProgram(rawValue: header.program), header.version == RPCProgram.version else {
            guard header.messageType == .call || header.messageType == .callWithDescriptors else { return }
            let text = "Cannot find program \(header.program) version \(header.version)"
            return fail(header, LibvirtError.rpc(text))
        }
        if program == .keepalive {
            if header.procedure == Frame.ping.header.procedure { send(Frame.pong) }
            return
        }
        switch header.messageType {
        case .call, .callWithDescriptors: receiveCall(program, frame)
        case .stream, .streamHole: receiveStream(frame)
        case .reply, .replyWithDescriptors, .message, nil: break
        }
    }

    /// Reads no more calls while the answers to those before wait.
    private func holdBack() {
        guard queuedBytes > ClientSession.fullQueue else { return }
        changeLoad { $0.isBehind = true }
        // It may have read everything between the two.
        if queuedBytes == 0 { changeLoad { $0.isBehind = false } }
    }

    /// Counts what is under way, and reads on only while there is room.
    func changeLoad(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            // Within the lock: the last word must be that of the last change.
            channel?.setPaused(state.isPaused)
        }
    }

    private func fail(_ header: RPCHeader, _ error: LibvirtError) { send(Frame.failure(of: header, error.remote)) }

    private func receiveCall(_ program: RPCProgram, _ frame: Frame) {
        let header = frame.header
        guard header.status == RPCStatus.ok.rawValue else {
            return fail(header, LibvirtError.rpc("Unexpected message status \(header.status)"))
        }
        guard let entry = program.procedures[header.procedure], !entry.isEvent else {
            return fail(header, LibvirtError.rpc("unknown procedure: \(header.procedure)"))
        }
        if let error = refusal(program, entry) { return fail(header, error) }
        guard let handler = daemon.handlers.handler(program, header.procedure) else {
            return fail(header, LibvirtError.noSupport(entry.function == "-" ? entry.name : entry.function))
        }
        let call = Call(session: self, header: header, descriptors: frame.descriptors)
        switch handler.place {
        case .loop: answer(call, handler, frame.payload)
        case .worker:
            let isExchange =
                program == .remote
                && (entry.number == Remote.AuthSASLStart.number || entry.number == Remote.AuthSASLStep.number)
            changeLoad {
                $0.running += 1
                if isExchange { $0.isAuthenticating = true }
            }
            daemon.workers.submit(urgent: entry.isUrgent) { [self] in
                answer(call, handler, frame.payload)
                changeLoad {
                    $0.running -= 1
                    if isExchange { $0.isAuthenticating = false }
                }
            }
        }
    }

    /// Why a call is not even looked at.
    private func refusal(_ program: RPCProgram, _ entry: ProcedureTable.Entry) -> LibvirtError? {
        let (opened, readOnly, isStranger) = state.withLock { ($0.uri != nil, $0.readOnly, $0.pending != nil) }
        let ways: Set<Int32> = [
            Remote.AuthList.number, Remote.AuthPolkit.number, Remote.AuthSASLInit.number,
            Remote.AuthSASLStart.number, Remote.AuthSASLStep.number,
        ]
        if isStranger, program != .remote || !ways.contains(entry.number) {
            return SocketAccess.denied("authentication required").from(VirErrorDomain.rpc)
        }
        // Before the connection is open: authentication, features, opening and closing.
        let early = ways.union([
            Remote.ConnectOpen.number, Remote.ConnectClose.number, Remote.ConnectSupportsFeature.number,
        ])
        if !opened, program != .remote || !early.contains(entry.number) {
            return LibvirtError.internalError("hypervisor connection not open").from(VirErrorDomain.rpc)
        }
        if readOnly, entry.readOnly == .refused {
            let function = entry.function == "-" ? entry.name : entry.function
            return LibvirtError.operationDenied("read only access prevents \(function)").from(VirErrorDomain.none)
        }
        return nil
    }

    private func answer(_ call: Call, _ handler: HandlerTable.Handler, _ payload: [UInt8]) {
        do throws(LibvirtError) {
            let result = try handler.run(call, payload)
            guard result.count + RPCLimits.header <= RPCLimits.message else {
                throw LibvirtError.rpc("Unable to encode message payload")
            }
            let passed = call.passedDescriptors
            guard passed.isEmpty || origin.isLocal else {
                throw LibvirtError.operationUnsupported("no support for passing descriptors on this connection")
            }
            let type = passed.isEmpty ? RPCMessageType.reply : RPCMessageType.replyWithDescriptors
            send(Frame(call.header.answering(type, .ok), payload: result, descriptors: passed), then: call.layer)
            holdBack()
            call.runAfterReply()
        } catch {
            fail(call.header, error)
        }
    }

    // MARK: - The end

    private func closed() {
        let (streams, destroy) = state.withLock { state in
            defer {
                state.closed = true
                state.streams = [:]
                state.subscriptions = [:]
                state.keepalive?.timer.cancel()
                state.keepalive = nil
                state.limit?.cancel()
                state.limit = nil
                state.exchange = nil
                state.autoDestroy = []
            }
            return (Array(state.streams.values), state.autoDestroy)
        }
        for stream in streams { stream.abandoned() }
        daemon.remove(self)
        channelBox.withLock { $0 = nil }
        if !destroy.isEmpty {
            daemon.workers.submit { [daemon] in
                for uuid in destroy { daemon.domains.destroyAbandoned(uuid) }
            }
        }
    }
}
