/// A stream of bytes to and from the outside, as a serial port or a console sees it. Any thread.
///
/// No method calls the receiver before it returns, so a device may hold its lock while it calls.
public protocol CharacterPort: AnyObject, Sendable {
    /// Sends bytes out, in order. Does not wait unless the port says that it may.
    func write(_ bytes: [UInt8])
    /// Names who takes incoming bytes, or nobody: they then stay outside. The port keeps the receiver alive.
    func setReceiver(_ receiver: (any CharacterReceiver)?)
    /// The receiver has room again after it reported none.
    func acceptInput()
}

/// Takes the incoming bytes of a port. Called on the event loop's thread, with no lock of the port held.
public protocol CharacterReceiver: AnyObject, Sendable {
    /// How many bytes it can take now; none are sent while this is 0, until `acceptInput`.
    func receiveCapacity() -> Int
    /// Takes bytes, never more than the capacity that it last reported.
    func receive(_ bytes: [UInt8])
}
