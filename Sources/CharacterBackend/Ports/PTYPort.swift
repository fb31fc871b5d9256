public import DeviceModel
public import HostOS
internal import Synchronization

/// A pseudo-terminal, for `screen /dev/pts/N` or `virsh console`. What is written while nobody has it open is lost.
///
/// Linux tells of the last closing, as a hang-up, but not of an opening. So the port looks whenever the guest writes,
/// and whenever the terminal's user does.
public final class PTYPort: HostCharacterPort {
    public let label: String
    /// The user's side: `/dev/pts/3`.
    public let path: String
    private let master: Descriptor
    private let loop: EventLoop
    private let input: InputPump
    private let output: OutputQueue

    private struct State {
        var connected = false
        var closed = false
        var watch: EventSource?
    }
    private let state = Mutex(State())

    /// Opens a pseudo-terminal.
    public init(
        label: String, overflow: OverflowPolicy = OverflowPolicy.dropOldest, loop: EventLoop
    ) throws(HostError) {
        self.label = label
        self.loop = loop
        (master, path) = try PseudoTerminal.open()
        input = InputPump(loop: loop)
        output = OutputQueue(loop: loop, policy: overflow)
        let watch = try loop.add(master.duplicate(), [.read, .edgeTriggered]) { [weak self] _ in _ = self?.look() }
        state.withLock { $0.watch = watch }
    }

    /// `pty:/dev/pts/3`.
    public var filename: String { "pty:\(path)" }
    public var isConnected: Bool { state.withLock { $0.connected } }
    public var isCongested: Bool { output.isCongested }

    public func write(_ bytes: [UInt8]) { if look() { output.write(bytes) } }
    public func setReceiver(_ receiver: (any CharacterReceiver)?) { input.setReceiver(receiver) }
    public func acceptInput() { input.acceptInput() }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) { output.setWritableHandler(handler) }

    public func close() {
        let watch = state.withLock { state -> EventSource? in
            defer { state = State(connected: false, closed: true, watch: nil) }
            return state.watch
        }
        watch?.remove()
        input.detach()
        output.detach()
    }

    /// Whether somebody has the terminal open, after taking note of an opening.
    private func look() -> Bool {
        let connected = state.withLock { state -> Bool in
            if state.connected || state.closed { return state.connected }
            guard !master.wait(for: [], milliseconds: 0).contains(.hangUp) else { return false }
            guard let reading = try? master.duplicate(), let writing = try? master.duplicate() else { return false }
            let feed = InputPump.Feed(reading) { [weak self] in self?.lost() }
            guard (try? output.attach(writing, OutputQueue.Way.write)) != nil,
                (try? input.attach(feed)) != nil
            else { return false }
            state.connected = true
            input.notify(CharacterEvent.opened)
            return true
        }
        return connected
    }

    /// The last user has closed.
    private func lost() {
        output.detach()
        state.withLock { $0.connected = false }
        input.notify(CharacterEvent.closed)
        // Somebody may have opened it again in the meantime, and its edge is past.
        _ = look()
    }
}
