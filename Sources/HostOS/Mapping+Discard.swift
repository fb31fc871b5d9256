internal import CLinux

extension Mapping {
    /// Gives pages back to the host. Those of private memory read as zero from then on; those of a file only leave this
    /// view of it, until they are touched. A range outside the mapping is cut to it, and partial pages stay.
    public func discard(offset: Int, count: Int) {
        let start = (max(offset, 0) + 4095) & ~4095
        let end = min(offset.addingReportingOverflow(count).partialValue, self.count) & ~4095
        guard start < end else { return }
        // SAFETY: the range was cut to this mapping's own.
        _ = unsafe madvise(base + start, end - start, MADV_DONTNEED)
    }
}
