internal import BlockImage
internal import HostOS
internal import Synchronization

/// The image behind a `usb-storage`: whole pieces of bytes in and out, whose errors may stop the machine.
final class USBDisk: Sendable {
    private let image: PatientBackend

    init(_ backend: any BlockBackend) { image = PatientBackend(backend) {} }

    /// Whether a request waits for the machine to go on.
    var isHeld: Bool { image.heldCount > 0 }
    func retry() { image.retry() }
    func cancel() { image.cancel() }

    /// Memory of a request, for as long as it is under way.
    @safe private final class Piece: @unchecked Sendable {
        // Whoever has the request in hand (the submitter, the image, the completion) uses the memory, one at a time.
        private let memory: UnsafeMutableRawPointer
        private let count: Int
        init(count: Int) {
            self.count = count
            unsafe memory = .allocate(byteCount: max(count, 1), alignment: 4096)
        }
        convenience init(_ bytes: [UInt8]) {
            self.init(count: bytes.count)
            // SAFETY: the memory holds as many bytes.
            unsafe UnsafeMutableRawBufferPointer(start: memory, count: count).copyBytes(from: bytes)
        }
        deinit { unsafe memory.deallocate() }
        var segment: BlockSegment { unsafe BlockSegment(pointer: memory, count: count) }
        // SAFETY: as above.
        var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: memory, count: count)) }
    }

    /// Does a piece of work. `finish` is called once, from any thread, with its bytes, or nil where it failed.
    func perform(_ work: USBDiskWork, _ finish: @escaping @Sendable ([UInt8]?) -> Void) {
        switch work {
        case .read(let offset, let count):
            let piece = Piece(count: count)
            image.submit(
                BlockRequest(operation: .read, offset: offset, length: UInt64(count), segments: [piece.segment]) {
                    error in
                    finish(error == 0 ? piece.bytes : nil)
                })
        case .write(let offset, let bytes, let isForced):
            let piece = Piece(bytes)
            image.submit(
                BlockRequest(
                    operation: .write, offset: offset, length: UInt64(bytes.count), segments: [piece.segment],
                    forceUnitAccess: isForced
                ) { error in
                    // The piece lives as long as this.
                    _ = piece
                    finish(error == 0 ? [] : nil)
                })
        case .flush: image.submit(BlockRequest(operation: .flush) { finish($0 == 0 ? [] : nil) })
        case .discard(let offset, let length):
            // What cannot be discarded stays as it is.
            image.submit(BlockRequest(operation: .discard, offset: offset, length: length) { _ in finish([]) })
        case .zero(let offset, let length, let unmaps):
            image.submit(
                BlockRequest(operation: .writeZeroes(mayUnmap: unmaps), offset: offset, length: length) {
                    finish($0 == 0 ? [] : nil)
                })
        }
    }
}
