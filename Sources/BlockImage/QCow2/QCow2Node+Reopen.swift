internal import Synchronization

extension QCow2Node {
    public func reopen(readOnly wanted: Bool) throws(BlockError) {
        guard wanted != isReadOnly else { return }
        let files = header.hasDataFile ? [file, dataFile] : [file]
        if wanted {
            // Nobody changes it any more: it says so, for the others who may look at it from now on.
            try changingAlone("settle") { metadata throws(ImageFailure) in
                try bitmaps?.save(metadata)
                try metadata.settle()
                if !metadata.mayLeak { try metadata.mark(dirty: false) }
            }
            readOnly.store(true, ordering: .relaxed)
            store.withLock { $0 = nil }
        }
        for node in files {
            guard let node = node as? any Reopenable else { throw .readOnly(path: filename) }
            try node.reopen(readOnly: wanted)
        }
        guard !wanted else { return }
        let now = currentHeader
        guard now.incompatible & (QCow2Header.Incompatible.corrupt | QCow2Header.Incompatible.dirty) == 0,
            now.autoclear & ~QCow2Header.Autoclear.known == 0
        else { throw .invalidImage(path: filename, reason: "qcow2: the image was not closed; check it first") }
        try renewBitmaps()
        readOnly.store(false, ordering: .relaxed)
    }

    /// Sets how many tables the caches of mappings and of counts may hold, and `pass-discard-request`. Gives what was before.
    func tune(
        _ tables: (mapping: Int, counts: Int), _ passes: Bool?
    ) -> (tables: (mapping: Int, counts: Int), passes: Bool?) {
        metadataLock.withLock { _ in
            defer {
                metadata.l2Cache.resize(tables.mapping)
                metadata.refcountCache.resize(tables.counts)
                metadata.passDiscard = passes
            }
            return ((metadata.l2Cache.limit, metadata.refcountCache.limit), metadata.passDiscard)
        }
    }

    /// Reads the persistent bitmaps anew.
    func renewBitmaps() throws(BlockError) {
        let made = try QCow2BitmapStore(header: currentHeader, metadata: metadata, path: filename)
        store.withLock { $0 = made }
    }
}
