internal import CLinux
internal import Synchronization

/// When a mirror's target has what a guest writes (`copy-mode`).
public enum MirrorCopyMode: String, Sendable, CaseIterable {
    /// Later: what changes is marked, and copied by the job.
    case background
    /// Before the guest is told that its write is done.
    case writeBlocking = "write-blocking"
}

/// What a mirror does with a guest's changes: marks them for the job that copies them again, or makes each at the target
/// too before the guest hears of its end.
final class MirrorTap: ChangeTap {
    let bits: DirtyBits
    let job = Mutex<BlockJob?>(nil)
    private let copier: JobCopier
    /// Keeps a change and a copy of the same bytes apart; nil where changes are only marked.
    private let ranges: RangeLocks?
    private let failure = Mutex<Int32>(0)

    init(_ bits: DirtyBits, _ copier: JobCopier, _ mode: MirrorCopyMode) {
        self.bits = bits
        self.copier = copier
        ranges = mode == .writeBlocking ? RangeLocks() : nil
    }

    /// The error of a write to the target since the last call, or 0.
    func takeFailure() -> Int32 {
        failure.withLock { status in
            defer { status = 0 }
            return status
        }
    }

    /// Runs `body` with no change under way in a range.
    func apart<Value>(_ offset: UInt64, _ length: UInt64, _ body: () -> Value) -> Value {
        let ticket = ranges?.acquireAndWait(start: offset, end: offset &+ length, isExclusive: true)
        defer { if let ticket { ranges?.release(ticket) } }
        return body()
    }

    func willChange(_ offset: UInt64, _ length: UInt64, _ go: @escaping @Sendable (UInt64) -> Void) {
        guard let ranges else { return go(0) }
        // Two changes of the same bytes must end alike on both disks.
        ranges.acquire(start: offset, end: offset &+ length, isExclusive: true, go)
    }

    func request(for request: BlockRequest) -> BlockRequest {
        guard ranges != nil else { return request }
        var inner = request
        guard request.operation == .write else {
            inner.completion = { [self] status in
                guard status == 0 else { return settle(request, status, 0) }
                copier.source.schedule { [self] in copyBack(request) }
            }
            return inner
        }
        // The guest may change its memory meanwhile, and both disks must have the same.
        let buffer = AlignedBuffer(count: Int(request.length))
        // SAFETY: the buffer has the length of the segments.
        unsafe request.segments.copy(to: buffer.base)
        // SAFETY: the completions keep the buffer.
        inner.segments = unsafe [BlockSegment(pointer: buffer.base, count: buffer.count)]
        let segments = inner.segments
        inner.completion = { [self, buffer] status in
            guard status == 0 else { return settle(request, status, 0) }
            let copy = BlockRequest(
                operation: .write, offset: request.offset, length: request.length, segments: segments,
                forceUnitAccess: request.forceUnitAccess
            ) { [self, buffer] in
                withExtendedLifetime(buffer) {}
                settle(request, 0, $0)
            }
            copier.sink.submit(copy)
        }
        return inner
    }

    /// Makes the target show what the source shows since zeroes were written or a range was discarded.
    private func copyBack(_ request: BlockRequest) {
        let buffer = AlignedBuffer(count: Int(min(JobCopier.step, max(request.length, 512))))
        let (status, _) = copier.copy(request.offset, request.length, buffer)
        settle(request, 0, status)
    }

    private func settle(_ request: BlockRequest, _ status: Int32, _ copied: Int32) {
        if status != 0 || copied != 0 {
            // Nobody knows what either holds there.
            bits.set(request.offset, request.length)
            if copied != 0 { failure.withLock { if $0 == 0 { $0 = copied } } }
            job.withLock { $0 }?.nudge()
        } else {
            let mask = bits.granularity - 1
            let (first, last) = ((request.offset &+ mask) & ~mask, (request.offset &+ request.length) & ~mask)
            if last > first { bits.clear(first, last - first) }
        }
        request.completion(status)
    }

    func didChange(_ offset: UInt64, _ length: UInt64, _ token: UInt64) {
        if let ranges { return ranges.release(token) }
        bits.set(offset, length)
        job.withLock { $0 }?.nudge()
    }
}
