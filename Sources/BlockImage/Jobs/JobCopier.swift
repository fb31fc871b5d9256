internal import CLinux
internal import SystemPackage

/// Copies ranges of one disk to another for a job, zeroes as zeroes, and tries again as the job's rules say.
struct JobCopier: Sendable {
    let source: any BlockNode
    let target: any BlockNode
    /// What takes the writes: the target, or the device on it whose bitmaps hear of them.
    let sink: any BlockBackend
    /// How whole clusters are packed; nil: not.
    var packing: (clusterSize: Int, kind: Packing)?

    init(
        source: any BlockNode, target: any BlockNode, sink: BlockDevice? = nil,
        packing: (clusterSize: Int, kind: Packing)? = nil
    ) {
        self.source = source
        self.target = target
        self.sink = sink ?? target
        self.packing = packing
    }

    /// What a copy of a disk goes to is as long as the disk.
    static let differentSizes = BlockError.message("Source and target image have different sizes")

    /// Bytes of one step.
    static let step: UInt64 = 1 << 20

    /// What a range of a disk is, as the images above `base` say.
    struct Run {
        var length: UInt64
        /// Whether one of them holds it.
        var isPresent: Bool
        var isZero: Bool
    }

    /// What begins at an offset, at most `limit` bytes of it.
    static func run(
        of top: any BlockNode, above base: (any BlockNode)?, at offset: UInt64, limit: UInt64
    ) throws(BlockError) -> Run {
        var length = limit
        var isTop = true
        for image in BlockGraph.chain(top) {
            if image === base { return Run(length: length, isPresent: false, isZero: false) }
            let size = image.sizeInBytes
            guard offset < size else {
                // Behind the end of a short image below is nothing but zeroes.
                return Run(length: length, isPresent: !isTop, isZero: true)
            }
            isTop = false
            guard let mappable = image as? any SparseMappable else {
                return Run(length: min(length, size - offset), isPresent: true, isZero: false)
            }
            let most = min(length, size - offset)
            guard let first = try mappable.extents(offset: offset, length: most, limit: 1).first else {
                return Run(length: most, isPresent: true, isZero: false)
            }
            length = min(most, first.length)
            let hasBelow = image.children.contains { $0.role == "backing" }
            if first.isAllocated || !hasBelow || first.isZero {
                return Run(
                    length: length, isPresent: first.isAllocated || first.isZero && hasBelow || base == nil,
                    isZero: first.isZero || (!first.isAllocated && !hasBelow))
            }
        }
        return Run(length: length, isPresent: false, isZero: true)
    }

    /// Copies one range, which is no longer than a step unless it is all zero.
    func copy(_ offset: UInt64, _ length: UInt64, _ buffer: AlignedBuffer) -> (status: Int32, isRead: Bool) {
        let end = min(offset &+ length, target.sizeInBytes)
        var at = offset
        while at < end {
            let most = end - at
            let run = try? JobCopier.run(of: source, above: nil, at: at, limit: most)
            let count = run.map { max(1, min($0.length, most)) } ?? most
            if run?.isZero ?? false {
                let status = sink.performAndWait(.writeZeroes(mayUnmap: true), offset: at, length: count)
                if status != 0 { return (status, false) }
                at += count
                continue
            }
            var part = min(count, UInt64(buffer.count))
            // A packed cluster is all there is of it: what lies beside the data in the same cluster goes with it.
            if let packing { part = wholeClusters(at, part, end, packing.clusterSize, buffer) }
            // SAFETY: the buffer has as many bytes, and lives until the request ends.
            let segment = unsafe [BlockSegment(pointer: buffer.base, count: Int(part))]
            var status = source.readAndWait(at: at, into: segment)
            if status != 0 { return (status, true) }
            if segment[0].isZero {
                status = sink.performAndWait(.writeZeroes(mayUnmap: true), offset: at, length: part)
            } else if let packing {
                status = pack(at, segment[0], packing)
            } else {
                status = sink.writeAndWait(at: at, from: segment)
            }
            if status != 0 { return (status, false) }
            at += part
        }
        return (0, false)
    }

    private func wholeClusters(
        _ at: UInt64, _ part: UInt64, _ end: UInt64, _ clusterSize: Int, _ buffer: AlignedBuffer
    ) -> UInt64 {
        let size = UInt64(clusterSize)
        guard at % size == 0 else { return min(size - at % size, end - at) }
        return min((part + size - 1) / size * size, UInt64(buffer.count) / size * size, end - at)
    }

    /// Stores clusters packed, each that is whole and does get smaller.
    private func pack(_ offset: UInt64, _ segment: BlockSegment, _ packing: (clusterSize: Int, kind: Packing)) -> Int32
    {
        guard let target = target as? any PackedWritable, let packer = ClusterPacker(packing.kind) else {
            return sink.writeAndWait(at: offset, from: [segment])
        }
        var done = 0
        while done < segment.count {
            let count = min(
                packing.clusterSize - Int(offset + UInt64(done)) % packing.clusterSize, segment.count - done)
            // SAFETY: the part lies inside the segment.
            let part = unsafe BlockSegment(pointer: segment.pointer + done, count: count)
            let at = offset + UInt64(done)
            done += count
            // The last cluster of the disk may be a part of one: packed with zeroes behind it.
            let isWhole = count == packing.clusterSize || at + UInt64(count) == target.sizeInBytes
            if isWhole, at % UInt64(packing.clusterSize) == 0, let packed = packed(part, packing.clusterSize, packer) {
                do throws(BlockError) { try target.writePacked(at: at, packed) } catch {
                    if case .system(_, _, let reason) = error { return reason.rawValue }
                    return EIO
                }
                (sink as? BlockDevice)?.noteChange(at, UInt64(count))
                continue
            }
            let status = sink.writeAndWait(at: at, from: [part])
            if status != 0 { return status }
        }
        return 0
    }

    private func packed(_ part: BlockSegment, _ clusterSize: Int, _ packer: ClusterPacker) -> [UInt8]? {
        // SAFETY: the segment's own bytes.
        let bytes = unsafe UnsafeRawBufferPointer(start: part.pointer, count: part.count)
        guard part.count < clusterSize else { return unsafe packer.pack(bytes) }
        let whole = unsafe [UInt8](bytes) + [UInt8](repeating: 0, count: clusterSize - part.count)
        return packer.pack(whole)
    }
}
