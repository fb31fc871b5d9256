extension QCow2Header {
    /// The header's bytes, with extensions and names: what belongs at the start of an image.
    public func encoded() -> [UInt8] {
        let length = version == 2 ? QCow2Header.lengthOfVersion2 : QCow2Header.lengthOfVersion3
        var bytes = [UInt8](repeating: 0, count: length)
        bytes.store(QCow2Header.magic, at: 0)
        bytes.store(version, at: 4)
        bytes.store(UInt32(clusterBits), at: 20)
        bytes.store(size, at: 24)
        bytes.store(encryption, at: 32)
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
        if hasDataFile, let dataFile { append(Extension.dataFile, Array(dataFile.utf8)) }
        if !encryptionExtension.isEmpty { append(Extension.encryption, encryptionExtension) }
        // Only an aid to people: it goes where the cluster has room for it.
        let known = unknown.reduce(0) { $0 + 16 + $1.content.count } + (bitmaps == nil ? 0 : 32)
        let rest = 16 + QCow2Header.featureTable.count + (backingFile?.utf8.count ?? 0) + known
        if version >= 3 && bytes.count + rest <= clusterSize {
            append(Extension.featureNames, QCow2Header.featureTable)
        }
        if let bitmaps {
            var content = [UInt8](repeating: 0, count: 24)
            content.store(bitmaps.count, at: 0)
            content.store(bitmaps.directorySize, at: 8)
            content.store(bitmaps.directoryOffset, at: 16)
            append(Extension.bitmaps, content)
        }
        for other in unknown { append(other.type, other.content) }
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
