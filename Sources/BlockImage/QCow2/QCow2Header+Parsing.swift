/// Reading a header: nothing in it is believed before it is checked. The words are those of `qemu-img` where it
/// has some, as scripts look for them.
extension QCow2Header {
    enum Extension {
        static let end: UInt32 = 0
        static let backingFormat: UInt32 = 0xe279_2aca
        static let featureNames: UInt32 = 0x6803_f857
        static let bitmaps: UInt32 = 0x2385_2875
        static let encryption: UInt32 = 0x0537_be77
        static let dataFile: UInt32 = 0x4441_5441
    }

    /// The cluster size's logarithm, from the first bytes: how much of the file the header may take.
    static func clusterBits(_ head: [UInt8], path: String) throws(BlockError) -> Int {
        guard head.count >= 24, head.bigEndian(UInt32.self, at: 0) == magic else {
            throw .wrongFormat(path: path, expected: "qcow2", found: ImageFormat.probe(head).rawValue)
        }
        let version = head.bigEndian(UInt32.self, at: 4)
        guard version == 2 || version == 3 else {
            throw .invalidImage(path: path, reason: "Unsupported qcow2 version \(version)")
        }
        let bits = head.bigEndian(UInt32.self, at: 20)
        guard bits >= 9, bits <= 21 else {
            throw .invalidImage(path: path, reason: "Unsupported cluster size: 2^\(bits)")
        }
        return Int(bits)
    }

    /// How many bytes are read at first.
    static let usualLength = 4096

    /// Whether the header, its extensions and the names in it lie in a file's first bytes.
    static func isWhole(_ bytes: [UInt8]) -> Bool {
        let isLong = bytes.bigEndian(UInt32.self, at: 4) == 3
        var at = isLong ? Int(bytes.bigEndian(UInt32.self, at: 100)) : lengthOfVersion2
        let (offset, length) = (bytes.bigEndian(UInt64.self, at: 8), bytes.bigEndian(UInt32.self, at: 16))
        guard offset <= UInt64(bytes.count), UInt64(length) <= UInt64(bytes.count) - offset else { return false }
        let end = offset == 0 ? Int.max : Int(offset)
        while at + 8 <= end {
            guard at + 8 <= bytes.count else { return false }
            if bytes.bigEndian(UInt32.self, at: at) == Extension.end { return true }
            at += 8 + (Int(bytes.bigEndian(UInt32.self, at: at + 4)) + 7) / 8 * 8
        }
        return at <= bytes.count
    }

    /// Reads and checks a header. `bytes` is the file's first cluster (zeroes after the end of a short file).
    public init(parsing bytes: [UInt8], path: String) throws(BlockError) {
        clusterBits = try QCow2Header.clusterBits(bytes, path: path)
        version = bytes.bigEndian(UInt32.self, at: 4)
        size = bytes.bigEndian(UInt64.self, at: 24)
        encryption = bytes.bigEndian(UInt32.self, at: 32)
        l1Size = bytes.bigEndian(UInt32.self, at: 36)
        l1Offset = bytes.bigEndian(UInt64.self, at: 40)
        refcountTableOffset = bytes.bigEndian(UInt64.self, at: 48)
        refcountTableClusters = bytes.bigEndian(UInt32.self, at: 56)
        snapshotCount = bytes.bigEndian(UInt32.self, at: 60)
        snapshotOffset = bytes.bigEndian(UInt64.self, at: 64)
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        var headerLength = QCow2Header.lengthOfVersion2
        if version == 3 {
            incompatible = bytes.bigEndian(UInt64.self, at: 72)
            compatible = bytes.bigEndian(UInt64.self, at: 80)
            autoclear = bytes.bigEndian(UInt64.self, at: 88)
            let order = bytes.bigEndian(UInt32.self, at: 96)
            let length = bytes.bigEndian(UInt32.self, at: 100)
            guard length >= 104 else { throw fail("qcow2 header too short: header_length is \(length)") }
            guard length <= UInt32(clusterSize) else {
                throw fail("qcow2 header exceeds cluster size: header_length is \(length)")
            }
            guard length % 8 == 0 else { throw fail("header_length is \(length), no multiple of 8") }
            guard order <= 6 else { throw fail("Reference count entry width too large; may not exceed 64 bits") }
            refcountOrder = Int(order)
            headerLength = Int(length)
        }
        let backingOffset = bytes.bigEndian(UInt64.self, at: 8)
        guard backingOffset <= UInt64(clusterSize) else { throw fail("Invalid backing file offset") }
        try readExtensions(bytes, from: headerLength, path)
        try checkFeatures(bytes, headerLength, path)
        try readBackingName(bytes, path)
        try checkTables(path)
    }

