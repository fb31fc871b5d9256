internal import CLinux
internal import Synchronization

/// A device or an export, whose size is fixed and whose content is old, as the file of an image that is being made: it
/// begins empty, and what it grows by reads as zeroes, as a file's would.
final class FixedSizeFile: Resizable {
    var nodeName: String { node.nodeName }
    var driverName: String { node.driverName }
    var filename: String { node.filename }
    var children: [BlockChild] { node.children }
    var isReadOnly: Bool { node.isReadOnly }
    var logicalBlockSize: Int { node.logicalBlockSize }
    var growsWithZeroes: Bool { true }
    /// What has been written or asked for so far.
    var sizeInBytes: UInt64 { length.withLock { $0 } }

    private let node: any Resizable
    private let length = Mutex<UInt64>(0)

    init(_ node: any Resizable) { self.node = node }

    func resize(to size: UInt64, preallocation: Preallocation) throws(BlockError) {
        if size > node.sizeInBytes {
            guard !(node is NBDNode) else { throw .message("Cannot grow NBD nodes") }
            try node.resize(to: size, preallocation: preallocation)
        }
        let status = fill(to: size)
        guard status == 0 else { throw .io(path: filename, operation: "fill", status) }
        length.withLock { $0 = size }
    }

    /// Zeroes from the end so far on.
    private func fill(to end: UInt64) -> Int32 {
        let start = sizeInBytes
        guard end > start else { return 0 }
        let status = node.performAndWait(.writeZeroes(mayUnmap: true), offset: start, length: end - start)
        if status == 0 { length.withLock { $0 = max($0, end) } }
        return status
    }

    func submit(_ request: BlockRequest) {
        // Making an image is one step after the other; only its maker comes here.
        node.schedule { [self] in request.completion(carryOut(request)) }
    }

    func carryOut(_ request: BlockRequest) -> Int32 {
        let (end, isTooFar) = request.offset.addingReportingOverflow(request.length)
        guard !isTooFar else { return EINVAL }
        switch request.operation {
        case .flush, .discard: return node.carryOut(request)
        case .read:
            let known = sizeInBytes
            let there = request.offset < known ? min(request.length, known - request.offset) : 0
            request.segments.zero(from: Int(there))
            guard there > 0 else { return 0 }
            return node.readAndWait(at: request.offset, into: request.segments.slice(from: 0, count: Int(there)))
        case .write, .writeZeroes:
            let status = fill(to: request.offset)
            guard status == 0 else { return status }
            let written = node.carryOut(request)
            if written == 0 { length.withLock { $0 = max($0, end) } }
            return written
        }
    }

    func schedule(_ work: @escaping @Sendable () -> Void) { node.schedule(work) }
    func drain() { node.drain() }
    /// Whoever opened the place closes it.
    func close() {}
}

extension Resizable {
    /// This file for a new image, whose content is to be lost.
    public var forNewImage: any Resizable { growsWithZeroes ? self : FixedSizeFile(self) }
}
