import HostOS

/// Time for guests of tests.
enum TestClock {
    static var now: UInt64 { HostClock.monotonic }
}
