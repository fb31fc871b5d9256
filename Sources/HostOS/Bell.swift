internal import CLinux

/// A word that one thread sleeps on and others wake: the bell of a halted processor.
///
/// `ring` is lost by nobody: a ring before `wait` makes the next `wait` return at once.
@safe public final class Bell: @unchecked Sendable {
    // Guarded by atomic access alone.
    private let word: UnsafeMutablePointer<UInt32>

    /// A bell that has not rung.
    public init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: 0)
    }

    deinit { unsafe word.deallocate() }

    /// Wakes the sleeper, or makes its next sleep return at once. Any thread.
    public func ring() {
        // SAFETY: the word lives as long as this object.
        if unsafe apus_bell_set(word) == 0 { _ = unsafe apus_futex_wake(word, 1) }
    }

    /// Sleeps until a ring or for `nanoseconds` (nil: for ever). One thread at a time. May return early.
    public func wait(nanoseconds: UInt64?) {
        // SAFETY: the word lives as long as this object, the time on this stack.
        if let nanoseconds {
            let bounded = min(nanoseconds, 3_600_000_000_000)
            var time = timespec(tv_sec: Int(bounded / 1_000_000_000), tv_nsec: Int(bounded % 1_000_000_000))
            if unsafe apus_bell_load(word) == 0 { _ = unsafe apus_futex_wait(word, 0, &time) }
        } else if unsafe apus_bell_load(word) == 0 {
            _ = unsafe apus_futex_wait(word, 0, nil)
        }
        unsafe apus_bell_clear(word)
    }
}
