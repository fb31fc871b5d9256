internal import Devices
internal import Synchronization

/// What firmware looks for something to start on, in the memory of the clock as PCs have it. Any thread.
final class BootDevices: Sendable {
    private struct State: Sendable {
        var order: [UInt8]
        /// The order of the next start alone.
        var once: [UInt8]?
    }
    private let state: Mutex<State>
    private let clock: RealTimeClock

    init(_ clock: RealTimeClock, _ order: [UInt8], once: [UInt8]?) {
        self.clock = clock
        state = Mutex(State(order: order, once: once))
    }

    /// Tells firmware, as it starts anew.
    func tell() {
        let order = state.withLock { state in
            defer { state.once = nil }
            return state.once ?? state.order
        }
        clock.setBootOrder(order)
    }

    /// Another order from now on.
    func set(_ order: [UInt8]) {
        state.withLock { $0 = State(order: order) }
        clock.setBootOrder(order)
    }
}
