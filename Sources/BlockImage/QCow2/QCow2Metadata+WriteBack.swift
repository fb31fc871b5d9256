internal import CLinux

/// Bringing tables to the disk, so that a crash between any two writes leaks clusters at worst.
///
/// Between two flushes the disk may take writes in any order, or lose some. So there is a flush wherever one write
/// must not be there without another: between what a table points to and the table, and between a table that lets go
/// of a cluster and whatever is put there next.
extension QCow2Metadata {
    /// Whether something is only in memory.
    var isDirty: Bool {
        !dirtyL1.isEmpty || !pendingFrees.isEmpty || hasNewContent || !refcountCache.dirtyTables.isEmpty
            || !l2Cache.dirtyTables.isEmpty
    }

    /// Writes what is dirty: counts of new clusters, then the L2 tables that point to them, then L1. Clusters that
    /// have lost their last pointer are free only after that; their counts go out with the next round.
    func writeBack() throws(ImageFailure) {
        guard isDirty else { return }
        // From here on a crash may leave clusters counted that nothing points to. Who opens the image next sees the
        // mark and counts anew.
        try mark(dirty: true)
        // What the tables are about to point to, first.
        if hasDataFile && (hasNewContent || !l2Cache.dirtyTables.isEmpty) {
            try check(dataFile.performAndWait(.flush))
        }
        for block in refcountCache.dirtyTables {
            file.debugEvent(block.isWhole ? .refblockUpdate : .refblockUpdatePart)
            hasUnflushedCounts = true
            try check(block.write(to: file))
        }
        let tables = l2Cache.dirtyTables
        if !tables.isEmpty || !dirtyL1.isEmpty {
            if hasUnflushedCounts || hasNewContent { try flushFile() }
            for table in tables {
                file.debugEvent(table.isWhole ? .l2AllocWrite : .l2Update)
                hasUnflushedTables = true
                try check(table.write(to: file))
            }
        }
        if !dirtyL1.isEmpty {
            if hasUnflushedTables { try flushFile() }
            var bytes = [UInt8](repeating: 0, count: dirtyL1.count * 8)
            for (number, index) in dirtyL1.enumerated() { bytes.store(l1[index], at: number * 8) }
            file.debugEvent(.l1Update)
            hasUnflushedTables = true
            try check(file.writeAndWait(at: header.l1Offset + UInt64(dirtyL1.lowerBound) * 8, bytes: bytes))
            dirtyL1 = 0..<0
        }
        guard !pendingFrees.isEmpty else { return }
        try flushFile()
        let frees = pendingFrees
        pendingFrees = []
        for (index, free) in frees.enumerated() {
            do throws(ImageFailure) {
                try release(free.cluster, free.count)
            } catch {
                mayLeak = true
                pendingFrees += frees[(index + 1)...]
                throw error
            }
        }
    }

    /// Makes what is written to the image's file durable.
    func flushFile() throws(ImageFailure) {
        try check(file.performAndWait(.flush))
        hasUnflushedCounts = false
        hasUnflushedTables = false
        if !hasDataFile { hasNewContent = false }
    }

    /// Everything to the disk, durably.
    func flush() throws(ImageFailure) {
        file.debugEvent(.flushToOS)
        try writeBack()
        file.debugEvent(.flushToDisk)
        if hasDataFile {
            try check(dataFile.performAndWait(.flush))
            hasNewContent = false
        }
        try flushFile()
    }

    /// The last flush: the counts of what was freed too.
    func settle() throws(ImageFailure) {
        while isDirty { try flush() }
    }

    /// Writes the header anew: with what its extensions say now. The tables it points to are on the disk.
    func rewriteHeader(_ new: QCow2Header) throws(ImageFailure) {
        var bytes = new.encoded()
        guard bytes.count <= Int(clusterSize) else { throw .io(ENOSPC) }
        bytes += [UInt8](repeating: 0, count: Int(clusterSize) - bytes.count)
        try flushFile()
        try check(file.writeAndWait(at: 0, bytes: bytes))
        try flushFile()
        header = new
    }

    /// Changes fields of the header that lie in one sector, durably: so they are on the disk as they were or as they
    /// are now. After an error nobody knows which; the old ones are put back, and where that fails too, nothing is
    /// written to the image any more.
    func switchHeader(at offset: UInt64, to new: [UInt8], from old: [UInt8]) throws(ImageFailure) {
        try flushFile()
        do throws(ImageFailure) {
            try check(file.writeAndWait(at: offset, bytes: new))
            try flushFile()
        } catch {
            mayLeak = true
            if file.writeAndWait(at: offset, bytes: old) != 0 || file.performAndWait(.flush) != 0 { isLost = true }
            throw error
        }
    }

    /// Sets the bit that keeps others from writing to the image. What is only in memory stays there.
    func markCorrupt() {
        guard header.version >= 3, !file.isReadOnly,
            header.incompatible & QCow2Header.Incompatible.corrupt == 0
        else { return }
        header.incompatible |= QCow2Header.Incompatible.corrupt
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.store(header.incompatible, at: 0)
        _ = file.writeAndWait(at: 72, bytes: bytes)
    }
}
