internal import CLinux

/// A range of this process's memory.
public struct MemoryRange: Sendable {
    let start: UInt
    let count: UInt

    /// `count` bytes from `base` on.
    public init(_ base: UnsafeRawPointer, count: Int) {
        start = UInt(bitPattern: base)
        self.count = UInt(max(count, 0))
    }

    fileprivate init(start: UInt, count: UInt) { (self.start, self.count) = (start, count) }
}

/// Memory that a ring has registered: its pages stay where they are, and the kernel need not look them up for each request.
/// Whoever registers memory takes care that nothing else is mapped at its addresses before it is let go.
struct RegisteredMemory {
    /// In the order of the ring.
    private var buffers: [MemoryRange] = []
    /// The kernel takes no longer ones, and not more of them.
    private static let longest = 1 << 30
    private static let most = 1024

    /// None.
    init() {}

    /// The buffers of ranges, cut where the kernel wants it; nil where there are none or too many.
    init?(_ ranges: [MemoryRange]) {
        for range in ranges {
            var done: UInt = 0
            while done < range.count {
                let count = min(range.count - done, UInt(Self.longest))
                guard buffers.count < Self.most else { return nil }
                buffers.append(MemoryRange(start: range.start + done, count: count))
                done += count
            }
        }
        guard !buffers.isEmpty else { return nil }
    }

    /// Makes a ring take them; false where it will not: for want of memory that may be locked, or of such a kernel.
    func register(_ descriptor: Int32) -> Bool {
        let vectors = unsafe buffers.map {
            unsafe iovec(iov_base: UnsafeMutableRawPointer(bitPattern: $0.start), iov_len: Int($0.count))
        }
        // SAFETY: the kernel reads as many vectors as there are, over the call.
        return unsafe apus_uring_register_buffers(descriptor, vectors, UInt32(vectors.count)) == 0
    }

    /// The buffer that holds a range whole.
    @inline(__always)
    func index(_ address: UInt64, _ count: UInt32) -> UInt16? {
        let (start, count) = (UInt(address), UInt(count))
        for index in buffers.indices {
            let buffer = buffers[index]
            if start >= buffer.start, start - buffer.start <= buffer.count,
                count <= buffer.count - (start - buffer.start)
            {
                return UInt16(index)
            }
        }
        return nil
    }
}

extension BlockNode {
    /// Registers memory with every ring below, from which requests then go without a look-up of its pages; once at a time.
    /// Whether any ring took it. The memory is pinned, and has to stay as it is until `forgetMemory`.
    public func registerMemory(_ ranges: [MemoryRange]) -> Bool {
        var isTaken = (self as? FileNode)?.register(ranges) ?? false
        for child in children where child.node.registerMemory(ranges) { isTaken = true }
        return isTaken
    }

    /// Ends what `registerMemory` began. Nothing is under way.
    public func forgetMemory() {
        (self as? FileNode)?.forgetRegistered()
        for child in children { child.node.forgetMemory() }
    }
}
