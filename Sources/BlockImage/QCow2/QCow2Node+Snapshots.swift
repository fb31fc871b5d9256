internal import CLinux
internal import Synchronization

/// Internal snapshots: L1 tables of their own that share what they point to. Each step leaves, after a crash, an
/// image that is whole but for leaks.
extension QCow2Node {
    /// The snapshot of an id or, failing that, of a name.
    public func snapshot(_ key: String) -> QCow2Snapshot? {
        let all = snapshots
        return all.first { $0.id == key } ?? all.first { $0.name == key }
    }

    /// Takes a snapshot of the disk, at a time of the host's. `stateSize` says how many bytes of a machine's state were
    /// written before, `guestClock` its time in nanoseconds. Blocks.
    public func createSnapshot(
        name: String, seconds: UInt32, nanoseconds: UInt32, stateSize: UInt64 = 0, guestClock: UInt64 = 0
    ) throws(BlockError) {
        guard !header.hasDataFile else {
            throw .io(path: filename, operation: "take a snapshot of", ENOTSUP)
        }
        try changingCounts("take a snapshot of") { metadata throws(ImageFailure) in
            guard metadata.snapshots.count < QCow2Header.maximumSnapshots else { throw .io(EFBIG) }
            try metadata.settle()
            let ids = metadata.snapshots.compactMap { UInt64($0.id) }
            let id = (ids.max() ?? 0) + 1
            // The counts first: an entry must not lose its mark before, and not gain a user after.
            try metadata.changeReferences(of: metadata.l1, by: 1)
            try metadata.refreshCopiedFlags()
            try metadata.settle()
            let bytes = metadata.l1Bytes(metadata.l1.map { $0 & ~QCow2Metadata.copied })
            let clusters = max(1, (UInt64(bytes.count) + clusterSize - 1) / clusterSize)
            let first = try metadata.allocateRow(clusters)
            try check(file.writeAndWait(at: first * clusterSize, bytes: bytes))
            let snapshot = QCow2Snapshot(
                id: "\(id)", name: name, seconds: seconds, nanoseconds: nanoseconds,
                guestClock: guestClock, stateSize: stateSize,
                diskSize: metadata.header.size, l1Offset: first * clusterSize, l1Size: UInt32(metadata.l1.count),
                instructions: 0)
            try metadata.writeSnapshots(metadata.snapshots + [snapshot])
            try metadata.settle()
        }
    }

    /// Makes the disk what it was. Blocks.
    public func applySnapshot(_ snapshot: QCow2Snapshot) throws(BlockError) {
        guard !header.hasDataFile else { throw .io(path: filename, operation: "go back in", ENOTSUP) }
        noteWrite(0, size)
        if snapshot.diskSize != size { try resize(to: snapshot.diskSize, preallocation: .off) }
        try changingCounts("go back in") { metadata throws(ImageFailure) in
            try metadata.settle()
            var l1 = try metadata.readL1(snapshot)
            // A machine's state makes it longer than the disk's.
            try metadata.growL1(to: UInt64(l1.count))
            l1 += [UInt64](repeating: 0, count: metadata.l1.count - l1.count)
            try metadata.changeReferences(of: l1, by: 1)
            try metadata.settle()
            let old = metadata.l1
            try metadata.replaceL1(l1.map { $0 & ~QCow2Metadata.copied })
            try metadata.changeReferences(of: old, by: -1)
            try metadata.settle()
            try metadata.refreshCopiedFlags()
            try metadata.settle()
        }
    }

    /// Removes a snapshot. Blocks.
    public func deleteSnapshot(_ snapshot: QCow2Snapshot) throws(BlockError) {
        guard !header.hasDataFile else { throw .io(path: filename, operation: "remove a snapshot of", ENOTSUP) }
        try changingCounts("remove a snapshot of") { metadata throws(ImageFailure) in
            try metadata.settle()
            let l1 = try metadata.readL1(snapshot)
            try metadata.writeSnapshots(metadata.snapshots.filter { $0 != snapshot })
            try metadata.changeReferences(of: l1, by: -1)
            let clusters = (UInt64(snapshot.l1Size) * 8 + clusterSize - 1) / clusterSize
            if clusters > 0 { metadata.pendingFrees.append((snapshot.l1Offset / clusterSize, clusters)) }
            try metadata.settle()
            try metadata.refreshCopiedFlags()
            try metadata.settle()
        }
    }

