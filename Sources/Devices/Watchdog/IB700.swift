public import DeviceModel
internal import Synchronization

/// The watchdog of iBASE's IB700 board: `ib700`. A write to port 443 starts it anew with one of 16 times, one to 441
/// stops it. (Documentation/watchdog of Linux; the board's manual.)
public final class IB700: Device, BusDevice {
    private static let stop: UInt64 = 0x441
    private static let start: UInt64 = 0x443

    public let stateName: String
    private let clock: any VirtualClock
    private let onExpiry: @Sendable () -> Void
    private let deadline = Mutex<UInt64?>(nil)
    private let timer = LateTimer()

    /// A watchdog that does not count yet. `onExpiry` runs with no lock held.
    public init(clock: any VirtualClock, stateName: String, onExpiry: @escaping @Sendable () -> Void) {
        self.stateName = stateName
        self.clock = clock
        self.onExpiry = onExpiry
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            check()
        }
    }

    /// Puts the two ports on the bus.
    public func attach(to io: Bus) {
        for port in [Self.stop, Self.start] {
            io.add(PortWindow(self, base: port), start: port, count: 1, name: "ib700")
        }
    }

    private func check() {
        let fires = deadline.withLock { deadline in
            guard let end = deadline, end <= clock.now else {
                timer.set(deadline)
                return false
            }
            deadline = nil
            return true
        }
        if fires { onExpiry() }
    }

    private func set(_ new: UInt64?) {
        deadline.withLock { deadline in
            deadline = new
            timer.set(new)
        }
    }

    public func read(offset: UInt64, size: Int) -> UInt64 { UInt64.max }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        switch offset {
        case Self.stop: set(nil)
        // 30 seconds down to none in steps of 2.
        case Self.start: set(clock.now &+ (30 - 2 * (value & 15)) * 1_000_000_000)
        default: break
        }
    }

    public func reset() { set(nil) }
    public func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        if let end = deadline.withLock({ $0 }) { state.set("deadline", end) }
        return state
    }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        set(state.fields["deadline"] == nil ? nil : try state.integer("deadline", as: UInt64.self))
    }
}
