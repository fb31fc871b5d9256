public import Display
public import HostOS
internal import Log
internal import Synchronization

/// A VNC server (RFC 6143) on a thread of its own: whatever its viewers do or leave undone, the machine goes on.
///
/// Pictures are drawn when a viewer waits for one, and encoded for each viewer whose socket has taken all before.
public final class VNCServer: @unchecked Sendable {
    // Sendable: the fields below `consoles` are used on the loop's thread only, others are locked or never change.

    private struct Shared: Sendable {
        var password: String?
        var expiry: UInt64?
        var viewers: [VNCViewer] = []
        var isClosed = false
    }
    /// What was asked for.
    public let configuration: VNCConfiguration
    let title: String
    let input: InputHub
    /// What viewers have copied, and the guest; nil where they share it among themselves alone.
    private let clipboard: ClipboardHub?
    private let member = Mutex<ClipboardHub.Member?>(nil)
    /// What puts TLS on connections; nil where they have none.
    let security: (any VNCSecurity)?
    let log = RateLimitedLogger(Logger("vnc"))
    private let report: @Sendable (VNCEvent) -> Void
    private let shared = Mutex(Shared())
    private let loop: EventLoop
    private let thread = Mutex<HostThread?>(nil)
    private let listeners: [(socket: Descriptor, isWebSocket: Bool)]
    let consoles: [DisplayConsole]

    private var sources: [EventSource] = []
    private var connections: [VNCConnection] = []
    private var timer: EventTimer?
    private var pace = LookPace()

    /// A server that listens; `start` lets viewers in.
    /// - Parameters:
    ///   - title: what viewers show as the desktop's name.
    ///   - consoles: what viewers see, at least one.
    ///   - input: where their keys and movements go.
    ///   - clipboard: the machine's, which viewers share with its guest.
    ///   - security: puts TLS on connections.
    ///   - report: hears of viewers, on the server's thread.
    public init(
        _ configuration: VNCConfiguration, title: String, consoles: [DisplayConsole], input: InputHub,
        clipboard: ClipboardHub? = nil, security: (any VNCSecurity)? = nil,
        report: @escaping @Sendable (VNCEvent) -> Void
    ) throws(VNCError) {
        guard !consoles.isEmpty else { throw VNCError("There is no picture to show by VNC") }
        self.configuration = configuration
        self.title = title
        self.consoles = consoles
        self.input = input
        self.clipboard = clipboard
        self.security = security
        self.report = report
        do throws(HostError) {
            loop = try EventLoop()
            var listeners: [(socket: Descriptor, isWebSocket: Bool)] = []
            if let socket = try Self.listen(configuration.listener) { listeners.append((socket, false)) }
            if let webSocket = configuration.webSocket, let socket = try Self.listen(webSocket) {
                listeners.append((socket, true))
            }
            self.listeners = listeners
        } catch { throw VNCError("Failed to listen for VNC viewers: \(error)") }
        timer = loop.makeTimer { [weak self] in self?.look() }
    }

    private static func listen(_ listener: VNCConfiguration.Listener) throws(HostError) -> Descriptor? {
        switch listener {
        case .nowhere: return nil
        case .unix(let path): return try Socket.listen(try SocketAddress.unix(path), backlog: 16)
        case .tcp(let host, let port, let last):
            var failure: HostError?
            for number in port...max(port, last) {
                do throws(HostError) {
                    let addresses = try SocketAddress.resolve(host: host, port: "\(number)", listening: true)
                    guard let address = addresses.first else { continue }
                    return try Socket.listen(address, backlog: 16)
                } catch { failure = error }
            }
            if let failure { throw failure }
            return nil
        }
    }

    /// Starts the thread.
    public func start() throws(VNCError) {
        do throws(HostError) {
            for (socket, isWebSocket) in listeners {
                sources.append(
                    try loop.add(socket, [.read]) { [weak self] _ in self?.accept(socket, isWebSocket) })
            }
            let made = try HostThread(name: "vnc") { [loop] in loop.run() }
            thread.withLock { $0 = made }
            let joined = clipboard?.join { [weak self] text in self?.offer(text) }
            member.withLock { $0 = joined }
        } catch { throw VNCError("\(error)") }
    }

    /// Ends the thread and sends all viewers away. Any thread but the server's; may be called again.
    public func close() {
        let first = shared.withLock { shared in
            defer { shared.isClosed = true }
            return !shared.isClosed
        }
        guard first else { return }
        if let member = member.withLock({ $0.take() }) { clipboard?.leave(member) }
        loop.post { [self] in
            for source in sources { source.remove() }
            for connection in connections { connection.close() }
            timer?.cancel()
            loop.stop()
        }
        thread.withLock { $0.take() }?.join()
        if case .unix(let path) = configuration.listener { try? HostFile.remove(path) }
    }

    // MARK: What monitors ask

    /// Sets the password, of which eight bytes count; nil lets nobody in. Any thread.
    public func setPassword(_ password: String?) { shared.withLock { $0.password = password } }

    /// When the password ends, in nanoseconds since 1970; nil for never. Any thread.
    public func setExpiry(_ time: UInt64?) { shared.withLock { $0.expiry = time } }

