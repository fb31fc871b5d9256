internal import Synchronization

/// Copies ranges of one disk to another for a job, zeroes as zeroes, and tries again as the job's rules say.
struct JobCopier: Sendable {
    let source: any BlockNode
    let target: any BlockNode

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
                let status = target.performAndWait(.writeZeroes(mayUnmap: true), offset: at, length: count)
                if status != 0 { return (status, false) }
                at += count
                continue
            }
            let part = min(count, UInt64(buffer.count))
            // SAFETY: the buffer has as many bytes, and lives until the request ends.
            let segment = unsafe [BlockSegment(pointer: buffer.base, count: Int(part))]
            var status = source.readAndWait(at: at, into: segment)
            if status != 0 { return (status, true) }
            status =
                segment[0].isZero
                ? target.performAndWait(.writeZeroes(mayUnmap: true), offset: at, length: part)
                : target.writeAndWait(at: at, from: segment)
            if status != 0 { return (status, false) }
            at += part
        }
        return (0, false)
    }
}
