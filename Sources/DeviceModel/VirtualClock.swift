/// The machine's one clock, from which every device takes its time. It stands still while the machine is stopped.
public protocol VirtualClock: AnyObject, Sendable {
    /// Nanoseconds of guest time since the machine was made. Any thread.
    var now: UInt64 { get }
    /// Wall-clock time of the guest's RTC base, nanoseconds since 1970. Any thread.
    var wallClock: UInt64 { get }
    /// A timer that is not armed; `fire` runs on the device thread, with no lock held.
    func makeTimer(_ fire: @escaping @Sendable () -> Void) -> any VirtualTimer
}

/// A one-shot timer of the virtual clock. Any thread.
public protocol VirtualTimer: AnyObject, Sendable {
    /// Fires once at or after `deadline` (virtual nanoseconds); replaces an earlier deadline. A deadline in the past
    /// fires at once.
    func arm(at deadline: UInt64)
    /// Does not fire unless it already does.
    func cancel()
}
