internal import BlockImage

// Figures of devices, as monitors show them.
extension Storage {
    /// What a node's own file takes of the host's storage.
    static func allocated(_ node: any BlockNode) -> UInt64? {
        var node: any BlockNode = node
        while let file = node.children.first(where: { $0.role == "file" })?.node { node = file }
        return (node as? any SparseMappable).flatMap { try? $0.allocatedBytes() }
    }

    /// Counters of a device.
    static func statistics(_ device: BlockDevice) -> BlockDeviceStatus.Statistics {
        let counts = device.statistics
        var result = BlockDeviceStatus.Statistics()
        result.reads = counts.read.operations
        result.writes = counts.write.operations
        result.flushes = counts.flush.operations
        result.discards = counts.unmap.operations
        result.readBytes = counts.read.bytes
        result.writtenBytes = counts.write.bytes
        result.discardedBytes = counts.unmap.bytes
        result.readTime = counts.read.nanoseconds
        result.writeTime = counts.write.nanoseconds
        result.flushTime = counts.flush.nanoseconds
        result.discardTime = counts.unmap.nanoseconds
        result.failedReads = counts.read.failed
        result.failedWrites = counts.write.failed
        result.failedFlushes = counts.flush.failed
        return result
    }

    /// How its last failure left a device.
    static func health(_ device: BlockDevice) -> BlockDeviceStatus.Health? {
        switch device.health {
        case .ok?: .ok
        case .failed?: .failed
        case .noSpace?: .noSpace
        case nil: nil
        }
    }
}
