/// What the guest's clock shows when the machine starts: `-rtc base=`.
public enum RTCBase: Equatable, Sendable {
    /// Coordinated universal time.
    case utc
    /// The host's local time.
    case localtime
    /// A fixed moment, in seconds since the start of 1970 as the guest's clock shows it.
    case date(Int64)

    /// Seconds to add to the wall clock `wallClock` (nanoseconds since 1970) for the guest's clock, where the host's
    /// local time is `localOffset` seconds ahead of UTC.
    func offset(wallClock: UInt64, localOffset: Int64) -> Int64 {
        switch self {
        case .utc: 0
        case .localtime: min(max(localOffset, -86_400), 86_400)
        case .date(let seconds): seconds - Int64(wallClock / 1_000_000_000)
        }
    }
}
