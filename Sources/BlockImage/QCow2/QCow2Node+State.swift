internal import CLinux
internal import Synchronization

/// A machine's state beside the disk: it lies among guest offsets behind the disk's end, from the first that no L1
/// entry of the disk covers, as QEMU keeps it. A snapshot's L1 table holds it too. Blocking, while no request is under
/// way.
extension QCow2Node {
    /// The first guest offset of the state.
    private var stateStart: UInt64 {
        let header = currentHeader
        return header.l1Entries(for: header.size) << UInt64(header.l2CoverageBits)
    }

    /// Stores a part of the state. Parts that begin and end at multiples of 64 KiB cost least.
    public func writeState(at offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(BlockError) {
        guard bytes.count > 0, let base = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress) else { return }
        guard !header.hasDataFile else { throw .io(path: filename, operation: "keep a machine's state in", ENOTSUP) }
        let start = stateStart + offset
        let end = start + UInt64(bytes.count)
        try changingAlone("keep a machine's state in") { metadata throws(ImageFailure) in
            try metadata.growL1(to: metadata.header.l1Entries(for: end))
        }
        // SAFETY: the segment is only read from.
        let segment = unsafe BlockSegment(pointer: base, count: bytes.count)
        try alone { () throws(BlockError) in
            file.debugEvent(.vmstateSave)
            do throws(ImageFailure) { try write(start, [segment]) } catch {
                throw blockError(error, "keep a machine's state in")
            }
        }
    }

    /// Reads a part of the state; what was never written is zero.
    public func readState(at offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(BlockError) {
        guard buffer.count > 0, let base = buffer.baseAddress else { return }
        let limit = UInt64(metadataLock.withLock { _ in metadata.l1.count }) << UInt64(header.l2CoverageBits)
        let (end, overflow) = (stateStart + offset).addingReportingOverflow(UInt64(buffer.count))
        guard offset < 1 << 62, !overflow, end <= limit else {
            throw .invalidImage(path: filename, reason: "The saved machine's state is not there")
        }
        let segment = unsafe BlockSegment(pointer: base, count: buffer.count)
        file.debugEvent(.vmstateLoad)
        do throws(ImageFailure) { try read(stateStart + offset, [segment]) } catch {
            throw blockError(error, "read a machine's state from")
        }
    }

    /// Gives the state up, but for what snapshots hold of it.
    public func discardState() throws(BlockError) {
        let start = stateStart
        try changingAlone("give up a machine's state in") { metadata throws(ImageFailure) in
            let coverage = UInt64(1) << UInt64(metadata.header.l2CoverageBits)
            let first = Int(start / coverage)
            for index in first..<max(first, metadata.l1.count) where metadata.l1[index] != 0 {
                var at = UInt64(index) * coverage
                let end = at + coverage
                while at < end {
                    if try metadata.entry(at: at) != QCow2Entry() { try metadata.setEntry(QCow2Entry(), for: at) }
                    at += clusterSize
                    if metadata.pendingFrees.count > 4096 { try metadata.writeBack() }
                }
                let table = metadata.l1[index] & QCow2Metadata.offsetMask
                metadata.setL1(index, 0)
                metadata.pendingFrees.append((table >> metadata.clusterBits, 1))
            }
            try metadata.settle()
        }
    }
}
