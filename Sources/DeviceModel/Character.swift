/// The host side of a stream of characters: standard input and output, a pseudo-terminal, a socket, a file.
///
/// A device holds no lock that a back-end's calls into its receiver need while it calls one of these.
public protocol CharacterBackend: AnyObject, Sendable {
    /// Takes bytes from the guest, in order. Never blocks: what the host does not take at once the back-end keeps, up
    /// to a bound of its own. Any thread; one device calls it from one thread at a time.
    func write(_ bytes: [UInt8])
    /// Names who takes the bytes from the host; nil for nobody. The back-end holds the receiver until the next call.
    func setReceiver(_ receiver: (any CharacterReceiver)?)
    /// There is room again after `receiveCapacity` had been 0 or less than what waits: deliver what is held. May call
    /// `receive` before it returns, or later from the back-end's own thread.
    func acceptInput()
}

/// The guest side of a stream of characters: a serial port, a console.
public protocol CharacterReceiver: AnyObject, Sendable {
    /// How many bytes the next `receive` may hold. When it is too few, the receiver calls the back-end's `acceptInput`
    /// once there is room. Any thread.
    func receiveCapacity() -> Int
    /// Takes bytes from the host, at most `receiveCapacity`; more are lost. One thread at a time.
    func receive(_ bytes: [UInt8])
    /// Tells what happened to the connection. Any thread.
    func event(_ event: CharacterEvent)
}

/// What happens to a character back-end besides data.
public enum CharacterEvent: Equatable, Sendable {
    /// Somebody is at the other end.
    case opened
    /// Nobody is there any more.
    case closed
    /// The other end sent a break.
    case breakSignal
}

extension CharacterReceiver {
    public func event(_ event: CharacterEvent) {}
}
