/// Guest memory as `-m` and `-mem-path` have it.
public struct MemoryConfiguration: Equatable, Sendable {
    /// Bytes at start, a multiple of 8 KiB, never 0.
    public var size: UInt64 = 128 << 20
    /// Slots for memory that is plugged later.
    public var slots: Int = 0
    /// The most bytes with plugged memory; at least `size`.
    public var maximum: UInt64?
    /// A file or directory to hold it.
    public var path: String?
    /// Whether all pages are made at start.
    public var preallocates = false
    /// Whether it is locked in host memory (`-overcommit mem-lock=on`).
    public var locked = false
    /// Whether guests may idle the host's processors (`-overcommit cpu-pm=on`).
    public var processorPowerManagement = false

    /// 128 MiB.
    public init() {}
}
