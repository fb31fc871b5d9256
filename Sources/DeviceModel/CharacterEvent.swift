/// What happens to a stream beside its bytes.
public enum CharacterEvent: Sendable, Equatable {
    /// Somebody connected at the other end.
    case opened
    /// The other end went away.
    case closed
    /// A serial break: the line held low longer than a character.
    case breakReceived
    /// Of several users of one stream, this one gets the input from now on.
    case focusGained
    /// The input goes to another user from now on.
    case focusLost
}

/// A receiver that also wants to know the events of its stream: a UART for breaks, a monitor for its banner.
public protocol CharacterEventReceiver: CharacterReceiver {
    /// Called on the event loop's thread, in order with `receive`, with no lock of the port held.
    func receive(event: CharacterEvent)
}
