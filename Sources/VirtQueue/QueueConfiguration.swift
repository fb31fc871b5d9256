public import GuestMemory

/// What a driver and a transport have agreed on for one queue. virtio 1.2, 2.6 to 2.8.
public struct QueueConfiguration: Equatable, Sendable {
    /// Elements, 1 to 32768; a power of two for split rings.
    public var size: UInt16
    /// The descriptor table (split) or ring (packed).
    public var descriptors: GuestPhysical
    /// The driver area: available ring, or driver event suppression.
    public var driver: GuestPhysical
    /// The device area: used ring, or device event suppression.
    public var device: GuestPhysical
    /// VIRTIO_F_RING_PACKED.
    public var isPacked: Bool
    /// VIRTIO_F_EVENT_IDX.
    public var hasEventIndex: Bool
    /// VIRTIO_F_INDIRECT_DESC.
    public var hasIndirect: Bool

    /// A queue's agreement.
    public init(
        size: UInt16, descriptors: GuestPhysical, driver: GuestPhysical, device: GuestPhysical,
        isPacked: Bool = false, hasEventIndex: Bool = false, hasIndirect: Bool = false
    ) {
        self.size = size
        self.descriptors = descriptors
        self.driver = driver
        self.device = device
        self.isPacked = isPacked
        self.hasEventIndex = hasEventIndex
        self.hasIndirect = hasIndirect
    }

    /// Bytes of the descriptor area.
    var descriptorBytes: Int { Int(size) * 16 }
    /// Bytes of the driver area.
    var driverBytes: Int { isPacked ? 4 : 4 + 2 * Int(size) + (hasEventIndex ? 2 : 0) }
    /// Bytes of the device area.
    var deviceBytes: Int { isPacked ? 4 : 4 + 8 * Int(size) + (hasEventIndex ? 2 : 0) }

    /// Throws where size or alignment is not one of the format's.
    func check() throws(VirtQueueError) {
        guard size > 0, size <= 32768, isPacked || size & (size - 1) == 0 else { throw .badSize(size) }
        guard descriptors.rawValue & 15 == 0 else { throw .misaligned(descriptors) }
        guard driver.rawValue & (isPacked ? 3 : 1) == 0 else { throw .misaligned(driver) }
        guard device.rawValue & 3 == 0 else { throw .misaligned(device) }
    }
}

/// How far a device is in a queue's rings: what a saved state keeps.
public struct QueueProgress: Equatable, Sendable {
    /// Split: the next index to take from the available ring. Packed: the next slot to look at.
    public var available: UInt16
    /// Split: the used index. Packed: the slot of the next used descriptor.
    public var used: UInt16
    /// Packed: the wrap counter of `available`.
    public var availableWrap: Bool
    /// Packed: the wrap counter of `used`.
    public var usedWrap: Bool

    /// Progress; that of a fresh queue by default.
    public init(available: UInt16 = 0, used: UInt16 = 0, availableWrap: Bool = true, usedWrap: Bool = true) {
        self.available = available
        self.used = used
        self.availableWrap = availableWrap
        self.usedWrap = usedWrap
    }
}

/// What a saved state keeps of a queue beside its progress.
public struct QueueStanding: Equatable, Sendable {
    /// Used entries (split) or slots (packed) since the driver was last considered for an interrupt.
    public var unsignalled: Int
    /// The driver gets an interrupt for what comes next, whatever it asked for.
    public var mustSignal: Bool
    /// The queue yields nothing more until the device is reset.
    public var isStopped: Bool

    /// That of a queue of which nothing is known but its progress: the driver may wait for an interrupt.
    public init(unsignalled: Int = 0, mustSignal: Bool = true, isStopped: Bool = false) {
        self.unsignalled = unsignalled
        self.mustSignal = mustSignal
        self.isStopped = isStopped
    }
}

/// A descriptor's layout and bits, the same in both formats but for the last four bytes. virtio 1.2, 2.7.5 and 2.8.
struct Descriptor {
    var address: UInt64
    var count: UInt32
    /// Split: flags. Packed: the buffer id.
    var third: UInt16
    /// Split: the next descriptor. Packed: flags.
    var fourth: UInt16

    static let size = 16
    static let next: UInt16 = 1
    static let write: UInt16 = 2
    static let indirect: UInt16 = 4
    static let packedAvailable: UInt16 = 1 << 7
    static let packedUsed: UInt16 = 1 << 15
}
