/// Cuts the bytes of a stream socket into frames, each behind its length in the order of the network. One thread.
@safe package struct StreamInbox: ~Copyable, @unchecked Sendable {
    /// The longest frame with its header that QEMU's peers send: 64 KiB and a page.
    package static let mostBytes = 65536 + 4096
    @safe private let storage: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0

    package init(capacity: Int = 1 << 18) {
        storage = .allocate(byteCount: max(StreamInbox.mostBytes + 4, capacity), alignment: 16)
    }

    deinit { unsafe storage.deallocate() }

    /// What came of looking for a frame.
    package enum Found: Sendable, Equatable {
        /// A frame of so many bytes, at the place.
        case frame(Int, count: Int)
        /// More bytes are needed.
        case incomplete
        /// The peer sent a length that no frame has.
        case invalid
    }

    /// Looks for the first whole frame.
    package func next() -> Found {
        guard end - start >= 4 else { return Found.incomplete }
        let length = Int(UInt32(bigEndian: unsafe storage.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        guard length > 0, length <= StreamInbox.mostBytes else { return Found.invalid }
        return end - start >= 4 + length ? Found.frame(start + 4, count: length) : Found.incomplete
    }

    /// The bytes of a frame that `next` found.
    package func withFrame<T>(_ place: Int, _ count: Int, _ body: (UnsafeRawBufferPointer) -> T) -> T {
        // SAFETY: `next` found the frame inside the buffer.
        unsafe body(UnsafeRawBufferPointer(rebasing: storage[place..<place + count]))
    }

    /// Lets go of the first frame, of so many bytes.
    package mutating func removeFirst(_ count: Int) {
        start = min(end, start + 4 + count)
        if start == end {
            start = 0
            end = 0
        }
    }

    package mutating func removeAll() {
        start = 0
        end = 0
    }

    /// Room for what comes next: never less than the rest of a frame takes.
    package mutating func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) {
        if start > 0, storage.count - end < StreamInbox.mostBytes + 4 {
            // SAFETY: the bytes lie inside the buffer and may overlap their new place.
            unsafe storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[start..<end]))
            end -= start
            start = 0
        }
        let added = unsafe body(UnsafeMutableRawBufferPointer(rebasing: storage[end...]))
        end += min(max(0, added), storage.count - end)
    }
}
