internal import HostOS
internal import Synchronization

/// Holds work up to so many bytes a second (`-r`). Any thread.
final class RateLimit: Sendable {
    private let rate: UInt64
    private let free: Mutex<UInt64>

    /// The limit that an option names, in bytes a second; nil for none.
    init?(option text: String) throws(ToolFailure) {
        let rate = try Sizes.parse(text, "rate limit")
        guard rate > 0 else { return nil }
        self.rate = rate
        free = Mutex(HostClock.monotonic)
    }

    /// Sleeps until what was taken before has had its time, and takes so many bytes.
    func take(_ bytes: UInt64) {
        let due = free.withLock { free in
            let now = HostClock.monotonic
            let start = max(free, now)
            let (scaled, overflow) = bytes.multipliedReportingOverflow(by: 1_000_000_000)
            free = start &+ (overflow ? bytes / rate &* 1_000_000_000 : scaled / rate)
            return start
        }
        let bell = Bell()
        while true {
            let now = HostClock.monotonic
            guard now < due else { return }
            bell.wait(nanoseconds: due - now)
        }
    }
}
