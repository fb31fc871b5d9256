/// Comparing what was counted with what the disk says.
extension QCow2Check {
    /// Counts in one block.
    private var perBlock: UInt64 { (clusterSize * 8) >> UInt64(header.refcountOrder) }

    /// Compares every cluster of the file; mends single counts as far as `fixing` allows.
    func compare(fixing: ImageCheck.Repair) throws(BlockError) {
        var first: UInt64 = 0
        // Page by page of what was counted or is claimed: a file's long holes cost nothing.
        var marks: Set<UInt64> = []
        for page in counts.pageIndices {
            let start = ReferenceCounts.first(ofPage: page)
            for block in start / perBlock...(start + ReferenceCounts.clustersInPage - 1) / perBlock {
                marks.insert(block)
            }
        }
        for (index, entry) in refcountTable.enumerated() where entry != 0 { marks.insert(UInt64(index)) }
        for index in marks.sorted() {
            first = index * perBlock
            guard first < clusters else { break }
            try compareBlock(index, first, min(clusters, first + perBlock), fixing)
        }
    }

    private func compareBlock(
        _ index: UInt64, _ first: UInt64, _ end: UInt64, _ fixing: ImageCheck.Repair
    ) throws(BlockError) {
        let entry = index < UInt64(refcountTable.count) ? refcountTable[Int(index)] : 0
        let isThere = entry != 0 && entry & (clusterSize - 1) == 0 && entry < fileSize
        if isThere { try load(entry) }
        var changed: Range<Int> = 0..<0
        for cluster in first..<end {
            let claimed = isThere ? stored(Int(cluster - first)) : 0
            let found = UInt64(counts.count(cluster))
            if claimed | found != 0 { highestCluster = max(highestCluster, cluster) }
            guard claimed != found else { continue }
            var isFixed = false
            if claimed == 0 {
                needsRebuild = true
            } else if claimed > found {
                isFixed = fixing != .nothing
            } else {
                isFixed = fixing == .all
            }
            report(
                "\(isFixed ? "Repairing" : claimed < found ? "ERROR" : "Leaked") cluster \(cluster) "
                    + "refcount=\(claimed) reference=\(found)")
            if isFixed, store(found, Int(cluster - first)) {
                let place = Int(cluster - first) << header.refcountOrder / 8
                changed = changed.isEmpty ? place..<place + 8 : min(place, changed.lowerBound)..<place + 8
                if claimed > found { result.leaksFixed += 1 } else { result.corruptionsFixed += 1 }
            } else if claimed < found {
                result.corruptions += 1
            } else {
                result.leaks += 1
            }
            // A hostile image may have many; the first million are enough to tell.
            if !isFixed && wrongCounts.count < 1 << 20 { wrongCounts[cluster] = claimed }
        }
        guard !changed.isEmpty else { return }
        let start = changed.lowerBound / 512 * 512
        let stop = min(buffer.count, (changed.upperBound + 511) / 512 * 512)
        let status = unsafe file.writeAndWait(
            at: entry + UInt64(start), from: [BlockSegment(pointer: buffer.base + start, count: stop - start)])
        guard status == 0 else { throw .io(path: file.filename, operation: "write", status) }
    }

    /// Clears counts of clusters behind the end of the file that nothing refers to. After a crash a disk may hold the
    /// counts of new clusters without their content, so that the file ends before them: they would turn up as leaks when
    /// it grows, with no mark left that tells of them. Without a word, as `qemu-img` does not look there.
    func clearBehindEnd() throws(BlockError) {
        // A crash leaves few of them. A hostile image may claim any number of blocks.
        var left = max(1, Int((16 << 20) / clusterSize))
        for (index, entry) in refcountTable.enumerated() where entry != 0 {
            let first = UInt64(index) * perBlock
            guard first + perBlock > clusters, entry & (clusterSize - 1) == 0, entry < fileSize else { continue }
            guard left > 0 else { return }
            left -= 1
            try load(entry)
            let whole = unsafe BlockSegment(pointer: buffer.base, count: buffer.count)
            guard !whole.isZero else { continue }
            var isChanged = false
            for cluster in max(first, clusters)..<first + perBlock
            where stored(Int(cluster - first)) != 0 && counts.count(cluster) == 0 {
                isChanged = store(0, Int(cluster - first)) || isChanged
            }
            guard isChanged else { continue }
            let status = file.writeAndWait(at: entry, from: [whole])
            guard status == 0 else { throw .io(path: file.filename, operation: "write", status) }
        }
    }