    /// Changes counts and flags in so many places that a crash leaves them contradicting each other: the image is
    /// marked as not closed meanwhile, so that whoever opens it next makes them anew from the references, which are
    /// right at every moment.
    private func changingCounts(
        _ operation: String, _ body: (QCow2Metadata) throws(ImageFailure) -> Void
    ) throws(BlockError) {
        try changingAlone(operation) { metadata throws(ImageFailure) in try metadata.settle() }
        try changingAlone(operation) { metadata throws(ImageFailure) in try metadata.mark(dirty: true) }
        do throws(BlockError) {
            try changingAlone(operation, body)
        } catch {
            // What was counted for nothing goes again, and the mark with it.
            try? changingAlone(operation) { metadata throws(ImageFailure) in try metadata.settle() }
            try? alone { () throws(BlockError) in
                _ = try QCow2Check(file: file, repair: .all) { _ in }.run()
                let header = try QCow2Node.readHeader(file)
                try metadataLock.withLock { _ throws(BlockError) in try metadata.reload(header) }
            }
            throw error
        }
        try changingAlone(operation) { metadata throws(ImageFailure) in
            try metadata.settle()
            try metadata.mark(dirty: false)
        }
    }

    /// Changes the tables while nothing else happens to the image.
    func changingAlone<Value>(
        _ operation: String, _ body: (QCow2Metadata) throws(ImageFailure) -> Value
    ) throws(BlockError) -> Value {
        guard !isReadOnly else { throw .readOnly(path: filename) }
        return try alone { () throws(BlockError) in
            do throws(ImageFailure) {
                return try changingTables(body)
            } catch {
                throw blockError(error, operation)
            }
        }
    }
}

extension QCow2Metadata {
    /// Sets or clears the mark of an image that is not closed. Version 2 has none.
    func mark(dirty isDirty: Bool) throws(ImageFailure) {
        guard header.version >= 3 else { return }
        let old = header.incompatible
        header.incompatible = isDirty ? old | QCow2Header.Incompatible.dirty : old & ~QCow2Header.Incompatible.dirty
        guard header.incompatible != old else { return }
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.store(header.incompatible, at: 0)
        do throws(ImageFailure) {
            try flushFile()
            try check(file.writeAndWait(at: 72, bytes: bytes))
            try flushFile()
        } catch {
            header.incompatible = old
            throw error
        }
    }

    /// Writes another L1 table in a new place; the header switches over in one write.
    func replaceL1(_ new: [UInt64]) throws(ImageFailure) {
        let clusters = (UInt64(new.count) * 8 + clusterSize - 1) >> clusterBits
        file.debugEvent(.l1GrowAllocTable)
        let first = try allocateRow(max(1, clusters))
        do throws(ImageFailure) {
            file.debugEvent(.l1GrowWriteTable)
            try check(file.writeAndWait(at: first << clusterBits, bytes: l1Bytes(new)))
            try flush()
            file.debugEvent(.l1GrowActivateTable)
            try switchHeader(
                at: 36, to: QCow2Metadata.place(UInt32(new.count), first << clusterBits),
                from: QCow2Metadata.place(header.l1Size, header.l1Offset))
        } catch {
            if !isLost { pendingFrees.append((first, max(1, clusters))) }
            throw error
        }
        let old = (header.l1Offset, (UInt64(header.l1Size) * 8 + clusterSize - 1) >> clusterBits)
        if old.1 > 0 { pendingFrees.append((old.0 >> clusterBits, old.1)) }
        header.l1Size = UInt32(new.count)
        header.l1Offset = first << clusterBits
        l1 = new
        dirtyL1 = 0..<0
        noteFixedMetadata()
    }

    /// The header's fields for a table: how many entries, and where.
    static func place(_ count: UInt32, _ offset: UInt64) -> [UInt8] {
        var fields = [UInt8](repeating: 0, count: 12)
        fields.store(count, at: 0)
        fields.store(offset, at: 4)
        return fields
    }

