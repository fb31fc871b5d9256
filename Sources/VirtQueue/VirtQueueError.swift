public import GuestMemory

/// What is wrong with a ring that a driver has built. The queue stays stopped until the device is reset; the device
/// shows DEVICE_NEEDS_RESET (virtio 1.2, 2.1.1).
public enum VirtQueueError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A part of the ring does not lie in one piece of writable guest memory.
    case ringOutsideMemory(GuestPhysical)
    /// A part of the ring is not aligned as 2.7 or 2.8 demands.
    case misaligned(GuestPhysical)
    /// A size that the format does not have.
    case badSize(UInt16)
    /// The driver's index ran further ahead than the ring is long.
    case indexJump(by: UInt16)
    /// A descriptor number that the table does not have.
    case badDescriptor(UInt16)
    /// More descriptors than a chain can have: a loop.
    case chainTooLong
    /// A buffer without bytes.
    case emptyBuffer(GuestPhysical)
    /// A buffer that does not lie in guest memory of the right kind.
    case badBuffer(GuestPhysical, count: UInt32)
    /// A chain of 4 GiB or more.
    case tooManyBytes
    /// A device-readable buffer after a device-writable one (2.7.4.2).
    case readableAfterWritable
    /// An indirect descriptor where none was negotiated, in an indirect table, or with a successor (2.7.5.3.1).
    case badIndirect
    /// An indirect table whose length is 0 or no multiple of 16.
    case badIndirectTable(count: UInt32)
    /// More buffers outstanding than the ring has room for.
    case tooManyOutstanding
    /// A buffer that its device can make nothing of, or a queue that had stopped before its state was saved.
    case stopped

    public var description: String {
        switch self {
        case .ringOutsideMemory(let address): "Ring at \(address) is not in guest memory"
        case .misaligned(let address): "Ring at \(address) is not aligned"
        case .badSize(let size): "Queue size \(size) is not possible"
        case .indexJump(let count): "Available index ran ahead by \(count)"
        case .badDescriptor(let index): "Descriptor \(index) does not exist"
        case .chainTooLong: "Descriptor chain is longer than the queue"
        case .emptyBuffer(let address): "Buffer at \(address) has no bytes"
        case .badBuffer(let address, let count): "Buffer of \(count) bytes at \(address) is not in guest memory"
        case .tooManyBytes: "Descriptor chain holds 4 GiB or more"
        case .readableAfterWritable: "Readable buffer follows a writable one"
        case .badIndirect: "Indirect descriptor is not allowed here"
        case .badIndirectTable(let count): "Indirect table has \(count) bytes"
        case .tooManyOutstanding: "More buffers are outstanding than the queue has room for"
        case .stopped: "Queue was stopped"
        }
    }
}
