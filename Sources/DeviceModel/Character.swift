/// Where a serial port, console or monitor sends its characters, and where they come from: a file, socket, terminal.
/// Any thread.
public protocol CharacterBackend: AnyObject, Sendable {
    /// Sends bytes; never blocks for long.
    func write(_ bytes: [UInt8])
    /// Who takes input; nil for nobody.
    func setReceiver(_ receiver: (any CharacterReceiver)?)
    /// Tells the back-end that the receiver's capacity has risen from 0.
    func acceptInput()
}

/// The device's end of a character back-end. Called on a thread of the back-end's, with no lock held.
public protocol CharacterReceiver: AnyObject, Sendable {
    /// How many bytes `receive` takes now.
    func receiveCapacity() -> Int
    /// Takes at most `receiveCapacity` bytes of input.
    func receive(_ bytes: [UInt8])
}
