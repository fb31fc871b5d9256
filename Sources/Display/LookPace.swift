/// How often a server looks at pictures for its clients: soon after one has changed, less and less often while all stand
/// still. Times are of the monotonic clock, in nanoseconds.
public struct LookPace: Sendable {
    /// The shortest and the longest time between two looks.
    public static let shortest: UInt64 = 10_000_000
    private static let longest: UInt64 = 100_000_000

    private var interval = LookPace.shortest
    private var last: UInt64 = 0

    public init() {}

    /// When to look next.
    public var next: UInt64 { last &+ interval }

    /// Somebody does something: pictures may change soon.
    public mutating func hurry() { interval = Self.shortest }

    /// Pictures were looked at, and something was sent of them or not.
    public mutating func looked(now: UInt64, hasSent: Bool) {
        last = now
        interval = hasSent ? Self.shortest : min(interval + Self.shortest, Self.longest)
    }
}
