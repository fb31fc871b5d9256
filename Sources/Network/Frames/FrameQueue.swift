/// Frames in the order of their coming, within a fixed memory: a ring of bytes, each frame behind its length.
/// Not thread-safe; its owner's lock guards it. It may change threads: nobody else has its memory.
@safe package struct FrameQueue: ~Copyable, @unchecked Sendable {
    private static let header = 4
    @safe private let storage: UnsafeMutableRawBufferPointer
    private var head = 0
    private var used = 0
    /// How many frames wait.
    package private(set) var count = 0

    /// A queue of so many bytes; each frame takes four more than its own.
    package init(capacity: Int) {
        storage = .allocate(byteCount: max(64, capacity), alignment: 16)
    }

    deinit { unsafe storage.deallocate() }

    /// Whether none waits.
    package var isEmpty: Bool { count == 0 }

    /// Copies a frame to the end. False: there is no room.
    package mutating func push(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard frame.count > 0, frame.count <= storage.count - used - FrameQueue.header else { return false }
        var length = UInt32(frame.count)
        // SAFETY: four bytes on this stack, and a frame that is valid for the call.
        unsafe withUnsafeBytes(of: &length) { unsafe put($0) }
        unsafe put(frame)
        count += 1
        return true
    }

    /// Copies the first frame into the buffer, which must have room for it, and returns its length; 0 if none waits.
    package func copyFirst(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard count > 0 else { return 0 }
        let length = firstLength
        guard length <= buffer.count else { return 0 }
        unsafe get(at: head + FrameQueue.header, UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
        return length
    }

    /// Lets go of the first frame.
    package mutating func removeFirst() {
        guard count > 0 else { return }
        let size = FrameQueue.header + firstLength
        head = (head + size) % storage.count
        used -= size
        count -= 1
    }

    /// Lets go of all frames.
    package mutating func removeAll() {
        head = 0
        used = 0
        count = 0
    }

    private var firstLength: Int {
        var length: UInt32 = 0
        // SAFETY: four bytes on this stack.
        unsafe withUnsafeMutableBytes(of: &length) { unsafe get(at: head, $0) }
        return Int(length)
    }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) {
        let tail = (head + used) % storage.count
        let first = min(bytes.count, storage.count - tail)
        // SAFETY: both parts lie inside the ring; `push` has checked that they are free.
        unsafe UnsafeMutableRawBufferPointer(rebasing: storage[tail..<tail + first])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<first]))
        if first < bytes.count {
            unsafe storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[first...]))
        }
        used += bytes.count
    }

    private func get(at position: Int, _ buffer: UnsafeMutableRawBufferPointer) {
        let start = position % storage.count
        let first = min(buffer.count, storage.count - start)
        // SAFETY: both parts lie inside the ring, and the buffer has room for their sum.
        unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[start..<start + first]))
        if first < buffer.count {
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[first...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<(buffer.count - first)]))
        }
    }
}