    private mutating func readExtensions(_ bytes: [UInt8], from start: Int, _ path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let backingOffset = bytes.bigEndian(UInt64.self, at: 8)
        // The backing file's name ends the extensions where there is one.
        let end = backingOffset == 0 ? clusterSize : Int(min(backingOffset, UInt64(clusterSize)))
        var at = start
        while at + 8 <= end {
            let type = bytes.bigEndian(UInt32.self, at: at)
            let length = Int(bytes.bigEndian(UInt32.self, at: at + 4))
            at += 8
            if type == Extension.end { return }
            guard length <= end - at, at + length <= bytes.count else { throw fail("Header extension too large") }
            let content = Array(bytes[at..<at + length])
            switch type {
            case Extension.backingFormat:
                guard length <= 15 else {
                    throw fail("ERROR: ext_backing_format: len=\(length) too large (>=16)")
                }
                backingFormat = String(decoding: content, as: UTF8.self)
            case Extension.featureNames:
                for row in stride(from: 0, to: length - length % 48, by: 48) {
                    let name = content[(row + 2)..<(row + 48)].prefix { $0 != 0 }
                    let key = UInt16(content[row]) << 8 | UInt16(content[row + 1])
                    featureNames[key] = String(decoding: name, as: UTF8.self)
                }
            case Extension.bitmaps: try readBitmaps(content, path)
            case Extension.encryption:
                guard length == 16 else { throw fail("CRYPTO header extension size \(length), but expected size 16") }
                encryptionExtension = content
            case Extension.dataFile: dataFile = String(decoding: content.prefix { $0 != 0 }, as: UTF8.self)
            default: unknown.append(Unknown(type: type, content: content))
            }
            at += (length + 7) / 8 * 8
        }
    }

    private mutating func readBitmaps(_ content: [UInt8], _ path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError {
            .invalidImage(path: path, reason: "bitmaps_ext: \(reason)")
        }
        guard content.count == 24 else { throw fail("Invalid extension length") }
        // Without the feature bit a writer that knew no bitmaps has been here: they say nothing any more.
        guard autoclear & Autoclear.bitmaps != 0 else { return }
        let found = Bitmaps(
            count: content.bigEndian(UInt32.self, at: 0), directorySize: content.bigEndian(UInt64.self, at: 8),
            directoryOffset: content.bigEndian(UInt64.self, at: 16))
        guard content.bigEndian(UInt32.self, at: 4) == 0 else { throw fail("Reserved field is not zero") }
        guard found.count <= 65535 else {
            throw fail("image has \(found.count) bitmaps, exceeding the QEMU supported maximum of 65535")
        }
        guard found.count > 0 else { throw fail("found bitmaps extension with zero bitmaps") }
        guard found.directoryOffset & UInt64(clusterSize - 1) == 0, found.directoryOffset <= UInt64(Int64.max) else {
            throw fail("invalid bitmap directory offset")
        }
        guard found.directorySize <= 64 << 20 else {
            throw fail(
                "bitmap directory size (\(found.directorySize)) exceeds the maximum supported size (\(64 << 20))")
        }
        bitmaps = found
    }

