internal import Synchronization

/// A back-end with a cable that may be pulled, and captures of what goes by (`set_link`, `filter-dump`). Any thread.
public final class WatchedNetwork: NetworkBackend {
    /// Which way frames go that a capture wants.
    public enum Direction: String, Sendable {
        /// Both ways.
        case all
        /// To the guest (`rx`).
        case toGuest = "rx"
        /// From the guest (`tx`).
        case fromGuest = "tx"
    }
    private struct Watch: Sendable {
        let name: String
        let direction: Direction
        let capture: PacketCapture
    }
    fileprivate let inner: any NetworkBackend
    private let watches = Mutex<[Watch]>([])
    fileprivate let isWatched = Atomic(false)
    fileprivate let isUp = Atomic(true)

    /// Goes before a back-end.
    public init(_ inner: any NetworkBackend) { self.inner = inner }

    /// The back-end behind it.
    public var backend: any NetworkBackend { inner }

    /// Plugs the back-end's cable in or out.
    public func setLink(up: Bool) {
        isUp.store(up, ordering: .relaxed)
        // Out of it, what waits for the card comes no more.
        inner.receiverReady()
    }

    /// Begins a capture.
    public func add(_ capture: PacketCapture, name: String, _ direction: Direction) {
        watches.withLock { $0.append(Watch(name: name, direction: direction, capture: capture)) }
        isWatched.store(true, ordering: .relaxed)
    }

    /// Whether there is a capture.
    public var isCaptured: Bool { isWatched.load(ordering: .relaxed) }

    /// Ends a capture; false where there is none of the name.
    public func removeCapture(_ name: String) -> Bool {
        watches.withLock { watches in
            let count = watches.count
            watches.removeAll { $0.name == name }
            isWatched.store(!watches.isEmpty, ordering: .relaxed)
            return watches.count < count
        }
    }

    fileprivate func note(_ frame: UnsafeRawBufferPointer, _ direction: Direction) {
        for watch in watches.withLock({ $0 }) where watch.direction == .all || watch.direction == direction {
            // SAFETY: a frame lives through the call that it is handed over by; the capture copies it.
            unsafe watch.capture.add(frame)
        }
    }

    public func transmit(_ frame: UnsafeRawBufferPointer) -> Bool {
        // SAFETY: frames are the caller's and valid for the call; they are handed on as whole pieces.
        guard isUp.load(ordering: .relaxed) else { return true }
        if isWatched.load(ordering: .relaxed) { unsafe note(frame, Direction.fromGuest) }
        return unsafe inner.transmit(frame)
    }
    public func transmit(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) -> Bool {
        guard isUp.load(ordering: .relaxed) else { return true }
        if isWatched.load(ordering: .relaxed) { unsafe note(frame, Direction.fromGuest) }
        return unsafe inner.transmit(frame, offload)
    }
    public func flush() { inner.flush() }
    public var offloads: FrameOffloads { inner.offloads }
    public var queuePairs: Int { inner.queuePairs }
    public func setReceiverOffloads(_ offloads: FrameOffloads) { inner.setReceiverOffloads(offloads) }
    public func setReceiver(_ receiver: (any FrameReceiver)?) {
        inner.setReceiver(receiver.map { Passage(self, $0) })
    }
    public func receiverReady() { inner.receiverReady() }
    public func stop() { inner.stop() }

    /// Takes the back-end's frames on their way to the card. The back-end keeps it, and must not keep the watch so.
    private final class Passage: FrameReceiver {
        private struct Owner: Sendable { weak let watch: WatchedNetwork? }
        private let owner: Owner
        private let receiver: any FrameReceiver
        init(_ watch: WatchedNetwork, _ receiver: any FrameReceiver) {
            owner = Owner(watch: watch)
            self.receiver = receiver
        }
        /// A frame that a pulled cable loses needs no room, and must not come when the cable is in again.
        func canReceive() -> Bool {
            if let watch = owner.watch, !watch.isUp.load(ordering: .relaxed) { return true }
            return receiver.canReceive()
        }
        var offloads: FrameOffloads { receiver.offloads }
        func receive(_ frame: UnsafeRawBufferPointer) { unsafe receive(frame, FrameOffload.none) }
        func receive(_ frame: UnsafeRawBufferPointer, _ offload: FrameOffload) {
            if let watch = owner.watch {
                guard watch.isUp.load(ordering: .relaxed) else { return }
                if watch.isWatched.load(ordering: .relaxed) { unsafe watch.note(frame, Direction.toGuest) }
            }
            unsafe receiver.receive(frame, offload)
        }
    }
}
