internal import CLinux

/// Blocking reads and writes, straight and through a bounce buffer.
extension FileAccess {
    /// Fills the segments; what lies past the end of the file reads as zeroes.
    func read(_ segments: [BlockSegment], at offset: UInt64) -> Int32 {
        unsafe transfer(segments, at: offset) { vectors, count, at, left in
            let result = unsafe apus_preadv(descriptor, vectors, count, at)
            if result < 0 { return .failed(apus_errno()) }
            if result == 0 { return .end }
            // Direct I/O is short of a whole block only at the end of the file.
            if isDirect && result < left && result & (alignment - 1) != 0 { return .last(result) }
            return .moved(result)
        }
    }

    /// Stores the segments.
    func write(_ segments: [BlockSegment], at offset: UInt64, flags: Int32) -> Int32 {
        unsafe transfer(segments, at: offset) { vectors, count, at, _ in
            let result = unsafe apus_pwritev(descriptor, vectors, count, at, flags)
            if result < 0 { return .failed(apus_errno()) }
            return result == 0 ? .failed(ENOSPC) : .moved(result)
        }
    }

    private enum Progress {
        case moved(Int)
        case last(Int)
        case end
        case failed(Int32)
    }

    private func transfer(
        _ segments: [BlockSegment], at offset: UInt64,
        _ call: (UnsafePointer<iovec>, Int32, Int64, Int) -> Progress
    ) -> Int32 {
        let total = segments.reduce(0) { $0 + $1.count }
        var done = 0
        while done < total {
            var parts = segments.slice(from: done, count: min(total - done, Int(FileAccess.maximumTransfer)))
            if parts.count > FileAccess.maximumVectors {
                parts.removeSubrange(FileAccess.maximumVectors...)
            }
            let left = parts.reduce(0) { $0 + $1.count }
            let vectors = unsafe parts.map { unsafe iovec(iov_base: $0.pointer, iov_len: $0.count) }
            // SAFETY: the vectors name the caller's memory, which it keeps valid; they outlive the call.
            let progress = unsafe vectors.withUnsafeBufferPointer {
                unsafe call($0.baseAddress!, Int32($0.count), Int64(offset) + Int64(done), left)
            }
            switch progress {
            case .moved(let count): done += count
            case .last(let count):
                segments.zero(from: done + count)
                return 0
            case .end:
                segments.zero(from: done)
                return 0
            case .failed(EINTR): continue
            case .failed(let reason): return reason
            }
        }
        return 0
    }

    /// Reads whole blocks into memory of our own and hands out what was asked for.
    func readBounced(_ request: BlockRequest) -> Int32 {
        let buffer = AlignedBuffer(count: bounceSize(for: request))
        // The segments below do not keep the buffer alive.
        defer { withExtendedLifetime(buffer) {} }
        return eachChunk(of: request, buffer.count) { start, end, from, count, done in
            let blocks = unsafe [BlockSegment(pointer: buffer.base, count: end - start)]
            let status = read(blocks, at: UInt64(start))
            guard status == 0 else { return status }
            // SAFETY: from - start + count lies inside the chunk.
            unsafe request.segments.slice(from: done, count: count).fill(from: buffer.base + (from - start))
            return 0
        }
    }

    /// Writes whole blocks: the parts of the first and last that are not written are read before. The caller holds
    /// the blocks' range.
    func writeBounced(_ request: BlockRequest, flags: Int32) -> Int32 {
        let buffer = AlignedBuffer(count: bounceSize(for: request))
        // The segments below do not keep the buffer alive.
        defer { withExtendedLifetime(buffer) {} }
        return eachChunk(of: request, buffer.count) { start, end, from, count, done in
            if start < from || from + count < end {
                // Whole blocks at both ends; in the middle they would be overwritten anyway.
                for edge in Set([start, end - alignment]) where edge < from || edge + alignment > from + count {
                    let block = unsafe [BlockSegment(pointer: buffer.base + (edge - start), count: alignment)]
                    let status = read(block, at: UInt64(edge))
                    guard status == 0 else { return status }
                }
            }
            // SAFETY: from - start + count lies inside the chunk.
            unsafe request.segments.slice(from: done, count: count).copy(to: buffer.base + (from - start))
            return unsafe write(
                [BlockSegment(pointer: buffer.base, count: end - start)], at: UInt64(start), flags: flags)
        }
    }

    private func bounceSize(for request: BlockRequest) -> Int {
        let largest = UInt64(FileAccess.bufferSize)
        return Int(min(request.length, largest)) / alignment * alignment + 2 * alignment
    }

    /// Cuts a request into pieces whose whole blocks fit the buffer. The body gets the blocks' start and end, the
    /// piece's start and length, and how much of the request came before.
    private func eachChunk(
        of request: BlockRequest, _ room: Int, _ body: (Int, Int, Int, Int, Int) -> Int32
    ) -> Int32 {
        let first = Int(request.offset)
        let last = first + Int(request.length)
        var at = first
        while at < last {
            let start = at / alignment * alignment
            let stop = min(last, start + room)
            let (rounded, overflow) = (stop + alignment - 1).dividedReportingOverflow(by: alignment)
            guard !overflow else { return EFBIG }
            let end = min(rounded * alignment, start + room)
            let status = body(start, end, at, min(stop, end) - at, at - first)
            guard status == 0 else { return status }
            at = min(stop, end)
        }
        return 0
    }
}
