/// What a device has done, as `query-blockstats` reports it.
public struct BlockStatistics: Sendable, Hashable {
    /// The numbers of one kind.
    public struct Counter: Sendable, Hashable {
        /// Requests that ended well.
        public var operations: UInt64 = 0
        /// Bytes of those.
        public var bytes: UInt64 = 0
        /// Time from submission to completion, failed requests included.
        public var nanoseconds: UInt64 = 0
        /// Requests that ended in an error of the storage's.
        public var failed: UInt64 = 0
        /// Requests that made no sense: outside of the disk, or malformed.
        public var invalid: UInt64 = 0
    }

    /// Reads.
    public var read = Counter()
    /// Writes, write-zeroes among them.
    public var write = Counter()
    /// Flushes.
    public var flush = Counter()
    /// Discards.
    public var unmap = Counter()
    /// The end of the highest byte written.
    public var highestWrite: UInt64 = 0
    /// When the last request completed, in nanoseconds of the monotonic clock; 0 before the first.
    public var lastCompletion: UInt64 = 0

    /// Nothing counted.
    public init() {}

    /// Books one request.
    mutating func book(_ request: BlockRequest, status: Int32, isInvalid: Bool, started: UInt64, ended: UInt64) {
        let elapsed = ended > started ? ended - started : 0
        switch request.operation {
        case .read: read.book(request.length, status, isInvalid, elapsed)
        case .write, .writeZeroes:
            write.book(request.length, status, isInvalid, elapsed)
            if status == 0 { highestWrite = max(highestWrite, request.offset &+ request.length) }
        case .flush: flush.book(0, status, isInvalid, elapsed)
        case .discard: unmap.book(request.length, status, isInvalid, elapsed)
        }
        lastCompletion = ended
    }
}

extension BlockStatistics.Counter {
    fileprivate mutating func book(_ length: UInt64, _ status: Int32, _ isInvalid: Bool, _ elapsed: UInt64) {
        nanoseconds &+= elapsed
        if isInvalid {
            invalid &+= 1
        } else if status != 0 {
            failed &+= 1
        } else {
            operations &+= 1
            bytes &+= length
        }
    }
}
