public import Display
public import HostOS
internal import Log
internal import Synchronization
internal import TLS

/// A SPICE server (the protocol's version 2.2) on a thread of its own: whatever its client does or leaves undone, the
/// machine goes on. There is one client at a time; a new one takes the place of the one before, as with QEMU.
public final class SPICEServer: @unchecked Sendable {
    // Sendable: the fields below `screens` are used on the loop's thread only, others are locked or never change.

    /// Most connections, links under way included.
    private static let connectionLimit = 128

    struct Shared: Sendable {
        var password: [UInt8]?
        var expiry: UInt64?
        var channels: [SPICEChannelStatus] = []
        var isClientMouse = false
        var isClosed = false
        var key: TicketKey?
        /// Where the client goes with the machine.
        var destination: SPICEDestination?
        var hasMoved = false
    }
    /// What was asked for.
    public let configuration: SPICEConfiguration
    let title: String
    let identifier: [UInt8]?
    let input: InputHub
    let relay: AgentRelay
    let log = RateLimitedLogger(Logger("spice"))
    private let ports: [SPICEPort]
    private let audio: SPICEAudio?
    private let credentials: TLSCredentials?
    let report: @Sendable (SPICEEvent) -> Void
    let shared: Mutex<Shared>
    let loop: EventLoop
    private let thread = Mutex<HostThread?>(nil)
    private let listeners: [(socket: Descriptor, isSecure: Bool)]
    let screens: [Screen]

    private var sources: [EventSource] = []
    private var connections: [SPICEConnection] = []
    private var session: UInt32 = 0
    private var timer: EventTimer?
    private var pace = LookPace()

    /// A server that listens; `start` lets clients in.
    /// - Parameters:
    ///   - title: what viewers show as the machine's name.
    ///   - identifier: the machine's UUID, 16 bytes.
    ///   - screens: a display channel each.
    ///   - input: where keys and movements go.
    ///   - ports: what `-chardev spicevmc` and `spiceport` have opened.
    ///   - audio: what the guest plays.
    ///   - report: hears of clients, on the server's thread.
    public init(
        _ configuration: SPICEConfiguration, title: String, identifier: [UInt8]?, screens: [Screen], input: InputHub,
        ports: [SPICEPort] = [], audio: SPICEAudio? = nil, report: @escaping @Sendable (SPICEEvent) -> Void
    ) throws(SPICEError) {
        self.configuration = configuration
        self.title = title
        self.identifier = identifier
        self.screens = screens
        self.input = input
        self.ports = ports
        self.audio = audio
        self.report = report
        shared = Mutex(Shared(password: configuration.password.map { Array($0.utf8) }))
        relay = AgentRelay(
            port: ports.first { $0.use == .agent }, hasCopyPaste: configuration.hasCopyPaste,
            hasFileTransfer: configuration.hasFileTransfer)
        credentials = try configuration.tlsPort == nil ? nil : Self.credentials(configuration.certificates)
        do throws(HostError) {
            loop = try EventLoop()
            var listeners: [(socket: Descriptor, isSecure: Bool)] = []
            if let path = configuration.path {
                listeners.append((try Socket.listen(try SocketAddress.unix(path), backlog: 16), false))
            }
            for (port, isSecure) in [(configuration.port, false), (configuration.tlsPort, true)] {
                guard let port else { continue }
                let addresses = try SocketAddress.resolve(host: configuration.host, port: "\(port)", listening: true)
                if let address = addresses.first { listeners.append((try Socket.listen(address, backlog: 16), isSecure)) }
            }
            self.listeners = listeners
        } catch { throw SPICEError("Failed to listen for SPICE clients: \(error)") }
        timer = loop.makeTimer { [weak self] in self?.look() }
        relay.server = self
        for port in ports { port.connect(self) }
        audio?.connect(self)
    }

    private static func credentials(_ wanted: SPICEConfiguration.Certificates) throws(SPICEError) -> TLSCredentials {
        let folder = wanted.folder.isEmpty ? "." : wanted.folder
        do throws(TLSError) {
            return try TLSCredentials(
                .init(
                    authority: wanted.authority ?? "\(folder)/ca-cert.pem",
                    certificate: wanted.certificate ?? "\(folder)/server-cert.pem",
                    key: wanted.key ?? "\(folder)/server-key.pem"), isServer: true, verifies: false)
        } catch { throw SPICEError("Failed to read the certificates of tls-port: \(error)") }
    }

    /// Starts the thread.
    public func start() throws(SPICEError) {
        do throws(HostError) {
            for (socket, isSecure) in listeners {
                sources.append(try loop.add(socket, [.read]) { [weak self] _ in self?.accept(socket, isSecure) })
            }
            let made = try HostThread(name: "spice") { [loop] in loop.run() }
            thread.withLock { $0 = made }
        } catch { throw SPICEError("\(error)") }
    }

