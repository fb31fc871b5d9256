public import DeviceModel
public import HostOS
internal import Synchronization

/// Shares one back-end among several devices: all write to it, and one at a time, in focus, reads from it.
///
/// The user steers it by the escape character. What is typed for a device that has no room waits, up to 4096 bytes, so
/// that a command typed after it is still seen.
public final class CharacterMux: CharacterEventReceiver {
    private struct State {
        var ports: [MuxPort] = []
        var focus = 0
        var escape: MuxEscape
        var stamp: LineStamp?
    }

    private static let bufferLimit = 4096

    /// The back-end that is shared.
    public let backend: any HostCharacterPort
    private let loop: EventLoop
    private let program: String
    private let exit: @Sendable () -> Void
    private let state: Mutex<State>

    /// Shares `backend`. `exit` runs on the loop's thread when the user asks for the end, after a line that says so in
    /// the name of `program`.
    public init(
        _ backend: any HostCharacterPort, loop: EventLoop, escape: UInt8 = 0x01, program: String = "QEMU",
        exit: @escaping @Sendable () -> Void
    ) {
        self.backend = backend
        self.loop = loop
        self.program = program
        self.exit = exit
        state = Mutex(State(escape: MuxEscape(character: escape)))
    }

    /// Adds a device's end. The first added has the focus.
    public func addPort(label: String) -> MuxPort {
        let port = MuxPort(mux: self, label: label)
        let isFirst = state.withLock { state -> Bool in
            state.ports.append(port)
            return state.ports.count == 1
        }
        // Only now: before it there is nobody to give a byte to.
        if isFirst { backend.setReceiver(self) }
        return port
    }

    /// Gives a device the input.
    public func focus(on port: MuxPort) {
        loop.post { [weak self] in
            guard let self, let index = self.state.withLock({ $0.ports.firstIndex { $0 === port } }) else { return }
            self.moveFocus(to: index)
        }
    }

    /// The device that has the input.
    public var focused: MuxPort? {
        state.withLock { $0.ports.indices.contains($0.focus) ? $0.ports[$0.focus] : nil }
    }

    /// Lets go of the devices and closes the back-end.
    public func close() {
        backend.setReceiver(nil)
        let ports = state.withLock { state -> [MuxPort] in
            defer { state.ports = [] }
            return state.ports
        }
        for port in ports { port.setReceiver(nil) }
        backend.close()
    }

    // MARK: - From the back-end

    public func receiveCapacity() -> Int {
        CharacterMux.bufferLimit - (focused?.waitingCount ?? CharacterMux.bufferLimit)
    }

    public func receive(_ bytes: [UInt8]) {
        for byte in bytes {
            let action = state.withLock { $0.escape.process(byte) }
            if case .pass(let byte) = action {
                focused?.enqueue(byte)
            } else {
                perform(action)
            }
        }
        if let focused { deliver(focused) }
    }

    public func receive(event: CharacterEvent) {
        switch event {
        case .breakReceived: focused?.notify(event)
        default: for port in state.withLock({ $0.ports }) { port.notify(event) }
        }
    }

    private func perform(_ action: MuxEscape.Action) {
        switch action {
        case .nothing, .pass, .sync: break
        case .help: backend.write(Array(state.withLock { $0.escape.help }.utf8))
        case .exit:
            backend.write(Array("\(program): Terminated\r\n".utf8))
            exit()
        case .sendBreak:
            // After what was typed before it, as far as that was taken.
            if let focused {
                deliver(focused)
                focused.notify(CharacterEvent.breakReceived)
            }
        case .switchFocus:
            if let focused { deliver(focused) }
            let next = state.withLock { $0.ports.isEmpty ? 0 : ($0.focus + 1) % $0.ports.count }
            moveFocus(to: next)
        case .timestamps:
            state.withLock { $0.stamp = $0.stamp == nil ? LineStamp(begin: HostClock.monotonic) : nil }
        }
    }

    private func moveFocus(to index: Int) {
        let (old, new) = state.withLock { state -> (MuxPort?, MuxPort?) in
            guard state.ports.indices.contains(index), index != state.focus else { return (nil, nil) }
            defer { state.focus = index }
            return (state.ports[state.focus], state.ports[index])
        }
        old?.notify(CharacterEvent.focusLost)
        new?.notify(CharacterEvent.focusGained)
        if new != nil { backend.acceptInput() }
    }

    // MARK: - From the devices

    func write(_ bytes: [UInt8]) {
        // The lock is not held while the back-end writes, which may wait.
        backend.write(state.withLock { $0.stamp?.apply(bytes, now: HostClock.monotonic) } ?? bytes)
    }

    /// The device may have room again. Any thread.
    func wake(_ port: MuxPort) {
        loop.post { [weak self] in
            self?.deliver(port)
            self?.backend.acceptInput()
        }
    }

    private func deliver(_ port: MuxPort) {
        while let receiver = port.receiver {
            let bytes = port.take(receiver.receiveCapacity())
            if bytes.isEmpty { return }
            receiver.receive(bytes)
        }
    }
}

/// One device's end of a shared back-end.
public final class MuxPort: HostCharacterPort {
    private struct State {
        var receiver: (any CharacterReceiver)?
        var waiting = ByteRing()
    }

    public let label: String
    private let mux: CharacterMux
    private let state = Mutex(State())

    init(mux: CharacterMux, label: String) {
        self.mux = mux
        self.label = label
    }

    /// `mux`.
    public var filename: String { "mux" }
    public var isConnected: Bool { mux.backend.isConnected }
    public var isCongested: Bool { mux.backend.isCongested }

    public func write(_ bytes: [UInt8]) { mux.write(bytes) }

    public func setReceiver(_ receiver: (any CharacterReceiver)?) {
        state.withLock { $0.receiver = receiver }
        if receiver != nil { mux.wake(self) }
    }

    public func acceptInput() {
        // Called for each byte that a guest reads: only if something waits does the loop hear of it.
        if waitingCount > 0 { mux.wake(self) } else { mux.backend.acceptInput() }
    }

    var receiver: (any CharacterReceiver)? { state.withLock { $0.receiver } }
    var waitingCount: Int { state.withLock { $0.waiting.count } }
    func enqueue(_ byte: UInt8) { state.withLock { $0.waiting.append([byte]) } }
    func take(_ limit: Int) -> [UInt8] { state.withLock { $0.waiting.take(limit) } }
    func notify(_ event: CharacterEvent) { (receiver as? any CharacterEventReceiver)?.receive(event: event) }
}

/// Puts the time at the beginning of each line of output.
struct LineStamp: Sendable {
    let begin: UInt64
    private var atLineStart = true

    init(begin: UInt64) { self.begin = begin }

    mutating func apply(_ bytes: [UInt8], now: UInt64) -> [UInt8] {
        var result: [UInt8] = []
        for byte in bytes {
            if atLineStart { result += Array(text(now >= begin ? now - begin : 0).utf8) }
            atLineStart = byte == 0x0A
            result.append(byte)
        }
        return result
    }

    private func text(_ elapsed: UInt64) -> String {
        let milliseconds = elapsed / 1_000_000
        let (seconds, minutes, hours) = (milliseconds / 1000 % 60, milliseconds / 60_000 % 60, milliseconds / 3_600_000)
        func pad(_ value: UInt64, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        return "[\(pad(hours, 2)):\(pad(minutes, 2)):\(pad(seconds, 2)).\(pad(milliseconds % 1000, 3))] "
    }
}
