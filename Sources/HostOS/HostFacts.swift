internal import CLinux

/// What the host has.
public enum HostFacts {
    /// Bytes of physical memory.
    public static var physicalMemory: UInt64 { apus_physical_memory() }
    /// Processors that are online.
    public static var processorCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
    /// Bytes of a page.
    public static var pageSize: Int { max(4096, sysconf(Int32(_SC_PAGESIZE))) }
    /// Seconds that the host's local time is ahead of UTC at a moment, in seconds since 1970.
    public static func localTimeOffset(at seconds: Int64) -> Int64 {
        var moment = time_t(seconds)
        var fields = unsafe tm()
        // SAFETY: both outlive the call.
        guard unsafe localtime_r(&moment, &fields) != nil else { return 0 }
        return unsafe Int64(fields.tm_gmtoff)
    }
}

/// Which processors a thread may run on.
public enum Affinity {
    // 1024 processors, as many as glibc's cpu_set_t.
    private static let words = 16

    /// Pins a thread, by its Linux id (0: the caller), to processors. Numbers from 1024 on are an error.
    public static func set(thread: Int32 = 0, processors: [Int]) throws(HostError) {
        var mask = [UInt64](repeating: 0, count: words)
        for processor in processors {
            guard processor >= 0, processor < words * 64 else {
                throw HostError(reason: EINVAL, "pin a thread to processor \(processor)")
            }
            mask[processor / 64] |= 1 << UInt64(processor % 64)
        }
        // SAFETY: the array holds `words` words.
        guard unsafe apus_set_affinity(thread, mask, words) == 0 else {
            throw HostError(reason: apus_errno(), "pin thread \(thread) to processors \(processors)")
        }
    }

    /// The processors that a thread (0: the caller) may run on.
    public static func get(thread: Int32 = 0) throws(HostError) -> [Int] {
        var mask = [UInt64](repeating: 0, count: words)
        // SAFETY: the array holds `words` words.
        guard unsafe apus_get_affinity(thread, &mask, words) > 0 else {
            throw HostError(reason: apus_errno(), "tell the processors of thread \(thread)")
        }
        return (0..<words * 64).filter { mask[$0 / 64] >> UInt64($0 % 64) & 1 != 0 }
    }
}

/// The kernel's random numbers.
public enum HostRandom {
    /// Fills the buffer with bytes fit for keys. Waits only in the first seconds of the host's life.
    public static func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(HostError) {
        var done = 0
        while done < buffer.count, let base = buffer.baseAddress {
            // SAFETY: the range is inside the caller's buffer.
            let count = unsafe apus_getrandom(base + done, buffer.count - done)
            guard count > 0 else { throw HostError(reason: apus_errno(), "read random bytes") }
            done += count
        }
    }

    /// So many random bytes.
    public static func bytes(_ count: Int) throws(HostError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, count))
        var failure: HostError?
        unsafe bytes.withUnsafeMutableBytes { buffer in
            do throws(HostError) { try unsafe fill(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }
}