    /// Lets in a viewer at the other end of a connected socket, which is the server's from now on. Any thread.
    ///
    /// - Parameter skipsAuthentication: it is let in at once: whoever gave it the socket has asked who it is.
    public func add(_ socket: Descriptor, skipsAuthentication: Bool) throws(VNCError) {
        do throws(HostError) { try socket.setNonBlocking() } catch { throw VNCError("\(error)") }
        loop.post { [weak self] in self?.admit(socket, isWebSocket: false, skipsAuthentication: skipsAuthentication) }
    }

    /// The password that counts now.
    var password: String? {
        shared.withLock { shared in
            if let expiry = shared.expiry, HostClock.realtime >= expiry { return nil }
            return shared.password
        }
    }

    /// The state. Any thread.
    public var status: VNCStatus {
        func place(_ isWebSocket: Bool) -> (host: String, service: String)? {
            guard let listener = listeners.first(where: { $0.isWebSocket == isWebSocket }) else { return nil }
            let wanted = isWebSocket ? configuration.webSocket : configuration.listener
            if case .unix(let path)? = wanted { return ("", path) }
            let address = (try? Socket.localAddress(listener.socket)).map(\.description) ?? ""
            return Self.split(address)
        }
        let own = place(false)
        return VNCStatus(
            id: configuration.id, host: own?.host, service: own?.service,
            family: Self.family(configuration.listener, own),
            webSocketService: place(true)?.service,
            authentication: security != nil ? "vencrypt" : configuration.needsPassword ? "vnc" : "none",
            subAuthentication: security == nil ? nil : configuration.needsPassword ? "x509-vnc" : "x509-none",
            viewers: shared.withLock { $0.viewers })
    }

    private static func family(_ listener: VNCConfiguration.Listener, _ place: (host: String, service: String)?)
        -> String
    {
        if case .unix = listener { return "unix" }
        return place?.host.contains(":") == true ? "ipv6" : "ipv4"
    }

    /// `127.0.0.1:5900` and `[::1]:5900` as host and service.
    static func split(_ address: String) -> (host: String, service: String) {
        guard let colon = address.lastIndex(of: ":") else { return ("", address) }
        var host = String(address[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return (host, String(address[address.index(after: colon)...]))
    }

    // MARK: Viewers, on the loop's thread

    private func accept(_ listener: Descriptor, _ isWebSocket: Bool) {
        while let socket = try? Socket.accept(listener) {
            admit(socket, isWebSocket: isWebSocket, skipsAuthentication: false)
        }
    }

    private func admit(_ socket: Descriptor, isWebSocket: Bool, skipsAuthentication: Bool) {
        guard connections.count < configuration.connectionLimit else {
            return log.info("A VNC viewer is sent away: there are \(connections.count)")
        }
        Socket.setNoDelay(socket)
        let viewer = Self.viewer(socket, isWebSocket)
        let connection = VNCConnection(socket, viewer, server: self, skipsAuthentication: skipsAuthentication)
        do throws(HostError) { try connection.start(loop) } catch { return }
        connections.append(connection)
        shared.withLock { $0.viewers.append(viewer) }
        report(.connected(viewer))
    }

    private static func viewer(_ socket: Descriptor, _ isWebSocket: Bool) -> VNCViewer {
        let address = (try? Socket.peerAddress(socket)).map(\.description) ?? ""
        guard address.contains(":") else {
            return VNCViewer(host: "", service: "", family: "unix", isWebSocket: isWebSocket)
        }
        let (host, service) = split(address)
        return VNCViewer(
            host: host, service: service, family: host.contains(":") ? "ipv6" : "ipv4", isWebSocket: isWebSocket)
    }

    /// Whether a viewer is let in beside the others; some are sent away for one that asks to be alone.
    func admit(_ connection: VNCConnection, isShared: Bool) -> Bool {
        let others = connections.filter { $0 !== connection && $0.phase == .running }
        switch configuration.sharing {
        case .ignore: return true
        case .forceShared: return isShared || others.isEmpty
        case .allowExclusive:
            if !isShared { for other in others { other.close() } }
            return true
        }
    }

    /// Hands the text of a viewer's clipboard to the others, and to the guest.
    func share(_ text: String, from sender: VNCConnection) {
        for connection in connections where connection !== sender { connection.offer(text) }
        if let clipboard, let member = member.withLock({ $0 }) { clipboard.share(text, from: member) }
    }

    /// A text that the guest has copied, or a viewer of another server. Any thread.
    private func offer(_ text: String) {
        loop.post { [weak self] in
            guard let self else { return }
            for connection in connections { connection.offer(text) }
        }
    }

    func initialized(_ connection: VNCConnection) { report(.initialized(connection.viewer)) }

    func ended(_ connection: VNCConnection) {
        guard let index = connections.firstIndex(where: { $0 === connection }) else { return }
        // What runs now may be a handler of this connection: it stays until that is over.
        loop.post { _ = connection }
        connections.remove(at: index)
        let viewers = connections.map(\.viewer)
        shared.withLock { $0.viewers = viewers }
        report(.disconnected(connection.viewer))
    }

    // MARK: Updates

    /// Looks at the picture soon: a viewer waits.
    func wantUpdate() {
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
        for connection in connections where connection.update(now: now) { hasSent = true }
        pace.looked(now: now, hasSent: hasSent)
        let isWaiting = connections.contains { $0.phase == .running && $0.request != nil && $0.output.isEmpty }
        if isWaiting { timer?.arm(at: pace.next) }
    }
}
