internal import CLinux

/// Reference counts and the search for free clusters ("Host cluster management" of the specification).
extension QCow2Metadata {
    private static let blockMask: UInt64 = ~0x1ff

    /// The block that holds a cluster's count, or nil when there is none (all its counts are zero).
    private func refcountBlock(_ index: UInt64) throws(ImageFailure) -> MetadataTable? {
        guard index < UInt64(refcountTable.count) else { return nil }
        let entry = refcountTable[Int(index)]
        guard entry != 0 else { return nil }
        guard entry & ~QCow2Metadata.blockMask == 0, entry & (clusterSize - 1) == 0, entry <= UInt64(Int64.max) else {
            guard entry & (clusterSize - 1) != 0 else {
                throw corrupt("reference count table entry \(index) is \(entry)")
            }
            let (place, number) = (QCow2Metadata.hexadecimal(entry & Self.blockMask), QCow2Metadata.hexadecimal(index))
            throw corrupt("Refblock offset \(place) unaligned (reftable index: \(number))")
        }
        if let table = refcountCache.find(entry) { return table }
        return try load(entry, into: \.refcountCache)
    }

    /// How often a cluster is referred to.
    func refcount(_ cluster: UInt64) throws(ImageFailure) -> UInt64 {
        guard let block = try refcountBlock(cluster >> refcountBlockBits) else { return 0 }
        return get(block, Int(cluster & ((1 << refcountBlockBits) - 1)))
    }

    /// How many clusters before `end` are referred to, counted up to `most`. What no block counts takes no time: a file of
    /// holes may have trillions of clusters.
    func usedClusters(before end: UInt64, most: UInt64) throws(ImageFailure) -> UInt64 {
        var used: UInt64 = 0
        for index in refcountTable.indices where refcountTable[index] != 0 {
            let first = UInt64(index) << refcountBlockBits
            guard first < end else { break }
            guard let block = try refcountBlock(UInt64(index)) else { continue }
            // SAFETY: the buffer's own length; the table keeps it.
            let bytes = unsafe UnsafeRawBufferPointer(start: block.buffer.base, count: block.buffer.count)
            if unsafe bytes.allSatisfy({ $0 == 0 }) { continue }
            for place in 0..<Int(min(1 << refcountBlockBits, end - first)) where get(block, place) > 0 {
                used += 1
                if used >= most { return used }
            }
        }
        return used
    }

    /// Counts are 1 to 64 bits wide; those under a byte are packed from the least significant bit on.
    private func get(_ block: MetadataTable, _ index: Int) -> UInt64 {
        if refcountBits < 8 {
            let bit = index * Int(refcountBits)
            return UInt64(block[byte: bit / 8] >> UInt8(bit % 8)) & ((1 << refcountBits) - 1)
        }
        let bytes = Int(refcountBits / 8)
        return (0..<bytes).reduce(0) { $0 << 8 | UInt64(block[byte: index * bytes + $1]) }
    }

