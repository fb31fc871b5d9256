internal import BlockImage

extension VirtioBlock {
    /// What `-device virtio-blk-…` may set.
    public struct Properties: Equatable, Sendable {
        /// `serial`: what GET_ID answers; 20 bytes of it count.
        public var serial: String
        /// `num-queues`, 1 to 64.
        public var queueCount: Int
        /// `queue-size`: a power of two, 2 to 1024.
        public var queueSize: UInt16
        /// `logical_block_size`; nil for the back-end's.
        public var logicalBlockSize: Int?
        /// `physical_block_size`; nil for the logical one.
        public var physicalBlockSize: Int?
        /// `min_io_size` in bytes, 0 for unknown.
        public var minimumIOSize: Int
        /// `opt_io_size` in bytes, 0 for unknown.
        public var optimalIOSize: Int
        /// `write-cache`: whether writes may wait in caches until a flush.
        public var writeCache: Bool
        /// `config-wce`: whether the driver may change that.
        public var configuresWriteCache: Bool
        /// `discard`.
        public var hasDiscard: Bool
        /// `write-zeroes`.
        public var hasWriteZeroes: Bool

        /// The defaults are QEMU's, for one processor.
        public init(
            serial: String = "", queueCount: Int = 1, queueSize: UInt16 = 256, logicalBlockSize: Int? = nil,
            physicalBlockSize: Int? = nil, minimumIOSize: Int = 0, optimalIOSize: Int = 0, writeCache: Bool = true,
            configuresWriteCache: Bool = true, hasDiscard: Bool = true, hasWriteZeroes: Bool = true
        ) {
            self.serial = serial
            self.queueCount = min(max(queueCount, 1), 64)
            self.queueSize = queueSize >= 2 && queueSize <= 1024 && queueSize & (queueSize - 1) == 0 ? queueSize : 256
            self.logicalBlockSize = logicalBlockSize
            self.physicalBlockSize = physicalBlockSize
            self.minimumIOSize = minimumIOSize
            self.optimalIOSize = optimalIOSize
            self.writeCache = writeCache
            self.configuresWriteCache = configuresWriteCache
            self.hasDiscard = hasDiscard
            self.hasWriteZeroes = hasWriteZeroes
        }
    }

    /// Feature bits. virtio 1.2, 5.2.3.
    enum Feature {
        static let segmentMax: UInt64 = 1 << 2
        static let geometry: UInt64 = 1 << 4
        static let readOnly: UInt64 = 1 << 5
        static let blockSize: UInt64 = 1 << 6
        static let flush: UInt64 = 1 << 9
        static let topology: UInt64 = 1 << 10
        static let configuresWriteCache: UInt64 = 1 << 11
        static let multiQueue: UInt64 = 1 << 12
        static let discard: UInt64 = 1 << 13
        static let writeZeroes: UInt64 = 1 << 14
    }

    /// The unit of the protocol, whatever the block size.
    static let sectorSize: UInt64 = 512
    /// The most sectors of one discard or write of zeroes.
    static let mostSectors: UInt32 = 0x3F_FFFF
    /// Where the write-cache mode is in the configuration.
    static let writeCacheOffset = 32

    /// The configuration's bytes. virtio 1.2, 5.2.4.
    static func configuration(
        _ properties: Properties, _ backend: any BlockBackend, blockSize: Int, writeCache: Bool
    ) -> [UInt8] {
        let size = backend.sizeInBytes
        var bytes: [UInt8] = []
        VirtioConfiguration.append(&bytes, size / sectorSize)
        VirtioConfiguration.append(&bytes, UInt32(0))
        // Two descriptors of a chain are the header's and the status's.
        VirtioConfiguration.append(&bytes, UInt32(max(properties.queueSize, 3) - 2))
        VirtioConfiguration.append(&bytes, UInt16(min(size / sectorSize / (16 * 63), 16383)))
        VirtioConfiguration.append(&bytes, UInt8(16))
        VirtioConfiguration.append(&bytes, UInt8(63))
        VirtioConfiguration.append(&bytes, UInt32(blockSize))
        let physical = max(properties.physicalBlockSize ?? blockSize, blockSize)
        VirtioConfiguration.append(
            &bytes, UInt8((physical / blockSize).bitWidth - 1 - (physical / blockSize).leadingZeroBitCount))
        VirtioConfiguration.append(&bytes, UInt8(0))
        VirtioConfiguration.append(&bytes, UInt16(clamping: properties.minimumIOSize / blockSize))
        VirtioConfiguration.append(&bytes, UInt32(clamping: properties.optimalIOSize / blockSize))
        VirtioConfiguration.append(&bytes, UInt8(writeCache ? 1 : 0))
        VirtioConfiguration.append(&bytes, UInt8(0))
        VirtioConfiguration.append(&bytes, UInt16(properties.queueCount))
        VirtioConfiguration.append(&bytes, properties.hasDiscard ? mostSectors : 0)
        VirtioConfiguration.append(&bytes, UInt32(properties.hasDiscard ? 1 : 0))
        VirtioConfiguration.append(&bytes, UInt32(UInt64(blockSize) / sectorSize))
        VirtioConfiguration.append(&bytes, properties.hasWriteZeroes ? mostSectors : 0)
        VirtioConfiguration.append(&bytes, UInt32(properties.hasWriteZeroes ? 1 : 0))
        VirtioConfiguration.append(&bytes, UInt32(1))
        return bytes
    }
}
