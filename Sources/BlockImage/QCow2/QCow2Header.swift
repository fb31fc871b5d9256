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
    }

    /// How compressed clusters are packed.
    public enum Compression: UInt8, Sendable {
        /// A raw deflate stream with a window of 4 KiB.
        case zlib = 0
        /// A Zstandard frame.
        case zstd = 1
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
    /// The image that unallocated clusters are read from.
    public var backingFile: String?
    /// That image's format.
    public var backingFormat: String?
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

    private enum Extension {
        static let end: UInt32 = 0
        static let backingFormat: UInt32 = 0xe279_2aca
        static let featureNames: UInt32 = 0x6803_f857
        static let encryption: UInt32 = 0x0537_be77
    }

    /// The size of a cluster in bytes.
    public var clusterSize: Int { 1 << clusterBits }
    /// Guest bytes that one L2 table covers, as a logarithm.
    var l2CoverageBits: Int { 2 * clusterBits - 3 }

    /// An empty header of the defaults.
    public init() {}

    /// The cluster size's logarithm, from the first bytes: how much of the file the header may take.
    static func clusterBits(_ head: [UInt8], path: String) throws(BlockError) -> Int {
        guard head.count >= 24, head.bigEndian(UInt32.self, at: 0) == magic else {
            throw .wrongFormat(path: path, expected: "qcow2", found: ImageFormat.probe(head).rawValue)
        }
        let version = head.bigEndian(UInt32.self, at: 4)
        guard version == 2 || version == 3 else {
            throw .unsupported(path: path, feature: "qcow2 version \(version)")
        }
        let bits = head.bigEndian(UInt32.self, at: 20)
        guard bits >= 9, bits <= 21 else {
            throw .invalidImage(path: path, reason: "cluster_bits is \(bits), not 9 to 21")
        }
        return Int(bits)
    }

    /// Reads and checks a header. `bytes` is the file's first cluster (zeroes after the end of a short file).
    public init(parsing bytes: [UInt8], path: String) throws(BlockError) {
        clusterBits = try QCow2Header.clusterBits(bytes, path: path)
        version = bytes.bigEndian(UInt32.self, at: 4)
        size = bytes.bigEndian(UInt64.self, at: 24)
        l1Size = bytes.bigEndian(UInt32.self, at: 36)
        l1Offset = bytes.bigEndian(UInt64.self, at: 40)
        refcountTableOffset = bytes.bigEndian(UInt64.self, at: 48)
        refcountTableClusters = bytes.bigEndian(UInt32.self, at: 56)
        snapshotCount = bytes.bigEndian(UInt32.self, at: 60)
        snapshotOffset = bytes.bigEndian(UInt64.self, at: 64)
        var headerLength = QCow2Header.lengthOfVersion2
        if version == 3 {
            incompatible = bytes.bigEndian(UInt64.self, at: 72)
            compatible = bytes.bigEndian(UInt64.self, at: 80)
            autoclear = bytes.bigEndian(UInt64.self, at: 88)
            let order = bytes.bigEndian(UInt32.self, at: 96)
            let length = bytes.bigEndian(UInt32.self, at: 100)
            guard length >= 104, length <= UInt32(clusterSize), length % 8 == 0 else {
                throw .invalidImage(path: path, reason: "header_length is \(length)")
            }
            guard order <= 6 else { throw .invalidImage(path: path, reason: "refcount_order is \(order), over 6") }
            refcountOrder = Int(order)
            headerLength = Int(length)
        }
        try readExtensions(bytes, from: headerLength, path)
        try checkFeatures(bytes, headerLength, path)
        try readBackingName(bytes, path)
        try checkTables(path)
    }

    private mutating func readExtensions(_ bytes: [UInt8], from start: Int, _ path: String) throws(BlockError) {
        let backingOffset = bytes.bigEndian(UInt64.self, at: 8)
        // The backing file's name ends the extensions where there is one.
        let end = backingOffset == 0 ? clusterSize : Int(min(backingOffset, UInt64(clusterSize)))
        var at = start
        while at + 8 <= end {
            let type = bytes.bigEndian(UInt32.self, at: at)
            let length = Int(bytes.bigEndian(UInt32.self, at: at + 4))
            at += 8
            if type == Extension.end { return }
            guard length <= end - at else {
                throw .invalidImage(path: path, reason: "a header extension of \(length) bytes leaves the header")
            }
            let content = Array(bytes[at..<at + length])
            switch type {
            case Extension.backingFormat:
                guard length <= 63 else {
                    throw .invalidImage(path: path, reason: "a backing format's name has \(length) bytes")
                }
                backingFormat = String(decoding: content, as: UTF8.self)
            case Extension.featureNames:
                for row in stride(from: 0, to: length - length % 48, by: 48) {
                    let name = content[(row + 2)..<(row + 48)].prefix { $0 != 0 }
                    let key = UInt16(content[row]) << 8 | UInt16(content[row + 1])
                    featureNames[key] = String(decoding: name, as: UTF8.self)
                }
            case Extension.encryption: throw .unsupported(path: path, feature: "an encrypted qcow2 image")
            default: break
            }
            at += (length + 7) / 8 * 8
        }
    }

    private mutating func checkFeatures(_ bytes: [UInt8], _ headerLength: Int, _ path: String) throws(BlockError) {
        guard bytes.bigEndian(UInt32.self, at: 32) == 0 else {
            throw .unsupported(path: path, feature: "an encrypted qcow2 image")
        }
        if incompatible & Incompatible.externalData != 0 {
            throw .unsupported(path: path, feature: "a qcow2 image with an external data file")
        }
        if incompatible & Incompatible.extendedL2 != 0 {
            throw .unsupported(path: path, feature: "a qcow2 image with extended L2 entries")
        }
        let known = Incompatible.dirty | Incompatible.corrupt | Incompatible.compressionType
        if let bit = (0..<64).first(where: { incompatible & ~known & (1 << UInt64($0)) != 0 }) {
            let name = featureNames[UInt16(bit)].map { " ('\($0)')" } ?? ""
            throw .unsupported(path: path, feature: "qcow2's incompatible feature \(bit)\(name)")
        }
        let type = headerLength > 104 ? bytes[104] : 0
        guard let compression = Compression(rawValue: type) else {
            throw .unsupported(path: path, feature: "qcow2's compression type \(type)")
        }
        guard (type != 0) == (incompatible & Incompatible.compressionType != 0) else {
            throw .invalidImage(path: path, reason: "compression type \(type) does not fit the feature bits")
        }
        self.compression = compression
    }

    private mutating func readBackingName(_ bytes: [UInt8], _ path: String) throws(BlockError) {
        let offset = bytes.bigEndian(UInt64.self, at: 8)
        let length = bytes.bigEndian(UInt32.self, at: 16)
        guard offset != 0 else { return }
        guard length <= UInt32(QCow2Header.maximumBackingName) else {
            throw .invalidImage(path: path, reason: "the backing file's name has \(length) bytes")
        }
        guard offset <= UInt64(clusterSize), UInt64(length) <= UInt64(clusterSize) - offset else {
            throw .invalidImage(path: path, reason: "the backing file's name lies outside of the header cluster")
        }
        if length > 0 {
            backingFile = String(decoding: bytes[Int(offset)..<Int(offset) + Int(length)], as: UTF8.self)
        }
    }

    private func checkTables(_ path: String) throws(BlockError) {
        let mask = UInt64(clusterSize - 1)
        func check(_ name: String, _ offset: UInt64, _ bytes: UInt64, limit: Int) throws(BlockError) {
            guard bytes <= UInt64(limit) else {
                throw .invalidImage(path: path, reason: "the \(name) has \(bytes) bytes, over \(limit)")
            }
            guard offset & mask == 0, offset <= UInt64(Int64.max) - bytes else {
                throw .invalidImage(path: path, reason: "the \(name)'s offset \(offset) is not a cluster's")
            }
        }
        guard size <= UInt64(Int64.max) else { throw .invalidSize(path: path, size: size) }
        let coverage = UInt64(1) << UInt64(l2CoverageBits)
        let needed = size / coverage + (size % coverage == 0 ? 0 : 1)
        guard needed * 8 <= UInt64(QCow2Header.maximumL1Bytes) else { throw .invalidSize(path: path, size: size) }
        try check("L1 table", l1Offset, UInt64(l1Size) * 8, limit: QCow2Header.maximumL1Bytes)
        guard UInt64(l1Size) >= needed else {
            throw .invalidImage(path: path, reason: "the L1 table has \(l1Size) entries, \(needed) are needed")
        }
        guard l1Size == 0 || l1Offset != 0 else {
            throw .invalidImage(path: path, reason: "the L1 table lies on the header")
        }
        guard refcountTableClusters > 0, refcountTableOffset != 0 else {
            throw .invalidImage(path: path, reason: "there is no reference count table")
        }
        try check(
            "reference count table", refcountTableOffset, UInt64(refcountTableClusters) << UInt64(clusterBits),
            limit: QCow2Header.maximumRefcountTableBytes)
        guard snapshotCount <= UInt32(QCow2Header.maximumSnapshots) else {
            throw .invalidImage(path: path, reason: "there are \(snapshotCount) snapshots")
        }
        if snapshotCount > 0 { try check("snapshot table", snapshotOffset, 0, limit: 0) }
    }

    /// The header's bytes, with extensions and names: what belongs at the start of a new image.
    public func encoded() -> [UInt8] {
        let length = version == 2 ? QCow2Header.lengthOfVersion2 : QCow2Header.lengthOfVersion3
        var bytes = [UInt8](repeating: 0, count: length)
        bytes.store(QCow2Header.magic, at: 0)
        bytes.store(version, at: 4)
        bytes.store(UInt32(clusterBits), at: 20)
        bytes.store(size, at: 24)
        bytes.store(l1Size, at: 36)
        bytes.store(l1Offset, at: 40)
        bytes.store(refcountTableOffset, at: 48)
        bytes.store(refcountTableClusters, at: 56)
        bytes.store(snapshotCount, at: 60)
        bytes.store(snapshotOffset, at: 64)
        if version >= 3 {
            bytes.store(incompatible, at: 72)
            bytes.store(compatible, at: 80)
            bytes.store(autoclear, at: 88)
            bytes.store(UInt32(refcountOrder), at: 96)
            bytes.store(UInt32(length), at: 100)
            bytes[104] = compression.rawValue
        }
        func append(_ type: UInt32, _ content: [UInt8]) {
            var head = [UInt8](repeating: 0, count: 8)
            head.store(type, at: 0)
            head.store(UInt32(content.count), at: 4)
            bytes += head + content + [UInt8](repeating: 0, count: (8 - content.count % 8) % 8)
        }
        if let backingFormat { append(Extension.backingFormat, Array(backingFormat.utf8)) }
        // Only an aid to people: it goes where the cluster has room for it.
        let rest = 16 + QCow2Header.featureTable.count + (backingFile?.utf8.count ?? 0)
        if version >= 3 && bytes.count + rest <= clusterSize {
            append(Extension.featureNames, QCow2Header.featureTable)
        }
        append(Extension.end, [])
        if let backingFile {
            let name = Array(backingFile.utf8)
            bytes.store(UInt64(bytes.count), at: 8)
            bytes.store(UInt32(name.count), at: 16)
            bytes += name
        }
        return bytes
    }

    /// The names of the feature bits that the specification defines: type, bit, name.
    private static let featureTable: [UInt8] = {
        let rows: [(UInt8, UInt8, String)] = [
            (0, 0, "dirty bit"), (0, 1, "corrupt bit"), (0, 2, "external data file"), (0, 3, "compression type"),
            (0, 4, "extended L2 entries"), (1, 0, "lazy refcounts"), (2, 0, "bitmaps"), (2, 1, "raw external data"),
        ]
        return rows.flatMap { type, bit, name in
            [type, bit] + Array(name.utf8) + [UInt8](repeating: 0, count: 46 - name.utf8.count)
        }
    }()
}
