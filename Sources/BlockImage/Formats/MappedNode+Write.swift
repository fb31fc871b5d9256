internal import CLinux

/// Writing: in place where there is storage, else into a new block that counts when it is whole.
extension MappedNode {
    func write(_ offset: UInt64, _ segments: [BlockSegment]) throws(ImageFailure) {
        let total = segments.reduce(0) { $0 + $1.count }
        var done = 0
        while done < total {
            let at = offset + UInt64(done)
            let (piece, length) = try find(at, UInt64(total - done))
            let part = segments.slice(from: done, count: Int(length))
            if case .data(let file, let host) = piece {
                try ImageFailure.check(file.writeAndWait(at: host, from: part))
            } else {
                try withMap { map throws(ImageFailure) in
                    // Another may have made the block meanwhile.
                    if case .data(let file, let host) = try map.find(at).piece {
                        return try ImageFailure.check(file.writeAndWait(at: host, from: part))
                    }
                    try writeNew(map, at, part, Int(length))
                }
            }
            done += Int(length)
        }
    }

    /// Writes into a block that has no storage yet: the whole block, with what it held around the new bytes.
    private func writeNew(
        _ map: any ImageMap, _ at: UInt64, _ part: [BlockSegment], _ count: Int
    ) throws(ImageFailure) {
        let piece = try map.find(at).piece
        let block = try map.allocate(at)
        guard at >= block.start, at + UInt64(count) <= block.start + block.length else {
            throw .corrupt("a block moved")
        }
        let before = Int(at - block.start)
        let hasContent: Bool
        switch piece {
        case .unallocated: hasContent = backing != nil
        case .packed: hasContent = true
        case .zero, .data: hasContent = false
        }
        if case .packed = piece {
            try copyPacked(map, at, block)
            try ImageFailure.check(block.file.writeAndWait(at: block.host + UInt64(before), from: part))
        } else {
            try ImageFailure.check(block.file.writeAndWait(at: block.host + UInt64(before), from: part))
            if hasContent || !block.isZero {
                let past = block.start + block.length - at - UInt64(count)
                try fill(block.start, UInt64(before), block.file, block.host, hasContent)
                try fill(
                    at + UInt64(count), past, block.file, block.host + UInt64(before + count), hasContent)
            }
        }
        try MappedNode.lengthen(block.file, to: block.host + block.length)
        try map.link(block)
    }

    /// Brings what was packed into the new block.
    private func copyPacked(_ map: any ImageMap, _ at: UInt64, _ block: NewBlock) throws(ImageFailure) {
        let old = try map.unpack(at)
        guard old.start == block.start, UInt64(old.bytes.count) <= block.length else { throw .corrupt("a block moved") }
        try ImageFailure.check(block.file.writeAndWait(at: block.host, bytes: old.bytes))
    }

    /// Fills a part of a new block with what is below it, or with zeroes.
    private func fill(
        _ guest: UInt64, _ length: UInt64, _ file: any BlockNode, _ host: UInt64, _ hasContent: Bool
    ) throws(ImageFailure) {
        guard length > 0 else { return }
        let buffer = AlignedBuffer(count: Int(min(length, 1 << 20)))
        defer { withExtendedLifetime(buffer) {} }
        var done: UInt64 = 0
        while done < length {
            let count = min(length - done, UInt64(buffer.count))
            // SAFETY: the count is at most the buffer's.
            let segments = unsafe [BlockSegment(pointer: buffer.base, count: Int(count))]
            if hasContent { try readBacking(guest + done, segments) } else { segments.zero(from: 0) }
            try ImageFailure.check(file.writeAndWait(at: host + done, from: segments))
            done += count
        }
    }

    /// Makes a file at least as long, with a hole.
    static func lengthen(_ file: any BlockNode, to size: UInt64) throws(ImageFailure) {
        guard file.sizeInBytes < size, let file = file as? any Resizable else { return }
        do throws(BlockError) { try file.resize(to: size, preallocation: .off) } catch { throw .io(EIO) }
    }

    func writeZeroes(_ offset: UInt64, _ length: UInt64, _ mayUnmap: Bool) throws(ImageFailure) {
        let end = offset + length
        var at = offset
        var zeroes: AlignedBuffer?
        while at < end {
            let (piece, count) = try find(at, end - at)
            switch piece {
            case .zero: break
            case .unallocated where backing == nil: break
            case .data(let file, let host):
                try ImageFailure.check(
                    file.performAndWait(.writeZeroes(mayUnmap: mayUnmap), offset: host, length: count))
            case .unallocated, .packed:
                let isCleared = try withMap { map throws(ImageFailure) in
                    // Only whole blocks: from a block's start to its end.
                    guard try map.find(at).length == count, at == 0 || startsBlock(map, at) else { return false }
                    return try map.clear(at)
                }
                if !isCleared {
                    if zeroes == nil { zeroes = AlignedBuffer(count: 1 << 20) }
                    let part = min(count, 1 << 20)
                    let segments = unsafe [BlockSegment(pointer: zeroes!.base, count: Int(part))]
                    segments.zero(from: 0)
                    try write(at, segments)
                    at += part
                    continue
                }
            }
            at += count
        }
    }

    private func startsBlock(_ map: any ImageMap, _ at: UInt64) -> Bool {
        // The block before ends here.
        (try? map.find(at - 1).length) == 1
    }
}
