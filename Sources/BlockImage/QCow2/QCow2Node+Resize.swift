internal import CLinux
internal import Synchronization

/// Changing the size of the disk.
extension QCow2Node: Resizable {
    public func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        guard size <= UInt64(Int64.max), size % 512 == 0 else { throw .invalidSize(path: filename, size: size) }
        let old = self.size
        // Snapshots of that version need not say their size.
        guard header.version >= 3 || snapshots.isEmpty else {
            throw .message("Can't resize a v2 image which has snapshots")
        }
        if size < old {
            // What is cut off must not come back with the rest of the last cluster when the disk grows again.
            let end = min(old, (size + clusterSize - 1) & ~(clusterSize - 1))
            try zero(from: size, to: end, "shrink") { () throws(ImageFailure) in
                try wipe(from: size, to: end)
            }
            try changingAlone("shrink") { metadata throws(ImageFailure) in
                try shrink(metadata, from: old, to: size)
            }
        } else if size > old {
            guard header.l1Entries(for: size) <= UInt64(QCow2Header.maximumL1Bytes) / 8 else {
                throw .message("Failed to grow the L1 table: File too large")
            }
            try changingAlone("grow") { metadata throws(ImageFailure) in
                try metadata.growL1(to: metadata.header.l1Entries(for: size))
            }
            // A longer image below must not show in the new part of the disk.
            let below = min(size, backing?.sizeInBytes ?? 0)
            let end = (below + clusterSize - 1) & ~(clusterSize - 1)
            if below > old {
                try zero(from: old, to: end, "grow") { () throws(ImageFailure) in
                    try writeZeroes(offset: old, length: end - old, mayUnmap: false)
                }
            }
        }
        if header.hasDataFile, let data = dataFile as? any Resizable {
            try data.resize(to: size, preallocation: preallocation == .metadata ? .off : preallocation)
        }
        try changingAlone("resize") { metadata throws(ImageFailure) in
            try metadata.flush()
            var bytes = [UInt8](repeating: 0, count: 8)
            bytes.store(size, at: 0)
            try check(file.writeAndWait(at: 24, bytes: bytes))
            try metadata.flush()
            metadata.header.size = size
        }
        currentSize.store(size, ordering: .relaxed)
        if let bitmaps {
            try bitmaps.resize(to: size)
            try changingAlone("resize the bitmaps of") { metadata throws(ImageFailure) in
                try bitmaps.save(metadata)
                try metadata.settle()
            }
        }
        guard size > old, preallocation != .off || header.hasRawData else { return }
        try preallocate(from: old, to: size, preallocation == .off ? .metadata : preallocation)
    }

    private func zero(
        from start: UInt64, to end: UInt64, _ operation: String, _ body: () throws(ImageFailure) -> Void
    ) throws(BlockError) {
        guard start < end else { return }
        guard !isReadOnly else { throw .readOnly(path: filename) }
        try alone { () throws(BlockError) in
            do throws(ImageFailure) { try body() } catch { throw blockError(error, operation) }
        }
    }

    /// Zeroes what the image itself holds of a range.
    private func wipe(from start: UInt64, to end: UInt64) throws(ImageFailure) {
        var at = start
        while at < end {
            let run = try withTables { metadata throws(ImageFailure) in try metadata.run(at: at, limit: end - at) }
            switch run.kind {
            case .unallocated, .zero: break
            case .normal, .compressed: try writeBuffersOfZeroes(at, run.length)
            }
            at += run.length
        }
    }

    /// Gives up what lies behind the new end.
    private func shrink(_ metadata: QCow2Metadata, from old: UInt64, to size: UInt64) throws(ImageFailure) {
        let first = (size + clusterSize - 1) & ~(clusterSize - 1)
        var at = first
        while at < old {
            guard try metadata.l2Table(for: at) != nil else {
                at += try metadata.run(at: at, limit: UInt64(Int64.max)).length
                continue
            }
            let entry = try metadata.entry(at: at)
            if entry != QCow2Entry() { try metadata.setEntry(QCow2Entry(), for: at) }
            at += clusterSize
            if metadata.pendingFrees.count > 4096 { try metadata.writeBack() }
        }
        file.debugEvent(.l1ShrinkWriteTable)
        try metadata.settle()
        // L2 tables that cover nothing any more.
        let needed = Int(metadata.header.l1Entries(for: size))
        for index in needed..<max(needed, metadata.l1.count) where metadata.l1[index] != 0 {
            let table = metadata.l1[index] & QCow2Metadata.offsetMask
            file.debugEvent(.l1ShrinkFreeL2Clusters)
            metadata.setL1(index, 0)
            metadata.pendingFrees.append((table >> metadata.clusterBits, 1))
        }
        try metadata.settle()
    }

    /// Makes storage for a range of the disk that has none, and whose content is zero or, with `showsBelow` (extended L2
    /// entries alone can say that), what the image below has.
    func preallocate(
        from start: UInt64, to end: UInt64, _ way: Preallocation, showsBelow: Bool = false
    ) throws(BlockError) {
        let granule = clusterSize
        // The last cluster of the disk as it was may show what lies below.
        var at = (backing == nil ? start : start + granule - 1) & ~(granule - 1)
        while at < end {
            let (from, limit) = (at, min(end - at, 64 << 20))
            let next = try changingAlone("reserve space in") { metadata throws(ImageFailure) in
                let run = try metadata.run(at: from, limit: limit)
                let isVacant =
                    switch run.kind {
                    case .unallocated: run.storage == nil
                    case .zero: run.storage == nil && !showsBelow
                    case .normal, .compressed: false
                    }
                guard isVacant else { return from + run.length }
                _ = try metadata.writableL2(for: from)
                let wanted = (run.length + granule - 1) / granule
                let (cluster, count) =
                    metadata.hasDataFile ? (from / granule, wanted) : try metadata.allocate(wanted)
                let host = cluster * granule
                let isPristine = !metadata.hasDataFile && metadata.takePristine(cluster, count)
                if !metadata.hasDataFile {
                    // What was there before must not show.
                    let operation = BlockRequest.Operation.writeZeroes(mayUnmap: way == .metadata)
                    metadata.hasNewContent = true
                    if way != .metadata || !isPristine {
                        file.debugEvent(.clusterAllocSpace)
                        try check(file.performAndWait(operation, offset: host, length: count * granule))
                    } else if file.sizeInBytes < host + count * granule {
                        try lengthenFile(to: host + count * granule)
                    }
                }
                let showsFile = backing == nil && header.encryption == 0
                let state = showsBelow ? 0 : showsFile ? QCow2Entry.allAllocated : QCow2Entry.allZero
                for index in 0..<count {
                    let bitmap = metadata.isExtended ? state : 0
                    let zero = !metadata.isExtended && !showsFile && header.version >= 3 ? QCow2Metadata.zero : 0
                    let entry = QCow2Entry(
                        descriptor: (host + index * granule) | QCow2Metadata.copied | zero, bitmap: bitmap)
                    try metadata.setEntry(entry, for: from + index * granule)
                }
                return from + count * granule
            }
            at = next
        }
        try changingAlone("reserve space in") { metadata throws(ImageFailure) in try metadata.settle() }
    }

    /// Makes the file longer, with a hole.
    private func lengthenFile(to size: UInt64) throws(ImageFailure) {
        do throws(BlockError) {
            try (file as? any Resizable)?.resize(to: size, preallocation: .off)
        } catch {
            throw .io(EIO)
        }
    }
}

extension QCow2Metadata {
    /// Makes the L1 table larger, in a new place; the header switches over in one write.
    func growL1(to count: UInt64) throws(ImageFailure) {
        guard count > UInt64(l1.count) else { return }
        guard count * 8 <= UInt64(QCow2Header.maximumL1Bytes) else { throw .io(EFBIG) }
        try settle()
        let wanted = max(count, min(UInt64(l1.count) * 3 / 2 + 1, UInt64(QCow2Header.maximumL1Bytes) / 8))
        let entries = UInt64(l1.count) == 0 ? count : wanted
        let table = l1 + [UInt64](repeating: 0, count: Int(entries) - l1.count)
        try replaceL1(table)
        try settle()
    }
}
