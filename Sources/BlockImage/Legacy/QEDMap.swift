/// The tables of a QED image (QEMU's docs/interop/qed_spec.txt), for reading: two levels of them.
final class QEDMap: ImageMap {
    let file: any BlockNode
    let size: UInt64
    let backing: String?
    let isBackingRaw: Bool
    private let clusterSize: UInt64
    private let entries: UInt64
    private let needsCheck: Bool
    private let l1: [UInt64]
    private var tables: [UInt64: [UInt64]] = [:]

    var formatName: String { "qed" }
    var isComplete: Bool { false }
    var description: ImageDescription {
        var description = ImageDescription()
        description.clusterSize = clusterSize
        description.isDirty = needsCheck
        description.backing = backing
        if isBackingRaw { description.backingFormat = "raw" }
        return description
    }

    init(_ file: any BlockNode, isForWriting: Bool) throws(BlockError) {
        self.file = file
        let path = file.filename
        func fail(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        let (status, head) = file.bytesAndWait(at: 0, count: 64)
        guard status == 0 else { throw .io(path: path, operation: "read", status) }
        guard head.prefix(4).elementsEqual([0x51, 0x45, 0x44, 0]) else { throw fail("Image not in QED format") }
        guard !isForWriting else { throw .unsupported(path: path, feature: "writing to a QED image") }
        let features = head.littleEndian(UInt64.self, at: 16)
        guard features & ~7 == 0 else {
            throw fail("Unsupported QED features: \(String(features & ~7, radix: 16))")
        }
        clusterSize = UInt64(head.littleEndian(UInt32.self, at: 4))
        guard clusterSize >= 4096, clusterSize <= 64 << 20, clusterSize & (clusterSize - 1) == 0 else {
            throw fail("QED cluster size is \(clusterSize)")
        }
        let tableSize = UInt64(head.littleEndian(UInt32.self, at: 8))
        guard tableSize >= 1, tableSize <= 16, tableSize & (tableSize - 1) == 0 else {
            throw fail("QED table size is \(tableSize)")
        }
        entries = clusterSize * tableSize / 8
        size = head.littleEndian(UInt64.self, at: 48)
        let (covered, overflow) = (entries * entries).multipliedReportingOverflow(by: clusterSize)
        guard size % 512 == 0, size <= UInt64(Int64.max), overflow || size <= covered else {
            throw fail("QED image size is \(size)")
        }
        needsCheck = features & 2 != 0
        if features & 1 != 0 {
            let offset = UInt64(head.littleEndian(UInt32.self, at: 56))
            let length = Int(head.littleEndian(UInt32.self, at: 60))
            let headerEnd = clusterSize * UInt64(head.littleEndian(UInt32.self, at: 12))
            guard length <= 1023, offset + UInt64(length) <= headerEnd else {
                throw fail("The backing file's name lies outside of the header")
            }
            let bytes = try file.metadataBytes("backing file's name", at: offset, count: length)
            backing = bytes.text(at: 0, length: length)
            isBackingRaw = features & 4 != 0
        } else {
            (backing, isBackingRaw) = (nil, false)
        }
        let place = head.littleEndian(UInt64.self, at: 40)
        guard place % clusterSize == 0, place > 0, place <= UInt64(Int64.max) / 2 else {
            throw fail("QED L1 table lies at \(place)")
        }
        let needed = size == 0 ? 0 : (size - 1) / clusterSize / entries + 1
        let bytes = try file.metadataBytes("L1 table", at: place, count: Int(needed) * 8)
        l1 = (0..<Int(needed)).map { bytes.littleEndian(UInt64.self, at: $0 * 8) }
    }

    func find(_ offset: UInt64) throws(ImageFailure) -> (piece: MappedPiece, length: UInt64) {
        let cluster = offset / clusterSize
        let inside = offset % clusterSize
        let length = min(clusterSize - inside, size - offset)
        let number = Int(cluster / entries)
        guard number < l1.count else { throw .corrupt("offset \(offset) is behind the L1 table") }
        guard l1[number] != 0 else {
            return (.unallocated, min((UInt64(number) + 1) * entries * clusterSize, size) - offset)
        }
        let entry = try table(l1[number])[Int(cluster % entries)]
        switch entry {
        case 0: return (.unallocated, length)
        case 1: return (.zero, length)
        default:
            guard entry % clusterSize == 0, entry <= UInt64(Int64.max) / 2 else {
                throw .corrupt("cluster at \(entry)")
            }
            return (.data(file, entry + inside), length)
        }
    }

    private func table(_ place: UInt64) throws(ImageFailure) -> [UInt64] {
        if let table = tables[place] { return table }
        guard place % clusterSize == 0, place <= UInt64(Int64.max) / 2 else { throw .corrupt("L2 table at \(place)") }
        guard place + entries * 8 <= file.sizeInBytes else { throw .corrupt("the L2 table at \(place) is cut off") }
        let (status, bytes) = file.bytesAndWait(at: place, count: Int(entries) * 8)
        try ImageFailure.check(status)
        let table = (0..<Int(entries)).map { bytes.littleEndian(UInt64.self, at: $0 * 8) }
        // Tables may be large: a few are enough to read from one end to the other.
        if tables.count >= 4 { tables.removeAll() }
        tables[place] = table
        return table
    }

    func check(_ report: (String) -> Void) throws(ImageFailure) -> ImageCheck {
        var result = ImageCheck()
        result.totalClusters = (size + clusterSize - 1) / clusterSize
        let length = file.sizeInBytes
        var last: UInt64 = 0
        for place in l1 where place != 0 {
            guard place % clusterSize == 0, place < length else {
                result.corruptions += 1
                continue
            }
            for entry in try table(place) where entry > 1 {
                guard entry % clusterSize == 0, entry < length else {
                    result.corruptions += 1
                    continue
                }
                result.allocatedClusters += 1
                if last != 0 && entry != last + clusterSize { result.fragmentedClusters += 1 }
                last = entry
            }
        }
        return result
    }
}
