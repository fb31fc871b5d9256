/// A limit of bytes a second, with a burst. A pure value; the caller gives the time in nanoseconds.
struct TokenBucket {
    /// Bytes a second.
    let rate: UInt64
    /// Bytes that may go at once.
    let burst: UInt64
    private var tokens: UInt64
    private var last: UInt64

    /// A full bucket. A burst is never less than the longest frame.
    init(rate: UInt64, burst: UInt64?, now: UInt64) {
        self.rate = max(1, min(rate, 1 << 40))
        self.burst = min(max(burst ?? self.rate / 8, 1 << 17), 1 << 40)
        tokens = self.burst
        last = now
    }

    /// Takes a frame's bytes even where there are too few.
    mutating func force(_ count: Int, now: UInt64) {
        if !take(count, now: now) { tokens = 0 }
    }

    /// Takes a frame's bytes; false where there are too few.
    mutating func take(_ count: Int, now: UInt64) -> Bool {
        if now > last {
            // At most ten seconds count, which fill any bucket that matters and keep the product small.
            let elapsed = min(now - last, 10_000_000_000)
            let added = (elapsed / 1000) * rate / 1_000_000
            if added > 0 {
                tokens = min(burst, tokens + added)
                last = now
            }
        }
        guard tokens >= UInt64(count) else { return false }
        tokens -= UInt64(count)
        return true
    }
}
