import BlockImage
import Synchronization

/// An image as a device sees it whose errors may stop the machine: what fails then is kept, and done again when the
/// machine goes on. The device hears of success, of what is to pass for it, and of errors that the guest is to see.
final class PatientBackend: BatchingBackend {
    private let image: any BlockBackend
    private let batching: (any BatchingBackend)?
    private let held = Mutex<[BlockRequest]>([])
    /// Called when a request is kept: whoever waits for the end of requests may look again. With no lock held.
    private let onHold: @Sendable () -> Void

    /// The image behind it, and what to call when a request is kept.
    init(_ image: any BlockBackend, onHold: @escaping @Sendable () -> Void) {
        self.image = image
        self.onHold = onHold
        batching = image as? any BatchingBackend
    }

    var sizeInBytes: UInt64 { image.sizeInBytes }
    var isReadOnly: Bool { image.isReadOnly }
    var logicalBlockSize: Int { image.logicalBlockSize }
    func carryOut(_ request: BlockRequest) -> Int32 { image.carryOut(request) }
    func judge(_ error: Int32, isWrite: Bool) -> BlockErrorAction { image.judge(error, isWrite: isWrite) }
    func observeSize(_ observer: (@Sendable () -> Void)?) { image.observeSize(observer) }
    func beginBatch() { batching?.beginBatch() }
    func endBatch() { batching?.endBatch() }
    func poll() { batching?.poll() }

    func submit(_ request: BlockRequest) {
        var inner = request
        inner.completion = { [self] status in
            guard status != 0 else { return request.completion(0) }
            switch image.judge(status, isWrite: request.operation != .read) {
            case .report: request.completion(status)
            case .ignore: request.completion(0)
            case .stop:
                held.withLock { $0.append(request) }
                onHold()
            }
        }
        image.submit(inner)
    }

    /// How many requests wait for the machine to go on.
    var heldCount: Int { held.withLock { $0.count } }

    private func takeAll() -> [BlockRequest] {
        held.withLock { held in
            defer { held = [] }
            return held
        }
    }
    /// Does once more what was kept.
    func retry() { for request in takeAll() { submit(request) } }
    /// Ends what was kept with an error: nobody wants it any more.
    func cancel() { for request in takeAll() { request.completion(Self.inputOutputError) } }

    /// EIO.
    private static let inputOutputError: Int32 = 5
}
