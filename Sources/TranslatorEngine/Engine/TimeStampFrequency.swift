internal import CEngine
internal import HostOS

/// The rate of the host's time-stamp counter.
enum TimeStampFrequency {
    /// Kilohertz of a counter that counts virtual nanoseconds.
    static let counted: UInt64 = 1_000_000
    /// Kilohertz, measured once against the monotonic clock: 20 ms, a few parts in a million.
    static let host: UInt64 = measure()

    private static func measure() -> UInt64 {
        let (time0, counter0) = sample()
        let end = time0 + 20_000_000
        let pause = Bell()
        while HostClock.monotonic < end { pause.wait(nanoseconds: 5_000_000) }
        let (time1, counter1) = sample()
        let nanoseconds = time1 - time0
        return UInt64(Double(counter1 &- counter0) * 1_000_000 / Double(nanoseconds))
    }

    /// A reading of both, the closest of several.
    private static func sample() -> (time: UInt64, counter: UInt64) {
        var best: (time: UInt64, counter: UInt64) = (0, 0)
        var narrowest = UInt64.max
        for _ in 0..<20 {
            let before = apus_rdtsc()
            let time = HostClock.monotonic
            let after = apus_rdtsc()
            if after &- before < narrowest {
                narrowest = after &- before
                best = (time, before &+ (after &- before) / 2)
            }
        }
        return best
    }
}
