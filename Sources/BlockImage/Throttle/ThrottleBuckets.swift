/// Leaky buckets, one for each kind of limit: each request pours in what it moves, and each bucket loses what its limit
/// allows in a second. A request may begin while the buckets of its direction are not over their rims. As QEMU's
/// throttling has it; a model without clock and thread.
package struct ThrottleBuckets: Sendable {
    /// Setting them empties the buckets.
    package var limits: ThrottleLimits {
        didSet { empty() }
    }
    /// What is in each bucket: bytes of all requests, of reads, of writes; then requests.
    private var levels = [Double](repeating: 0, count: 6)
    /// The same of the buckets that keep a burst of several seconds at its own rate.
    private var bursts = [Double](repeating: 0, count: 6)
    private var lastLeak: UInt64

    /// Empty buckets at a time, in nanoseconds.
    package init(_ limits: ThrottleLimits, now: UInt64) {
        self.limits = limits
        lastLeak = now
    }

    private mutating func empty() {
        levels = [Double](repeating: 0, count: 6)
        bursts = levels
    }

    private func limit(_ index: Int) -> ThrottleLimits.Limit {
        index < 3 ? limits.bytes[index] : limits.operations[index - 3]
    }

    /// Nanoseconds until the next request of a direction may begin.
    package mutating func wait(isWrite: Bool, now: UInt64) -> UInt64 {
        leak(now)
        var longest = 0.0
        for index in [0, isWrite ? 2 : 1, 3, isWrite ? 5 : 4] {
            let limit = limit(index)
            guard limit.average > 0 else { continue }
            let (rate, peak) = (Double(limit.average), Double(limit.maximum))
            // A tenth of a second at once, where no burst is allowed: or else every other request would have to wait.
            let rim = limit.maximum > 0 ? peak * Double(limit.burstSeconds) : rate / 10
            if levels[index] > rim {
                longest = max(longest, (levels[index] - rim) / rate)
            } else if limit.maximum > 0 && limit.burstSeconds > 1 && bursts[index] > peak / 10 {
                longest = max(longest, (bursts[index] - peak / 10) / peak)
            }
        }
        // Rounded up: who comes at that time finds room. Who would have to wait for days asks again before.
        return UInt64((min(longest, 86_400) * 1e9).rounded(.up))
    }

    private mutating func leak(_ now: UInt64) {
        let elapsed = Double(now &- lastLeak) / 1e9
        lastLeak = now
        for index in 0..<6 {
            let limit = limit(index)
            levels[index] = max(0, levels[index] - Double(limit.average) * elapsed)
            bursts[index] = max(0, bursts[index] - Double(limit.maximum) * elapsed)
        }
    }

    /// Pours a request of `length` bytes in.
    package mutating func book(_ length: UInt64, isWrite: Bool) {
        let size = limits.operationSize
        let operations = size > 0 ? Double(max(1, length / size + (length % size > 0 ? 1 : 0))) : 1
        for kind in [0, isWrite ? 2 : 1] {
            levels[kind] += Double(length)
            bursts[kind] += Double(length)
            levels[3 + kind] += operations
            bursts[3 + kind] += operations
        }
    }
}
