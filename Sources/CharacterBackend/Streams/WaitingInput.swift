public import DeviceModel
public import HostOS
internal import Synchronization

/// Bytes that wait for whoever reads a character back-end of the display, handed on as far as there is room. Any thread.
public final class WaitingInput: Sendable {
    private struct State: Sendable {
        var bytes: [UInt8] = []
        var receiver: (any CharacterReceiver)?
        var onDelivery: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())
    private let limit: Int
    private let loop: EventLoop

    /// Nothing yet; at most `limit` bytes, handed on by the loop's thread.
    public init(limit: Int, loop: EventLoop) {
        self.limit = limit
        self.loop = loop
    }

    /// How many bytes wait.
    public var count: Int { state.withLock { $0.bytes.count } }
    /// Runs on the loop's thread each time when some were handed on.
    public func onDelivery(_ handler: (@Sendable () -> Void)?) { state.withLock { $0.onDelivery = handler } }

    /// Keeps bytes: all of them, or none where there is no room. Nobody hears of them before `handOn`.
    public func keep(_ bytes: [UInt8]) {
        state.withLock { state in
            if state.bytes.count + bytes.count <= limit { state.bytes += bytes }
        }
    }
    /// Forgets what waits.
    public func clear() { state.withLock { $0.bytes = [] } }
    /// Names who reads.
    public func setReceiver(_ receiver: (any CharacterReceiver)?) {
        state.withLock { $0.receiver = receiver }
        handOn()
    }
    /// Tells who reads of what happens beside the bytes, soon.
    public func tell(_ event: CharacterEvent) {
        loop.post { [weak self] in
            (self?.state.withLock { $0.receiver } as? any CharacterEventReceiver)?.receive(event: event)
        }
    }
    /// Hands on what there is room for, soon.
    public func handOn() { loop.post { [weak self] in self?.deliver() } }

    private func deliver() {
        while true {
            guard let receiver = state.withLock({ $0.bytes.isEmpty ? nil : $0.receiver }) else { return }
            let room = receiver.receiveCapacity()
            guard room > 0 else { return }
            let bytes = state.withLock { state in
                let bytes = Array(state.bytes.prefix(room))
                state.bytes.removeFirst(bytes.count)
                return bytes
            }
            receiver.receive(bytes)
            state.withLock { $0.onDelivery }?()
        }
    }
}
