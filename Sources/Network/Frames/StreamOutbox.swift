/// Bytes on their way into a stream socket: a ring of a fixed size. Frames go in whole, each behind its length in the
/// order of the network (`-netdev stream`); bytes go out as the socket takes them. Its owner's lock guards it.
@safe package struct StreamOutbox: ~Copyable, @unchecked Sendable {
    @safe private let storage: UnsafeMutableRawBufferPointer
    private var head = 0
    /// Bytes that wait.
    package private(set) var count = 0

    package init(capacity: Int) {
        storage = .allocate(byteCount: max(64, capacity), alignment: 16)
    }

    deinit { unsafe storage.deallocate() }

    /// Copies a frame behind the others, behind a header where there is one. False: there is no room.
    package mutating func push(_ header: UnsafeRawBufferPointer?, _ frame: UnsafeRawBufferPointer) -> Bool {
        let size = unsafe frame.count + (header?.count ?? 0)
        guard frame.count > 0, size <= storage.count - count - 4 else { return false }
        var length = UInt32(size).bigEndian
        // SAFETY: four bytes on this stack; header and frame are the caller's.
        unsafe withUnsafeBytes(of: &length) { unsafe put($0) }
        if let header = unsafe header { unsafe put(header) }
        unsafe put(frame)
        return true
    }

    /// The bytes that wait, in two pieces, of which the second may be empty.
    package func withPieces<T>(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> T) -> T {
        let first = min(count, storage.count - head)
        // SAFETY: both pieces lie inside the ring.
        return unsafe body(
            UnsafeRawBufferPointer(rebasing: storage[head..<head + first]),
            UnsafeRawBufferPointer(rebasing: storage[..<(count - first)]))
    }

    /// Lets go of bytes that went out.
    package mutating func remove(_ taken: Int) {
        let taken = min(max(0, taken), count)
        head = (head + taken) % storage.count
        count -= taken
        if count == 0 { head = 0 }
    }

    package mutating func removeAll() { remove(count) }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) {
        let tail = (head + count) % storage.count
        let first = min(bytes.count, storage.count - tail)
        // SAFETY: both parts lie inside the ring; `push` has checked that they are free.
        unsafe UnsafeMutableRawBufferPointer(rebasing: storage[tail..<tail + first])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<first]))
        if first < bytes.count {
            unsafe storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[first...]))
        }
        count += bytes.count
    }
}
