internal import CLinux

/// Changing which storage a guest cluster has.
extension QCow2Metadata {
    /// The L2 table that covers a guest offset, made if it is missing, and this disk's own: safe to change.
    func writableL2(for offset: UInt64) throws(ImageFailure) -> MetadataTable {
        let index = Int(offset >> (clusterBits + l2Bits))
        guard index < l1.count else { throw .io(EFBIG) }
        let old = try l2Table(for: offset)
        if let old, l1[index] & QCow2Metadata.copied != 0 { return old }
        if l2Cache.isChoked { try writeBack() }
        if old != nil { file.debugEvent(.l2AllocCowRead) }
        let (cluster, _) = try allocate(1)
        let table = MetadataTable(offset: cluster << clusterBits, buffer: AlignedBuffer(count: Int(clusterSize)))
        if let old {
            unsafe table.buffer.base.copyMemory(from: old.buffer.base, byteCount: table.buffer.count)
            withExtendedLifetime(old) {}
            pendingFrees.append((old.offset >> clusterBits, 1))
        } else {
            // SAFETY: the buffer's own length.
            unsafe memset(table.buffer.base, 0, table.buffer.count)
        }
        table.touch(0, table.buffer.count)
        l2Cache.insert(table)
        setL1(index, table.offset | QCow2Metadata.copied)
        return table
    }

    /// Sets an L1 entry in memory.
    func setL1(_ index: Int, _ value: UInt64) {
        l1[index] = value
        l2Places.insert(value & QCow2Metadata.offsetMask)
        dirtyL1 =
            dirtyL1.isEmpty
            ? index..<index + 1 : min(index, dirtyL1.lowerBound)..<max(index + 1, dirtyL1.upperBound)
    }

    /// The entry of a guest cluster; nothing where there is no table.
    func entry(at offset: UInt64) throws(ImageFailure) -> QCow2Entry {
        guard let table = try l2Table(for: offset) else { return QCow2Entry() }
        return entry(table, Int((offset >> clusterBits) & ((1 << l2Bits) - 1)))
    }

    /// Sets one guest cluster's entry and gives up what the old one held (unless `keeps`: the storage is the same).
    func setEntry(_ entry: QCow2Entry, for offset: UInt64, keeps: Bool = false) throws(ImageFailure) {
        let table = try writableL2(for: offset)
        let index = Int((offset >> clusterBits) & ((1 << l2Bits) - 1))
        let old = try decode(self.entry(table, index))
        if entry.descriptor & QCow2Metadata.compressed != 0 { file.debugEvent(.l2UpdateCompressed) }
        store(entry, table, index)
        guard !keeps else { return }
        giveUp(old)
    }

    /// Notes that the storage of an entry lost a reference.
    func giveUp(_ old: QCow2Run) {
        if case .compressed(let host, let length) = old.kind {
            let first = host >> clusterBits
            pendingFrees.append((first, ((host + UInt64(length) - 1) >> clusterBits) - first + 1))
        } else if let storage = old.storage, !hasDataFile {
            pendingFrees.append((storage >> clusterBits, 1))
        }
    }
}
