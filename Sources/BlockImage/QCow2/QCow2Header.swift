/// The header of a qcow2 image (QEMU's docs/interop/qcow2.txt, "Header" and "Header extensions"): versions 2 and 3.
public struct QCow2Header: Sendable, Hashable {
    /// Bits of `incompatible_features`: an image with one that is not known cannot be opened.
    public enum Incompatible {
        /// Reference counts may be wrong; a check must repair them before writing.
        public static let dirty: UInt64 = 1 << 0
        /// A damage was found; writing would make it worse.
        public static let corrupt: UInt64 = 1 << 1
        /// Guest data lies in another file.
        public static let externalData: UInt64 = 1 << 2
        /// The compression type field is used.
        public static let compressionType: UInt64 = 1 << 3
        /// L2 entries with subclusters.
        public static let extendedL2: UInt64 = 1 << 4
        static let known: UInt64 = 0x1f
    }

    /// Bits of `autoclear_features`: a writer that does not know one clears it.
    public enum Autoclear {
        /// The bitmaps of the extension are true to the image.
        public static let bitmaps: UInt64 = 1 << 0
        /// The external data file is a raw image of the same content.
        public static let rawData: UInt64 = 1 << 1
        static let known: UInt64 = 3
    }

    /// The bit of `compatible_features` that allows counts to lag behind.
    public static let lazyRefcounts: UInt64 = 1

    /// How compressed clusters are packed.
    public enum Compression: UInt8, Sendable {
        /// A raw deflate stream with a window of 4 KiB.
        case zlib = 0
        /// A Zstandard frame.
        case zstd = 1
    }

    /// Where the directory of persistent bitmaps is.
    public struct Bitmaps: Sendable, Hashable {
        /// How many bitmaps there are.
        public var count: UInt32
        /// The directory's length in bytes.
        public var directorySize: UInt64
        /// Where it begins.
        public var directoryOffset: UInt64
    }

    /// An extension that this program keeps without knowing it.
    struct Unknown: Sendable, Hashable {
        var type: UInt32
        var content: [UInt8]
    }

    /// 2 or 3.
    public var version: UInt32 = 3
    /// The logarithm of the cluster size: 9 to 21.
    public var clusterBits = 16
    /// The disk's size in bytes.
    public var size: UInt64 = 0
    /// Entries of the L1 table.
    public var l1Size: UInt32 = 0
    /// Where the L1 table is.
    public var l1Offset: UInt64 = 0
    /// Where the reference count table is.
    public var refcountTableOffset: UInt64 = 0
    /// How many clusters it takes.
    public var refcountTableClusters: UInt32 = 0
    /// Internal snapshots.
    public var snapshotCount: UInt32 = 0
    /// Where their table is.
    public var snapshotOffset: UInt64 = 0
    /// `incompatible_features`.
    public var incompatible: UInt64 = 0
    /// `compatible_features`.
    public var compatible: UInt64 = 0
    /// `autoclear_features`.
    public var autoclear: UInt64 = 0
    /// The logarithm of a reference count's bits: 0 to 6.
    public var refcountOrder = 4
    /// How compressed clusters are packed.
    public var compression = Compression.zlib
    /// 0: not encrypted; 1: AES with a password as the key; 2: LUKS.
    public var encryption: UInt32 = 0
    /// The image that unallocated clusters are read from.
    public var backingFile: String?
    /// That image's format.
    public var backingFormat: String?
    /// The file that guest data lies in, if it is not this one.
    public var dataFile: String?
    /// The persistent bitmaps.
    public var bitmaps: Bitmaps?
    /// Where the LUKS header is, and its length.
    var encryptionHeader: (offset: UInt64, length: UInt64)? {
        encryptionExtension.isEmpty
            ? nil
            : (encryptionExtension.bigEndian(UInt64.self, at: 0), encryptionExtension.bigEndian(UInt64.self, at: 8))
    }
    var encryptionExtension: [UInt8] = []
    var unknown: [Unknown] = []
    /// Names of feature bits, by type and bit, for error messages.
    var featureNames: [UInt16: String] = [:]

    /// `QFI\xfb`.
    static let magic: UInt32 = 0x5146_49fb
    /// The length of version 2's header, and of version 3's with the compression type.
    static let lengthOfVersion2 = 72
    static let lengthOfVersion3 = 112
    /// The limits that QEMU sets too: 32 MiB of L1 table, 8 MiB of reference count table.
    static let maximumL1Bytes = 32 << 20
    static let maximumRefcountTableBytes = 8 << 20
    static let maximumSnapshots = 65536
    static let maximumBackingName = 1023

    /// The size of a cluster in bytes.
    public var clusterSize: Int { 1 << clusterBits }
    /// L2 entries have subclusters.
    public var isExtended: Bool { incompatible & Incompatible.extendedL2 != 0 }
    /// Guest data lies in another file.
    public var hasDataFile: Bool { incompatible & Incompatible.externalData != 0 }
    /// The other file is a raw image of the same content.
    public var hasRawData: Bool { autoclear & Autoclear.rawData != 0 }
    /// The bits of a reference count.
    public var refcountBits: Int { 1 << refcountOrder }
    /// Bytes of an L2 entry.
    var l2EntrySize: Int { isExtended ? 16 : 8 }
    /// Entries of an L2 table, as a logarithm.
    var l2Bits: Int { clusterBits - (isExtended ? 4 : 3) }
    /// Guest bytes that one L2 table covers, as a logarithm.
    var l2CoverageBits: Int { clusterBits + l2Bits }

    /// An empty header of the defaults.
    public init() {}

    /// The L1 entries that a disk of `size` bytes needs.
    func l1Entries(for size: UInt64) -> UInt64 {
        let coverage = UInt64(1) << UInt64(l2CoverageBits)
        return size / coverage + (size % coverage == 0 ? 0 : 1)
    }
}
