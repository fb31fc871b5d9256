internal import CLinux

/// Writing where the mapping changes. The caller holds the clusters alone, on a thread that may block.
extension QCow2Node {
    /// Where a part of a write goes.
    private struct Place {
        /// The file's offset of the first byte.
        var host: UInt64
        var length: UInt64
        /// The entries that change when the data is there: the first cluster's host offset, and how many.
        var clusters: (host: UInt64, count: UInt64)?
        /// The storage was the guest cluster's own before, as a zero cluster's.
        var isReused = false
        /// The clusters read as zeroes in the file.
        var isPristine = false
        /// The guest's clusters read as zeroes before.
        var wasZero = false
        /// Whether the place shows what it should before anything is written there: zeroes, as the guest sees it now.
        var isBlank: Bool { wasZero && isPristine }
        /// The new content is whole up to this multiple: a cluster's, or a subcluster's where the others stay as
        /// they are.
        var unit: UInt64
    }

    /// Allocates at most this much at once.
    private static let maximumAllocation: UInt64 = 4 << 20

    /// Stores the segments at the guest's offset. `placed` is called before the last of them are written.
    func write(
        _ offset: UInt64, _ segments: [BlockSegment], placed: (() -> Void)? = nil
    ) throws(ImageFailure) {
        let total = UInt64(segments.reduce(0) { $0 + $1.count })
        if encryption != nil && (offset | total) & 511 != 0 { return try writeWholeSectors(offset, total, segments) }
        noteWrite(offset, total)
        var done: UInt64 = 0
        while done < total {
            let at = offset + done
            let rest = total - done
            let place = try changingTables { metadata throws(ImageFailure) in
                try findPlace(metadata, at, rest)
            }
            do throws(ImageFailure) {
                if place.clusters != nil { try fillEdges(place, at) }
                let part = segments.slice(from: Int(done), count: Int(place.length))
                if place.length == rest { placed?() }
                file.debugEvent(.writeAIO)
                try writeData(place.host, at, part)
            } catch {
                if let clusters = place.clusters, !place.isReused, !header.hasDataFile {
                    try changingTables { metadata in
                        metadata.pendingFrees.append((clusters.host / clusterSize, clusters.count))
                    }
                }
                throw error
            }
            if let clusters = place.clusters {
                try changingTables { metadata throws(ImageFailure) in
                    if !place.isBlank { metadata.hasNewContent = true }
                    try link(metadata, place, clusters.host, clusters.count, at)
                }
            }
            done += place.length
        }
    }

    /// Stores a range that begins or ends within a sector of an encrypted disk.
    private func writeWholeSectors(
        _ offset: UInt64, _ count: UInt64, _ segments: [BlockSegment]
    ) throws(ImageFailure) {
        let start = offset & ~511
        let end = min((offset + count + 511) & ~511, size)
        guard end - start <= 1 << 30 else { throw .io(EINVAL) }
        let buffer = AlignedBuffer(count: Int(end - start))
        defer { withExtendedLifetime(buffer) {} }
        let whole = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        try read(start, whole)
        // SAFETY: the range begins less than a sector after the buffer's first byte, and ends with it at the latest.
        unsafe segments.copy(to: buffer.base + Int(offset - start))
        try write(start, whole)
    }

    private func findPlace(_ metadata: QCow2Metadata, _ at: UInt64, _ limit: UInt64) throws(ImageFailure) -> Place {
        let run = try metadata.run(at: at, limit: limit)
        let inCluster = at & (clusterSize - 1)
        var wasZero = false
        switch run.kind {
        case .normal(let host) where run.isCopied:
            try metadata.checkOverlap(host, run.length)
            return Place(host: host, length: run.length, unit: clusterSize)
        case .zero: wasZero = true
        case .unallocated: wasZero = backing == nil
        case .normal, .compressed: break
        }
        if let storage = run.storage, run.isCopied {
            try metadata.checkOverlap(storage, clusterSize)
            return Place(
                host: storage + inCluster, length: run.length, clusters: (storage, 1), isReused: true,
                wasZero: wasZero, unit: metadata.isExtended ? clusterSize / 32 : clusterSize)
        }
        // Subclusters beside those written stay as they are, unless the cluster has content to bring along.
        let keepsOthers: Bool
        switch run.kind {
        case .unallocated, .zero: keepsOthers = metadata.isExtended && run.storage == nil
        case .normal, .compressed: keepsOthers = false
        }
        // Content elsewhere in the cluster that is copied may be anything.
        if metadata.isExtended && !keepsOthers { wasZero = false }
        // Before the data, so that a disk that is full says so before anything is copied.
        _ = try metadata.writableL2(for: at)
        let most = max(1, QCow2Node.maximumAllocation / clusterSize)
        let wanted = min((inCluster + run.length + clusterSize - 1) / clusterSize, most)
        let (cluster, count) =
            metadata.hasDataFile ? (at / clusterSize, wanted) : try metadata.allocate(wanted)
        let isPristine = !metadata.hasDataFile && metadata.takePristine(cluster, count)
        let host = cluster * clusterSize
        return Place(
            host: host + inCluster, length: min(run.length, count * clusterSize - inCluster),
            clusters: (host, count), isPristine: isPristine, wasZero: wasZero,
            unit: keepsOthers ? clusterSize / 32 : clusterSize)
    }

