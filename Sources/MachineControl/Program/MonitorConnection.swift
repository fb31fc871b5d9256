internal import CharacterBackend
internal import DeviceModel
internal import HostOS
internal import Machine
internal import Synchronization

/// A monitor on a character back-end: what comes in goes to a session, and its answers go out.
///
/// The session belongs to the event loop's thread, on which everything here runs but `wake`.
final class MonitorConnection: CharacterEventReceiver {
    private enum Session {
        case people(HMPSession)
        case programs(QMPSession)
    }
    private struct State: Sendable {
        var isOpen = false
        var inBackground: Bool
    }
    private let port: any HostCharacterPort
    private let loop: EventLoop
    private let state: Mutex<State>
    // SAFETY: set in `init` before the port knows this object; used on the loop's thread only from then on.
    private nonisolated(unsafe) var session: Session?
    /// Fires when events that were held back are due.
    private let timer = Mutex<EventTimer?>(nil)

    /// Puts a monitor on a back-end; the greeting goes out once somebody is there to see it.
    init(
        _ configuration: MonitorConfiguration, machine: any MachineOperations, port: any HostCharacterPort,
        loop: EventLoop, inBackground: Bool
    ) {
        self.port = port
        self.loop = loop
        state = Mutex(State(inBackground: inBackground))
        switch configuration.mode {
        case .readline: unsafe session = .people(HMPSession(machine: machine))
        case .control:
            let made = QMPSession(
                machine: machine, pretty: configuration.pretty,
                takeDescriptor: { (port as? SocketPort)?.takePassedDescriptor() },
                wake: { [weak self] in
                    let connection = self
                    loop.post { connection?.sendEvents() }
                })
            unsafe session = .programs(made)
            timer.withLock { $0 = loop.makeTimer { [weak self] in self?.sendEvents() } }
        }
        port.setReceiver(self)
        loop.post { [weak self] in
            guard let self, self.port.isConnected, !self.state.withLock({ $0.inBackground }) else { return }
            self.open()
        }
    }

    private func open() {
        let first = state.withLock { state in
            defer { state.isOpen = true }
            return !state.isOpen
        }
        guard first else { return }
        switch unsafe session {
        case .people(let session): port.write(session.open())
        case .programs(let session): port.write(session.open())
        case nil: break
        }
    }

    private func sendEvents() {
        guard case .programs(let session) = unsafe session, state.withLock({ $0.isOpen }) else { return }
        let bytes = session.pendingEvents()
        if !bytes.isEmpty { port.write(bytes) }
        awaitEvents(of: session)
    }

    private func awaitEvents(of session: QMPSession) {
        if let deadline = session.eventDeadline { timer.withLock { $0 }?.arm(at: deadline) }
    }

    func receiveCapacity() -> Int { 4096 }

    func receive(_ bytes: [UInt8]) {
        open()
        let output: [UInt8]
        switch unsafe session {
        case .people(let session): output = session.receive(bytes)
        case .programs(let session):
            output = session.receive(bytes)
            awaitEvents(of: session)
        case nil: return
        }
        if !output.isEmpty { port.write(output) }
    }

    func receive(event: CharacterEvent) {
        switch event {
        case .opened:
            // A quick client has been greeted already, and may have said something: `closed` is what ends its session.
            if !state.withLock({ $0.inBackground }) { open() }
        case .closed:
            state.withLock { $0.isOpen = false }
            timer.withLock { $0 }?.cancel()
            if case .programs(let session) = unsafe session { session.close() }
        case .focusGained:
            let wasOpen = state.withLock { state in
                state.inBackground = false
                return state.isOpen
            }
            if wasOpen, case .people(let session) = unsafe session { port.write(session.redraw()) } else { open() }
        case .focusLost: state.withLock { $0.inBackground = true }
        case .breakReceived: break
        }
    }
}
