public import HostOS
internal import Synchronization

/// A hub in the process: a frame of one port goes to all others (`-netdev hubport`). Any thread.
public final class FrameHub: Sendable {
    private let ports = Mutex<[HubPort]>([])

    /// A hub without ports.
    public init() {}

    /// A new port, for a card, or joined to another back-end.
    public func makePort(joining backend: (any NetworkBackend)? = nil, name: String) throws(HostError) -> HubPort {
        let port = try HubPort(self, backend, name)
        ports.withLock { $0.append(port) }
        port.start()
        return port
    }

    fileprivate func spread(_ frame: UnsafeRawBufferPointer, from sender: HubPort) {
        // SAFETY: frames are the caller's and valid for the call; they are handed on as whole pieces.
        for port in ports.withLock({ $0 }) where port !== sender { unsafe port.take(frame) }
    }
    fileprivate func remove(_ port: HubPort) { ports.withLock { $0.removeAll { $0 === port } } }
}

/// A port of a hub. What its receiver has no room for waits in a queue of a fixed size.
public final class HubPort: NetworkBackend {
    private let hub: FrameHub
    private let backend: (any NetworkBackend)?
    private let thread: NetworkThread
    private let queue = Mutex(FrameQueue(capacity: 1 << 20))
    private let gate = ReceiverGate()
    private let isPosted = Atomic(false)

    fileprivate init(_ hub: FrameHub, _ backend: (any NetworkBackend)?, _ name: String) throws(HostError) {
        self.hub = hub
        self.backend = backend
        thread = try NetworkThread(name: name)
    }

    /// What the joined back-end brings goes into the hub.
    private final class Joint: FrameReceiver {
        private struct Owner: Sendable { weak let port: HubPort? }
        private let owner: Owner
        init(_ port: HubPort) { owner = Owner(port: port) }
        func canReceive() -> Bool { true }
        func receive(_ frame: UnsafeRawBufferPointer) {
            guard let port = owner.port else { return }
            unsafe port.hub.spread(frame, from: port)
        }
    }

    fileprivate func start() { backend?.setReceiver(Joint(self)) }

    public func transmit(_ frame: UnsafeRawBufferPointer) -> Bool {
        unsafe hub.spread(frame, from: self)
        return true
    }
    public func setReceiver(_ receiver: (any FrameReceiver)?) { gate.setReceiver(receiver) }
    public func receiverReady() { if gate.takeWait() { post() } }
    public func stop() {
        hub.remove(self)
        gate.setReceiver(nil)
        backend?.stop()
        thread.stop()
    }

    fileprivate func take(_ frame: UnsafeRawBufferPointer) {
        if let backend {
            _ = unsafe backend.transmit(frame)
            backend.flush()
        } else if queue.withLock({ unsafe $0.push(frame) }) {
            post()
        }
    }

    /// Returns when its receiver has had all that it has room for.
    package func settle() { thread.perform { [self] in deliver() } }

    private func post() {
        if !isPosted.exchange(true, ordering: .acquiringAndReleasing) {
            thread.loop.post { [weak self] in self?.deliver() }
        }
    }

    private func deliver() {
        isPosted.store(false, ordering: .sequentiallyConsistent)
        var buffer = [UInt8](repeating: 0, count: FrameFinisher.mostBytes)
        while gate.isOpen() {
            let count = queue.withLock { queue in
                let count = unsafe buffer.withUnsafeMutableBytes { unsafe queue.copyFirst(into: $0) }
                queue.removeFirst()
                return count
            }
            guard count > 0 else { return }
            unsafe buffer.withUnsafeBytes {
                unsafe gate.deliver(UnsafeRawBufferPointer(rebasing: $0[..<count]), FrameOffload.none)
            }
        }
    }
}
