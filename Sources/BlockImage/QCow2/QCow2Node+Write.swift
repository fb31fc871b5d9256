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
    }

    /// Allocates at most this much at once.
    private static let maximumAllocation: UInt64 = 4 << 20

    /// Stores the segments at the guest's offset.
    func write(_ offset: UInt64, _ segments: [BlockSegment]) throws(QCow2Failure) {
        let total = UInt64(segments.reduce(0) { $0 + $1.count })
        var done: UInt64 = 0
        while done < total {
            let at = offset + done
            let rest = total - done
            let place = try changingTables { metadata throws(QCow2Failure) in
                try findPlace(metadata, at, rest)
            }
            do throws(QCow2Failure) {
                if place.clusters != nil { try fillEdges(place, at) }
                let part = segments.slice(from: Int(done), count: Int(place.length))
                try check(file.writeAndWait(at: place.host, from: part))
            } catch {
                if let clusters = place.clusters, !place.isReused {
                    try changingTables { metadata in
                        metadata.pendingFrees.append((clusters.host / clusterSize, clusters.count))
                    }
                }
                throw error
            }
            if let clusters = place.clusters {
                try changingTables { metadata throws(QCow2Failure) in
                    if !place.wasZero { metadata.hasCopies = true }
                    try link(metadata, clusters.host, clusters.count, at, place.isReused)
                }
            }
            done += place.length
        }
    }

    private func findPlace(_ metadata: QCow2Metadata, _ at: UInt64, _ limit: UInt64) throws(QCow2Failure) -> Place {
        let run = try metadata.run(at: at, limit: limit)
        let inCluster = at & (clusterSize - 1)
        var wasZero = false
        switch run.kind {
        case .normal(let host) where run.isCopied:
            try metadata.checkOverlap(host, run.length)
            return Place(host: host, length: run.length)
        case .zero(.some(let host)) where run.isCopied:
            try metadata.checkOverlap(host, clusterSize)
            return Place(
                host: host + inCluster, length: run.length, clusters: (host, 1), isReused: true, wasZero: true)
        case .zero: wasZero = true
        case .unallocated: wasZero = backing == nil
        case .normal, .compressed: break
        }
        // Before the data, so that a disk that is full says so before anything is copied.
        _ = try metadata.writableL2(for: at)
        let most = max(1, QCow2Node.maximumAllocation / clusterSize)
        let wanted = min((inCluster + run.length + clusterSize - 1) / clusterSize, most)
        let (cluster, count) = try metadata.allocate(wanted)
        let isPristine = metadata.takePristine(cluster, count)
        let host = cluster * clusterSize
        return Place(
            host: host + inCluster, length: min(run.length, count * clusterSize - inCluster),
            clusters: (host, count), isPristine: isPristine, wasZero: wasZero)
    }

    private func link(
        _ metadata: QCow2Metadata, _ host: UInt64, _ count: UInt64, _ at: UInt64, _ keeps: Bool
    ) throws(QCow2Failure) {
        let first = at & ~(clusterSize - 1)
        for index in 0..<count {
            let distance = index * clusterSize
            try metadata.setEntry((host + distance) | QCow2Metadata.copied, for: first + distance, keeps: keeps)
        }
        if metadata.pendingFrees.count > 4096 { try metadata.writeBack() }
    }

    /// Gives the new clusters their old content before and after the data.
    private func fillEdges(_ place: Place, _ at: UInt64) throws(QCow2Failure) {
        let inCluster = at & (clusterSize - 1)
        try fillEdge(place, at - inCluster, inCluster, place.host - inCluster)
        let end = at + place.length
        let tail = (clusterSize - end & (clusterSize - 1)) & (clusterSize - 1)
        try fillEdge(place, end, tail, place.host + place.length)
    }

    private func fillEdge(
        _ place: Place, _ guest: UInt64, _ length: UInt64, _ host: UInt64
    ) throws(QCow2Failure) {
        guard length > 0, !(place.wasZero && place.isPristine) else { return }
        let buffer = AlignedBuffer(count: Int(length))
        defer { withExtendedLifetime(buffer) {} }
        let segments = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        if place.wasZero { segments.zero(from: 0) } else { try read(guest, segments) }
        try check(file.writeAndWait(at: host, from: segments))
    }

    // MARK: Zeroes and discard

    /// Makes a range read as zeroes: whole clusters in the tables, the edges by writing.
    func writeZeroes(offset: UInt64, length: UInt64, mayUnmap: Bool) throws(QCow2Failure) {
        let end = offset + length
        // What lies behind the disk's end belongs to no one: the last cluster is whole when its part of the disk is.
        let first = min((offset + clusterSize - 1) & ~(clusterSize - 1), end)
        let last = end == size ? end : max(end & ~(clusterSize - 1), first)
        if offset < first { try writeBuffersOfZeroes(offset, first - offset) }
        if header.version >= 3 || (mayUnmap && backing == nil) {
            try eachCluster(from: first, to: last) { metadata, at throws(QCow2Failure) in
                try zeroCluster(metadata, at, mayUnmap: mayUnmap)
            }
        } else if first < last {
            try writeBuffersOfZeroes(first, last - first)
        }
        if last < end { try writeBuffersOfZeroes(last, end - last) }
    }

    private func zeroCluster(_ metadata: QCow2Metadata, _ at: UInt64, mayUnmap: Bool) throws(QCow2Failure) {
        let run = try metadata.run(at: at, limit: clusterSize)
        let zero = header.version >= 3 && backing != nil ? QCow2Metadata.zero : 0
        switch run.kind {
        case .unallocated:
            if backing != nil { try metadata.setEntry(zero, for: at) }
        case .zero(nil): break
        case .zero(.some): if mayUnmap { try metadata.setEntry(QCow2Metadata.zero, for: at) }
        case .normal(let host) where run.isCopied && !mayUnmap:
            try metadata.setEntry(host | QCow2Metadata.copied | QCow2Metadata.zero, for: at, keeps: true)
        case .normal, .compressed: try metadata.setEntry(zero, for: at)
        }
    }

    /// Gives up the storage of the whole clusters in a range. They read as zeroes then, not as the backing image;
    /// where version 2 cannot say so, they stay.
    func discard(offset: UInt64, length: UInt64) throws(QCow2Failure) {
        let end = offset + length
        let first = (offset + clusterSize - 1) & ~(clusterSize - 1)
        let last = end == size ? end : end & ~(clusterSize - 1)
        guard header.version >= 3 || backing == nil else { return }
        try eachCluster(from: first, to: last) { metadata, at throws(QCow2Failure) in
            switch try metadata.run(at: at, limit: clusterSize).kind {
            case .unallocated, .zero(nil): break
            default: try metadata.setEntry(backing == nil ? 0 : QCow2Metadata.zero, for: at)
            }
        }
    }

    /// Calls the body for each cluster, with the tables; other requests get their turn in between. Ranges without an
    /// L2 table are skipped in one step where there is nothing to change in them.
    private func eachCluster(
        from first: UInt64, to last: UInt64, _ body: (QCow2Metadata, UInt64) throws(QCow2Failure) -> Void
    ) throws(QCow2Failure) {
        var at = first
        while at < last {
            let start = at
            at = try changingTables { metadata throws(QCow2Failure) in
                var at = start
                var count = 0
                while at < last && count < 1024 {
                    if backing == nil, try metadata.l2Table(for: at) == nil {
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

    private func writeBuffersOfZeroes(_ offset: UInt64, _ length: UInt64) throws(QCow2Failure) {
        let buffer = AlignedBuffer(count: Int(min(length, 1 << 20)))
        defer { withExtendedLifetime(buffer) {} }
        let segments = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        segments.zero(from: 0)
        var at = offset
        while at < offset + length {
            let rest = min(offset + length - at, UInt64(buffer.count))
            let run = try withTables { metadata throws(QCow2Failure) in try metadata.run(at: at, limit: rest) }
            switch run.kind {
            case .zero: break
            case .unallocated where backing == nil: break
            default: try write(at, segments.slice(from: 0, count: Int(run.length)))
            }
            at += run.length
        }
    }
}
