internal import CLinux
internal import Synchronization

/// The image as one of a chain.
extension QCow2Node: ChainLayer {
    var below: (any BlockNode)? { backing }

    func beginRead(_ start: UInt64, _ end: UInt64) throws(ImageFailure) -> UInt64 {
        guard !isClosed.load(ordering: .relaxed) else { throw .io(EBADF) }
        guard header.encryption == 0 || encryption != nil else { throw .io(EACCES) }
        inFlight.enter()
        let mask = clusterSize - 1
        return ranges.acquireAndWait(start: start & ~mask, end: (end + mask) & ~mask, isExclusive: false)
    }

    func endRead(_ ticket: UInt64) {
        ranges.release(ticket)
        inFlight.leave()
    }

    func readOwn(
        at offset: UInt64, limit: UInt64, into place: (UInt64) -> [BlockSegment]
    ) throws(ImageFailure) -> (length: UInt64, isBelow: Bool) {
        let run = try withTables { metadata throws(ImageFailure) in try metadata.run(at: offset, limit: limit) }
        if case .unallocated = run.kind { return (run.length, true) }
        try read(run, offset, place(run.length))
        return (run.length, false)
    }

    func drainAlone() {
        inFlight.waitUntilIdle()
        file.drain()
        if header.hasDataFile { dataFile.drain() }
    }

    public func drain() { drainChain() }
}