    /// A snapshot's L1 table.
    func readL1(_ snapshot: QCow2Snapshot) throws(ImageFailure) -> [UInt64] {
        let (status, bytes) = file.bytesAndWait(at: snapshot.l1Offset, count: Int(snapshot.l1Size) * 8)
        try check(status)
        return (0..<Int(snapshot.l1Size)).map { bytes.bigEndian(UInt64.self, at: $0 * 8) }
    }

    /// The L2 table at an offset of the file.
    private func cachedL2(_ offset: UInt64) throws(ImageFailure) -> MetadataTable {
        if let table = l2Cache.find(offset) { return table }
        return try load(offset, into: \.l2Cache)
    }

    func l1Bytes(_ l1: [UInt64]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: l1.count * 8)
        for (index, entry) in l1.enumerated() { bytes.store(entry, at: index * 8) }
        return bytes
    }

    /// Adds a reference to all that an L1 table leads to, or takes one away (at the next write-back).
    func changeReferences(of l1: [UInt64], by change: Int) throws(ImageFailure) {
        func apply(_ first: UInt64, _ count: UInt64) throws(ImageFailure) {
            if change > 0 { try retain(first, count) } else { pendingFrees.append((first, count)) }
        }
        for entry in l1 {
            let at = entry & QCow2Metadata.offsetMask
            guard at != 0 else { continue }
            guard at & (clusterSize - 1) == 0 else { throw corrupt("L1 entry is \(entry)") }
            let table = try cachedL2(at)
            for index in 0..<1 << Int(l2Bits) {
                let run = try decode(self.entry(table, index))
                if case .compressed(let host, let length) = run.kind {
                    let first = host >> clusterBits
                    try apply(first, ((host + UInt64(length) - 1) >> clusterBits) - first + 1)
                } else if let storage = run.storage, !hasDataFile {
                    try apply(storage >> clusterBits, 1)
                }
            }
            try apply(at >> clusterBits, 1)
            if change < 0 && pendingFrees.count > 65536 { try writeBack() }
        }
    }

    /// Sets the mark of every entry of the active disk as its count says.
    func refreshCopiedFlags() throws(ImageFailure) {
        for number in l1.indices {
            let at = l1[number] & QCow2Metadata.offsetMask
            guard at != 0 else { continue }
            let table = try cachedL2(at)
            for index in 0..<1 << Int(l2Bits) {
                var entry = entry(table, index)
                guard entry.descriptor & QCow2Metadata.compressed == 0,
                    let storage = try decode(entry).storage, !hasDataFile
                else { continue }
                let isAlone = try refcount(storage >> clusterBits) == 1
                guard isAlone != (entry.descriptor & QCow2Metadata.copied != 0) else { continue }
                entry.descriptor ^= QCow2Metadata.copied
                store(entry, table, index)
            }
            let isAlone = try refcount(at >> clusterBits) == 1
            if isAlone != (l1[number] & QCow2Metadata.copied != 0) { setL1(number, l1[number] ^ QCow2Metadata.copied) }
        }
    }

    /// Writes the snapshot table anew and points the header there.
    func writeSnapshots(_ new: [QCow2Snapshot]) throws(ImageFailure) {
        let bytes = new.flatMap { $0.encoded() }
        let old = (header.snapshotOffset, snapshots.reduce(0) { $0 + UInt64($1.encoded().count) })
        var offset: UInt64 = 0
        if !bytes.isEmpty {
            let first = try allocateRow((UInt64(bytes.count) + clusterSize - 1) >> clusterBits)
            offset = first << clusterBits
            try check(file.writeAndWait(at: offset, bytes: bytes))
        }
        try flush()
        try switchHeader(
            at: 60, to: QCow2Metadata.place(UInt32(new.count), offset),
            from: QCow2Metadata.place(header.snapshotCount, header.snapshotOffset))
        header.snapshotCount = UInt32(new.count)
        header.snapshotOffset = offset
        if old.1 > 0 { pendingFrees.append((old.0 >> clusterBits, (old.1 + clusterSize - 1) >> clusterBits)) }
        snapshots = new
        noteFixedMetadata()
    }
}

extension QCow2Node {
    /// Where in the image's address space the state of a machine goes: behind the disk, rounded up to what an entry
    /// of the first table spans.
    public var stateOffset: UInt64 {
        let header = currentHeader
        return header.l1Entries(for: header.size) << UInt64(header.l2CoverageBits)
    }
}
