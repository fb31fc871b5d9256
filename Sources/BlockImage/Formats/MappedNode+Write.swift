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
        let end = min(block.start + block.length, sizeInBytes)
        let after = Int(end - at) - count
        let hasContent: Bool
        switch piece {
        case .unallocated: hasContent = backing != nil
        case .packed: hasContent = true
        case .zero, .data: hasContent = false
        }
        if hasContent || !block.isZero {
            let buffer = AlignedBuffer(count: Int(block.length))
            defer { withExtendedLifetime(buffer) {} }
            let whole = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
            whole.zero(from: 0)
            if hasContent {
                if case .packed = piece {
                    let old = try map.unpack(at)
                    let length = min(old.bytes.count, buffer.count)
                    // SAFETY: the length fits both.
                    unsafe old.bytes.withUnsafeBytes { source in
                        unsafe buffer.base.copyMemory(from: source.baseAddress!, byteCount: length)
                    }
                } else {
                    if before > 0 { try readBacking(block.start, whole.slice(from: 0, count: before)) }
                    if after > 0 {
                        try readBacking(at + UInt64(count), whole.slice(from: before + count, count: after))
                    }
                }
            }
            // SAFETY: the part lies inside the block.
            unsafe part.copy(to: buffer.base + before)
            try ImageFailure.check(block.file.writeAndWait(at: block.host, from: whole))
        } else {
            try ImageFailure.check(block.file.writeAndWait(at: block.host + UInt64(before), from: part))
            try MappedNode.lengthen(block.file, to: block.host + block.length)
        }
        try map.link(block)
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
