internal import CLinux

/// A disk that is not there (`null-co`, `null-aio`): writes vanish, reads give zeroes or leave memory as it is.
/// For measuring what is above.
public final class NullNode: BlockNode {
    public let nodeName: String
    public let driverName: String
    public let sizeInBytes: UInt64
    public let isReadOnly: Bool
    public var filename: String { "\(driverName)://" }
    public var logicalBlockSize: Int { 512 }
    public var children: [BlockChild] { [] }

    private let readsZeroes: Bool
    private let latency: UInt64
    let usualPolicy: NodePolicy
    private var policy: RequestPolicy { usualPolicy.now }
    private let pool: WorkerPool
    private let inFlight = InFlight()

    /// A disk of `size` bytes whose requests take `latency` nanoseconds. With `readsZeroes`, reads fill memory.
    public init(
        driverName: String = "null-co", nodeName: String, size: UInt64 = 1 << 30, latency: UInt64 = 0,
        readsZeroes: Bool = false, options: NodeOptions = NodeOptions()
    ) {
        self.driverName = driverName
        self.nodeName = nodeName
        sizeInBytes = size / 512 * 512
        self.latency = min(latency, 60_000_000_000)
        self.readsZeroes = readsZeroes
        isReadOnly = options.readOnly
        usualPolicy = NodePolicy(options, readOnly: options.readOnly)
        pool = WorkerPool(name: "block-null", maximum: latency == 0 ? 1 : 64)
    }

    public func submit(_ request: BlockRequest) {
        inFlight.enter()
        pool.submit { [self] in
            var inner = request
            let status = policy.apply(to: &inner) ?? 0
            if latency > 0 {
                var time = timespec(tv_sec: Int(latency / 1_000_000_000), tv_nsec: Int(latency % 1_000_000_000))
                // SAFETY: the structure outlives the call.
                unsafe nanosleep(&time, nil)
            }
            if status == 0 && readsZeroes && request.operation == .read { request.segments.zero(from: 0) }
            request.completion(status)
            inFlight.leave()
        }
    }

    public func schedule(_ work: @escaping @Sendable () -> Void) { pool.submit(work) }
    public func drain() { inFlight.waitUntilIdle() }

    public func close() {
        drain()
        pool.close()
    }
}

extension NullNode: SparseMappable {
    public func extents(offset: UInt64, length: UInt64, limit: Int) throws(BlockError) -> [BlockExtent] {
        guard offset < sizeInBytes, length > 0 else { return [] }
        let count = min(length, sizeInBytes - offset)
        return [
            BlockExtent(offset: offset, length: count, isAllocated: true, isZero: readsZeroes, hostOffset: offset)
        ]
    }

    public func allocatedBytes() throws(BlockError) -> UInt64 { 0 }
}
