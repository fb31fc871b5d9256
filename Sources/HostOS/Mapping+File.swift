internal import CLinux
internal import SystemPackage

extension Mapping {
    /// A view of a file's first `count` bytes for reading and writing. Shared: writes reach the file and its other
    /// users; private: they stay in this process.
    public static func file(_ file: Descriptor, count: Int, isShared: Bool) throws(HostError) -> Mapping {
        let flags = isShared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let base = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, flags, file.rawValue, 0)
        guard let base = unsafe base, unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw HostError("map \(count) bytes of a file", Errno(rawValue: apus_errno()))
        }
        return unsafe Mapping(owning: base, count: count)
    }

    /// Makes all pages now rather than at their first use (`MADV_POPULATE_WRITE`, Linux 5.14; else by touching them).
    public func populate() throws(HostError) {
        // SAFETY: the range is this mapping's own.
        if unsafe madvise(base, count, Self.populateWrite) == 0 { return }
        let reason = apus_errno()
        guard reason == EINVAL else { throw HostError(reason: reason, "make \(count) bytes of memory") }
        for offset in stride(from: 0, to: count, by: 4096) {
            // SAFETY: inside the mapping, which nobody else uses yet; adding 0 atomically keeps what is there.
            unsafe apus_touch(base + offset)
        }
    }
    private static let populateWrite: Int32 = 23

    /// Where pages come from on a host with several nodes of memory (mbind(2)).
    public enum Policy: Int, Sendable {
        /// These nodes first.
        case preferred = 1
        /// These nodes and no other.
        case bind = 2
        /// From each of these nodes in turn.
        case interleave = 3
    }

    /// Has pages that do not exist yet come from the given nodes of the host, each below 1024.
    public func bind(_ policy: Policy, nodes: [Int]) throws(HostError) {
        var mask = [UInt](repeating: 0, count: 16)
        for node in nodes where (0..<1024).contains(node) { mask[node / 64] |= 1 << UInt(node % 64) }
        // SAFETY: the range is this mapping's own, and the mask has as many bits as is said.
        let status = unsafe mask.withUnsafeBufferPointer { mask in
            unsafe apus_mbind(base, UInt(count), Int32(policy.rawValue), mask.baseAddress, 1024)
        }
        guard status == 0 else {
            throw HostError(reason: apus_errno(), "bind memory to the host's nodes \(nodes)")
        }
    }
}

/// Memory of the whole process.
public enum ProcessMemory {
    /// Keeps all pages in host memory (mlockall(2)): those of present mappings are brought in now, those of future ones
    /// when they are first touched, because address space may be reserved that memory does not suffice for.
    public static func lockAll() throws(HostError) {
        guard mlockall(MCL_CURRENT) == 0, mlockall(MCL_FUTURE | MCL_ONFAULT) == 0 else {
            throw HostError(reason: apus_errno(), "lock memory")
        }
    }
}
