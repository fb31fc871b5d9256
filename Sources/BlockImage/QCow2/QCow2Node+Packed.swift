internal import CLinux
internal import Synchronization

/// Writing compressed clusters.
extension QCow2Node {
    /// Stores a cluster that `ClusterPacker` has packed, at a guest offset that is a cluster's. One behind the other
    /// in the file, byte by byte. Blocks.
    public func writePacked(at offset: UInt64, _ packed: [UInt8]) throws(BlockError) {
        guard !header.hasDataFile, header.encryption == 0, offset % clusterSize == 0, offset < size, !packed.isEmpty,
            UInt64(packed.count) < clusterSize
        else { throw .io(path: filename, operation: "write a compressed cluster to", EINVAL) }
        let ticket = ranges.acquireAndWait(start: offset, end: offset + clusterSize, isExclusive: true)
        defer { ranges.release(ticket) }
        noteWrite(offset, clusterSize)
        do throws(ImageFailure) {
            let host = try changingTables { metadata throws(ImageFailure) in
                _ = try metadata.writableL2(for: offset)
                return try metadata.allocatePacked(UInt64(packed.count))
            }
            // Another cluster may have been unpacked from there.
            inflated.withLock { $0 = nil }
            do throws(ImageFailure) {
                file.debugEvent(.writeCompressed)
                try check(file.writeAndWait(at: host, bytes: packed))
            } catch {
                metadataLock.withLock { _ in metadata.mayLeak = true }
                throw error
            }
            try changingTables { metadata throws(ImageFailure) in
                metadata.hasNewContent = true
                try metadata.setEntry(metadata.packedEntry(host, packed.count), for: offset)
                if metadata.pendingFrees.count > 4096 { try metadata.writeBack() }
            }
        } catch {
            throw blockError(error, "write a compressed cluster to")
        }
    }

    /// Fills the file up to a whole sector: readers of packed clusters read whole ones. Blocks.
    public func alignEnd() throws(BlockError) {
        guard let file = file as? FileNode else { return }
        try file.padToSector()
    }
}

extension FileNode {
    /// Makes the file a multiple of 512 bytes long.
    func padToSector() throws(BlockError) {
        let exact = access.size.load(ordering: .relaxed)
        if exact % 512 != 0, !access.isBlockDevice { try resize(to: (exact + 511) / 512 * 512, preallocation: .off) }
    }
}

extension QCow2Metadata {
    /// Takes room for packed bytes: behind the last ones where they fit.
    func allocatePacked(_ count: UInt64) throws(ImageFailure) -> UInt64 {
        file.debugEvent(.clusterAllocBytes)
        let maximum: UInt64 = refcountBits == 64 ? .max : (1 << refcountBits) - 1
        if packedTail != 0 {
            let cluster = packedTail >> clusterBits
            // Another packed cluster shares this one: one reference each.
            if try refcount(cluster) >= maximum { packedTail = 0 }
        }
        let room = packedTail == 0 ? 0 : clusterSize - packedTail & (clusterSize - 1)
        var host = packedTail
        if room < count {
            let (cluster, _) = try allocate(1)
            _ = takePristine(cluster, 1)
            if packedTail != 0 && cluster << clusterBits == packedTail + room {
                // It goes over into the new cluster, which has its one reference already.
                try retain(packedTail >> clusterBits, 1)
            } else {
                host = cluster << clusterBits
            }
        } else {
            try retain(packedTail >> clusterBits, 1)
        }
        packedTail = host + count
        if packedTail & (clusterSize - 1) == 0 { packedTail = 0 }
        return host
    }

    /// The entry of a packed cluster.
    func packedEntry(_ host: UInt64, _ count: Int) -> QCow2Entry {
        let shift = 62 - (clusterBits - 8)
        let sectors = (host + UInt64(count) - 1) / 512 - host / 512
        return QCow2Entry(descriptor: QCow2Metadata.compressed | sectors << shift | host)
    }
}

/// A node that stores compressed clusters.
public protocol PackedWritable: BlockNode {
    /// The size of a cluster, and how it is packed; 0 where the image cannot hold packed ones.
    var packing: (clusterSize: Int, kind: Packing) { get }
    /// The image holds nothing else.
    var needsPacking: Bool { get }
    /// Stores a packed cluster at an offset that is a cluster's. Blocks.
    func writePacked(at offset: UInt64, _ packed: [UInt8]) throws(BlockError)
    /// Ends a run of packed writes.
    func alignEnd() throws(BlockError)
}

extension QCow2Node: PackedWritable {
    public var packing: (clusterSize: Int, kind: Packing) {
        (
            header.hasDataFile || header.encryption != 0 ? 0 : header.clusterSize,
            header.compression == .zlib ? .deflate : .zstd
        )
    }
    public var needsPacking: Bool { false }
}
