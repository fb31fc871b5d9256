/// Free guest RAM while a kernel is loaded: what has been placed is never given out again.
struct Placement {
    /// Disjoint and sorted.
    private(set) var free: [Range<UInt64>]

    /// All RAM of a map but its first page, which holds the interrupt vectors and the BIOS data area.
    init(_ map: MemoryMap) {
        free = map.entries.compactMap { entry in
            guard entry.kind == .ram, entry.end > 4096 else { return nil }
            return max(entry.start, 4096)..<entry.end
        }
    }

    /// Takes exactly this range; false where part of it is not free.
    mutating func claim(_ start: UInt64, _ count: UInt64) -> Bool {
        guard count > 0 else { return true }
        let (end, overflow) = start.addingReportingOverflow(count)
        guard !overflow,
            let index = free.firstIndex(where: { $0.lowerBound <= start && end <= $0.upperBound })
        else { return false }
        let range = free[index]
        let rest = [range.lowerBound..<start, end..<range.upperBound].filter { !$0.isEmpty }
        free.replaceSubrange(index...index, with: rest)
        return true
    }

    /// Takes what is free of a range.
    mutating func exclude(_ taken: Range<UInt64>) {
        free = free.flatMap { range -> [Range<UInt64>] in
            guard range.overlaps(taken) else { return [range] }
            return [
                range.lowerBound..<max(range.lowerBound, min(taken.lowerBound, range.upperBound)),
                min(range.upperBound, max(taken.upperBound, range.lowerBound))..<range.upperBound,
            ].filter { !$0.isEmpty }
        }
    }

    /// Takes the lowest free range of `count` bytes that starts at or above `floor` and ends at or below `limit`.
    mutating func lowest(
        _ count: UInt64, alignment: UInt64 = 4096, from floor: UInt64 = 0, below limit: UInt64
    ) -> UInt64? {
        for range in free {
            guard let start = alignedUp(max(range.lowerBound, floor), to: alignment) else { continue }
            let end = min(range.upperBound, limit)
            if start <= end, end - start >= count, claim(start, count) { return start }
        }
        return nil
    }

    /// Takes the highest free range of `count` bytes that ends at or below `limit`.
    mutating func highest(_ count: UInt64, alignment: UInt64 = 4096, below limit: UInt64) -> UInt64? {
        for range in free.reversed() {
            let end = min(range.upperBound, limit)
            guard end >= count else { continue }
            let start = (end - count) & ~(alignment - 1)
            if start >= range.lowerBound, claim(start, count) { return start }
        }
        return nil
    }

    /// The size of the largest free range below `limit`.
    func largest(below limit: UInt64) -> UInt64 {
        free.reduce(0) {
            max($0, min($1.upperBound, limit) > $1.lowerBound ? min($1.upperBound, limit) - $1.lowerBound : 0)
        }
    }

    /// How many free bytes follow `start` without a gap.
    func available(at start: UInt64) -> UInt64 {
        free.first { $0.contains(start) }.map { $0.upperBound - start } ?? 0
    }
}
