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

/// Pages of this process, whoever mapped them.
public enum HostPages {
    /// Gives pages of private memory back: they read as zero, or are awaited, from then on. Whole pages.
    public static func discard(_ start: UnsafeMutableRawPointer, count: Int) {
        // SAFETY: only contents go, and that is what is asked for.
        _ = unsafe madvise(start, count, MADV_DONTNEED)
    }

    /// Has every translation of the pages forgotten, those of guests of KVM among them, while the bytes stay and may be
    /// used all along: their protection changes and changes back. Multiples of the page size.
    public static func forgetTranslations(_ start: UnsafeMutableRawPointer, count: Int) {
        // SAFETY: reading and writing stay allowed throughout.
        _ = unsafe mprotect(start, count, PROT_READ | PROT_WRITE | PROT_EXEC)
        _ = unsafe mprotect(start, count, PROT_READ | PROT_WRITE)
    }
}
