internal import CLinux
internal import Synchronization
internal import SystemPackage

/// Changing what an image is, not what it holds.
extension QCow2Node {
    /// Names another backing image (or none) in the header. The content that unallocated clusters have is then that
    /// one's. Blocks.
    public func changeBacking(file name: String?, format: String?) throws(BlockError) {
        guard (name?.utf8.count ?? 0) <= QCow2Header.maximumBackingName else {
            throw .invalidImage(path: filename, reason: "Backing file name too long")
        }
        guard name == nil || !header.hasRawData else { throw .io(path: filename, operation: "rebase", EINVAL) }
        try amendHeader { header in
            header.backingFile = name
            header.backingFormat = name == nil ? nil : format
        }
    }

    /// Rewrites the header with changes. Blocks.
    public func amendHeader(_ change: (inout QCow2Header) -> Void) throws(BlockError) {
        try changingAlone("amend") { metadata throws(ImageFailure) in
            try metadata.flush()
            var header = metadata.header
            change(&header)
            try metadata.rewriteHeader(header)
        }
    }

    /// Gives up everything the disk holds: it shows the backing image again. Blocks.
    public func makeEmpty() throws(BlockError) {
        try changingAlone("empty") { metadata throws(ImageFailure) in
            file.debugEvent(.emptyImagePrepare)
            try metadata.settle()
            let old = metadata.l1
            for index in old.indices where old[index] != 0 { metadata.setL1(index, 0) }
            try metadata.settle()
            try metadata.changeReferences(of: old, by: -1)
            try metadata.settle()
        }
    }

    /// Makes all reference counts anew, of another width. Blocks.
    public func changeRefcountBits(_ bits: Int) throws(BlockError) {
        try changingAlone("amend") { metadata throws(ImageFailure) in try metadata.settle() }
        try alone { () throws(BlockError) in
            try QCow2Check.changeRefcountBits(file: file, bits: bits)
            let new = try QCow2Node.readHeader(file)
            try metadataLock.withLock { _ throws(BlockError) in try metadata.reload(new) }
        }
    }

    /// Turns a version 2 image into version 3. Blocks.
    public func upgrade() throws(BlockError) {
        try amendHeader { $0.version = 3 }
    }

    /// Turns a version 3 image into version 2, which knows no zero clusters and none of the features. Blocks.
    public func downgrade() throws(BlockError) {
        let now = currentHeader
        guard now.incompatible & ~(QCow2Header.Incompatible.dirty) == 0, now.refcountOrder == 4, now.bitmaps == nil,
            now.encryption == 0
        else { throw .io(path: filename, operation: "downgrade", ENOTSUP) }
        var at: UInt64 = 0
        while at < size {
            let start = at
            at = try changingAlone("downgrade") { metadata throws(ImageFailure) in
                let run = try metadata.run(at: start, limit: UInt64(Int64.max))
                guard case .zero = run.kind else { return start + run.length }
                if hasNoBase {
                    try metadata.setEntry(QCow2Entry(), for: start)
                    return start + clusterSize
                }
                let cluster: UInt64
                if let storage = run.storage, run.isCopied {
                    cluster = storage / clusterSize
                } else {
                    cluster = try metadata.allocate(1).cluster
                }
                let host = cluster * clusterSize
                try check(file.performAndWait(.writeZeroes(mayUnmap: false), offset: host, length: clusterSize))
                metadata.hasNewContent = true
                try metadata.setEntry(
                    QCow2Entry(descriptor: host | QCow2Metadata.copied), for: start, keeps: run.storage == host)
                return start + clusterSize
            }
        }
        try changingAlone("downgrade") { metadata throws(ImageFailure) in try metadata.settle() }
        try amendHeader { header in
            header.version = 2
            header.incompatible = 0
            header.compatible = 0
            header.autoclear = 0
        }
    }

    // MARK: Bitmaps

    /// The persistent bitmaps as they are now.
    public var bitmapList: [QCow2Bitmap] {
        if let bitmaps { return bitmaps.list }
        return (try? QCow2Bitmap.directory(currentHeader, file: file)) ?? []
    }

    /// What can be done to a bitmap.
    public enum BitmapChange: Sendable {
        case add(granularity: UInt64, isEnabled: Bool)
        case remove
        case clear
        case enable
        case disable
        /// Marks what another bitmap marks: granules of a size.
        case merge(granularity: UInt64, ranges: [Range<UInt64>])
    }

    /// Changes a bitmap. It is on the disk when the image closes. Blocks.
    public func changeBitmap(_ name: String, _ change: BitmapChange) throws(BlockError) {
        guard let bitmaps else { throw .readOnly(path: filename) }
        guard header.version >= 3 else {
            throw .bitmap("Cannot store dirty bitmaps in qcow2 v2 files")
        }
        switch change {
        case .add(let granularity, let isEnabled):
            try bitmaps.add(name, granularity: granularity, size: size, isEnabled: isEnabled)
        case .remove: try alone { () throws(BlockError) in try bitmaps.remove(name, metadata) }
        case .clear: try bitmaps.clear(name)
        case .enable: try bitmaps.setEnabled(name, true)
        case .disable: try bitmaps.setEnabled(name, false)
        case .merge(let granularity, let ranges):
            try bitmaps.merge(name, granularity: granularity, ranges, size: size)
        }
    }

    /// What a bitmap marks.
    public func bitmapRanges(_ name: String) throws(BlockError) -> (granularity: UInt64, ranges: [Range<UInt64>]) {
        if let bitmaps { return try bitmaps.ranges(name) }
        return try QCow2BitmapStore(header: currentHeader, metadata: metadata, path: filename).ranges(name)
    }

    /// The granularity of a bitmap that is given none: the cluster size, within 4 KiB and 64 KiB.
    public var defaultGranularity: UInt64 { min(max(clusterSize, 4096), 65536) }
}

extension QCow2Check {
    /// Makes all reference counts anew, of another width. The image's counts have been checked before. Blocks.
    public static func changeRefcountBits(file: any BlockNode, bits: Int) throws(BlockError) {
        let check = try QCow2Check(file: file, repair: .all) { _ in }
        let found = try check.run()
        guard found.corruptions == 0, found.errors == 0 else {
            throw .invalidImage(path: file.filename, reason: "The image is damaged; check it first")
        }
        check.header.refcountOrder = bits.trailingZeroBitCount
        try check.rebuild()
    }
}
