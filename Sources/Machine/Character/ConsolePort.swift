internal import CharacterBackend
internal import DeviceModel
internal import Display
internal import HostOS

/// A character back-end that is a text console of the display (`vc`): what is written shows, what viewers type comes.
final class ConsolePort: HostCharacterPort {
    /// Most bytes that are typed ahead.
    private static let limit = 4096
    let label: String
    let filename = "vc"
    let console: TextConsole
    private let typed: WaitingInput

    init(label: String, console: TextConsole, loop: EventLoop) {
        self.label = label
        self.console = console
        let typed = WaitingInput(limit: Self.limit, loop: loop)
        self.typed = typed
        console.setInput { [weak typed] bytes in
            typed?.keep(bytes)
            typed?.handOn()
        }
    }

    func write(_ bytes: [UInt8]) { console.write(bytes) }
    func setReceiver(_ receiver: (any CharacterReceiver)?) { typed.setReceiver(receiver) }
    func acceptInput() { typed.handOn() }
    func close() { console.setInput(nil) }
}