    /// Ends the thread and sends the client away. Any thread but the server's; may be called again.
    public func close() {
        let first = shared.withLock { shared in
            defer { shared.isClosed = true }
            return !shared.isClosed
        }
        guard first else { return }
        loop.post { [self] in
            for source in sources { source.remove() }
            for connection in connections { connection.close() }
            timer?.cancel()
            loop.stop()
        }
        thread.withLock { $0.take() }?.join()
        for port in ports { port.connect(nil) }
        audio?.connect(nil)
        if let path = configuration.path { try? HostFile.remove(path) }
    }

    // MARK: What monitors ask

    /// Sets the password; nil lets nobody in. Any thread.
    public func setPassword(_ password: String?, _ action: SPICEPasswordAction = .keep) throws(SPICEError) {
        let isFree = shared.withLock { shared in
            guard action != .fail || shared.channels.isEmpty else { return false }
            shared.password = password.map { Array($0.utf8) }
            return true
        }
        guard isFree else { throw SPICEError("Could not set password: a client is connected") }
        if action == .disconnect { loop.post { [weak self] in self?.endSession() } }
    }

    /// When the password ends, in nanoseconds since 1970; nil for never. Any thread.
    public func setExpiry(_ time: UInt64?) { shared.withLock { $0.expiry = time } }

    /// Lets in a client at the other end of a connected socket, which is the server's from now on. Any thread.
    ///
    /// - Parameter skipsAuthentication: its password does not matter: whoever gave it the socket has asked who it is.
    public func add(_ socket: Descriptor, skipsAuthentication: Bool, isSecure: Bool) throws(SPICEError) {
        guard !isSecure || credentials != nil else { throw SPICEError("SPICE has no TLS here; it needs tls-port") }
        do throws(HostError) { try socket.setNonBlocking() } catch { throw SPICEError("\(error)") }
        loop.post { [weak self] in self?.admit(socket, isSecure: isSecure, skipsAuthentication: skipsAuthentication) }
    }

    /// The state. Any thread.
    public var status: SPICEStatus {
        func port(_ isSecure: Bool) -> Int? {
            guard configuration.path == nil || isSecure, let own = listeners.first(where: { $0.isSecure == isSecure })
            else { return nil }
            return (try? Socket.localAddress(own.socket)).map { Int($0.port) }
        }
        let (channels, isClientMouse, hasMoved) = shared.withLock { ($0.channels, $0.isClientMouse, $0.hasMoved) }
        let host = configuration.path ?? (configuration.host.isEmpty ? "0.0.0.0" : configuration.host)
        return SPICEStatus(
            host: host, port: port(false), tlsPort: port(true),
            family: configuration.path != nil ? "unix" : host.contains(":") ? "ipv6" : "ipv4",
            authentication: configuration.needsNoTicket ? "none" : "spice",
            mouseMode: isClientMouse ? "client" : "server", hasMoved: hasMoved, channels: channels)
    }

    // MARK: Clients, on the loop's thread

    private func accept(_ listener: Descriptor, _ isSecure: Bool) {
        while let socket = try? Socket.accept(listener) { admit(socket, isSecure: isSecure, skipsAuthentication: false) }
    }

    private func admit(_ socket: Descriptor, isSecure: Bool, skipsAuthentication: Bool) {
        guard connections.count < Self.connectionLimit else {
            return log.info("A SPICE connection is sent away: there are \(connections.count)")
        }
        Socket.setNoDelay(socket)
        let address = (try? Socket.peerAddress(socket)).map(\.description) ?? ""
        var status = SPICEChannelStatus(
            host: "", port: "", family: "unix", session: 0, kind: .main, channel: 0, isSecure: isSecure)
        if let colon = address.lastIndex(of: ":") {
            status.host = String(address[..<colon].filter { $0 != "[" && $0 != "]" })
            status.port = String(address[address.index(after: colon)...])
            status.family = status.host.contains(":") ? "ipv6" : "ipv4"
        }
        let connection = SPICEConnection(socket, status, server: self, skipsAuthentication: skipsAuthentication)
        do throws(HostError) { try connection.start(loop, isSecure ? credentials : nil) } catch { return }
        connections.append(connection)
        report(.connected(status))
    }

    /// Whether what a link asks for is there, and protected as it has to be.
    func check(_ connection: SPICEConnection) throws(Link.Result) {
        guard let kind = connection.request.kind else { throw .channelNotAvailable }
        switch configuration.protections[kind] ?? configuration.protections[nil] {
        case .tls where !connection.status.isSecure: throw .needSecured
        case .plain where connection.status.isSecure: throw .needUnsecured
        default: break
        }
    }

    func publicKey() throws(Link.Result) -> [UInt8] {
        if let key = shared.withLock({ $0.key }) { return key.publicKey }
        do throws(SPICEError) {
            let made = try TicketKey()
            shared.withLock { $0.key = made }
            return made.publicKey
        } catch {
            log.log(.warning, error.description)
            throw .error
        }
    }

