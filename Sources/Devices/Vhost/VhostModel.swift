internal import Synchronization
public import VirtQueue

/// What a device with a back-end is to its guest: everything but the back-end itself.
public struct VhostModel: Sendable {
    /// Where the configuration comes from.
    public enum Configuration: Sendable {
        /// This process.
        case own([UInt8])
        /// The back-end, so many bytes, into which a queue count may be written.
        case backend(count: Int, patch: @Sendable (inout [UInt8]) -> Void)

        var count: Int {
            switch self {
            case .own(let bytes): bytes.count
            case .backend(let count, _): count
            }
        }
    }

    /// The type of device.
    public var kind: VirtioDeviceKind
    /// The largest size of each queue.
    public var queueSizes: [UInt16]
    /// Features that the guest has where the back-end has them.
    public var shared: UInt64
    /// Features that this process gives the guest.
    public var own: UInt64 = 0
    /// The configuration.
    public var configuration: Configuration
    /// How many queues are the back-end's, the first ones, when these features were agreed on.
    public var relayedCount: @Sendable (_ features: UInt64) -> Int
    /// Whether a queue's buffers wait until something comes from the back-end.
    public var isReceiving: @Sendable (_ queue: Int) -> Bool = { _ in false }
    /// What a buffer is returned with that no back-end will see: bytes written.
    public var fail: @Sendable (DescriptorChain) -> Int = { _ in 0 }
    /// What answers the queue after those of the back-end, where there is one: bytes written.
    public var answer: (@Sendable (DescriptorChain) -> Answer)?
    /// Whether the state of the machine can be saved with it; a back-end that has state of its own cannot go along.
    public var isMigratable = true
    /// Whether the configuration says that there is a link (`virtio_net_config.status` at byte 6), which falls with
    /// the back-end.
    public var hasLink = false
    /// Whether a driver hears of a machine that went on elsewhere, by the event queue.
    public var hasTransportReset = false

    /// What a buffer of the local queue comes to.
    public enum Answer: Sendable {
        /// It goes back with so many bytes written.
        case done(Int)
        /// So many pairs of queues are to be in use from now on, then it goes back.
        case pairs(Int, written: Int)
        /// The card has another hardware address from now on, and it goes back.
        case address([UInt8], written: Int)
        /// It stays until there is something to say.
        case kept
    }

    /// A device of a type.
    public init(
        _ kind: VirtioDeviceKind, queueSizes: [UInt16], shared: UInt64, configuration: Configuration,
        relayedCount: @escaping @Sendable (_ features: UInt64) -> Int
    ) {
        self.kind = kind
        self.queueSizes = queueSizes
        self.shared = shared
        self.configuration = configuration
        self.relayedCount = relayedCount
    }
}

extension VirtioDeviceKind {
    /// 5.10; it came after the legacy interface. Class and name are QEMU's.
    public static let socket = VirtioDeviceKind(id: 19, transitionalID: nil, classCode: 0x078000, name: "virtio-vsock")
    /// 5.11, likewise.
    public static let fileSystem = VirtioDeviceKind(
        id: 26, transitionalID: nil, classCode: 0x018000, name: "vhost-user-fs")
}

extension VhostModel {
    /// A file system under a name of 1 to 36 bytes: virtio 1.2, 5.11. One queue for requests that overtake, and so many
    /// for the others.
    public static func fileSystem(tag: String, queueCount: Int, queueSize: UInt16) -> VhostModel {
        let name = Array(tag.utf8.prefix(mostTagBytes))
        var bytes = name + [UInt8](repeating: 0, count: mostTagBytes - name.count)
        VirtioConfiguration.append(&bytes, UInt32(queueCount))
        let count = queueCount + 1
        var model = VhostModel(
            .fileSystem, queueSizes: [UInt16](repeating: queueSize, count: count), shared: 0,
            configuration: .own(bytes), relayedCount: { _ in count })
        // What is open is in the back-end, which has no way to hand it over.
        model.isMigratable = false
        return model
    }
    /// The longest name of a file system.
    public static let mostTagBytes = 36

    /// A disk: virtio 1.2, 5.2.
    public static func block(queueCount: Int, queueSize: UInt16, writeCacheControl: Bool) -> VhostModel {
        // SIZE_MAX, SEG_MAX, GEOMETRY, RO, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE, MQ, DISCARD, WRITE_ZEROES.
        let features: [UInt64] = [1, 2, 4, 5, 6, 9, 10, 11, 12, 13, 14]
        var shared = features.reduce(UInt64(0)) { $0 | UInt64(1) << $1 }
        if !writeCacheControl { shared &= ~(UInt64(1) << 11) }
        if queueCount == 1 { shared &= ~(UInt64(1) << 12) }
        var model = VhostModel(
            .block, queueSizes: [UInt16](repeating: queueSize, count: queueCount), shared: shared,
            configuration: .backend(count: 60) { bytes in
                // num_queues (5.2.4).
                VirtioConfiguration.write(&bytes, offset: 34, size: 2, value: UInt32(queueCount))
            }, relayedCount: { _ in queueCount })
        // VIRTIO_BLK_S_IOERR in the last byte.
        model.fail = { chain in
            guard chain.writableCount > 0 else { return 0 }
            chain.store(at: chain.writableCount - 1, UInt8(1))
            return chain.writableCount
        }
        return model
    }

    /// Sockets between guest and host: virtio 1.2, 5.10. The queue of events is answered here. The guest's number is the
    /// back-end's to tell, unless it is given.
    public static func socket(guest: UInt64? = nil) -> VhostModel {
        var configuration = Configuration.backend(count: 8) { _ in }
        if let guest { configuration = .own((0..<8).map { UInt8(truncatingIfNeeded: guest >> UInt64($0 * 8)) }) }
        var model = VhostModel(
            .socket, queueSizes: [128, 128, 128], shared: 1 << 1, configuration: configuration,
            relayedCount: { _ in 2 })
        model.isReceiving = { $0 == 0 }
        model.answer = { _ in .kept }
        model.hasTransportReset = true
        return model
    }
}
