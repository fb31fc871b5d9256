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

    /// Makes the bytes from `offset` (a multiple of the page size) to the end zeroes that take no memory again, neither
    /// for their content nor for the host's page tables. Nobody may be using them.
    public func makeSparse(from offset: Int) {
        guard offset >= 0, offset < count, offset & 4095 == 0 else { return }
        // SAFETY: the range is this mapping's own, and a new mapping takes its place at once.
        let renewed = unsafe mmap(
            base + offset, count - offset, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0)
        if unsafe renewed == UnsafeMutableRawPointer(bitPattern: -1) {
            discard(offset: offset, count: count - offset)
        } else {
            _ = unsafe madvise(base + offset, count - offset, MADV_NOHUGEPAGE)
        }
    }
}