    private func link(
        _ metadata: QCow2Metadata, _ place: Place, _ host: UInt64, _ count: UInt64, _ at: UInt64
    ) throws(ImageFailure) {
        let first = at & ~(clusterSize - 1)
        for index in 0..<count {
            let guest = first + index * clusterSize
            var entry = QCow2Entry(descriptor: (host + index * clusterSize) | QCow2Metadata.copied)
            if metadata.isExtended {
                entry.bitmap = QCow2Entry.allAllocated
                if place.unit < clusterSize {
                    let start = max(at, guest) - guest
                    let end = min(at + place.length, guest + clusterSize) - guest
                    let written = QCow2Node.subclusters(start / place.unit, (end + place.unit - 1) / place.unit)
                    entry.bitmap = try metadata.entry(at: guest).bitmap & ~(written << 32) | written
                }
            }
            try metadata.setEntry(entry, for: guest, keeps: place.isReused)
        }
        if metadata.pendingFrees.count > 4096 { try metadata.writeBack() }
    }

    /// Bits for subclusters from the first up to the last.
    private static func subclusters(_ first: UInt64, _ last: UInt64) -> UInt64 {
        (1 << last) - (1 << first)
    }

    /// Gives the new clusters their old content before and after the data.
    private func fillEdges(_ place: Place, _ at: UInt64) throws(ImageFailure) {
        let before = at & (place.unit - 1)
        try fillEdge(place, at - before, before, place.host - before)
        let end = at + place.length
        let tail = (place.unit - end & (place.unit - 1)) & (place.unit - 1)
        try fillEdge(place, end, tail, place.host + place.length)
    }

    private func fillEdge(
        _ place: Place, _ guest: UInt64, _ length: UInt64, _ host: UInt64
    ) throws(ImageFailure) {
        guard length > 0, !place.isBlank else { return }
        let buffer = AlignedBuffer(count: Int(length))
        defer { withExtendedLifetime(buffer) {} }
        let segments = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        if place.wasZero {
            segments.zero(from: 0)
        } else {
            file.debugEvent(.cowRead)
            try read(guest, segments)
        }
        file.debugEvent(.cowWrite)
        try writeData(host, guest, segments)
    }

    // MARK: Zeroes and discard

    /// What is unallocated reads as zeroes, now and whoever opens the image later: one that names an image below has it
    /// again next time, even if it was opened without.
    var hasNoBase: Bool { backing == nil && header.backingFile == nil }

    /// Makes a range read as zeroes: whole clusters in the tables, the edges by writing.
    func writeZeroes(offset: UInt64, length: UInt64, mayUnmap: Bool) throws(ImageFailure) {
        let end = offset + length
        noteWrite(offset, length)
        file.debugEvent(.pwritevZero)
        if header.hasRawData {
            // The data file must stay true by itself.
            try check(dataFile.performAndWait(.writeZeroes(mayUnmap: mayUnmap), offset: offset, length: length))
        }
        // What lies behind the disk's end belongs to no one: the last cluster is whole when its part of the disk is.
        let first = min((offset + clusterSize - 1) & ~(clusterSize - 1), end)
        let last = end == size ? end : max(end & ~(clusterSize - 1), first)
        if offset < first { try writeBuffersOfZeroes(offset, first - offset) }
        if header.version >= 3 || (mayUnmap && hasNoBase) {
            try eachCluster(from: first, to: last) { metadata, at throws(ImageFailure) in
                try zeroCluster(metadata, at, mayUnmap: mayUnmap)
            }
        } else if first < last {
            try writeBuffersOfZeroes(first, last - first)
        }
        if last < end { try writeBuffersOfZeroes(last, end - last) }
    }