    /// The count at an index of the block in the buffer.
    @inline(__always)
    private func stored(_ index: Int) -> UInt64 {
        // SAFETY: callers stay under the block's counts.
        switch header.refcountOrder {
        case 4: return unsafe UInt64(UInt16(bigEndian: buffer.base.load(fromByteOffset: index * 2, as: UInt16.self)))
        case 3: return unsafe UInt64(buffer.base.load(fromByteOffset: index, as: UInt8.self))
        case 5: return unsafe UInt64(UInt32(bigEndian: buffer.base.load(fromByteOffset: index * 4, as: UInt32.self)))
        case 6: return unsafe UInt64(bigEndian: buffer.base.load(fromByteOffset: index * 8, as: UInt64.self))
        default:
            let bit = index << header.refcountOrder
            let byte = unsafe buffer.base.load(fromByteOffset: bit / 8, as: UInt8.self)
            return UInt64(byte >> UInt8(bit % 8)) & ((1 << UInt64(header.refcountBits)) - 1)
        }
    }

    /// Sets the count in the buffer; false when it does not fit.
    private func store(_ value: UInt64, _ index: Int) -> Bool {
        let bits = header.refcountBits
        guard bits == 64 || value < 1 << UInt64(bits) else { return false }
        unsafe QCow2Check.store(value, index, bits, buffer.base)
        return true
    }

    /// Stores a count of `bits` bits at an index of a block. The caller has checked both.
    static func store(_ value: UInt64, _ index: Int, _ bits: Int, _ base: UnsafeMutableRawPointer) {
        // SAFETY: the caller's index lies inside the block.
        guard bits < 8 else {
            for byte in 0..<bits / 8 {
                let part = UInt8(truncatingIfNeeded: value >> UInt64(bits - 8 - 8 * byte))
                unsafe base.storeBytes(of: part, toByteOffset: index * bits / 8 + byte, as: UInt8.self)
            }
            return
        }
        let bit = index * bits
        let mask = UInt8((1 << bits) - 1) << UInt8(bit % 8)
        let old = unsafe base.load(fromByteOffset: bit / 8, as: UInt8.self)
        unsafe base.storeBytes(
            of: old & ~mask | UInt8(value) << UInt8(bit % 8), toByteOffset: bit / 8, as: UInt8.self)
    }

    /// Makes all counts anew behind the end of the image: table and blocks in the first free row that holds them.
    func rebuild() throws(BlockError) {
        report("Rebuilding refcount structure")
        let before = result
        counts.reset()
        result = ImageCheck()
        (result.totalClusters, result.leaksFixed) = (before.totalClusters, before.leaksFixed)
        result.corruptionsFixed = before.corruptionsFixed
        skipsRefcounts = true
        try countReferences()
        skipsRefcounts = false
        var used: UInt64 = 1
        for page in counts.pageIndices {
            let start = ReferenceCounts.first(ofPage: page)
            for cluster in start..<start + ReferenceCounts.clustersInPage where counts.count(cluster) > 0 {
                used = max(used, cluster + 1)
            }
        }
        // Behind everything, also the old counts: nothing that is still needed is overwritten.
        let start = max(used, clusters)
        var (blocks, tables): (UInt64, UInt64) = (1, 1)
        while true {
            let total = start + blocks + tables
            let (neededBlocks, neededTables) =
                (
                    (total + perBlock - 1) / perBlock,
                    ((total + perBlock - 1) / perBlock * 8 + clusterSize - 1) / clusterSize
                )
            if neededBlocks <= blocks && neededTables <= tables { break }
            (blocks, tables) = (max(blocks, neededBlocks), max(tables, neededTables))
        }
        guard tables << clusterBits <= UInt64(QCow2Header.maximumRefcountTableBytes) else {
            throw .invalidImage(path: file.filename, reason: "The reference count table would be too large")
        }
        for cluster in start..<start + blocks + tables { counts.add(cluster) }
        let bits = header.refcountBits
        var table = [UInt64](repeating: 0, count: Int(tables << clusterBits) / 8)
        for block in 0..<blocks {
            // SAFETY: the buffer's own length.
            unsafe buffer.base.initializeMemory(as: UInt8.self, repeating: 0, count: buffer.count)
            for index in 0..<perBlock {
                let count = UInt64(counts.count(block * perBlock + index))
                guard bits == 64 || count < 1 << UInt64(bits) else {
                    throw .invalidImage(path: file.filename, reason: "A cluster has \(count) references, too many")
                }
                if count > 0 { unsafe QCow2Check.store(count, Int(index), bits, buffer.base) }
            }
            let offset = (start + block) << clusterBits
            let status = unsafe file.writeAndWait(
                at: offset, from: [BlockSegment(pointer: buffer.base, count: buffer.count)])
            guard status == 0 else { throw .io(path: file.filename, operation: "write", status) }
            table[Int(block)] = offset
        }
        var bytes = [UInt8](repeating: 0, count: table.count * 8)
        for (index, entry) in table.enumerated() { bytes.store(entry, at: index * 8) }
        let offset = (start + blocks) << clusterBits
        file.debugEvent(.reftableUpdate)
        try file.put(bytes, at: offset)
        try file.flushAndWait()
        // The width of the counts and where they are, in one write of one sector.
        var (status, head) = file.bytesAndWait(at: 0, count: 512)
        guard status == 0 else { throw .io(path: file.filename, operation: "read", status) }
        head.store(offset, at: 48)
        head.store(UInt32(tables), at: 56)
        if header.version >= 3 { head.store(UInt32(header.refcountOrder), at: 96) }
        status = file.writeAndWait(at: 0, bytes: head)
        guard status == 0 else { throw .io(path: file.filename, operation: "write", status) }
        try file.flushAndWait()
        header.refcountTableOffset = offset
        header.refcountTableClusters = UInt32(tables)
        refcountTable = table
        highestCluster = start + blocks + tables - 1
        result.corruptionsFixed += before.corruptions > result.corruptions ? before.corruptions - result.corruptions : 0
        result.leaksFixed += before.leaks
        needsRebuild = false
        wrongCounts = [:]
    }

