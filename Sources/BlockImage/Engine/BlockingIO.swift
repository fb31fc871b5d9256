internal import CLinux
internal import HostOS
internal import Synchronization

/// Requests that the calling thread waits for: metadata and copies of a format. Only on threads that may block.
extension BlockBackend {
    /// Submits the request and sleeps until it is done.
    public func carryOut(_ request: BlockRequest) -> Int32 { submitAndWait(request) }

    func submitAndWait(_ request: BlockRequest) -> Int32 {
        let answer = BlockingAnswer()
        var inner = request
        inner.completion = { answer.give($0) }
        submit(inner)
        return answer.wait()
    }

    /// Carries out one request; 0 or an `errno` value. The segments' memory must outlive the call.
    public func performAndWait(
        _ operation: BlockRequest.Operation, offset: UInt64 = 0, length: UInt64 = 0, segments: [BlockSegment] = []
    ) -> Int32 {
        carryOut(
            BlockRequest(operation: operation, offset: offset, length: length, segments: segments) { _ in })
    }

    /// Fills the segments from the disk.
    public func readAndWait(at offset: UInt64, into segments: [BlockSegment]) -> Int32 {
        performAndWait(
            .read, offset: offset, length: segments.reduce(0) { $0 + UInt64($1.count) }, segments: segments)
    }

    /// Stores the segments to the disk.
    public func writeAndWait(at offset: UInt64, from segments: [BlockSegment]) -> Int32 {
        performAndWait(
            .write, offset: offset, length: segments.reduce(0) { $0 + UInt64($1.count) }, segments: segments)
    }

    /// Reads bytes.
    public func bytesAndWait(at offset: UInt64, count: Int) -> (status: Int32, bytes: [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: count)
        guard count > 0 else { return (0, bytes) }
        // SAFETY: the array outlives the wait.
        let status = unsafe bytes.withUnsafeMutableBytes {
            unsafe readAndWait(at: offset, into: [BlockSegment(pointer: $0.baseAddress!, count: count)])
        }
        return (status, bytes)
    }

    /// Writes bytes.
    public func writeAndWait(at offset: UInt64, bytes: [UInt8]) -> Int32 {
        guard !bytes.isEmpty else { return 0 }
        // SAFETY: the array outlives the wait; a write only reads it.
        return unsafe bytes.withUnsafeBytes {
            let base = unsafe UnsafeMutableRawPointer(mutating: $0.baseAddress!)
            return unsafe writeAndWait(at: offset, from: [BlockSegment(pointer: base, count: $0.count)])
        }
    }
}

final class BlockingAnswer: Sendable {
    private let status = Mutex<Int32?>(nil)
    private let bell = Bell()

    func give(_ value: Int32) {
        status.withLock { $0 = value }
        bell.ring()
    }

    func wait() -> Int32 {
        while true {
            if let value = status.withLock({ $0 }) { return value }
            bell.wait(nanoseconds: nil)
        }
    }
}

extension BlockNode {
    /// Bytes of the file under a format, or an error: also when they lie behind its end. Blocks.
    func metadataBytes(_ what: String, at offset: UInt64, count: Int) throws(BlockError) -> [UInt8] {
        let available = sizeInBytes
        guard offset <= available, UInt64(count) <= available - offset else {
            throw .invalidImage(path: filename, reason: "The \(what) at \(offset) ends behind the file")
        }
        let (status, bytes) = bytesAndWait(at: offset, count: count)
        guard status == 0 else { throw .io(path: filename, operation: "read the \(what) of", status) }
        return bytes
    }

    /// Writes bytes, or throws. Blocks.
    func put(_ bytes: [UInt8], at offset: UInt64) throws(BlockError) {
        let status = writeAndWait(at: offset, bytes: bytes)
        guard status == 0 else { throw .io(path: filename, operation: "write", status) }
    }

    /// Makes what was written durable, or throws. Blocks.
    func flushAndWait() throws(BlockError) {
        let status = performAndWait(.flush)
        guard status == 0 else { throw .io(path: filename, operation: "flush", status) }
    }
}