    private mutating func checkFeatures(_ bytes: [UInt8], _ headerLength: Int, _ path: String) throws(BlockError) {
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let strange = incompatible & ~Incompatible.known
        if strange != 0 {
            let names = (0..<64).filter { strange & (1 << UInt64($0)) != 0 }.map {
                featureNames[UInt16($0)]
                    ?? "Unknown incompatible feature: \(String(UInt64(1) << UInt64($0), radix: 16))"
            }
            throw fail("Unsupported qcow2 feature(s): \(names.joined(separator: ", "))")
        }
        guard encryption <= 2 else { throw fail("Unsupported encryption method \(encryption)") }
        let type = headerLength > 104 && bytes.count > 104 ? bytes[104] : 0
        guard let compression = Compression(rawValue: type) else {
            throw fail("qcow2: unknown compression type: \(type)")
        }
        if incompatible & Incompatible.compressionType != 0 {
            guard compression != .zlib else {
                throw fail(
                    "qcow2: Compression type incompatible feature bit must not be set for zlib compression type")
            }
        } else if compression != .zlib {
            throw fail("qcow2: Compression type incompatible feature bit must be set")
        }
        self.compression = compression
        guard !isExtended || clusterBits >= 14 else {
            throw fail("extended L2 entries with a cluster size of 2^\(clusterBits), under 16384")
        }
        if !hasDataFile { autoclear &= ~Autoclear.rawData }
    }

    private mutating func readBackingName(_ bytes: [UInt8], _ path: String) throws(BlockError) {
        let offset = bytes.bigEndian(UInt64.self, at: 8)
        let length = bytes.bigEndian(UInt32.self, at: 16)
        guard offset != 0 else { return }
        guard length <= UInt32(QCow2Header.maximumBackingName), UInt64(length) <= UInt64(clusterSize) - offset else {
            throw .invalidImage(path: path, reason: "Backing file name too long")
        }
        if length > 0, Int(offset) + Int(length) <= bytes.count {
            backingFile = String(decoding: bytes[Int(offset)..<Int(offset) + Int(length)], as: UTF8.self)
        }
    }

    private func checkTables(_ path: String) throws(BlockError) {
        let mask = UInt64(clusterSize - 1)
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        func check(_ name: String, _ offset: UInt64, _ bytes: UInt64, limit: Int) throws(BlockError) {
            guard bytes <= UInt64(limit) else { throw fail("\(name) too large") }
            guard offset & mask == 0, offset <= UInt64(Int64.max) - bytes else { throw fail("\(name) offset invalid") }
        }
        try check(
            "Reference count table", refcountTableOffset, UInt64(refcountTableClusters) << UInt64(clusterBits),
            limit: QCow2Header.maximumRefcountTableBytes)
        // A table of no clusters can be made anew by a repair alone.
        guard refcountTableOffset != 0 || refcountTableClusters == 0 else {
            throw fail("Reference count table offset invalid")
        }
        guard snapshotCount <= UInt32(QCow2Header.maximumSnapshots) else { throw fail("Snapshot table too large") }
        try check("Snapshot table", snapshotOffset, 0, limit: 0)
        guard UInt64(l1Size) * 8 <= UInt64(QCow2Header.maximumL1Bytes) else {
            throw fail("Active L1 table too large")
        }
        guard size <= UInt64(Int64.max) else { throw fail("Image is too big: its size is \(size)") }
        let needed = l1Entries(for: size)
        guard needed * 8 <= UInt64(QCow2Header.maximumL1Bytes) else { throw fail("Image is too big") }
        guard UInt64(l1Size) >= needed else { throw fail("L1 table is too small") }
        try check("Active L1 table", l1Offset, UInt64(l1Size) * 8, limit: QCow2Header.maximumL1Bytes)
        guard l1Size == 0 || l1Offset != 0 else { throw fail("Active L1 table offset invalid") }
    }
}