    /// What the server can do in a channel.
    func capabilities(of request: Link.Request) -> [UInt32] {
        switch request.kind {
        // The name and UUID, and the agent's tokens in one message with its coming.
        case .main: [1 << 1 | 1 << 2]
        // The monitors' configuration.
        case .display: [1 << 1]
        // Several scan codes in one message.
        case .inputs: [1 << 0]
        default: []
        }
    }

    /// Whether a ticket holds the password that counts now.
    func accepts(_ ticket: [UInt8]) -> Bool {
        if configuration.needsNoTicket { return true }
        let (key, password) = shared.withLock { shared in
            let hasEnded = shared.expiry.map { HostClock.realtime >= $0 } ?? false
            return (shared.key, hasEnded ? nil : shared.password)
        }
        guard let password, !password.isEmpty, let given = key?.password(in: ticket), given.count == password.count
        else { return false }
        // All bytes are compared, so that time tells nothing of where they differ.
        return zip(given, password).reduce(0) { $0 | $1.0 ^ $1.1 } == 0
    }

    /// The channel of a client that has been let in.
    func open(_ connection: SPICEConnection) throws(Link.Result) -> any Channel {
        let (kind, number) = (connection.request.kind ?? .main, Int(connection.request.channel))
        if kind == .main {
            guard connection.request.session == 0 else { throw .badConnectionID }
            endSession()
            session = UInt32.random(in: 1...UInt32.max)
        } else {
            guard session != 0, connection.request.session == session else { throw .badConnectionID }
            for other in connections where other !== connection && other.status.session == session {
                if other.status.kind == kind, other.status.channel == number { other.close() }
            }
        }
        let channel = try make(kind, number, connection)
        connection.belongs(to: session, kind, number)
        let status = connection.status
        shared.withLock { $0.channels.append(status) }
        report(.initialized(status))
        wantLook()
        return channel
    }

    private func make(
        _ kind: ChannelKind, _ number: Int, _ connection: SPICEConnection
    ) throws(Link.Result) -> any Channel {
        switch kind {
        case .main where number == 0: return MainChannel(connection, session: session)
        case .display where screens.indices.contains(number): return DisplayChannel(connection, screens[number], number)
        case .cursor where screens.indices.contains(number): return CursorChannel(connection, screens[number])
        case .inputs where number == 0: return InputsChannel(connection)
        case .playback where number == 0:
            if audio != nil { return PlaybackChannel(connection) }
        case .usbRedirection, .port, .webDAV:
            let own = ports.filter { $0.use.kind == kind }
            if own.indices.contains(number) { return PortChannel(connection, own[number]) }
        default: break
        }
        throw .channelNotAvailable
    }

    /// The channels that a client can open, beside its first.
    var offered: [(kind: ChannelKind, number: Int)] {
        var all: [(kind: ChannelKind, number: Int)] = [(.inputs, 0)]
        for number in screens.indices { all += [(.display, number), (.cursor, number)] }
        if audio != nil { all.append((.playback, 0)) }
        for kind in [ChannelKind.usbRedirection, .port, .webDAV] {
            for number in ports.filter({ $0.use.kind == kind }).indices { all.append((kind, number)) }
        }
        return all
    }

    func ended(_ connection: SPICEConnection) {
        guard let index = connections.firstIndex(where: { $0 === connection }) else { return }
        // What runs now may be a handler of this connection: it stays until that is over.
        loop.post { _ = connection }
        connections.remove(at: index)
        let open = connections.filter { $0.status.session != 0 }.map(\.status)
        shared.withLock { $0.channels = open }
        report(.disconnected(connection.status))
        guard connection.status.session == session, session != 0, connection.status.kind == .main else { return }
        // The session ends with its first channel.
        session = 0
        endSession()
    }

    /// The client's first channel.
    var main: MainChannel? { connections.lazy.compactMap { $0.channel as? MainChannel }.first }

    /// What is open.
    var channels: [any Channel] { connections.compactMap(\.channel) }

    /// Sends the client away.
    func endSession() { for connection in connections where connection.status.session != 0 { connection.close() } }

    func noteMouse(isClient: Bool) { shared.withLock { $0.isClientMouse = isClient } }

    // MARK: News

    /// Looks at the pictures soon.
    func wantLook() {
        guard let timer, !timer.isArmed else { return }
        timer.arm(at: pace.next)
    }

    /// Looks more often again: somebody does something.
    func hurry() {
        pace.hurry()
        if let timer, timer.isArmed { timer.arm(at: pace.next) }
    }

    private func look() {
        let now = HostClock.monotonic
        var hasSent = false
        for connection in connections { if connection.channel?.look(now: now) == true { hasSent = true } }
        pace.looked(now: now, hasSent: hasSent)
        if session != 0 { timer?.arm(at: pace.next) }
    }
}
