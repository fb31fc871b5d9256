internal import CLinux

/// Bringing tables to the disk, so that a crash between any two writes leaks clusters at worst.
extension QCow2Metadata {
    /// Whether something is only in memory.
    var isDirty: Bool {
        !dirtyL1.isEmpty || !pendingFrees.isEmpty || hasCopies || !refcountCache.dirtyTables.isEmpty
            || !l2Cache.dirtyTables.isEmpty
    }

    /// Writes what is dirty: counts of new clusters, then the L2 tables that point to them, then L1. Clusters that
    /// have lost their last pointer are free only after that; their counts go out with the next round.
    func writeBack() throws(ImageFailure) {
        // What the tables are about to point to, first.
        if hasDataFile && (hasCopies || !l2Cache.dirtyTables.isEmpty) { try check(dataFile.performAndWait(.flush)) }
        let blocks = refcountCache.dirtyTables
        for block in blocks { try check(block.write(to: file)) }
        let tables = l2Cache.dirtyTables
        if (!blocks.isEmpty || hasCopies) && (!tables.isEmpty || !dirtyL1.isEmpty) {
            try check(file.performAndWait(.flush))
        }
        hasCopies = false
        for table in tables { try check(table.write(to: file)) }
        if !dirtyL1.isEmpty {
            if !tables.isEmpty { try check(file.performAndWait(.flush)) }
            var bytes = [UInt8](repeating: 0, count: dirtyL1.count * 8)
            for (number, index) in dirtyL1.enumerated() { bytes.store(l1[index], at: number * 8) }
            try check(file.writeAndWait(at: header.l1Offset + UInt64(dirtyL1.lowerBound) * 8, bytes: bytes))
            dirtyL1 = 0..<0
        }
        guard !pendingFrees.isEmpty else { return }
        try check(file.performAndWait(.flush))
        let frees = pendingFrees
        pendingFrees = []
        for free in frees { try release(free.cluster, free.count) }
    }

    /// Everything to the disk, durably.
    func flush() throws(ImageFailure) {
        try writeBack()
        if hasDataFile { try check(dataFile.performAndWait(.flush)) }
        try check(file.performAndWait(.flush))
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
        try check(file.performAndWait(.flush))
        try check(file.writeAndWait(at: 0, bytes: bytes))
        try check(file.performAndWait(.flush))
        header = new
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
