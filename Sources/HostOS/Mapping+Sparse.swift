internal import CLinux
public import SystemPackage

extension Mapping {
    /// `count` bytes of zeroes that take memory only where they are written, and directly below them a view of a
    /// file's first `header` bytes (both multiples of the page size). `base` is the header's first byte. Throws where
    /// the address space or the system's overcommit policy does not allow it.
    public static func sparse(
        count: Int, header: Int, of file: FileDescriptor
    ) throws(HostError) -> Mapping {
        let total = header + count
        // SAFETY: a new mapping at an address that the kernel chooses; its first pages are then replaced in place.
        let base = unsafe mmap(
            nil, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base = unsafe base, unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw HostError("reserve \(total) bytes of address space", Errno(rawValue: apus_errno()))
        }
        let view = unsafe mmap(base, header, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.rawValue, 0)
        guard unsafe view != UnsafeMutableRawPointer(bitPattern: -1) else {
            let reason = Errno(rawValue: apus_errno())
            _ = unsafe munmap(base, total)
            throw HostError("map \(header) bytes of a memory file", reason)
        }
        // The pages are written one here, one there: huge ones would be wasted on them.
        _ = unsafe madvise(base + header, count, MADV_NOHUGEPAGE)
        return unsafe Mapping(owning: base, count: total)
    }
}
