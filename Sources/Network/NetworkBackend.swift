/// The host's side of a network card: takes the guest's frames and brings it others. Any thread.
///
/// Frames are Ethernet frames from the destination address on, without the check sequence.
public protocol NetworkBackend: AnyObject, Sendable {
    /// Takes a frame of the guest; copies it and does not wait. False: there was no room, and it is dropped.
    func transmit(_ frame: UnsafeRawBufferPointer) -> Bool
    /// Names who takes incoming frames, or nobody: they are then dropped. The back-end keeps the receiver alive.
    func setReceiver(_ receiver: (any FrameReceiver)?)
    /// The receiver has room again after it reported none.
    func receiverReady()
}

/// Takes the frames that a back-end brings. Called on the back-end's thread, with no lock of it held.
public protocol FrameReceiver: AnyObject, Sendable {
    /// Whether a frame would be taken now; frames wait, or drop when they are too many, until `receiverReady`.
    func canReceive() -> Bool
    /// Takes one frame; the bytes are valid during the call.
    func receive(_ frame: UnsafeRawBufferPointer)
}
