/// Where sound goes (`-audiodev`). Any thread.
public protocol AudioBackend: AnyObject, Sendable {
    /// A voice of a device, which is mixed with all others.
    func makeVoice() -> any AudioVoice
    /// Ends all voices and brings what was said to its place.
    func close()
}

/// One source of sound. Any thread; calls may come with the device's lock held, and do not call back.
public protocol AudioVoice: AnyObject, Sendable {
    /// Plays `samples`, left and right by turns, of `rate` frames a second, the last of which is due at virtual time
    /// `end` in nanoseconds.
    func play(_ samples: [Int16], rate: Int, end: UInt64)
    /// Nothing follows for now.
    func stop()
}

/// Nobody listens.
public final class NoAudio: AudioBackend, AudioVoice {
    /// A back-end that forgets what it hears.
    public init() {}
    public func makeVoice() -> any AudioVoice { self }
    public func close() {}
    public func play(_ samples: [Int16], rate: Int, end: UInt64) {}
    public func stop() {}
}

/// The frames of a stream that are due, by virtual time.
struct AudioPace: Sendable, Equatable {
    /// When the first frame was due.
    var start: UInt64
    /// Frames that were moved since then.
    var moved: UInt64 = 0
    /// A machine that was late does not make up for more than this, in nanoseconds.
    static let mostLate: UInt64 = 100_000_000
    /// As long as a device may wait to move what is due, in nanoseconds.
    static let period: UInt64 = 10_000_000

    init(start: UInt64) { self.start = start }

    /// How many frames of `rate` a second are to be moved now.
    mutating func due(_ now: UInt64, rate: UInt64) -> UInt64 {
        let all = Ticks.at(now &- min(start, now), hertz: rate)
        guard all > moved else { return 0 }
        let most = Ticks.at(Self.mostLate, hertz: rate)
        if all - moved > most { moved = all - most }
        return all - moved
    }
    /// When `count` more frames are due, in no longer than a period from now.
    func deadline(_ now: UInt64, after count: UInt64, rate: UInt64) -> UInt64 {
        let exact = start &+ Ticks.nanoseconds(of: min(moved &+ count, 1 << 40), hertz: max(rate, 1))
        // Not sooner than a tenth of a period: a guest with tiny buffers must not keep the machine busy.
        return min(max(exact, now &+ Self.period / 10), now &+ Self.period)
    }
}
