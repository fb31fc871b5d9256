internal import Synchronization

/// What a mirror copies at its start.
public enum MirrorScope: Sendable {
    /// The whole disk.
    case full
    /// What the images above one hold.
    case above(any BlockNode)
    /// Nothing but what changes from now on.
    case none
}

extension BlockGraph {
    /// A job that copies a guest's disk to another node and keeps the copy whole, until it is completed (the disk is
    /// then that node) or ended (the node stays as it is). With `isCommit` the node is an image below the disk's own.
    /// `sink` is the device on the target whose bitmaps hear of what the job writes.
    public func mirrorJob(
        _ settings: BlockJob.Settings, device: BlockDevice, target: any BlockNode, sink: BlockDevice? = nil,
        scope: MirrorScope, granularity: UInt64 = 65536, copyMode: MirrorCopyMode = .background, isCommit: Bool = false,
        tell: @escaping @Sendable (BlockJob, BlockJob.Event) -> Void
    ) throws(BlockError) -> BlockJob {
        let source = device.image
        let size = source.sizeInBytes
        let wasReadOnly = target.isReadOnly
        if wasReadOnly {
            guard let target = target as? any Reopenable else { throw .readOnly(path: target.filename) }
            try target.reopen(readOnly: false)
        }
        do throws(BlockError) {
            if isCommit { try Self.grow(target, to: size) }
        } catch {
            if wasReadOnly { try? (target as? any Reopenable)?.reopen(readOnly: true) }
            throw error
        }
        if let image = target as? QCow2Node, image.backing == nil, !isCommit {
            // Zeroes must be said where there is something else below.
            switch scope {
            case .above(let base): setBacking(of: image, to: base)
            case .none: setBacking(of: image, to: source)
            case .full: break
            }
        }
        let bits = DirtyBits(size: size, granularity: granularity)
        let copier = JobCopier(source: source, target: target, sink: sink)
        let tap = MirrorTap(bits, copier, copyMode)
        device.add(tap)
        pin(target)
        pin(source)
        let isPivoted = Atomic(false)
        let work = BlockJob.Work(
            run: { job throws(BlockJob.Stop) in
                tap.job.withLock { $0 = job }
                // The job itself hears of that, as with QEMU.
                guard isCommit || target.sizeInBytes == size else { throw .failed(JobCopier.differentSizes) }
                do throws(BlockError) { try Self.mark(bits, source, scope, size, job) } catch { throw .failed(error) }
                job.setTotal(bits.bytes)
                let buffer = AlignedBuffer(count: Int(JobCopier.step))
                var at: UInt64 = 0
                while true {
                    try job.checkpoint()
                    let failed = tap.takeFailure()
                    if failed != 0 { _ = try job.judge(failed, isRead: false, path: target.filename) }
                    if let run = bits.next(from: at, limit: JobCopier.step) {
                        try Self.mirror(copier, run.offset, run.length, buffer, tap, job)
                        job.advance(run.length)
                        if job.progress.isReady { job.setTotal(job.progress.done + bits.bytes) }
                        at = run.offset + run.length
                        continue
                    }
                    let status = target.performAndWait(.flush)
                    if status != 0 { _ = try job.judge(status, isRead: false, path: target.filename) }
                    job.becomeReady()
                    if job.isCompleting || job.isEndingSoftly { return }
                    job.rest()
                }
            },
            finish: { [self] job throws(BlockError) in
                device.beginDrained()
                defer { device.endDrained() }
                let buffer = AlignedBuffer(count: Int(JobCopier.step))
                while let run = bits.next(from: 0, limit: JobCopier.step) {
                    bits.clear(run.offset, run.length)
                    let (status, isRead) = copier.copy(run.offset, run.length, buffer)
                    guard status == 0 else {
                        bits.set(run.offset, run.length)
                        throw .io(
                            path: isRead ? source.filename : target.filename, operation: isRead ? "read" : "write",
                            status)
                    }
                }
                let status = target.performAndWait(.flush)
                guard status == 0 else { throw .io(path: target.filename, operation: "flush", status) }
                guard job.isCompleting else { return }
                exchange(device, to: target)
                sink?.handOverBitmaps(to: device)
                isPivoted.store(true, ordering: .relaxed)
            },
            clean: { [self] _ in
                device.remove(tap)
                tap.job.withLock { $0 = nil }
                if wasReadOnly && !isPivoted.load(ordering: .relaxed) {
                    try? (target as? any Reopenable)?.reopen(readOnly: true)
                }
                unpin(source)
                unpin(target)
            })
        return BlockJob(isCommit ? .commit : .mirror, settings, work, tell: tell)
    }

    /// Marks what is to be copied at the start.
    private static func mark(
        _ bits: DirtyBits, _ source: any BlockNode, _ scope: MirrorScope, _ size: UInt64, _ job: BlockJob
    ) throws(BlockError) {
        let base: (any BlockNode)?
        switch scope {
        case .none: return
        case .full: return bits.set(0, size)
        case .above(let node): base = node
        }
        var at: UInt64 = 0
        while at < size {
            let run = try JobCopier.run(of: source, above: base, at: at, limit: size - at)
            if run.isPresent { bits.set(at, run.length) }
            at += run.length
        }
    }

    private static func mirror(
        _ copier: JobCopier, _ offset: UInt64, _ length: UInt64, _ buffer: AlignedBuffer, _ tap: MirrorTap,
        _ job: BlockJob
    ) throws(BlockJob.Stop) {
        let (status, isRead) = tap.apart(offset, length) {
            tap.bits.clear(offset, length)
            return copier.copy(offset, length, buffer)
        }
        guard status != 0 else { return }
        tap.bits.set(offset, length)
        _ = try job.judge(status, isRead: isRead, path: isRead ? copier.source.filename : copier.target.filename)
    }
}
