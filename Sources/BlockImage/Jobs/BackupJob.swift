internal import Synchronization

/// Lets a guest change what has been saved, and saves first what has not.
private final class BackupTap: ChangeTap {
    /// What is not saved yet.
    let left: DirtyBits
    let ranges = RangeLocks()
    private let copier: JobCopier
    private let failure = Mutex<(status: Int32, isRead: Bool)?>(nil)

    init(_ left: DirtyBits, _ copier: JobCopier) {
        self.left = left
        self.copier = copier
    }

    var failed: (status: Int32, isRead: Bool)? { failure.withLock { $0 } }

    func willChange(_ offset: UInt64, _ length: UInt64, _ go: @escaping @Sendable (UInt64) -> Void) {
        guard left.touches(offset, length) else { return hold(offset, length, go) }
        copier.source.schedule { [self] in
            let buffer = AlignedBuffer(count: Int(min(JobCopier.step, max(left.granularity, 65536))))
            let start = offset / left.granularity * left.granularity
            let end = offset + length
            // The guest goes on whether or not this works: the backup is what fails.
            var at = start
            while at < end {
                let found = save(at, left.granularity, buffer)
                if found.status != 0 { failure.withLock { $0 = $0 ?? found } }
                at += left.granularity
            }
            hold(offset, length, go)
        }
    }
    func didChange(_ offset: UInt64, _ length: UInt64, _ token: UInt64) { ranges.release(token) }

    private func hold(_ offset: UInt64, _ length: UInt64, _ go: @escaping @Sendable (UInt64) -> Void) {
        ranges.acquire(start: offset, end: offset &+ length, isExclusive: false, go)
    }

    /// Saves what of a range is not saved yet, with no change under way there.
    func save(_ offset: UInt64, _ length: UInt64, _ buffer: AlignedBuffer) -> (status: Int32, isRead: Bool) {
        let ticket = ranges.acquireAndWait(start: offset, end: offset + length, isExclusive: true)
        defer { ranges.release(ticket) }
        var at = offset
        let end = min(offset + length, left.size)
        while at < end {
            let part = min(left.granularity, end - at)
            if left.touches(at, part) {
                let found = copier.copy(at, part, buffer)
                if found.status != 0 { return found }
                left.clear(at, part)
            }
            at += part
        }
        return (0, false)
    }
}

/// What a backup saves.
public enum BackupScope: Sendable {
    /// The whole disk.
    case full
    /// What the disk's own image holds.
    case top
    /// Nothing but what the guest is about to change.
    case none
    /// What is marked: ranges of bytes.
    case ranges([Range<UInt64>])
}

extension BlockGraph {
    /// A job that saves a guest's disk as it is at this moment to another node. The caller has drained the device
    /// and holds it so until this returns. `sink` is the device on the target whose bitmaps hear of what the job
    /// writes. With `packs` clusters are compressed. `ended` is told whether all was saved.
    public func backupJob(
        _ settings: BlockJob.Settings, device: BlockDevice, target: any BlockNode, sink: BlockDevice? = nil,
        scope: BackupScope, packs: Bool = false, ended: @escaping @Sendable (Bool) -> Void,
        tell: @escaping @Sendable (BlockJob, BlockJob.Event) -> Void
    ) throws(BlockError) -> BlockJob {
        let source = device.image
        let size = source.sizeInBytes
        guard !target.isReadOnly else { throw .readOnly(path: target.filename) }
        guard target.sizeInBytes == size else { throw JobCopier.differentSizes }
        var packing: (clusterSize: Int, kind: Packing)?
        if packs {
            packing = (target as? any PackedWritable)?.packing
            guard let packing, packing.clusterSize > 0, packing.clusterSize <= JobCopier.step else {
                throw .message("Compression is not supported for this drive \(target.nodeName)")
            }
        }
        let cluster = (target as? QCow2Node)?.clusterSize ?? 65536
        let left = DirtyBits(size: size, granularity: min(max(cluster, 65536), JobCopier.step))
        switch scope {
        case .full, .none: left.set(0, size)
        case .ranges(let ranges): for range in ranges { left.set(range.lowerBound, UInt64(range.count)) }
        case .top:
            var at: UInt64 = 0
            let base = source.children.first { $0.role == "backing" }?.node
            while at < size {
                let run = try JobCopier.run(of: source, above: base, at: at, limit: size - at)
                if run.isPresent { left.set(at, run.length) }
                at += run.length
            }
        }
        var savesAll = true
        if case .none = scope { savesAll = false }
        let copiesAll = savesAll
        let tap = BackupTap(left, JobCopier(source: source, target: target, sink: sink, packing: packing))
        device.add(tap)
        pin(target)
        pin(source)
        let work = BlockJob.Work(
            run: { job throws(BlockJob.Stop) in
                job.setTotal(copiesAll ? left.bytes : size)
                let buffer = AlignedBuffer(count: Int(JobCopier.step))
                var at: UInt64 = 0
                while true {
                    try job.checkpoint()
                    if let (status, isRead) = tap.failed {
                        throw .failed(
                            .io(
                                path: isRead ? source.filename : target.filename,
                                operation: isRead ? "read" : "write", status))
                    }
                    guard copiesAll else {
                        job.rest()
                        continue
                    }
                    guard let run = left.next(from: at, limit: JobCopier.step) else { break }
                    let (status, isRead) = tap.save(run.offset, run.length, buffer)
                    if status != 0 {
                        _ = try job.judge(status, isRead: isRead, path: isRead ? source.filename : target.filename)
                        continue
                    }
                    job.advance(run.length)
                    at = run.offset + run.length
                }
                let status = target.performAndWait(.flush)
                if status != 0 { throw .failed(.io(path: target.filename, operation: "flush", status)) }
            },
            finish: { _ throws(BlockError) in
                if let (status, _) = tap.failed { throw .io(path: target.filename, operation: "write", status) }
            },
            clean: { [self] succeeded in
                device.remove(tap)
                ended(succeeded)
                unpin(source)
                unpin(target)
            })
        return BlockJob(.backup, settings, work, tell: tell)
    }
}
