internal import HostOS

/// What the kernel counts for a process or thread.
struct ProcessStatistics: Sendable {
    /// Nanoseconds in user mode and in the kernel.
    let user: UInt64
    let system: UInt64
    /// The processor it ran on last.
    let processor: Int32
    /// KiB of memory that it holds.
    let resident: UInt64

    /// Reads `/proc`. `thread` nil: the whole process.
    init?(process: Int32, thread: Int32? = nil) {
        let path = thread.map { "/proc/\(process)/task/\($0)/stat" } ?? "/proc/\(process)/stat"
        guard let bytes = try? HostFile.contents(path, limit: 1 << 16),
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 36 else { return nil }
        func number(_ index: Int) -> UInt64 { UInt64(String(decoding: fields[index], as: UTF8.self)) ?? 0 }
        // Ticks of 10 ms: proc(5), fields 14, 15, 24 and 39.
        user = number(11) &* 10_000_000
        system = number(12) &* 10_000_000
        resident = number(21) &* UInt64(HostFacts.pageSize / 1024)
        processor = Int32(clamping: number(36))
    }
}
