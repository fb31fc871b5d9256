internal import CLinux
internal import Synchronization

// Images that go from one process to another, which has opened them before: the one that gives writes everything that
// it has and gives up its locks, the one that takes gets the locks and reads its tables anew. Blocking, while no
// request is under way.
extension BlockGraph {
    /// Writes all that is not in the images yet and lets another process have them.
    public func inactivate() throws(BlockError) {
        for node in nodes where !node.isReadOnly {
            if let image = node as? QCow2Node { try image.prepareHandover() }
        }
        for node in nodes {
            guard let file = node as? FileNode else { continue }
            if !file.isReadOnly {
                let status = file.performAndWait(.flush, offset: 0, length: 0)
                if status != 0 { throw .io(path: file.filename, operation: "flush", status) }
            }
            file.giveUp()
        }
    }

    /// Takes the images from another process that has given them up. On an error none is taken.
    public func activate() throws(BlockError) {
        let files = nodes.compactMap { $0 as? FileNode }
        do throws(BlockError) {
            for file in files { try file.takeUp() }
            for node in nodes where !node.isReadOnly {
                if let image = node as? QCow2Node { try image.takeHandover() }
            }
            // What is below an overlay may have been written until now too.
            for node in nodes where node.isReadOnly {
                if let image = node as? QCow2Node { try image.refreshTables() }
            }
        } catch {
            for file in files { file.giveUp() }
            throw error
        }
    }
}

extension FileNode {
    func giveUp() {
        guard locking != .off, !isInactive.exchange(true, ordering: .relaxed) else { return }
        ImageLock.release(access.descriptor)
    }

    func takeUp() throws(BlockError) {
        guard isInactive.load(ordering: .relaxed) else { return }
        try ImageLock.acquire(
            access.descriptor, path: filename, writes: !isReadOnly, forceShare: forcesShare, insists: locking == .on)
        isInactive.store(false, ordering: .relaxed)
        try access.refreshSize(filename)
    }
}

extension QCow2Node {
    func prepareHandover() throws(BlockError) {
        try changingAlone("hand over") { metadata throws(ImageFailure) in
            try bitmaps?.save(metadata)
            try metadata.settle()
            if !metadata.mayLeak { try metadata.mark(dirty: false) }
        }
    }

    /// Reads the tables of an image that is only read, as they are now.
    func refreshTables() throws(BlockError) {
        try alone { () throws(BlockError) in
            let fresh = try QCow2Node.readHeader(file)
            try metadataLock.withLock { _ throws(BlockError) in
                try metadata.reload(fresh)
                try metadata.reloadMapping()
            }
            currentSize.store(fresh.size / 512 * 512, ordering: .relaxed)
            inflated.withLock { $0 = nil }
        }
    }

    /// Reads the tables that the process before has written.
    func takeHandover() throws(BlockError) {
        try alone { () throws(BlockError) in
            var header = try QCow2Node.readHeader(file)
            guard header.incompatible & QCow2Header.Incompatible.corrupt == 0 else {
                throw .invalidImage(path: filename, reason: "qcow2: Image is corrupt; cannot be opened read/write")
            }
            if header.incompatible & QCow2Header.Incompatible.dirty != 0 {
                try QCow2Check.repairDirty(file: file)
                header = try QCow2Node.readHeader(file)
            }
            let fresh = header
            try metadataLock.withLock { _ throws(BlockError) in
                try metadata.reload(fresh)
                try metadata.reloadMapping()
            }
            currentSize.store(fresh.size / 512 * 512, ordering: .relaxed)
            inflated.withLock { $0 = nil }
        }
    }
}

extension QCow2Metadata {
    /// Forgets the mapping of clusters and reads it anew.
    func reloadMapping() throws(BlockError) {
        l2Cache = MetadataCache(tableSize: header.clusterSize, bytes: l2Cache.limit * header.clusterSize)
        l1 = try QCow2Metadata.numbers(file, path, header.l1Offset, Int(header.l1Size))
        dirtyL1 = 0..<0
        noteFixedMetadata()
    }
}
