/// The host's side of a network card: takes the guest's frames and brings it others. Any thread.
///
/// Frames are Ethernet frames from the destination address on, without the check sequence.
public protocol NetworkBackend: AnyObject, Sendable {
    /// Takes a frame of the guest; copies it and does not wait. False: there was no room, and it is dropped.
    func transmit(_ frame: UnsafeRawBufferPointer) -> Bool
    /// Takes a frame of which something is left to do, which is in `offloads`.
    func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool
    /// The end of a batch of frames: what has been taken goes out now.
    func flush()
    /// What may be left to do in frames that this takes.
    var offloads: FrameOffloads { get }
    /// How many pairs of queues a card may have of it.
    var queuePairs: Int { get }
    /// What may be left to do in frames for the guest.
    func setReceiverOffloads(_ offloads: FrameOffloads)
    /// Names who takes incoming frames, or nobody: they are then dropped. The back-end keeps the receiver alive.
    func setReceiver(_ receiver: (any FrameReceiver)?)
    /// The receiver has room again after it reported none.
    func receiverReady()
    /// The end: nothing is received after it. May be called again.
    func stop()
}

extension NetworkBackend {
    // SAFETY: a frame lives through the call that it is handed over by; who keeps it copies it.
    public func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool { unsafe transmit(frame) }
    public func flush() {}
    public var offloads: FrameOffloads { [] }
    public var queuePairs: Int { 1 }
    public func setReceiverOffloads(_ offloads: FrameOffloads) {}
    public func stop() {}

    /// Sends a frame of which something is left to do: as it is where this takes that, finished in software where not.
    /// The frame's bytes are changed; `scratch` has room for a frame. False: something was dropped.
    public func transmit(
        finishing frame: UnsafeMutableRawBufferPointer, _ offload: FrameOffload,
        scratch: UnsafeMutableRawBufferPointer
    ) -> Bool {
        // SAFETY: frame and scratch are the caller's and valid for the call.
        if offload.isComplete { return unsafe transmit(UnsafeRawBufferPointer(frame)) }
        let can = offloads
        if offload.needed.isSubset(of: can) { return unsafe transmit(UnsafeRawBufferPointer(frame), offload) }
        if can.contains(FrameOffloads.wholeSegments) {
            guard unsafe FrameFinisher.finishWhole(frame, offload) else { return false }
            return unsafe transmit(UnsafeRawBufferPointer(frame))
        }
        var isSent = true
        let isFrame = unsafe FrameFinisher.forEachPacket(frame, offload, scratch: scratch) {
            isSent = unsafe transmit($0) && isSent
        }
        return isFrame && isSent
    }
}

/// Takes the frames that a back-end brings. Called on the back-end's thread, with no lock of it held.
public protocol FrameReceiver: AnyObject, Sendable {
    /// Whether a frame would be taken now; frames wait, or drop when they are too many, until `receiverReady`.
    func canReceive() -> Bool
    /// Takes one frame; the bytes are valid during the call.
    func receive(_ frame: UnsafeRawBufferPointer)
    /// Takes one frame of which something is left to do, which is in `offloads`.
    func receive(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload)
    /// What may be left to do in frames that this takes, now.
    var offloads: FrameOffloads { get }
}

extension FrameReceiver {
    public func receive(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) { unsafe receive(frame) }
    public var offloads: FrameOffloads { [] }
}
