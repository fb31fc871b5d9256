/// A piece of memory that a request reads into or writes from.
///
/// The memory belongs to whoever submits, and stays valid until the request's completion has been called.
@safe public struct BlockSegment: @unchecked Sendable {
    // Sendable: a pointer handed over with the request; nobody touches the memory but the one who works on it.
    /// First byte. No alignment is required.
    @safe public var pointer: UnsafeMutableRawPointer
    /// Length in bytes.
    public var count: Int

    /// A segment of `count` bytes at `pointer`.
    public init(pointer: UnsafeMutableRawPointer, count: Int) {
        unsafe self.pointer = pointer
        self.count = count
    }
}

/// One request to a disk.
public struct BlockRequest: Sendable {
    /// What is asked for.
    public enum Operation: Sendable, Hashable {
        /// Fills the segments from the disk.
        case read
        /// Stores the segments to the disk.
        case write
        /// Makes every write that completed before this request durable. Offset and length are ignored.
        case flush
        /// Tells that the range's content is no longer needed. What it reads as afterwards is undefined.
        case discard
        /// Makes the range read as zeroes; `mayUnmap` allows its storage to be given back.
        case writeZeroes(mayUnmap: Bool)
    }

    /// What is asked for.
    public var operation: Operation
    /// First byte on the disk.
    public var offset: UInt64
    /// Length in bytes; for `read` and `write` the sum of the segments.
    public var length: UInt64
    /// The memory of `read` and `write`, in the order of the disk's bytes.
    public var segments: [BlockSegment]
    /// The request completes only when what it wrote is durable.
    public var forceUnitAccess: Bool
    /// Called exactly once: 0, or an `errno` value. From a thread of the back-end's, never from within `submit`,
    /// so a caller may hold its lock while it submits. It must not block.
    public var completion: @Sendable (Int32) -> Void

    /// A request of any kind.
    public init(
        operation: Operation, offset: UInt64 = 0, length: UInt64 = 0, segments: [BlockSegment] = [],
        forceUnitAccess: Bool = false, completion: @escaping @Sendable (Int32) -> Void
    ) {
        self.operation = operation
        self.offset = offset
        self.length = length
        self.segments = segments
        self.forceUnitAccess = forceUnitAccess
        self.completion = completion
    }

    /// Whether the request changes the disk's content.
    public var isModifying: Bool {
        switch operation {
        case .read, .flush: false
        case .write, .discard, .writeZeroes: true
        }
    }
}

/// A disk as devices and jobs see it: bytes by offset, through asynchronous requests. Any thread may submit.
///
/// Requests in flight at the same time have no order among each other. Memory and descriptors that a request names
/// are the caller's until its completion.
public protocol BlockBackend: AnyObject, Sendable {
    /// The disk's size in bytes, a multiple of 512.
    var sizeInBytes: UInt64 { get }
    /// Whether modifying requests fail.
    var isReadOnly: Bool { get }
    /// The sector size that a device announces, in bytes: a power of two of 512 and more.
    var logicalBlockSize: Int { get }
    /// Starts a request; the answer comes by its completion, also for a request that is refused.
    func submit(_ request: BlockRequest)
    /// Carries a request out and waits for it, where the driver can on the calling thread; its completion is not
    /// called. 0, or an `errno` value. Only on threads that may block.
    func carryOut(_ request: BlockRequest) -> Int32
    /// What is to be done about a request that failed; whoever has to know is told. Devices ask once a failed
    /// request, with no lock held that a stop of the machine takes.
    func judge(_ error: Int32, isWrite: Bool) -> BlockErrorAction
    /// Who is told when the disk has another size: one at a time, with no lock held.
    func observeSize(_ observer: (@Sendable () -> Void)?)
}

extension BlockBackend {
    public func observeSize(_ observer: (@Sendable () -> Void)?) {}
}

/// A back-end that gains from being told about several requests at once.
public protocol BatchingBackend: BlockBackend {
    /// Requests submitted from now on may be held back until the matching `endBatch`. Nests; any thread.
    func beginBatch()
    /// Starts what was held back. What is quickest done by the calling thread is done by it, with its completions: so by
    /// a worker that holds no lock.
    func endBatch()
    /// Calls the completions of requests that are already done, on the calling thread, without sleeping. A worker
    /// that holds no lock calls it after `endBatch` and saves the wake-up of the completion thread.
    func poll()
}
