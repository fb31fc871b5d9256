internal import CLinux
internal import Synchronization

/// Work on the calling thread.
extension QCow2Node {
    public func carryOut(_ request: BlockRequest) -> Int32 { carryOut(request, placed: nil) }

    /// Stores bytes. `placed` is called when all of their places are found and before they are written: what is written
    /// after that gets places behind theirs. 0 or an `errno` value, then perhaps without a call. Blocks.
    public func write(at offset: UInt64, _ segments: [BlockSegment], placed: () -> Void) -> Int32 {
        let length = UInt64(segments.reduce(0) { $0 + $1.count })
        let request = BlockRequest(operation: .write, offset: offset, length: length, segments: segments) { _ in }
        return withoutActuallyEscaping(placed) { carryOut(request, placed: $0) }
    }

    private func carryOut(_ request: BlockRequest, placed: (() -> Void)?) -> Int32 {
        var request = request
        guard !isClosed.load(ordering: .relaxed) else { return EBADF }
        inFlight.enter()
        defer { inFlight.leave() }
        if let status = policy.apply(to: &request) ?? refusal(of: request) { return status }
        do throws(ImageFailure) {
            if request.operation == .flush {
                try flushTables()
                return 0
            }
            let mask = clusterSize - 1
            let ticket = ranges.acquireAndWait(
                start: request.offset & ~mask, end: (request.offset + request.length + mask) & ~mask,
                isExclusive: request.isModifying)
            defer { ranges.release(ticket) }
            switch request.operation {
            case .flush: break
            case .read: try read(request.offset, request.segments)
            case .write: try write(request.offset, request.segments, placed: placed)
            case .discard: try discard(offset: request.offset, length: request.length)
            case .writeZeroes(let mayUnmap):
                try writeZeroes(offset: request.offset, length: request.length, mayUnmap: mayUnmap)
            }
            if request.forceUnitAccess { try flushTables() }
            return 0
        } catch {
            return error.status
        }
    }

    /// Runs `body` while no other request holds a cluster.
    func alone<Value>(_ body: () throws(BlockError) -> Value) throws(BlockError) -> Value {
        let ticket = ranges.acquireAndWait(start: 0, end: .max, isExclusive: true)
        defer { ranges.release(ticket) }
        return try body()
    }

    /// The error that a failure of the tables is to whoever asked for an operation on the image.
    func blockError(_ failure: ImageFailure, _ operation: String) -> BlockError {
        switch failure {
        case .corrupt(let reason): .invalidImage(path: filename, reason: reason)
        case .io(let status): .io(path: filename, operation: operation, status)
        }
    }
}
