internal import CEngine
internal import GuestMemory

/// The memory of an adapter: a power of two of bytes, in which each address wraps. The guest may write it meanwhile.
///
/// The four planes of VGA lie side by side: the byte of plane p at offset n is at 4n + p.
@safe struct VideoMemory: @unchecked Sendable {
    // Shared with the guest by its nature; bytes are read and written one by one or copied.
    private let base: UnsafeMutablePointer<UInt8>
    /// One byte a page: what a migration asks for.
    private let flags: UnsafeMutablePointer<UInt8>
    /// Bytes.
    let count: Int

    /// The memory of a block, which outlives this value, and has at least so many bytes.
    init(_ block: RAMBlock, count: Int) {
        precondition(count >= 65536 && count & (count - 1) == 0, "Video memory is a power of two")
        unsafe base = block.base.assumingMemoryBound(to: UInt8.self)
        unsafe flags = block.pageFlags
        self.count = count
    }

    /// Tells migration and others that a page was written.
    @inline(__always)
    private func note(_ index: Int) {
        let wanted = RAMBlock.PageFlag.dirtyMigration | RAMBlock.PageFlag.dirtyDisplay
        // SAFETY: the index lies within the memory; there is a byte for each of its pages.
        let flag = unsafe flags + index >> 12
        if unsafe apus_atomic_load8(flag) & wanted != wanted { _ = unsafe apus_atomic_or8(flag, wanted) }
    }

    @inline(__always)
    subscript(_ index: Int) -> UInt8 {
        // SAFETY: the index is cut to the memory's size.
        get { unsafe apus_load8(base + (index & (count &- 1))) }
        nonmutating set {
            let place = index & (count &- 1)
            unsafe apus_store8(base + place, newValue)
            note(place)
        }
    }

    /// The four planes at an offset, plane 0 in the lowest byte.
    @inline(__always)
    subscript(planes offset: Int) -> UInt32 {
        // SAFETY: as above; a multiple of 4 has three bytes behind it.
        get { unsafe apus_load32(base + (offset &* 4 & (count &- 1))) }
        nonmutating set {
            let place = offset &* 4 & (count &- 1)
            unsafe apus_store32(base + place, newValue)
            note(place)
        }
    }

    /// Zeroes everything.
    func clear() {
        unsafe UnsafeMutableRawPointer(base).initializeMemory(as: UInt8.self, repeating: 0, count: count)
        noteAll()
    }
    /// Tells that all pages were written: the block's memory has gone back to the host.
    func noteAll() {
        for page in 0..<(count >> 12) { note(page << 12) }
    }

    /// Copies bytes from an offset on.
    func copy(from offset: Int, into bytes: inout [UInt8], count wanted: Int) {
        let wanted = min(wanted, bytes.count)
        let start = offset & (count - 1)
        unsafe bytes.withUnsafeMutableBytes { target in
            guard let address = target.baseAddress else { return }
            // SAFETY: no part is longer than what is left of the memory or of the target.
            var done = 0
            while done < wanted {
                let place = (start + done) & (count - 1)
                let part = min(wanted - done, count - place)
                unsafe (address + done).copyMemory(from: base + place, byteCount: part)
                done += part
            }
        }
    }

    /// A run of 32-bit pixels in place; nil where it wraps or is not aligned.
    func pixels(at offset: Int, count pixels: Int) -> UnsafePointer<UInt32>? {
        guard offset >= 0, offset & 3 == 0, pixels >= 0, pixels <= count / 4, offset <= count - pixels * 4 else {
            return nil
        }
        // SAFETY: the run lies within the memory, and is aligned as the memory's start is.
        return unsafe UnsafeRawPointer(base + offset).assumingMemoryBound(to: UInt32.self)
    }
}
