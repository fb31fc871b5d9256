internal import Display
internal import HostOS
internal import Log

/// One viewer: its socket, what it has said, and what is on its way to it. Used on the server's thread alone.
final class VNCConnection: @unchecked Sendable {
    // Sendable because handlers that name it run on the server's thread only.
    enum Phase: Equatable {
        case version
        case security
        /// VeNCrypt's version, its subtype, and the handshake of TLS.
        case extendedVersion
        case extendedType
        case securing
        case challenge([UInt8])
        case initialisation
        case running
    }
    /// How long a handshake may take, in nanoseconds.
    private static let handshakeLimit: UInt64 = 60_000_000_000

    let viewer: VNCViewer
    let socket: Descriptor
    unowned let server: VNCServer
    /// Whether it is let in without TLS and password.
    let skipsAuthentication: Bool
    var source: EventSource?
    private var patience: EventTimer?
    var webSocket: WebSocket?
    var phase = Phase.version
    var minorVersion = 8
    /// Bytes of the handshake that wait for more.
    var handshake: [UInt8] = []
    var parser = ClientMessageParser()
    let encoder = Encoder()
    var output = SendBuffer()
    /// Ends when what waits is sent.
    var isClosing = false
    var isClosed = false

    var supported: Set<Int32> = []
    /// What the viewer waits for; nil while it has not asked.
    var request: PictureRectangle?
    var isFull = false
    /// The picture's stamp that the viewer has, and its size.
    var seen: UInt64 = 0
    var size = (width: 0, height: 0)
    var console = 0
    var sentLights: UInt8?
    var sentAbsolute: Bool?
    var mustSendSize: (reason: Int, status: Int)?
    var hasAnnounced = false
    /// The pointer's shape that the viewer has.
    var sentPointer: UInt64 = 0
    /// TLS, from its handshake on.
    var secure: (any VNCSecureSession)?
    /// The text that others offer, and what the viewer's extended clipboard can do.
    var offered: String?
    var clipboardActions: UInt32?
    /// What the viewer shows, where it takes copies of it.
    var shown: ShownPicture?

    var held: Set<UInt8> = []
    var lastPlace: (x: Int, y: Int)?
    var buttons: UInt16 = 0

    init(_ socket: Descriptor, _ viewer: VNCViewer, server: VNCServer, skipsAuthentication: Bool = false) {
        self.skipsAuthentication = skipsAuthentication
        self.socket = socket
        self.viewer = viewer
        self.server = server
        if viewer.isWebSocket { webSocket = WebSocket() }
    }

    func start(_ loop: EventLoop) throws(HostError) {
        source = try loop.add(socket, [.read]) { [weak self] events in self?.happened(events) }
        // Who never comes to the picture does not keep others out.
        patience = loop.makeTimer { [weak self] in
            if let self, phase != .running { close() }
        }
        patience?.arm(after: Self.handshakeLimit)
        // A browser's TLS begins at once; other viewers are asked.
        if webSocket != nil, server.security != nil { return beginTLS() }
        if webSocket == nil { send(Array("RFB 003.008\n".utf8)) }
    }

    // MARK: Bytes

    private func happened(_ events: EventLoop.Events) {
        if phase == .securing, secure != nil { return goOnSecuring() }
        if events.contains(.write) { flush() }
        guard !isClosed else { return }
        if !events.isDisjoint(with: [.read, .hangUp, .error, .peerClosed]) { readAll() }
    }

    func readAll() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        // A viewer that never stops talking leaves time for others.
        for _ in 0..<4 {
            let transfer = unsafe buffer.withUnsafeMutableBytes {
                // SAFETY: the buffer lives for the call.
                unsafe secure?.receive(into: $0) ?? Socket.receive(socket, into: $0).0
            }
            switch transfer {
            case .moved(let count): take(Array(buffer[..<count]))
            case .wouldBlock: return
            case .end, .failed: return close()
            }
            if isClosed || isClosing || phase == .securing { return }
        }
    }

    private func take(_ bytes: [UInt8]) {
        guard webSocket != nil else { return consume(bytes) }
        let wasOpen = isSpeaking
        guard let result = webSocket?.receive(bytes) else { return }
        if !result.reply.isEmpty { sendRaw(result.reply) }
        if !wasOpen, !result.reply.isEmpty, !result.ends {
            isSpeaking = true
            send(Array("RFB 003.008\n".utf8))
        }
        if !result.data.isEmpty { consume(result.data) }
        if result.ends { closeWhenSent() }
    }
    /// Whether a WebSocket's handshake is done.
    private var isSpeaking = false

    private func consume(_ bytes: [UInt8]) {
        do throws(ProtocolViolation) {
            if phase == .running { parser.append(bytes) } else { handshake += bytes }
            while phase != .running, phase != .securing, !isClosing, !isClosed, try shakeHands() {}
            if phase == .running, !handshake.isEmpty {
                parser.append(handshake)
                handshake = []
            }
            while phase == .running, !isClosed, !isClosing, let message = try parser.next() { handle(message) }
        } catch {
            server.log.info("VNC viewer \(viewer.host):\(viewer.service) is sent away: \(error.reason)")
            close()
        }
    }

    /// Sends bytes of the stream.
    func send(_ bytes: [UInt8]) { sendRaw(webSocket == nil ? bytes : WebSocket.frame(bytes)) }

    private func sendRaw(_ bytes: [UInt8]) {
        guard !isClosed else { return }
        guard output.append(bytes) else { return close() }
        flush()
    }

    private func flush() {
        switch unsafe output.send({ [secure, socket] in unsafe secure?.send($0) ?? Socket.send(socket, $0) }) {
        case .blocked: return watch([.read, .write])
        case .failed: return close()
        case .empty: break
        }
        if isClosing { return close() }
        if phase == .securing, secure == nil { return beginTLS() }
        watch([.read])
        if request != nil { server.wantUpdate() }
    }

    func watch(_ events: EventLoop.Events) { try? source?.modify(isClosing ? [.write] : events) }

    func closeWhenSent() {
        isClosing = true
        if output.isEmpty { close() } else { watch([.write]) }
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        releaseInput()
        patience?.cancel()
        source?.remove()
        Socket.shutDown(socket)
        server.ended(self)
    }

    /// Keys and buttons that are down do not stay so without a viewer.
    func releaseInput() {
        guard !server.configuration.isViewOnly else { return }
        for code in held { server.input.key(code, down: false) }
        held = []
        if buttons != 0 { server.input.setButtons(0) }
        buttons = 0
    }
}
