internal import CLinux

/// The host's clocks, in nanoseconds.
public enum HostClock {
    /// CLOCK_MONOTONIC: never steps, slewed by NTP.
    public static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }
    /// CLOCK_REALTIME: nanoseconds since 1970.
    public static var realtime: UInt64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        // SAFETY: the structure outlives the call.
        _ = unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
