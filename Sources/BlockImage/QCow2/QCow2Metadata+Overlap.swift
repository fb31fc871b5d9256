/// What guest data must not be written over.
extension QCow2Metadata {
    /// Notes where the metadata with fixed places is.
    func noteFixedMetadata() {
        func range(_ offset: UInt64, _ bytes: UInt64) -> Range<UInt64> {
            offset..<offset + (bytes + clusterSize - 1) / clusterSize * clusterSize
        }
        let countTable = UInt64(header.refcountTableClusters) * clusterSize
        fixedMetadata = [
            (0..<clusterSize, "qcow2_header"), (range(header.l1Offset, UInt64(header.l1Size) * 8), "active L1 table"),
            (range(header.refcountTableOffset, countTable), "refcount table"),
        ]
        for snapshot in snapshots {
            fixedMetadata.append((range(snapshot.l1Offset, UInt64(snapshot.l1Size) * 8), "inactive L1 table"))
        }
        if header.snapshotCount > 0 { fixedMetadata.append((range(header.snapshotOffset, 1), "snapshot table")) }
        if let bitmaps = header.bitmaps {
            fixedMetadata.append((range(bitmaps.directoryOffset, bitmaps.directorySize), "bitmap directory"))
        }
        l2Places = PlaceFilter(l1.lazy.map { $0 & QCow2Metadata.offsetMask }, count: l1.count)
        countPlaces = PlaceFilter(refcountTable, count: refcountTable.count)
    }

    /// Throws when guest data would overwrite metadata: only a damaged or hostile image asks for that.
    func checkOverlap(_ offset: UInt64, _ length: UInt64) throws(ImageFailure) {
        if hasDataFile { return }
        guard length <= UInt64(Int64.max), offset <= UInt64(Int64.max) - length else {
            throw corrupt("host offset \(offset) is out of range")
        }
        let end = offset + length
        func overlaps(_ name: String) -> ImageFailure {
            corrupt("Preventing invalid write on metadata (overlaps with \(name))", place: (offset, length))
        }
        for (range, name) in fixedMetadata where offset < range.upperBound && range.lowerBound < end {
            throw overlaps(name)
        }
        var cluster = (offset >> clusterBits) << clusterBits
        while cluster < end {
            // The filters say for nearly all clusters that they are no tables; a table that is met is looked for.
            if l2Cache.contains(cluster)
                || l2Places.mayContain(cluster)
                    && l1.contains(where: { $0 & QCow2Metadata.offsetMask == cluster })
            {
                throw overlaps("active L2 table")
            }
            if refcountCache.contains(cluster) || countPlaces.mayContain(cluster) && refcountTable.contains(cluster) {
                throw overlaps("refcount block")
            }
            cluster += clusterSize
        }
    }
}

/// Tells of most numbers that they are not among some, in bounded memory: a Bloom filter. Numbers that are no longer
/// among them may stay in it.
struct PlaceFilter {
    private var bits: [UInt64]
    private let shift: UInt64

    /// A filter of no numbers.
    init() { (bits, shift) = ([0], 58) }

    /// A filter of numbers, of which 0 is none, with room for as many more.
    init(_ numbers: some Sequence<UInt64>, count: Int) {
        // 32 bits a number, of 64 to 16 Mi.
        let wanted = max(6, min(24, Int.bitWidth - (count * 32).leadingZeroBitCount))
        shift = 64 - UInt64(wanted)
        bits = [UInt64](repeating: 0, count: 1 << (wanted - 6))
        for number in numbers where number != 0 { insert(number) }
    }

    mutating func insert(_ number: UInt64) {
        let (one, two) = places(number)
        bits[one >> 6] |= 1 << UInt64(one & 63)
        bits[two >> 6] |= 1 << UInt64(two & 63)
    }

    func mayContain(_ number: UInt64) -> Bool {
        let (one, two) = places(number)
        return bits[one >> 6] >> UInt64(one & 63) & bits[two >> 6] >> UInt64(two & 63) & 1 != 0
    }

    private func places(_ number: UInt64) -> (Int, Int) {
        (Int((number &* 0x9e37_79b9_7f4a_7c15) >> shift), Int((number &* 0xc2b2_ae3d_27d4_eb4f) >> shift))
    }
}