    /// The entry of a cluster that reads as zeroes and whose storage, if it has any, stays.
    private func zeroEntry(_ metadata: QCow2Metadata, storage: UInt64?) -> QCow2Entry {
        let descriptor = storage.map { $0 | QCow2Metadata.copied } ?? 0
        return metadata.isExtended
            ? QCow2Entry(descriptor: descriptor, bitmap: QCow2Entry.allZero)
            : QCow2Entry(descriptor: descriptor | QCow2Metadata.zero)
    }

    private func zeroCluster(_ metadata: QCow2Metadata, _ at: UInt64, mayUnmap: Bool) throws(ImageFailure) {
        let old = try metadata.decode(try metadata.entry(at: at))
        let saysZero = header.version >= 3 && (!hasNoBase || metadata.isExtended || metadata.hasDataFile)
        let gone = saysZero ? zeroEntry(metadata, storage: nil) : QCow2Entry()
        switch old.kind {
        case .unallocated:
            if !hasNoBase { try metadata.setEntry(gone, for: at) }
        case .zero:
            if mayUnmap && old.storage != nil { try metadata.setEntry(zeroEntry(metadata, storage: nil), for: at) }
        case .normal where old.isCopied && !mayUnmap:
            try metadata.setEntry(zeroEntry(metadata, storage: old.storage), for: at, keeps: true)
        case .normal, .compressed: try metadata.setEntry(gone, for: at)
        }
    }

    /// Gives up the storage of the whole clusters in a range. They read as zeroes then, not as the backing image;
    /// where version 2 cannot say so, they stay.
    func discard(offset: UInt64, length: UInt64) throws(ImageFailure) {
        let end = offset + length
        let first = (offset + clusterSize - 1) & ~(clusterSize - 1)
        let last = end == size ? end : end & ~(clusterSize - 1)
        guard header.version >= 3 || hasNoBase else { return }
        noteWrite(offset, length)
        if header.hasRawData { return try writeZeroes(offset: offset, length: length, mayUnmap: true) }
        try eachCluster(from: first, to: last) { metadata, at throws(ImageFailure) in
            let entry = try metadata.entry(at: at)
            let old = try metadata.decode(entry)
            let gone = hasNoBase ? QCow2Entry() : zeroEntry(metadata, storage: nil)
            guard entry != gone, old.storage != nil || entry.descriptor != 0 else { return }
            try metadata.setEntry(gone, for: at)
        }
    }

    /// Calls the body for each cluster, with the tables; other requests get their turn in between. Ranges without an
    /// L2 table are skipped in one step where there is nothing to change in them.
    private func eachCluster(
        from first: UInt64, to last: UInt64, _ body: (QCow2Metadata, UInt64) throws(ImageFailure) -> Void
    ) throws(ImageFailure) {
        var at = first
        while at < last {
            let start = at
            at = try changingTables { metadata throws(ImageFailure) in
                var at = start
                var count = 0
                while at < last && count < 1024 {
                    if hasNoBase, try metadata.l2Table(for: at) == nil {
                        at = try metadata.run(at: at, limit: UInt64(Int64.max)).length + at
                        break
                    }
                    try body(metadata, at)
                    at += clusterSize
                    count += 1
                }
                if metadata.pendingFrees.count > 4096 { try metadata.writeBack() }
                return at
            }
        }
    }

    func writeBuffersOfZeroes(_ offset: UInt64, _ length: UInt64) throws(ImageFailure) {
        let buffer = AlignedBuffer(count: Int(min(length, 1 << 20)))
        defer { withExtendedLifetime(buffer) {} }
        let segments = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        segments.zero(from: 0)
        var at = offset
        while at < offset + length {
            let rest = min(offset + length - at, UInt64(buffer.count))
            let run = try withTables { metadata throws(ImageFailure) in try metadata.run(at: at, limit: rest) }
            switch run.kind {
            case .zero: break
            case .unallocated where hasNoBase: break
            default: try write(at, segments.slice(from: 0, count: Int(run.length)))
            }
            at += run.length
        }
    }
}
