public import HostOS
internal import Synchronization

/// A store of permissions that refills with time: so many at once, so many a period after that.
public struct TokenBucket: Sendable {
    private let burst: UInt64
    private let nanosecondsPerToken: UInt64
    private var tokens: UInt64
    private var filled: UInt64

    /// A full bucket at the time `now` (nanoseconds). `burst` and the rate are at least one.
    public init(burst: Int, perSecond: Int, now: UInt64) {
        self.burst = UInt64(max(1, burst))
        nanosecondsPerToken = max(1, 1_000_000_000 / UInt64(max(1, perSecond)))
        tokens = self.burst
        filled = now
    }

    /// Takes one token. False: there is none.
    public mutating func take(now: UInt64) -> Bool {
        if now > filled {
            let gained = (now - filled) / nanosecondsPerToken
            if gained >= burst - tokens {
                tokens = burst
                filled = now
            } else {
                tokens += gained
                filled += gained * nanosecondsPerToken
            }
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}

/// A logger for messages that a guest or client can cause at will. It has no `error`: that level is for what an
/// operator must mend. Any thread.
public final class RateLimitedLogger: Sendable {
    private struct State {
        var bucket: TokenBucket
        var suppressed: UInt64 = 0
    }

    private let logger: Logger
    private let clock: @Sendable () -> UInt64
    private let state: Mutex<State>

    /// At most `burst` messages at once, and `perSecond` a second for long.
    public init(
        _ logger: Logger, burst: Int = 10, perSecond: Int = 1,
        clock: @escaping @Sendable () -> UInt64 = { HostClock.monotonic }
    ) {
        self.logger = logger
        self.clock = clock
        state = Mutex(State(bucket: TokenBucket(burst: burst, perSecond: perSecond, now: clock())))
    }

    /// Writes the message if its level is on and the rate allows, with the number of those left out before it.
    public func log(_ level: LogLevel, _ message: @autoclosure () -> String) {
        guard logger.sink.writes(level) else { return }
        let now = clock()
        let suppressed = state.withLock { state -> UInt64? in
            guard state.bucket.take(now: now) else {
                state.suppressed &+= 1
                return nil
            }
            defer { state.suppressed = 0 }
            return state.suppressed
        }
        guard let suppressed else { return }
        logger.log(
            level == LogLevel.error ? LogLevel.warning : level,
            {
                suppressed == 0 ? message() : "\(message()) (\(suppressed) messages left out)"
            }())
    }

    /// See `LogLevel.warning`.
    public func warning(_ message: @autoclosure () -> String) { log(LogLevel.warning, message()) }
    /// See `LogLevel.info`.
    public func info(_ message: @autoclosure () -> String) { log(LogLevel.info, message()) }
    /// See `LogLevel.debug`.
    public func debug(_ message: @autoclosure () -> String) { log(LogLevel.debug, message()) }
}
