internal import DeviceModel
internal import Synchronization

/// A device's timer whose action names the device itself: made once the device is whole, then set to deadlines under
/// the device's lock. Setting the deadline it already has costs nothing.
final class LateTimer: Sendable {
    private struct State: Sendable {
        var timer: (any VirtualTimer)?
        var deadline: UInt64?
    }
    private let state = Mutex(State())

    /// Called once, at the end of the device's initialiser.
    func make(_ clock: any VirtualClock, _ fire: @escaping @Sendable () -> Void) {
        let timer = clock.makeTimer(fire)
        state.withLock { $0.timer = timer }
    }

    /// Fires at `deadline`, or never where it is nil.
    func set(_ deadline: UInt64?) {
        state.withLock { state in
            guard deadline != state.deadline else { return }
            state.deadline = deadline
            if let deadline { state.timer?.arm(at: deadline) } else { state.timer?.cancel() }
        }
    }

    /// Told by the device at the start of its action: the next `set` arms again even for the same deadline.
    func fired() { state.withLock { $0.deadline = nil } }
}
