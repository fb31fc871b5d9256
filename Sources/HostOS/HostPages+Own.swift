internal import CLinux
internal import SystemPackage

extension HostPages {
    /// Which pages of private memory have contents that are this process's own: a bit a page. Those without have never
    /// been written (plain memory), or show a file as it is. Nil where the host does not tell (proc(5), pagemap).
    public static func own(_ start: UnsafeMutableRawPointer, pages: Int) -> [UInt64]? {
        guard let map = try? HostFile.open("/proc/self/pagemap", .read) else { return nil }
        var words = [UInt64](repeating: 0, count: (pages + 63) / 64)
        var entries = [UInt64](repeating: 0, count: 8192)
        var page = 0
        let first = Int64(UInt(bitPattern: start) >> 12)
        while page < pages {
            let wanted = min(entries.count, pages - page)
            // SAFETY: the buffer has room for `wanted` entries.
            let transfer = unsafe entries.withUnsafeMutableBytes { buffer in
                unsafe map.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<wanted * 8]),
                    at: (first + Int64(page)) * 8)
            }
            guard case .moved(let count) = transfer, count >= 8, count % 8 == 0 else { return nil }
            for index in 0..<count / 8 {
                let entry = entries[index]
                // Present or swapped out, and no page of a file.
                guard entry >> 62 != 0, entry >> 61 & 1 == 0 else { continue }
                words[(page + index) >> 6] |= 1 << UInt64((page + index) & 63)
            }
            page += count / 8
        }
        return words
    }
}

extension Descriptor {
    /// Copies bytes of a file into another, inside the kernel where it can. Both are plain or memory files.
    public func copy(from place: Int64, count: Int, to other: Descriptor, at position: Int64) throws(HostError) {
        var (source, target, left) = (place, position, count)
        while left > 0 {
            // SAFETY: the two numbers outlive the call.
            let moved = unsafe apus_copy_range(rawValue, &source, other.rawValue, &target, left)
            if moved < 0, apus_errno() == EINTR { continue }
            guard moved > 0 else { throw HostError(reason: apus_errno(), "copy \(count) bytes between files") }
            left -= moved
        }
    }
}
