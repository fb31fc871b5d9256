internal import Synchronization

extension QCow2Node {
    /// Why `close` could not write back what was left: an `errno` value, or 0.
    public var closeStatus: Int32 { closingStatus.load(ordering: .relaxed) }
    /// What is wrong with the image, so that nothing is written to it any more.
    public var corruption: String? { metadataLock.withLock { _ in metadata.corruption } }

    /// The driver's own options.
    public struct Options: Sendable {
        /// `l2-cache-size`, in bytes.
        public var l2CacheSize = 32 << 20
        /// `refcount-cache-size`, in bytes.
        public var refcountCacheSize = 1 << 20
        /// `pass-discard-request`: storage of freed clusters goes back to the file.
        public var passDiscard: Bool?
        /// `l2-cache-entry-size`, in bytes, which no cache here follows: a power of two up to the size of a cluster.
        var l2CacheEntrySize: UInt64?
        /// `lazy-refcounts`, which no image of version 2 can have.
        var wantsLazyCounts = false
        /// The header, for who has read it already.
        var header: QCow2Header?
        /// The external data file, opened, of an image that has one.
        public var dataFile: (any BlockNode)?
        /// The internal snapshot to show instead of the disk, by id or name: for reading alone.
        public var snapshot: String?
        /// Only what describes the image is wanted: one that is encrypted opens, and its content is out of reach.
        public var isDescription = false
        /// The passphrase of an encrypted image.
        public var passphrase: [UInt8]?
        /// A repair is to follow: an image that is marked as dirty or damaged opens for writing.
        public var isRepair = false
        /// Another process has the image: it is not written before it is taken over.
        public var isElsewhere = false
        /// Who is told of a damage that requests meet; not to come back to the image.
        public var onCorruption: (@Sendable (ImageCorruption) -> Void)?
        /// The defaults.
        public init() {}
    }
}
