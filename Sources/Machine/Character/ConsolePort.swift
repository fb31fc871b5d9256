internal import CharacterBackend
internal import DeviceModel
internal import Display
internal import HostOS
internal import Synchronization

/// A character back-end that is a text console of the display (`vc`): what is written shows, what viewers type comes.
final class ConsolePort: HostCharacterPort {
    /// Most bytes that are typed ahead.
    private static let limit = 4096
    let label: String
    let filename = "vc"
    let console: TextConsole
    private let loop: EventLoop
    private struct State: Sendable {
        var typed: [UInt8] = []
        var receiver: (any CharacterReceiver)?
    }
    private let state = Mutex(State())

    init(label: String, console: TextConsole, loop: EventLoop) {
        self.label = label
        self.console = console
        self.loop = loop
        console.setInput { [weak self] bytes in
            guard let self else { return }
            state.withLock { state in
                if state.typed.count + bytes.count <= Self.limit { state.typed += bytes }
            }
            acceptInput()
        }
    }

    func write(_ bytes: [UInt8]) { console.write(bytes) }
    func setReceiver(_ receiver: (any CharacterReceiver)?) {
        state.withLock { $0.receiver = receiver }
        acceptInput()
    }
    func acceptInput() { loop.post { [weak self] in self?.deliver() } }
    func close() { console.setInput(nil) }

    /// Hands on what was typed, as far as there is room. The loop's thread.
    private func deliver() {
        while true {
            guard let receiver = state.withLock({ $0.typed.isEmpty ? nil : $0.receiver }) else { return }
            let room = receiver.receiveCapacity()
            guard room > 0 else { return }
            let bytes = state.withLock { state in
                let bytes = Array(state.typed.prefix(room))
                state.typed.removeFirst(bytes.count)
                return bytes
            }
            receiver.receive(bytes)
        }
    }
}
