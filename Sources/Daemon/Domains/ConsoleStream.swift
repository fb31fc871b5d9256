internal import HostOS
internal import RPCWire
internal import Synchronization

/// A machine's terminal as a stream: raw bytes both ways. All but `machineEnded` on the loop's thread.
///
/// What the machine says comes from its log where it keeps one, which has every byte since power-on; the terminal is
/// then only emptied, and carries what the client types.
final class ConsoleStream: ServerStream {
    private struct State {
        var source: EventSource?
        var toMachine: [UInt8] = []
        var finished = false
        var waitsForRoom = false
        /// Tells that the log has grown.
        var logSource: EventSource?
    }

    /// So much may wait for the client before the terminal is read no further.
    private static let fullQueue = 1 << 20
    /// What a client may type ahead of a machine that does not read.
    private static let fullInput = 4 << 20

    private let session: ClientSession
    private let header: RPCHeader
    private let terminal: Descriptor
    private let isSocket: Bool
    private let state = Mutex(State())
    private let log: ConsoleLog?
    private let onEnd: @Sendable (ConsoleStream) -> Void

    init(
        _ session: ClientSession, _ header: RPCHeader, _ terminal: Descriptor, log: ConsoleLog?,
        onEnd: @escaping @Sendable (ConsoleStream) -> Void
    ) {
        self.session = session
        self.header = header
        self.terminal = terminal
        isSocket = terminal.kind == .socket
        self.log = log
        self.onEnd = onEnd
    }

    /// Begins to pass bytes on. After the call's answer.
    func start(_ loop: EventLoop) {
        guard session.open(self, header), let source = try? loop.add(terminal, .read, handler: { [self] in ready($0) })
        else { return end() }
        var logSource: EventSource?
        if let log { logSource = try? loop.add(log.watch, .read, handler: { [self] _ in logGrew() }) }
        state.withLock { [logSource] in
            $0.source = source
            $0.logSource = logSource
        }
        sendLog()
    }

    private func logGrew() {
        _ = try? log?.watch.readAvailable(limit: 1 << 16)
        sendLog()
    }

    /// Sends what the log has more, as far as the client has room.
    private func sendLog(all: Bool = false) {
        guard let log else { return }
        while all || !state.withLock({ $0.waitsForRoom }) {
            guard let data = try? log.file.readAvailable(limit: 1 << 16), !data.isEmpty else { return }
            session.sendStream(header, data)
            if session.queuedBytes > ConsoleStream.fullQueue {
                if all { return }
                waitForRoom()
            }
        }
    }

    private func waitForRoom() {
        state.withLock { state in
            state.waitsForRoom = true
            watch(&state)
        }
    }

    private func ready(_ events: EventLoop.Events) {
        if events.contains(.write) { writeMore() }
        guard !events.isDisjoint(with: [.read, .hangUp, .error]) else { return }
        guard let data = try? terminal.readAvailable(limit: 1 << 16), !data.isEmpty else {
            // Nothing to read and yet woken: the machine has closed its end.
            if !events.isDisjoint(with: [.hangUp, .error]) || isSocket { machineEnded() }
            return
        }
        guard log == nil else { return sendLog() }
        session.sendStream(header, data)
        if session.queuedBytes > ConsoleStream.fullQueue { waitForRoom() }
    }

    private func watch(_ state: inout State) {
        var events: EventLoop.Events = state.waitsForRoom && log == nil ? [] : [.read]
        if !state.toMachine.isEmpty { events.insert(.write) }
        try? state.source?.modify(events)
    }

    func drained() {
        let waited = state.withLock { state -> Bool in
            guard state.waitsForRoom else { return false }
            state.waitsForRoom = false
            watch(&state)
            return true
        }
        if waited { sendLog() }
    }

    // MARK: - From the client

    func received(_ data: [UInt8]) {
        let tooMuch = state.withLock { state -> Bool in
            state.toMachine += data
            return state.toMachine.count > ConsoleStream.fullInput
        }
        if tooMuch {
            session.abort(header, LibvirtError.operationFailed("the machine does not read its console"))
            return end()
        }
        writeMore()
    }

    private func writeMore() {
        state.withLock { state in
            while !state.toMachine.isEmpty {
                // SAFETY: the array lives for the call.
                let result = unsafe state.toMachine.withUnsafeBytes { unsafe terminal.write($0) }
                guard case .moved(let count) = result, count > 0 else {
                    if case .failed = result { state.toMachine = [] }
                    break
                }
                state.toMachine.removeFirst(count)
            }
            watch(&state)
        }
    }

    func receivedHole(_ length: Int64) {}

    func clientFinished(_ whole: Bool) throws(LibvirtError) { end() }

    func abandoned() { end() }

    // MARK: - The end

    /// The machine has gone, or somebody else takes the console over.
    func machineEnded() {
        guard !state.withLock({ $0.finished }) else { return }
        sendLog(all: true)
        session.sendStream(header, [])
        end()
    }

    /// Somebody else takes the console over.
    func takenOver() {
        session.abort(header, LibvirtError.operationFailed("console was taken over"))
        end()
    }

    private func end() {
        let sources = state.withLock { state -> [EventSource?] in
            guard !state.finished else { return [] }
            state.finished = true
            defer {
                state.source = nil
                state.logSource = nil
            }
            return [state.source, state.logSource]
        }
        for source in sources { source?.remove() }
        onEnd(self)
    }
}
