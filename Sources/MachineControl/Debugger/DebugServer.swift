internal import CharacterBackend
internal import DeviceModel
internal import HostOS
internal import Machine

/// A debugger's door on a character back-end. The session belongs to the event loop's thread, on which everything here
/// runs but the events of the machine.
final class DebugServer: CharacterEventReceiver {
    private let port: any HostCharacterPort
    private let loop: EventLoop
    private let machine: any MachineOperations
    // SAFETY: used on the loop's thread only.
    private nonisolated(unsafe) let session: RemoteSession
    private nonisolated(unsafe) var subscription: EventSubscription?

    /// Opens the door; debuggers may come from now on.
    init(_ target: any DebugTarget, port: any HostCharacterPort, loop: EventLoop) {
        self.port = port
        self.loop = loop
        machine = target.operations
        unsafe session = RemoteSession(target)
        unsafe subscription = machine.subscribe { [weak self] event in
            let server = self
            if event.kind == .stop { loop.post { server?.machineStopped() } }
        }
        port.setReceiver(self)
    }

    private func machineStopped() { send(unsafe session.stopped()) }
    private func send(_ bytes: [UInt8]) { if !bytes.isEmpty { port.write(bytes) } }

    /// Closes the door: the debugger hears of the program's end where it waits for a stop.
    func close(status: Int32?) {
        if let subscription = unsafe subscription { machine.unsubscribe(subscription) }
        unsafe subscription = nil
        if let status {
            send(unsafe session.ended(status: UInt8(truncatingIfNeeded: status)))
        } else {
            unsafe session.close()
        }
        port.setReceiver(nil)
    }

    func receiveCapacity() -> Int { 4096 }
    func receive(_ bytes: [UInt8]) { send(unsafe session.receive(bytes)) }
    func receive(event: CharacterEvent) {
        switch event {
        case .opened: unsafe session.open()
        case .closed: unsafe session.close()
        case .breakReceived: send(unsafe session.receive([3]))
        case .focusGained, .focusLost: break
        }
    }
}
