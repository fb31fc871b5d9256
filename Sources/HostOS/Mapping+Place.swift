internal import CLinux
internal import SystemPackage

extension Mapping {
    /// Where a mapping is to lie.
    public enum Place: Sendable {
        /// Where the kernel has room.
        case anywhere
        /// At an address by chance below 8 TiB, where the kernel puts nothing by itself: another process can then have the
        /// same bytes at the same address. Anywhere where that does not succeed.
        case low
        /// At this address, a multiple of the page size, or not at all.
        case exactly(UInt)
    }

    /// Maps at a place. Throws what the kernel says; where something lies at an exact address already, that it exists.
    static func map(
        _ count: Int, _ protection: Protection, _ flags: Int32, _ descriptor: Int32, _ offset: Int64, at place: Place
    ) throws(Errno) -> UnsafeMutableRawPointer {
        switch place {
        case .anywhere: return unsafe try map(nil, count, protection, flags, descriptor, offset)
        case .exactly(let address):
            return unsafe try map(
                UnsafeMutableRawPointer(bitPattern: address), count, protection, flags | fixed, descriptor, offset)
        case .low:
            for _ in 0..<8 {
                let address = UInt.random(in: lowest..<highest) << 21
                let base = unsafe try? map(
                    UnsafeMutableRawPointer(bitPattern: address), count, protection, flags | fixed, descriptor, offset)
                if let base = unsafe base { return unsafe base }
            }
            return unsafe try map(nil, count, protection, flags, descriptor, offset)
        }
    }
    /// MAP_FIXED_NOREPLACE (Linux 4.17): an older kernel takes the address for a wish.
    private static let fixed: Int32 = 0x10_0000
    /// In units of 2 MiB: from 1 TiB on.
    private static let lowest = UInt(1) << 19
    private static let highest = UInt(1) << 22

    private static func map(
        _ wish: UnsafeMutableRawPointer?, _ count: Int, _ protection: Protection, _ flags: Int32, _ descriptor: Int32,
        _ offset: Int64
    ) throws(Errno) -> UnsafeMutableRawPointer {
        // SAFETY: a new mapping, which takes no other's place, touches no memory in use.
        let base = unsafe mmap(wish, count, protection.rawValue, flags, descriptor, off_t(offset))
        guard let base = unsafe base, unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw Errno(rawValue: apus_errno())
        }
        if unsafe flags & fixed != 0 && base != wish {
            // SAFETY: it was just made, and nobody has seen it.
            _ = unsafe munmap(base, count)
            throw Errno.fileExists
        }
        return unsafe base
    }
}
