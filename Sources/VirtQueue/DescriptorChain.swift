public import GuestMemory

/// A buffer that a driver has made available: its device-readable and device-writable pieces, in order.
///
/// An object of this type is filled again and again by `VirtQueue.pop`, so that taking buffers allocates nothing once
/// its arrays have grown. While it is filled it keeps the guest memory behind its pieces alive. One thread at a time.
public final class DescriptorChain: @unchecked Sendable {
    // Owned by one request at a time; whoever processes that request is the only one to touch it. No method calls out
    // while it changes a field, so the run-time checks of exclusive access are left out: they cost a third of a pop.

    /// A piece of guest memory.
    @safe public struct Segment: @unchecked Sendable {
        // Immutable; the chain that holds it keeps the memory.
        /// Where the guest has it.
        public let address: GuestPhysical
        /// Bytes, at least 1.
        public let count: Int
        /// Where it is in this process; nil where it is not in one piece.
        let host: UnsafeMutableRawPointer?
    }

    /// The id under which the driver gets it back.
    @safe @exclusivity(unchecked) public internal(set) var id: UInt16 = 0
    /// Ring slots that it occupies (packed rings).
    @safe @exclusivity(unchecked) var slots: UInt16 = 0
    /// What the device may read.
    @safe @exclusivity(unchecked) public internal(set) var readable: [Segment] = []
    /// What the device may write.
    @safe @exclusivity(unchecked) public internal(set) var writable: [Segment] = []
    /// Bytes of `readable`.
    @safe @exclusivity(unchecked) public internal(set) var readableCount = 0
    /// Bytes of `writable`.
    @safe @exclusivity(unchecked) public internal(set) var writableCount = 0

    /// The memory behind it.
    public let memory: AddressSpace
    /// Keeps the blocks behind `host` pointers.
    @safe @exclusivity(unchecked) var view: FlatView?

    /// An empty chain for queues in `memory`.
    public init(memory: AddressSpace) { self.memory = memory }

    func clear(view: FlatView) {
        readable.removeAll(keepingCapacity: true)
        writable.removeAll(keepingCapacity: true)
        readableCount = 0
        writableCount = 0
        self.view = view
    }

    /// Visits the host memory of `count` bytes at `offset` of a direction's pieces; stops at the end of the chain.
    /// Returns how many bytes were visited.
    private func visit(
        _ segments: [Segment], _ direction: AddressSpace.Direction, from offset: Int, count: Int, marks: Bool = true,
        _ body: (UnsafeMutableRawPointer, Int) -> Void
    ) -> Int {
        var skip = offset
        var left = count
        guard offset >= 0, count > 0 else { return 0 }
        for segment in segments {
            if skip >= segment.count {
                skip -= segment.count
                continue
            }
            let step = min(left, segment.count - skip)
            if let host = unsafe segment.host {
                // SAFETY: `step` bytes from `skip` lie within the piece, which `view` keeps alive.
                unsafe body(host + skip, step)
                if direction == .write && marks {
                    noteWritten(segment.address + UInt64(skip), count: UInt64(step))
                }
            } else {
                do {
                    try unsafe memory.forEachRun(
                        segment.address + UInt64(skip), count: step, direction: direction, body)
                } catch {
                    // The map changed since the chain was taken: what is gone is neither read nor written.
                    return count - left
                }
            }
            skip = 0
            left -= step
            if left == 0 { break }
        }
        return count - left
    }

    private func noteWritten(_ address: GuestPhysical, count: UInt64) {
        guard let range = view?.range(at: address) else { return }
        memory.noteWrite(block: range.block, offset: range.offset + (address - range.start), count: count)
    }

    /// Copies from the readable pieces at `offset` to `buffer`. Returns how many bytes there were.
    public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var done = 0
        return unsafe visit(readable, .read, from: offset, count: buffer.count) { pointer, count in
            // SAFETY: `visit` gives at most the bytes of the buffer that are left.
            unsafe buffer.baseAddress.unsafelyUnwrapped.advanced(by: done).copyMemory(from: pointer, byteCount: count)
            done += count
        }
    }

    /// Copies `buffer` to the writable pieces at `offset`. Returns how many bytes there was room for.
    public func write(at offset: Int, from buffer: UnsafeRawBufferPointer) -> Int {
        var done = 0
        return unsafe visit(writable, .write, from: offset, count: buffer.count) { pointer, count in
            // SAFETY: as above.
            unsafe pointer.copyMemory(from: buffer.baseAddress.unsafelyUnwrapped + done, byteCount: count)
            done += count
        }
    }

    /// A little-endian integer of the readable pieces at `offset`; nil where they end before it.
    public func load<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T? {
        var value: T = 0
        let count = unsafe withUnsafeMutableBytes(of: &value) { unsafe read(at: offset, into: $0) }
        return count == MemoryLayout<T>.size ? T(littleEndian: value) : nil
    }

    /// Writes a little-endian integer to the writable pieces at `offset`; false where they end before it.
    @discardableResult
    public func store<T: FixedWidthInteger>(at offset: Int, _ value: T) -> Bool {
        let bytes = value.littleEndian
        return unsafe withUnsafeBytes(of: bytes) { unsafe write(at: offset, from: $0) } == MemoryLayout<T>.size
    }

    /// At most `count` bytes of the readable pieces at `offset`.
    public func bytes(at offset: Int, count: Int) -> [UInt8] {
        let available = max(0, min(count, readableCount - offset))
        return unsafe [UInt8](unsafeUninitializedCapacity: available) { buffer, initialized in
            unsafe initialized = read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Writes bytes to the writable pieces at `offset`. Returns how many there was room for.
    @discardableResult
    public func write(at offset: Int, bytes: [UInt8]) -> Int {
        unsafe bytes.withUnsafeBytes { unsafe write(at: offset, from: $0) }
    }

    /// Gives `body` the host memory of readable pieces, for back-ends that take scatter lists. Returns the bytes given.
    public func forEachReadable(
        from offset: Int, count: Int, _ body: (UnsafeMutableRawPointer, Int) -> Void
    ) -> Int { unsafe visit(readable, .read, from: offset, count: count, body) }

    /// Gives `body` the host memory of writable pieces without marking it written: asynchronous input into it ends
    /// with `noteWritten`. Returns the bytes given.
    public func forEachWritable(
        from offset: Int, count: Int, _ body: (UnsafeMutableRawPointer, Int) -> Void
    ) -> Int {
        unsafe visit(writable, .write, from: offset, count: count, marks: false, body)
    }

    /// Ends asynchronous input into writable pieces: marks pages dirty and has translated code dropped.
    public func noteWritten(from offset: Int, count: Int) {
        _ = unsafe visit(writable, .write, from: offset, count: count) { _, _ in }
    }
}
