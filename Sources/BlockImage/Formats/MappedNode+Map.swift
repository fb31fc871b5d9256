internal import Synchronization

extension MappedNode: SparseMappable, DescribedImage {
    public var imageDescription: ImageDescription { lock.withLock { _ in map.value.description } }

    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard offset < sizeInBytes, length > 0 else { return [] }
        let end = offset + min(length, sizeInBytes - offset)
        var result: [BlockExtent] = []
        var at = offset
        while at < end && result.count < limit {
            let found: (piece: MappedPiece, length: UInt64)
            let (start, rest) = (at, end - at)
            do throws(ImageFailure) { found = try find(start, rest) } catch {
                if case .corrupt(let reason) = error { throw .invalidImage(path: filename, reason: reason) }
                throw .io(path: filename, operation: "map", error.status)
            }
            var extent = BlockExtent(offset: at, length: found.length, isAllocated: true, isZero: false)
            switch found.piece {
            case .unallocated:
                (extent.isAllocated, extent.isZero) = (map.value.isComplete, backing == nil)
            case .zero: extent.isZero = true
            case .data(let file, let host):
                extent.hostOffset = host
                if map.value.isFlat(at), let file = file as? any SparseMappable,
                    let first = try file.extents(offset: host, length: found.length, limit: 1).first
                {
                    extent.length = min(extent.length, first.length)
                    (extent.isZero, extent.isHole) = (first.isZero, first.isZero)
                }
            case .packed: extent.isCompressed = true
            }
            if let last = result.last, joins(last, extent) {
                result[result.count - 1].length += extent.length
            } else {
                result.append(extent)
            }
            at += extent.length
        }
        return result
    }

    private func joins(_ one: BlockExtent, _ next: BlockExtent) -> Bool {
        guard one.isAllocated == next.isAllocated, one.isZero == next.isZero, one.isHole == next.isHole,
            one.isCompressed == next.isCompressed
        else { return false }
        switch (one.hostOffset, next.hostOffset) {
        case (nil, nil): return true
        case (.some(let first), .some(let second)): return first + one.length == second
        default: return false
        }
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 {
        var total: UInt64 = 0
        for file in files { total += try (file as? any SparseMappable)?.allocatedBytes() ?? file.sizeInBytes }
        return total
    }
}
