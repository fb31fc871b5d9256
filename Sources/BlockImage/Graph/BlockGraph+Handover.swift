internal import CLinux
internal import Synchronization

// Images that go from one process to another, which has opened them before: the one that gives writes everything that
// it has and gives up its locks, the one that takes gets the locks and reads its tables anew. Blocking, while no
// request is under way.
extension BlockGraph {
    /// Writes all that is not in the images yet and lets another process have them.
    public func inactivate() throws(BlockError) {
        let images = nodes.compactMap { $0 as? QCow2Node }
        for image in images where !image.isReadOnly { try image.prepareHandover() }
        for image in images { image.elsewhere.store(true, ordering: .relaxed) }
        for node in nodes {
            guard let file = node as? FileNode else { continue }
            if !file.isReadOnly {
                let status = file.performAndWait(.flush, offset: 0, length: 0)
                if status != 0 { throw .io(path: file.filename, operation: "flush", status) }
            }
            file.giveUp()
        }
        inactive.store(true, ordering: .relaxed)
    }

    /// Takes the images from another process that has given them up. On an error none is taken.
    public func activate() throws(BlockError) {
        try activate(nodes)
        inactive.store(false, ordering: .relaxed)
    }

    /// Takes the images of one node, with all below it, ahead of the others: for somebody else who writes to it before
    /// the machine is here.
    public func activate(_ node: any BlockNode) throws(BlockError) {
        var found = [node]
        var next = 0
        while next < found.count {
            for child in found[next].children where !found.contains(where: { $0 === child.node }) {
                found.append(child.node)
            }
            next += 1
        }
        try activate(found)
    }

    /// Those of the nodes that were taken before are let alone: what is written to them since is theirs.
    private func activate(_ nodes: [any BlockNode]) throws(BlockError) {
        let files = nodes.compactMap { $0 as? FileNode }.filter { $0.isInactive.load(ordering: .relaxed) }
        let images = nodes.compactMap { $0 as? QCow2Node }.filter(\.isElsewhere)
        do throws(BlockError) {
            for file in files { try file.takeUp() }
            for image in images where !image.isReadOnly { try image.takeHandover() }
            // What is below an overlay may have been written until now too.
            for image in images where image.isReadOnly { try image.refreshTables() }
        } catch {
            for image in images { image.elsewhere.store(true, ordering: .relaxed) }
            for file in files { file.giveUp() }
            throw error
        }
    }
}

extension FileNode {
    func giveUp() {
        guard !isInactive.exchange(true, ordering: .relaxed), locking != .off else { return }
        ImageLock.release(access.descriptor)
    }

    func takeUp() throws(BlockError) {
        guard isInactive.load(ordering: .relaxed) else { return }
        if locking != .off {
            try ImageLock.acquire(
                access.descriptor, path: filename, writes: !isReadOnly, forceShare: forcesShare,
                insists: locking == .on)
        }
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
            elsewhere.store(false, ordering: .relaxed)
            let fresh = try QCow2Node.readHeader(file)
            try metadataLock.withLock { _ throws(BlockError) in
                try metadata.reload(fresh)
                try metadata.reloadMapping()
            }
            currentSize.store(fresh.size / 512 * 512, ordering: .relaxed)
            inflated.withLock { $0 = nil }
        }
    }

    /// Reads the tables that the process before has written, and its bitmaps.
    func takeHandover() throws(BlockError) {
        try alone { () throws(BlockError) in
            elsewhere.store(false, ordering: .relaxed)
            var header = try QCow2Node.readHeader(file)
            guard header.incompatible & QCow2Header.Incompatible.corrupt == 0 else {
                throw .invalidImage(path: filename, reason: "qcow2: Image is corrupt; cannot be opened read/write")
            }
            if header.incompatible & QCow2Header.Incompatible.dirty != 0 {
                try QCow2Check.repairDirty(file: file)
                header = try QCow2Node.readHeader(file)
            }
            header = try clearUnknown(header)
            let fresh = header
            try metadataLock.withLock { _ throws(BlockError) in
                try metadata.reload(fresh)
                try metadata.reloadMapping()
            }
            try renewBitmaps()
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
