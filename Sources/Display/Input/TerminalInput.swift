/// A text console that is typed at. Any thread.
public protocol TerminalInput: AnyObject, Sendable {
    /// A key by its symbol (X11's keysyms), while control is held or not.
    func type(symbol: UInt32, control: Bool)
}
