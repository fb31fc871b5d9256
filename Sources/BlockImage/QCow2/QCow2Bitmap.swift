/// A persistent bitmap of a qcow2 image as its directory lists it ("Bitmaps extension" of the specification).
public struct QCow2Bitmap: Sendable, Hashable {
    /// Bits of `flags`.
    public enum Flag {
        /// Somebody was changing it and did not finish: it says nothing.
        public static let inUse: UInt32 = 1
        /// It records writes.
        public static let auto: UInt32 = 2
        static let extraCompatible: UInt32 = 4
        static let known: UInt32 = 7
    }

    /// The name.
    public var name: String
    /// `Flag`s.
    public var flags: UInt32
    /// The logarithm of the bytes that one bit stands for.
    public var granularityBits: Int
    /// Where the table of its clusters is.
    public var tableOffset: UInt64
    /// Entries of that table.
    public var tableSize: UInt32

    /// The bytes that one bit stands for.
    public var granularity: UInt64 { 1 << UInt64(granularityBits) }

    static let maximumName = 1023
    static let maximumBytes = 512 << 20
    static let maximumTable: UInt32 = 0x800_0000 / 8

    /// How many clusters of bits a disk of `size` bytes takes.
    static func clusters(size: UInt64, granularityBits: Int, clusterSize: Int) -> UInt64 {
        let perCluster = (UInt64(clusterSize) * 8).multipliedReportingOverflow(by: 1 << UInt64(granularityBits))
        if perCluster.overflow { return size == 0 ? 0 : 1 }
        return size / perCluster.partialValue + (size % perCluster.partialValue == 0 ? 0 : 1)
    }

    /// Reads the directory, checked. Blocks.
    public static func directory(_ header: QCow2Header, file: any BlockNode) throws(BlockError) -> [QCow2Bitmap] {
        guard let place = header.bitmaps else { return [] }
        func fail(_ reason: String) -> BlockError {
            .invalidImage(path: file.filename, reason: "Broken bitmap directory: \(reason)")
        }
        let bytes = try file.metadataBytes(
            "bitmap directory", at: place.directoryOffset, count: Int(place.directorySize))
        var result: [QCow2Bitmap] = []
        var names: Set<String> = []
        var at = 0
        while at < bytes.count {
            guard bytes.count - at >= 24 else { throw fail("an entry ends behind it") }
            let nameSize = Int(bytes.bigEndian(UInt16.self, at: at + 18))
            let extraSize = Int(bytes.bigEndian(UInt32.self, at: at + 20))
            let size = (24 + nameSize + extraSize + 7) / 8 * 8
            guard size <= bytes.count - at else { throw fail("an entry ends behind it") }
            let text = at + 24 + extraSize
            let bitmap = QCow2Bitmap(
                name: String(decoding: bytes[text..<text + nameSize], as: UTF8.self),
                flags: bytes.bigEndian(UInt32.self, at: at + 12), granularityBits: Int(bytes[at + 17]),
                tableOffset: bytes.bigEndian(UInt64.self, at: at), tableSize: bytes.bigEndian(UInt32.self, at: at + 8))
            guard nameSize > 0, nameSize <= maximumName, names.insert(bitmap.name).inserted else {
                throw fail("a name of \(nameSize) bytes, or one given twice")
            }
            guard bytes[at + 16] == 1 else { throw fail("'\(bitmap.name)' has type \(bytes[at + 16])") }
            guard extraSize == 0 else { throw fail("'\(bitmap.name)' has extra data that is not known") }
            guard bitmap.flags & ~Flag.known == 0 else { throw fail("'\(bitmap.name)' has flags that are not known") }
            guard bitmap.granularityBits >= 9, bitmap.granularityBits <= 31 else {
                throw fail("'\(bitmap.name)' has a granularity of 2^\(bitmap.granularityBits)")
            }
            guard bitmap.tableSize > 0, bitmap.tableSize <= maximumTable, bitmap.tableOffset != 0,
                bitmap.tableOffset & UInt64(header.clusterSize - 1) == 0, bitmap.tableOffset <= UInt64(Int64.max) / 2
            else { throw fail("'\(bitmap.name)' has no valid table") }
            let needed = clusters(
                size: header.size, granularityBits: bitmap.granularityBits, clusterSize: header.clusterSize)
            guard UInt64(bitmap.tableSize) == max(1, needed) else {
                throw fail("'\(bitmap.name)' has \(bitmap.tableSize) clusters where the disk needs \(needed)")
            }
            result.append(bitmap)
            at += size
        }
        guard result.count == Int(place.count) else {
            throw fail("\(result.count) entries where the header says \(place.count)")
        }
        return result
    }

    /// The entry in the directory.
    func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 24)
        bytes.store(tableOffset, at: 0)
        bytes.store(tableSize, at: 8)
        bytes.store(flags, at: 12)
        bytes[16] = 1
        bytes[17] = UInt8(granularityBits)
        bytes.store(UInt16(truncatingIfNeeded: name.utf8.count), at: 18)
        bytes += Array(name.utf8)
        return bytes + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    }
}
