internal import BlockImage

/// Reading and writing of disks through a buffer.
extension BlockNode {
    /// Reads into the buffer's start. 0 or an `errno` value.
    func read(_ buffer: AlignedBuffer, at offset: UInt64, count: Int, into start: Int = 0) -> Int32 {
        guard count > 0 else { return 0 }
        // SAFETY: callers keep start and count inside the buffer, which lives over the call.
        let segment = unsafe BlockSegment(pointer: buffer.base + start, count: count)
        return readAndWait(at: offset, into: [segment])
    }

    /// Writes from the buffer. 0 or an `errno` value.
    func write(_ buffer: AlignedBuffer, at offset: UInt64, count: Int, from start: Int = 0) -> Int32 {
        guard count > 0 else { return 0 }
        // SAFETY: as above.
        let segment = unsafe BlockSegment(pointer: buffer.base + start, count: count)
        return writeAndWait(at: offset, from: [segment])
    }
}

extension AlignedBuffer {
    /// Whether a part reads as zeroes.
    func isZero(_ start: Int, _ count: Int) -> Bool {
        // SAFETY: callers stay inside the buffer.
        unsafe BlockSegment(pointer: base + start, count: count).readsAsZeroes
    }

    /// Fills a part with zeroes.
    func clear(_ start: Int, _ count: Int) {
        guard count > 0 else { return }
        // SAFETY: callers stay inside the buffer.
        unsafe (base + start).initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    /// The first byte of a part that is not zero.
    func firstNonZero(_ count: Int) -> Int? {
        // SAFETY: callers stay inside the buffer.
        unsafe UnsafeRawBufferPointer(start: base, count: count).firstIndex { $0 != 0 }
    }
}
