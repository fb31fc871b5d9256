internal import CLinux
internal import SystemPackage

/// Pages of this process that somebody else fills when they are first touched (userfaultfd(2)). Faults inside the
/// kernel (reads of files into such pages, KVM) wait for them too. Any thread.
public final class PageFaults: Sendable {
    private let descriptor: Descriptor

    /// Throws where the host does not allow it: the process has to be privileged, or `vm.unprivileged_userfaultfd` 1.
    public init() throws(HostError) {
        let raw = apus_fault_descriptor()
        guard raw >= 0 else { throw HostError(reason: apus_errno(), "watch for faults of pages") }
        descriptor = Descriptor(owning: raw)
    }

    /// From now on whoever touches pages of the range that are not there yet waits until they are filled. Whole pages.
    public func watch(_ start: UnsafeMutableRawPointer, count: Int) throws(HostError) {
        // SAFETY: the kernel looks at the range's mappings alone, and refuses others than plain memory.
        guard unsafe apus_fault_watch(descriptor.rawValue, start, count) == 0 else {
            throw HostError(reason: apus_errno(), "watch for faults of \(count) bytes")
        }
    }

    /// Ends that; who waits looks again.
    public func end(_ start: UnsafeMutableRawPointer, count: Int) {
        // SAFETY: as above.
        _ = unsafe apus_fault_unwatch(descriptor.rawValue, start, count)
    }

    /// The address of the next fault, 0 for something else that happened; nil where none is there in time.
    public func next(milliseconds: Int32) -> UInt? {
        var found = apus_fault_next(descriptor.rawValue)
        if found < 0, milliseconds != 0, !descriptor.wait(for: [.read], milliseconds: milliseconds).isEmpty {
            found = apus_fault_next(descriptor.rawValue)
        }
        return found < 0 ? nil : UInt(bitPattern: found)
    }

    /// Fills pages that are watched and not there yet; those that are there stay as they are.
    public func fill(_ target: UnsafeMutableRawPointer, from source: UnsafeRawBufferPointer) throws(HostError) {
        guard let base = source.baseAddress else { return }
        // SAFETY: the caller's buffers, for as long as it waits.
        try unsafe repeated(target, source.count) { done, count in
            // SAFETY: `done` and `count` bytes from it lie in the caller's buffers.
            unsafe apus_fault_fill(descriptor.rawValue, target + done, base + done, count)
        }
    }

    /// Fills them with zeroes.
    public func zero(_ target: UnsafeMutableRawPointer, count: Int) throws(HostError) {
        // SAFETY: the caller's pages, for as long as it waits.
        try unsafe repeated(target, count) { done, count in
            // SAFETY: as above.
            unsafe apus_fault_zero(descriptor.rawValue, target + done, count)
        }
    }

    private func repeated(
        _ target: UnsafeMutableRawPointer, _ count: Int, _ step: (Int, Int) -> Int
    ) throws(HostError) {
        var done = 0
        while done < count {
            let filled = step(done, count - done)
            if filled > 0 {
                done += filled
                continue
            }
            switch apus_errno() {
            case EAGAIN, EINTR: continue
            case EEXIST:
                // SAFETY: one page of the range.
                _ = unsafe apus_fault_wake(descriptor.rawValue, target + done, 4096)
                done += 4096
            case let reason: throw HostError(reason: reason, "fill \(count) bytes of memory")
            }
        }
    }
}
