/// A node of the block graph, for `query-named-block-nodes`.
public struct BlockNodeStatus: Equatable, Sendable {
    /// Its driver.
    public var driver: String
    /// Its image.
    public var image: BlockDeviceStatus.Image
    /// A node of a driver.
    public init(driver: String, image: BlockDeviceStatus.Image) {
        self.driver = driver
        self.image = image
    }
}

/// A drive or named node with its image, for `info block`, `query-block` and `query-blockstats`.
public struct BlockDeviceStatus: Equatable, Sendable {
    /// An image in a drive.
    public struct Image: Equatable, Sendable {
        /// Its file.
        public var file: String
        /// Its format.
        public var format: String
        /// Its node's name: `#block0`, or given.
        public var nodeName: String
        /// What the guest sees of it in bytes.
        public var virtualSize: UInt64
        /// What it takes of the host's disk in bytes, or nil where that is not known.
        public var actualSize: UInt64?
        /// Whether writes are refused.
        public var isReadOnly: Bool
        /// The cache mode.
        public var cache: CacheMode
        /// What happens to writes of zeroes.
        public var detectZeroes: DetectZeroes
        /// How many backing files there are below it.
        public var backingDepth: Int
        /// The backing file, or nil.
        public var backingFile: String?
        /// The name of the node that has its file, where it is another one.
        public var fileNodeName: String?
        /// Behind the last byte that was written to that since it was opened; 0 where nobody counts.
        public var fileHighestWrite: UInt64 = 0
        /// The mark beyond which a change is told of, 0: none.
        public var writeThreshold: UInt64 = 0
        /// Its dirty bitmaps.
        public var bitmaps: [DirtyBitmap] = []
        /// Limits of throughput that are set, by QMP's names.
        public var limits: [String: UInt64] = [:]
        /// The name of the group that has these limits.
        public var limitGroup: String?
        /// An image.
        public init(
            file: String, format: String, nodeName: String, virtualSize: UInt64, actualSize: UInt64? = nil,
            isReadOnly: Bool = false, cache: CacheMode = .writeback, detectZeroes: DetectZeroes = .off,
            backingDepth: Int = 0, backingFile: String? = nil
        ) {
            self.file = file
            self.format = format
            self.nodeName = nodeName
            self.virtualSize = virtualSize
            self.actualSize = actualSize
            self.isReadOnly = isReadOnly
            self.cache = cache
            self.detectZeroes = detectZeroes
            self.backingDepth = backingDepth
            self.backingFile = backingFile
        }
    }
    /// Counts since the start; times in nanoseconds.
    public struct Statistics: Equatable, Sendable {
        /// Requests done.
        public var reads: UInt64 = 0
        /// See `reads`.
        public var writes: UInt64 = 0
        /// See `reads`.
        public var flushes: UInt64 = 0
        /// See `reads`.
        public var discards: UInt64 = 0
        /// Bytes moved.
        public var readBytes: UInt64 = 0
        /// See `readBytes`.
        public var writtenBytes: UInt64 = 0
        /// See `readBytes`.
        public var discardedBytes: UInt64 = 0
        /// Time that requests took, summed.
        public var readTime: UInt64 = 0
        /// See `readTime`.
        public var writeTime: UInt64 = 0
        /// See `readTime`.
        public var flushTime: UInt64 = 0
        /// See `readTime`.
        public var discardTime: UInt64 = 0
        /// Requests that failed.
        public var failedReads: UInt64 = 0
        /// See `failedReads`.
        public var failedWrites: UInt64 = 0
        /// See `failedReads`.
        public var failedFlushes: UInt64 = 0
        /// Nothing yet.
        public init() {}
    }
    /// The drive's name; empty where a device uses a node directly.
    public var device: String
    /// The device's path in the object tree, or nil where no device uses it.
    public var devicePath: String?
    /// Whether it can be taken out.
    public var isRemovable: Bool
    /// Whether the guest locks the tray.
    public var isLocked: Bool
    /// Whether the tray is open, nil for drives without one.
    public var isTrayOpen: Bool?
    /// The image, nil for an empty drive.
    public var image: Image?
    /// A dirty bitmap of an image.
    public struct DirtyBitmap: Equatable, Sendable {
        /// Its name.
        public var name: String
        /// Bytes that one bit stands for.
        public var granularity: UInt64
        /// Bytes that are marked.
        public var dirtyBytes: UInt64
        /// It notes changes.
        public var isRecording: Bool
        /// A job has it.
        public var isBusy: Bool
        /// The image keeps it.
        public var isPersistent: Bool
        /// It cannot be trusted.
        public var isInconsistent = false
    }
    /// How it does since the machine last went on, in QMP's words.
    public enum Health: String, CaseIterable, Sendable {
        /// No error has stopped the machine.
        case ok
        /// One has.
        case failed
        /// One has, for want of space.
        case noSpace = "nospace"
    }
    /// See `Health`; nil where no error can stop the machine.
    public var health: Health?
    /// What was done.
    public var statistics = Statistics()
    /// A drive.
    public init(
        device: String, devicePath: String? = nil, isRemovable: Bool = false, isLocked: Bool = false,
        isTrayOpen: Bool? = nil, image: Image? = nil
    ) {
        self.device = device
        self.devicePath = devicePath
        self.isRemovable = isRemovable
        self.isLocked = isLocked
        self.isTrayOpen = isTrayOpen
        self.image = image
    }
}
