public import CharacterBackend
public import DeviceModel
public import HostOS
internal import Synchronization

/// The machine's end of a channel that carries bytes: `-chardev spicevmc` and `-chardev spiceport`. Any thread.
public final class SPICEPort: HostCharacterPort {
    /// What its bytes are.
    public enum Use: Equatable, Sendable {
        /// The guest's agent (`name=vdagent`), which talks in the main channel.
        case agent
        /// A USB device of the client's (`name=usbredir`).
        case usbRedirection
        /// Anything, by a name that clients know (`spiceport`).
        case port(String)

        /// The kind of its channel; nil where it has none of its own.
        var kind: ChannelKind? {
            switch self {
            case .agent: nil
            case .usbRedirection: .usbRedirection
            case .port(let name): name == "org.spice-space.webdav.0" ? .webDAV : .port
            }
        }
    }
    /// Most bytes that wait for the guest.
    private static let limit = 8 << 20
    /// From here on who writes, on either side, should wait.
    static let congestion = 256 << 10

    private struct State: Sendable {
        weak var server: SPICEServer?
        var hasClient = false
        var isGuestOpen = false
        /// Bytes that the guest has written and no client has been sent.
        var outgoing = 0
        var writable: (@Sendable () -> Void)?
    }
    public let label: String
    public let use: Use
    public var filename: String { if case .port = use { "spiceport" } else { "spicevmc" } }
    private let state = Mutex(State())
    private let waiting: WaitingInput
    private let loop: EventLoop

    /// A port that no server knows yet.
    public init(label: String, _ use: Use, loop: EventLoop) {
        self.label = label
        self.use = use
        self.loop = loop
        waiting = WaitingInput(limit: Self.limit, loop: loop)
    }

    // MARK: The machine's side

    /// The agent's port is open all the time, whoever listens.
    public var isConnected: Bool { use == .agent || state.withLock { $0.hasClient } }
    public var isCongested: Bool { state.withLock { $0.outgoing > Self.congestion } }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) { state.withLock { $0.writable = handler } }

    public func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        let server = state.withLock { state -> SPICEServer? in
            guard let server = state.server else { return nil }
            state.outgoing += bytes.count
            return server
        }
        server?.wrote(self, bytes)
    }
    public func setReceiver(_ receiver: (any CharacterReceiver)?) { waiting.setReceiver(receiver) }
    public func acceptInput() { waiting.handOn() }
    /// A program of the guest has opened its end of the port, or closed it.
    public func setGuestOpen(_ isOpen: Bool) {
        if use == .agent { waiting.clear() }
        let server = state.withLock { state in
            state.isGuestOpen = isOpen
            return state.server
        }
        server?.opened(self, isOpen)
    }
    public func close() { waiting.clear() }

    // MARK: The server's side

    func connect(_ server: SPICEServer?) {
        state.withLock { $0.server = server }
        waiting.onDelivery { [weak self, weak server] in
            guard let self, let server, self.waiting.count < Self.congestion / 2 else { return }
            server.hasRoom(self)
        }
    }
    var isGuestOpen: Bool { state.withLock { $0.isGuestOpen } }
    /// Bytes that wait for the guest.
    var incoming: Int { waiting.count }

    /// Hands bytes to the guest: all, or none where too many wait.
    func deliver(_ bytes: [UInt8]) {
        waiting.keep(bytes)
        waiting.handOn()
    }
    func sendBreak() { waiting.tell(.breakReceived) }

    /// A client is at the other end from now on, or is not any more.
    func setClient(_ isThere: Bool) {
        let changed = state.withLock { state in
            defer { state.hasClient = isThere }
            return state.hasClient != isThere
        }
        guard changed, use != .agent else { return }
        if !isThere { waiting.clear() }
        waiting.tell(isThere ? .opened : .closed)
    }

    /// So many of the guest's bytes have gone on, or nobody wanted them.
    func taken(_ count: Int) {
        let handler = state.withLock { state -> (@Sendable () -> Void)? in
            let wasCongested = state.outgoing > Self.congestion
            state.outgoing -= min(count, state.outgoing)
            return wasCongested && state.outgoing <= Self.congestion ? state.writable : nil
        }
        if let handler { loop.post(handler) }
    }
}
