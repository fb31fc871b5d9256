internal import CEngine

/// The memory of an adapter: a power of two of bytes, in which each address wraps. The guest may write it meanwhile.
///
/// The four planes of VGA lie side by side: the byte of plane p at offset n is at 4n + p.
@safe struct VideoMemory: @unchecked Sendable {
    // Shared with the guest by its nature; bytes are read and written one by one or copied.
    private let base: UnsafeMutablePointer<UInt8>
    /// Bytes.
    let count: Int

    /// The memory at a pointer, which outlives this value.
    init(_ base: UnsafeMutableRawPointer, count: Int) {
        precondition(count >= 65536 && count & (count - 1) == 0, "Video memory is a power of two")
        unsafe self.base = base.assumingMemoryBound(to: UInt8.self)
        self.count = count
    }

    @inline(__always)
    subscript(_ index: Int) -> UInt8 {
        // SAFETY: the index is cut to the memory's size.
        get { unsafe apus_load8(base + (index & (count &- 1))) }
        nonmutating set { unsafe apus_store8(base + (index & (count &- 1)), newValue) }
    }

    /// The four planes at an offset, plane 0 in the lowest byte.
    @inline(__always)
    subscript(planes offset: Int) -> UInt32 {
        // SAFETY: as above; a multiple of 4 has three bytes behind it.
        get { unsafe apus_load32(base + (offset &* 4 & (count &- 1))) }
        nonmutating set { unsafe apus_store32(base + (offset &* 4 & (count &- 1)), newValue) }
    }

    /// Zeroes everything.
    func clear() { unsafe UnsafeMutableRawPointer(base).initializeMemory(as: UInt8.self, repeating: 0, count: count) }

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

    /// The pages that are not zero, for a saved state: a 32-bit number before each 4096 bytes.
    var savedPages: [UInt8] {
        var result: [UInt8] = []
        var page = [UInt8](repeating: 0, count: 4096)
        let zero = page
        for index in 0..<(count / 4096) {
            copy(from: index * 4096, into: &page, count: 4096)
            if page == zero { continue }
            for shift in [0, 8, 16, 24] { result.append(UInt8(truncatingIfNeeded: index >> shift)) }
            result += page
        }
        return result
    }

    /// Takes saved pages; the others become zero. False where they are none of this memory's.
    func restore(_ saved: [UInt8]) -> Bool {
        guard saved.count % 4100 == 0 else { return false }
        clear()
        for start in stride(from: 0, to: saved.count, by: 4100) {
            let index = (0..<4).reduce(0) { $0 | Int(saved[start + $1]) << ($1 * 8) }
            guard index < count / 4096 else { return false }
            for offset in 0..<4096 { self[index * 4096 + offset] = saved[start + 4 + offset] }
        }
        return true
    }
}