    private func set(_ block: MetadataTable, _ index: Int, _ value: UInt64) {
        if refcountBits < 8 {
            let bit = index * Int(refcountBits)
            let mask = UInt8((1 << refcountBits) - 1) << UInt8(bit % 8)
            block[byte: bit / 8] = block[byte: bit / 8] & ~mask | UInt8(value) << UInt8(bit % 8)
            return
        }
        let bytes = Int(refcountBits / 8)
        for byte in 0..<bytes {
            block[byte: index * bytes + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (bytes - 1 - byte)))
        }
    }

    /// Takes up to `wanted` clusters in a row, each with a count of one. Gives the first, and how many.
    func allocate(_ wanted: UInt64) throws(ImageFailure) -> (cluster: UInt64, count: UInt64) {
        // A host offset has 56 bits, a file's offset 63.
        let limit = min(UInt64(1) << (56 - clusterBits), UInt64(Int64.max) >> clusterBits)
        file.debugEvent(.clusterAlloc)
        var at = freeHint
        // Behind the file's end a crash leaves a few counts of clusters never written; not a world of them.
        let lastPlausible = min(limit, max(pristine, freeHint) + (1 << 24))
        while true {
            guard at < limit else { throw .io(ENOSPC) }
            guard at <= lastPlausible else { throw corrupt("clusters far behind the end of the file are in use") }
            let index = at >> refcountBlockBits
            if try refcountBlock(index) == nil { try makeBlock(index) }
            guard let block = try refcountBlock(index) else { throw corrupt("no reference count block \(index)") }
            let end = min((index + 1) << refcountBlockBits, limit)
            let mask = (UInt64(1) << refcountBlockBits) - 1
            while at < end && get(block, Int(at & mask)) != 0 { at += 1 }
            guard at < end else { continue }
            var count: UInt64 = 0
            while count < wanted && at + count < end && get(block, Int((at + count) & mask)) == 0 { count += 1 }
            // A damaged image may call its own tables free.
            try checkOverlap(at << clusterBits, count << clusterBits)
            for cluster in at..<at + count { set(block, Int(cluster & mask), 1) }
            freeHint = at + count
            return (at, count)
        }
    }

    /// Adds one reference to each cluster of a range. Fails, with none added, when a count is at its maximum.
    func retain(_ first: UInt64, _ count: UInt64) throws(ImageFailure) {
        let maximum: UInt64 = refcountBits == 64 ? .max : (1 << refcountBits) - 1
        for cluster in first..<first + count where try refcount(cluster) >= maximum { throw .io(EINVAL) }
        for cluster in first..<first + count {
            let index = cluster >> refcountBlockBits
            if try refcountBlock(index) == nil { try makeBlock(index) }
            guard let block = try refcountBlock(index) else { throw corrupt("no reference count block \(index)") }
            let place = Int(cluster & ((1 << refcountBlockBits) - 1))
            set(block, place, get(block, place) + 1)
        }
    }

    /// Takes clusters in a row, as many as asked for: for tables that must not be broken up.
    func allocateRow(_ wanted: UInt64) throws(ImageFailure) -> UInt64 {
        var spare: [(UInt64, UInt64)] = []
        defer { for part in spare { pendingFrees.append((cluster: part.0, count: part.1)) } }
        var (cluster, count): (UInt64, UInt64) = (0, 0)
        while count < wanted {
            let (next, more) = try allocate(wanted - count)
            if count > 0 && next == cluster + count {
                count += more
                continue
            }
            if count > 0 { spare.append((cluster, count)) }
            (cluster, count) = (next, more)
        }
        return cluster
    }

    /// Whether a cluster just allocated reads as zeroes because nothing has ever been there. Counts as written now.
    func takePristine(_ cluster: UInt64, _ count: UInt64) -> Bool {
        let isPristine = cluster >= pristine && file.growsWithZeroes && !isEncrypted
        pristine = max(pristine, cluster + count)
        return isPristine
    }

    /// Gives up clusters that nothing points to any more: one reference less each.
    func release(_ first: UInt64, _ count: UInt64) throws(ImageFailure) {
        for cluster in first..<first + count {
            guard let block = try refcountBlock(cluster >> refcountBlockBits) else { continue }
            let index = Int(cluster & ((1 << refcountBlockBits) - 1))
            let old = get(block, index)
            // Zero already: the image was damaged before; a check will say so.
            guard old > 0 else { continue }
            set(block, index, old - 1)
            guard old == 1 else { continue }
            file.debugEvent(.clusterFree)
            // Nothing may be packed behind what is no longer there.
            if packedTail != 0 && packedTail >> clusterBits == cluster { packedTail = 0 }
            freeHint = min(freeHint, cluster)
            l2Cache.remove(cluster << clusterBits)
            if passesDiscard {
                _ = file.performAndWait(.discard, offset: cluster << clusterBits, length: clusterSize)
            }
        }
    }

    /// Makes the block of counts at a table index: in the first of the clusters that it covers itself, all of which
    /// are free as there was no block. It is on the disk before anything points to it.
    private func makeBlock(_ index: UInt64) throws(ImageFailure) {
        guard index < UInt64(refcountTable.count) else { return try growRefcountTable(for: index) }
        let cluster = index << refcountBlockBits
        try checkOverlap(cluster << clusterBits, clusterSize)
        file.debugEvent(.refblockAlloc)
        let block = newBlock(cluster)
        set(block, 0, 1)
        do throws(ImageFailure) {
            file.debugEvent(.refblockAllocWrite)
            try write(block)
            var bytes = [UInt8](repeating: 0, count: 8)
            bytes.store(block.offset, at: 0)
            file.debugEvent(.refblockAllocHookup)
            // Counts in the block are of use only with its place in the table.
            hasUnflushedCounts = true
            try check(file.writeAndWait(at: header.refcountTableOffset + index * 8, bytes: bytes))
        } catch {
            // On the disk it may be there, with nothing but itself in it: as it will be made the next time.
            refcountCache.remove(block.offset)
            throw error
        }
        refcountTable[Int(index)] = block.offset
        countPlaces.insert(block.offset)
    }

    private func newBlock(_ cluster: UInt64) -> MetadataTable {
        let block = MetadataTable(offset: cluster << clusterBits, buffer: AlignedBuffer(count: Int(clusterSize)))
        // SAFETY: the buffer's own length.
        unsafe memset(block.buffer.base, 0, block.buffer.count)
        block.touch(0, block.buffer.count)
        pristine = max(pristine, cluster + 1)
        refcountCache.insert(block)
        return block
    }

    private func write(_ block: MetadataTable) throws(ImageFailure) {
        try check(block.write(to: file))
        try flushFile()
    }

    func check(_ status: Int32) throws(ImageFailure) {
        guard status == 0 else { throw .io(status) }
    }

    /// The header's fields for the table: where, and how many clusters.
    private static func refcountPlace(_ offset: UInt64, _ clusters: UInt32) -> [UInt8] {
        var fields = [UInt8](repeating: 0, count: 12)
        fields.store(offset, at: 0)
        fields.store(clusters, at: 8)
        return fields
    }

    /// Moves the table to a larger place: the new table and the blocks that count it lie together at the start of the
    /// range that the first new block covers. The header switches over in one write.
    private func growRefcountTable(for index: UInt64) throws(ImageFailure) {
        let perBlock = UInt64(1) << refcountBlockBits
        var blocks: UInt64 = 1
        var clusters: UInt64 = 0
        while true {
            let entries = max(index + blocks, UInt64(refcountTable.count) * 3 / 2)
            clusters = (entries * 8 + clusterSize - 1) >> clusterBits
            let needed = (blocks + clusters + perBlock - 1) / perBlock
            if needed <= blocks { break }
            blocks = needed
        }
        guard clusters << clusterBits <= UInt64(QCow2Header.maximumRefcountTableBytes) else { throw .io(EFBIG) }
        let first = index << refcountBlockBits
        try checkOverlap(first << clusterBits, (blocks + clusters) << clusterBits)
        var table = refcountTable
        table += [UInt64](repeating: 0, count: Int(clusters << clusterBits) / 8 - table.count)
        let offset = (first + blocks) << clusterBits
        do throws(ImageFailure) {
            // The old table's clusters are counted until they are given up.
            try mark(dirty: true)
            file.debugEvent(.reftableGrow)
            for number in 0..<blocks {
                let block = newBlock(first + number)
                for cluster in first..<first + blocks + clusters where cluster >> refcountBlockBits == index + number {
                    set(block, Int(cluster & (perBlock - 1)), 1)
                }
                file.debugEvent(.refblockAllocWriteBlocks)
                try check(block.write(to: file))
                table[Int(index + number)] = block.offset
            }
            var bytes = [UInt8](repeating: 0, count: table.count * 8)
            for (number, entry) in table.enumerated() { bytes.store(entry, at: number * 8) }
            file.debugEvent(.refblockAllocWriteTable)
            try check(file.writeAndWait(at: offset, bytes: bytes))
            file.debugEvent(.refblockAllocSwitchTable)
            try switchHeader(
                at: 48, to: QCow2Metadata.refcountPlace(offset, UInt32(clusters)),
                from: QCow2Metadata.refcountPlace(header.refcountTableOffset, header.refcountTableClusters))
        } catch {
            for number in 0..<blocks { refcountCache.remove((first + number) << clusterBits) }
            throw error
        }
        pendingFrees.append((header.refcountTableOffset >> clusterBits, UInt64(header.refcountTableClusters)))
        fixedMetadata.removeAll { $0.range.lowerBound == header.refcountTableOffset }
        fixedMetadata.append((offset..<offset + (clusters << clusterBits), "refcount table"))
        header.refcountTableOffset = offset
        header.refcountTableClusters = UInt32(clusters)
        refcountTable = table
        countPlaces = PlaceFilter(table, count: table.count)
        pristine = max(pristine, first + blocks + clusters)
    }
}
