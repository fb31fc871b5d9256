internal import CLinux
internal import Synchronization

/// Discard and write-zeroes by blocking calls, from the cheapest way to the one that always works.
extension FileAccess {
    /// Gives the range's storage back. What cannot is no error: discard is advice.
    func discard(offset: UInt64, length: UInt64) -> Int32 {
        guard canDiscard.load(ordering: .relaxed) else { return 0 }
        let status: Int32
        if isBlockDevice {
            // Whole sectors only: a device knows no smaller ones.
            let sector: UInt64 = UInt64(max(alignment, 512))
            let (sum, overflow) = offset.addingReportingOverflow(sector - 1)
            guard !overflow else { return 0 }
            let start = sum / sector * sector
            let end = (offset + length) / sector * sector
            guard start < end else { return 0 }
            status = apus_ioctl_range(descriptor, apus_BLKDISCARD, start, end - start) == 0 ? 0 : apus_errno()
        } else {
            status = allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)
        }
        guard FileAccess.isRefusal(status) else { return status }
        if status != EINVAL { canDiscard.store(false, ordering: .relaxed) }
        return 0
    }

    /// Makes the range read as zeroes; grows the file to its end.
    func writeZeroes(offset: UInt64, length: UInt64, mayUnmap: Bool) -> Int32 {
        if mayUnmap && canPunchHole.load(ordering: .relaxed) {
            let status = allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length)
            if status == 0 { return isBlockDevice ? 0 : reach(offset + length) }
            guard FileAccess.isRefusal(status) else { return status }
            if status != EINVAL { canPunchHole.store(false, ordering: .relaxed) }
        }
        if canZeroRange.load(ordering: .relaxed) {
            let status: Int32
            if isBlockDevice {
                status = apus_ioctl_range(descriptor, apus_BLKZEROOUT, offset, length) == 0 ? 0 : apus_errno()
            } else {
                status = allocate(FALLOC_FL_ZERO_RANGE, offset, length)
            }
            guard FileAccess.isRefusal(status) else { return status }
            if status != EINVAL { canZeroRange.store(false, ordering: .relaxed) }
        }
        return writeBuffersOfZeroes(offset: offset, length: length)
    }

    private func allocate(_ mode: Int32, _ offset: UInt64, _ length: UInt64) -> Int32 {
        while true {
            if apus_fallocate(descriptor, mode, Int64(offset), Int64(length)) == 0 { return 0 }
            let reason = apus_errno()
            if reason != EINTR { return reason }
        }
    }

    /// Makes the file at least `end` long, with a hole.
    private func reach(_ end: UInt64) -> Int32 {
        var status = stat()
        // SAFETY: the structure outlives the call.
        guard unsafe apus_fstat(descriptor, &status) == 0 else { return apus_errno() }
        guard UInt64(max(0, status.st_size)) < end else { return 0 }
        // One byte at the end and not ftruncate, which could cut off what another request has just appended.
        var zero: UInt8 = 0
        // SAFETY: one byte of the stack, written to the file's new last byte.
        let written = unsafe withUnsafeMutableBytes(of: &zero) { bytes in
            let last = unsafe BlockRequest(
                operation: .write, offset: end - 1, length: 1,
                segments: [BlockSegment(pointer: bytes.baseAddress!, count: 1)], completion: { _ in })
            return perform(last)
        }
        return written
    }

    func writeBuffersOfZeroes(offset: UInt64, length: UInt64) -> Int32 {
        let buffer = AlignedBuffer(count: min(FileAccess.bufferSize, Int(min(length, UInt64(Int.max)))))
        // The segments below do not keep the buffer alive.
        defer { withExtendedLifetime(buffer) {} }
        // SAFETY: the buffer's own length.
        unsafe memset(buffer.base, 0, buffer.count)
        let size = UInt64(FileAccess.bufferSize)
        let end = offset + length
        var at = offset
        while at < end {
            // The first piece ends on a boundary, so that all others but the last are whole blocks.
            let stop = min(end, (at / size + 1) * size)
            let count = min(Int(stop - at), buffer.count)
            let piece = unsafe BlockRequest(
                operation: .write, offset: at, length: UInt64(count),
                segments: [BlockSegment(pointer: buffer.base, count: count)], completion: { _ in })
            let status = perform(piece)
            guard status == 0 else { return status }
            at += UInt64(count)
        }
        return 0
    }

    /// Whether a status says "not here" rather than "it failed".
    static func isRefusal(_ status: Int32) -> Bool {
        switch status {
        case EOPNOTSUPP, ENOSYS, ENOTTY, EINVAL, ENODEV: true
        default: false
        }
    }
}
