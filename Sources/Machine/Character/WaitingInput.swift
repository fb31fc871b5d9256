internal import DeviceModel
internal import HostOS
internal import Synchronization

/// Bytes that wait for whoever reads a character back-end of the display, handed on as far as there is room. Any thread.
final class WaitingInput: Sendable {
    private struct State: Sendable {
        var bytes: [UInt8] = []
        var receiver: (any CharacterReceiver)?
    }
    private let state = Mutex(State())
    private let limit: Int
    private let loop: EventLoop

    /// Nothing yet; at most `limit` bytes, handed on by the loop's thread.
    init(limit: Int, loop: EventLoop) {
        self.limit = limit
        self.loop = loop
    }

    /// Keeps bytes: all of them, or none where there is no room. Nobody hears of them before `handOn`.
    func keep(_ bytes: [UInt8]) {
        state.withLock { state in
            if state.bytes.count + bytes.count <= limit { state.bytes += bytes }
        }
    }
    /// Forgets what waits.
    func clear() { state.withLock { $0.bytes = [] } }
    /// Names who reads.
    func setReceiver(_ receiver: (any CharacterReceiver)?) {
        state.withLock { $0.receiver = receiver }
        handOn()
    }
    /// Hands on what there is room for, soon.
    func handOn() { loop.post { [weak self] in self?.deliver() } }

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
        }
    }
}
