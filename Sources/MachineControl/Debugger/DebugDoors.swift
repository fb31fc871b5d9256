internal import HostOS
internal import Machine
internal import Synchronization

/// The door for debuggers that the command line asks for, or a monitor later. Used on the event loop's thread, but
/// for `init`, `open` and `close`, which come before and after it.
final class DebugDoors: Sendable {
    private struct State: Sendable {
        var server: DebugServer?
        /// The back-end that was made for it and goes with it.
        var made: String?
        var count = 0
    }
    private let machine: VirtualMachine
    private let loop: EventLoop
    private let target: MachineDebugger
    private let state = Mutex(State())

    init(_ machine: VirtualMachine, loop: EventLoop) {
        self.machine = machine
        self.loop = loop
        target = MachineDebugger(machine)
        machine.onDebugServer { [weak self] device throws(MachineError) in try self?.change(to: device) }
    }

    /// Opens the door on a back-end that there is.
    func open(_ id: String) {
        guard let port = machine.characters.port(id) else { return }
        let server = DebugServer(target, port: port, loop: loop)
        state.withLock { $0.server = server }
    }

    /// Closes the door: debuggers hear of the program's end.
    func close(status: Int32?) {
        let old = state.withLock { state -> State in
            defer { state = State(count: state.count) }
            return state
        }
        old.server?.close(status: status)
        // It may be gone already.
        if let made = old.made { try? machine.characters.remove(made, byItsUser: true) }
    }

    /// Opens the door on a new back-end, or closes it.
    private func change(to device: String?) throws(MachineError) {
        guard let device else {
            // It may be the very debugger at the door that asks: it gets its answer first.
            loop.post { [weak self] in self?.close(status: nil) }
            return
        }
        close(status: nil)
        var id = device
        if device.hasPrefix("chardev:") {
            id = String(device.dropFirst(8))
        } else {
            let number = state.withLock { state -> Int in
                state.count += 1
                return state.count
            }
            id = "gdb-\(number)"
            do throws(OptionError) {
                let kind = try CharacterBackendSyntax.short(CharacterOptions.gdbDevice(device))
                let made = CharacterDeviceConfiguration(id: id, kind: kind)
                do throws(MachineBuildError) {
                    try machine.characters.add(made, machine.configuration, waits: true, loop: loop)
                } catch { throw OptionError.invalid("\(error)") }
            } catch { throw .failed("Could not open gdbserver on device '\(printable(device))': \(text(error))") }
            state.withLock { $0.made = id }
        }
        open(id)
        func text(_ error: OptionError) -> String { if case .invalid(let words) = error { words } else { "" } }
        guard state.withLock({ $0.server != nil }) else {
            throw .failed("Could not open gdbserver on device '\(printable(device))'")
        }
    }
}
