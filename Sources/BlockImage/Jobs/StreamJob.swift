internal import Synchronization

/// Keeps a guest's changes out of the range that a job is working on.
private final class RangeTap: ChangeTap {
    let ranges = RangeLocks()
    func willChange(_ offset: UInt64, _ length: UInt64, _ go: @escaping @Sendable (UInt64) -> Void) {
        ranges.acquire(start: offset, end: offset &+ length, isExclusive: false, go)
    }
    func didChange(_ offset: UInt64, _ length: UInt64, _ token: UInt64) { ranges.release(token) }
}

extension BlockGraph {
    /// A job that copies into `top` what the images between it and `base` hold, so that these are needed no more.
    /// `device` is the one that the guest writes by, where `top` is its disk. The header then names `backing`.
    public func streamJob(
        _ settings: BlockJob.Settings, device: BlockDevice?, top: QCow2Node, base: (any BlockNode)?,
        backing: (name: String, format: String)?, tell: @escaping @Sendable (BlockJob, BlockJob.Event) -> Void
    ) throws(BlockError) -> BlockJob {
        let wasReadOnly = top.isReadOnly
        if wasReadOnly { try top.reopen(readOnly: false) }
        let tap = RangeTap()
        device?.add(tap)
        pin(top)
        let size = top.sizeInBytes
        let work = BlockJob.Work(
            run: { job throws(BlockJob.Stop) in
                job.setTotal(size)
                let buffer = AlignedBuffer(count: Int(JobCopier.step))
                var at: UInt64 = 0
                var ignored: BlockError?
                while at < size {
                    try job.checkpoint()
                    let (length, failure) = try Self.stream(at, size, top, base, tap.ranges, buffer)
                    job.advance(length)
                    at += length
                    guard let failure else { continue }
                    _ = try job.judge(failure.status, isRead: failure.isRead, path: top.filename)
                    guard settings.sourceErrors == .ignore else { continue }
                    // What is ignored stays below, so the job fails in the end; the other jobs try again.
                    let operation = failure.isRead ? "read" : "write"
                    ignored = ignored ?? .io(path: top.filename, operation: operation, failure.status)
                    let skipped = min(JobCopier.step - at % JobCopier.step, size - at)
                    job.advance(skipped)
                    at += skipped
                }
                if let ignored { throw .failed(ignored) }
            },
            finish: { [self] _ throws(BlockError) in
                device?.beginDrained()
                defer { device?.endDrained() }
                try top.changeBacking(file: backing?.name, format: backing?.format)
                setBacking(of: top, to: base)
            },
            clean: { [self] _ in
                device?.remove(tap)
                if wasReadOnly { try? top.reopen(readOnly: true) }
                unpin(top)
            })
        return BlockJob(.stream, settings, work, tell: tell)
    }

    /// Copies what is to be copied of the next step's range. How long it was, up to a failure.
    private static func stream(
        _ at: UInt64, _ size: UInt64, _ top: QCow2Node, _ base: (any BlockNode)?, _ ranges: RangeLocks,
        _ buffer: AlignedBuffer
    ) throws(BlockJob.Stop) -> (length: UInt64, failure: (status: Int32, isRead: Bool)?) {
        func run(_ at: UInt64, _ limit: UInt64) throws(BlockJob.Stop) -> (run: JobCopier.Run, isOwn: Bool) {
            do throws(BlockError) {
                let own = try top.extents(offset: at, length: limit, limit: 1).first
                if let own, own.isAllocated || own.isZero && top.backing != nil {
                    return (JobCopier.Run(length: own.length, isPresent: true, isZero: own.isZero), true)
                }
                let most = min(limit, own?.length ?? limit)
                return (try JobCopier.run(of: top, above: base, at: at, limit: most), false)
            } catch { throw .failed(error) }
        }
        // A long range that is nobody's, or the top's own, needs no hold.
        let (first, isOwn) = try run(at, size - at)
        if isOwn || !first.isPresent || (first.isZero && base == nil) { return (first.length, nil) }
        let end = min(size, (at / JobCopier.step + 1) * JobCopier.step)
        let ticket = ranges.acquireAndWait(start: at, end: end, isExclusive: true)
        defer { ranges.release(ticket) }
        var place = at
        while place < end {
            let (now, isOwn) = try run(place, end - place)
            let length = min(now.length, end - place, UInt64(buffer.count))
            if !isOwn && now.isPresent {
                let found = copyUp(top, place, length, now.isZero, buffer)
                if found.status != 0 { return (place - at, found) }
            }
            place += length
        }
        return (end - at, nil)
    }

