/// A card without a cable: takes every frame and brings none.
public final class NoNetwork: NetworkBackend {
    /// The back-end of `-nic none` and of cards without a network.
    public init() {}

    public func transmit(_ frame: UnsafeRawBufferPointer) -> Bool { true }
    public func setReceiver(_ receiver: (any FrameReceiver)?) {}
    public func receiverReady() {}
}
