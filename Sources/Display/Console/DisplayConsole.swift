/// What viewers see one at a time, and switch between by Ctrl, Alt and a digit (in terminals by Alt and a digit): a
/// graphics adapter, or a text console.
public struct DisplayConsole: Sendable {
    /// The picture.
    public let screen: Screen
    /// Who takes what is typed; nil where keys go to the guest's keyboard.
    public let terminal: (any TerminalInput)?

    /// A console.
    public init(screen: Screen, terminal: (any TerminalInput)? = nil) {
        self.screen = screen
        self.terminal = terminal
    }
}