    private static func copyUp(
        _ top: QCow2Node, _ offset: UInt64, _ length: UInt64, _ isZero: Bool, _ buffer: AlignedBuffer
    ) -> (status: Int32, isRead: Bool) {
        if isZero {
            return (top.performAndWait(.writeZeroes(mayUnmap: false), offset: offset, length: length), false)
        }
        // SAFETY: the buffer has as many bytes, and lives until the request ends.
        let segment = unsafe [BlockSegment(pointer: buffer.base, count: Int(length))]
        let status = top.readAndWait(at: offset, into: segment)
        if status != 0 { return (status, true) }
        return (top.writeAndWait(at: offset, from: segment), false)
    }

    /// A job that writes into `base` what the images from `top` down to it hold, none of which a guest writes to, and
    /// takes them out of the chain: the image above `top` then lies on `base`, and its header says `backing`.
    public func commitJob(
        _ settings: BlockJob.Settings, top: any BlockNode, base: any BlockNode, sink: BlockDevice? = nil,
        overlay: QCow2Node, device: BlockDevice?, backing: (name: String, format: String),
        tell: @escaping @Sendable (BlockJob, BlockJob.Event) -> Void
    ) throws(BlockError) -> BlockJob {
        guard let target = base as? any Reopenable else { throw .readOnly(path: base.filename) }
        let wasReadOnly = base.isReadOnly
        if wasReadOnly { try target.reopen(readOnly: false) }
        pin(base)
        pin(top)
        let size = top.sizeInBytes
        let work = BlockJob.Work(
            run: { job throws(BlockJob.Stop) in
                do throws(BlockError) { try Self.grow(base, to: size) } catch { throw .failed(error) }
                job.setTotal(size)
                let copier = JobCopier(source: top, target: base, sink: sink)
                let buffer = AlignedBuffer(count: Int(JobCopier.step))
                var at: UInt64 = 0
                while at < size {
                    try job.checkpoint()
                    let run: JobCopier.Run
                    do throws(BlockError) {
                        run = try JobCopier.run(of: top, above: base, at: at, limit: size - at)
                    } catch { throw .failed(error) }
                    let length = run.isPresent && !run.isZero ? min(run.length, JobCopier.step) : run.length
                    while run.isPresent {
                        let (status, isRead) = copier.copy(at, length, buffer)
                        if status == 0 { break }
                        _ = try job.judge(status, isRead: isRead, path: isRead ? top.filename : base.filename)
                    }
                    job.advance(length)
                    at += length
                }
                let status = base.performAndWait(.flush)
                guard status == 0 else {
                    throw .failed(.io(path: base.filename, operation: "flush", status))
                }
            },
            finish: { [self] _ throws(BlockError) in
                device?.beginDrained()
                defer { device?.endDrained() }
                let isSealed = overlay.isReadOnly
                if isSealed { try overlay.reopen(readOnly: false) }
                try overlay.changeBacking(file: backing.name, format: backing.format)
                if isSealed { try overlay.reopen(readOnly: true) }
                setBacking(of: overlay, to: base)
            },
            clean: { [self] _ in
                if wasReadOnly { try? target.reopen(readOnly: true) }
                unpin(top)
                unpin(base)
            })
        return BlockJob(.commit, settings, work, tell: tell)
    }

    /// Makes an image as long as what is to be written into it.
    static func grow(_ node: any BlockNode, to size: UInt64) throws(BlockError) {
        guard node.sizeInBytes < size else { return }
        guard let node = node as? any Resizable else { throw .invalidSize(path: node.filename, size: size) }
        try node.resize(to: size, preallocation: .off)
    }
}