    // MARK: The flag of clusters with one reference

    /// Looks for entries whose flag and count disagree; mends the flag if that is asked for.
    func checkCopiedFlags() throws(BlockError) {
        guard header.l1Size > 0 else { return }
        let l1 = try QCow2Metadata.numbers(file, file.filename, header.l1Offset, Int(header.l1Size))
        for (index, entry) in l1.enumerated() {
            let table = entry & QCow2Metadata.offsetMask
            guard table != 0, table < fileSize, table & (clusterSize - 1) == 0 else { continue }
            let count = diskCount(table >> clusterBits)
            if isWrong(entry, count) {
                report(
                    "\(repair == .all ? "Repairing" : "ERROR") OFLAG_COPIED L2 cluster: l1_index=\(index) "
                        + "l1_entry=\(String(entry, radix: 16)) refcount=\(count)")
                try fix(header.l1Offset + UInt64(index) * 8, entry, count)
            }
            try checkCopiedFlags(table)
        }
    }

    @inline(__always)
    private func diskCount(_ cluster: UInt64) -> UInt64 {
        let found = UInt64(counts.count(cluster))
        return wrongCounts.isEmpty ? found : wrongCounts[cluster] ?? found
    }

    @inline(__always)
    private func isWrong(_ entry: UInt64, _ count: UInt64) -> Bool {
        (entry & QCow2Metadata.copied != 0) != (count == 1)
    }

    private func checkCopiedFlags(_ table: UInt64) throws(BlockError) {
        try load(table)
        let step = header.isExtended ? 2 : 1
        var wrong: [(index: Int, entry: UInt64, count: UInt64)] = []
        for index in stride(from: 0, to: Int(clusterSize) / 8, by: step) {
            let entry = number(index)
            guard entry & QCow2Metadata.compressed == 0, entry & QCow2Metadata.offsetMask != 0 else { continue }
            let host = entry & QCow2Metadata.offsetMask
            guard header.hasDataFile || host < fileSize else { continue }
            let count = header.hasDataFile ? 1 : diskCount(host >> clusterBits)
            if isWrong(entry, count) { wrong.append((index, entry, count)) }
        }
        for (index, entry, count) in wrong {
            report(
                "\(repair == .all ? "Repairing" : "ERROR") OFLAG_COPIED data cluster: "
                    + "l2_entry=\(String(entry, radix: 16)) refcount=\(count)")
            try fix(table + UInt64(index) * 8, entry, count)
        }
    }

    private func fix(_ place: UInt64, _ entry: UInt64, _ count: UInt64) throws(BlockError) {
        guard repair == .all else {
            result.corruptions += 1
            return
        }
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.store(count == 1 ? entry | QCow2Metadata.copied : entry & ~QCow2Metadata.copied, at: 0)
        try file.put(bytes, at: place)
        result.corruptionsFixed += 1
    }
}
