public import Machine

/// One user of the monitor for people: bytes of a terminal in, bytes for it out.
///
/// Confined to the thread that owns the terminal.
public final class HMPSession {
    private let interpreter: HMPInterpreter
    private var editor = LineEditor(prompt: "(qemu) ")
    private var state = HMPState()

    /// A user of a machine's monitor.
    public init(machine: any MachineOperations) { interpreter = HMPInterpreter(machine: machine) }

    /// The greeting and the first prompt, when a terminal connects or the monitor is switched to.
    public func open() -> [UInt8] {
        let version = CommandLineParser.version
        return Array(
            "QEMU \(version.major).\(version.minor).\(version.micro) monitor - type 'help' for more information\r\n"
                .utf8)
            + editor.redraw().dropFirst()
    }

    /// The prompt with the line typed so far, after another user of the terminal wrote to it.
    public func redraw() -> [UInt8] { editor.redraw() }

    /// What to show for some bytes from the terminal.
    public func receive(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        for byte in bytes where !state.isEnded {
            for effect in editor.take(byte, complete: interpreter.completions) {
                switch effect {
                case .show(let shown): output += shown
                case .line(let line): output += run(line)
                }
            }
        }
        return output
    }

    private func run(_ line: String) -> [UInt8] {
        state.history = editor.history
        let text = interpreter.run(line, &state).replacing("\n", with: "\r\n")
        return Array(text.utf8) + (state.isEnded ? [] : Array(editor.redraw().dropFirst()))
    }
}
