/// Feature bits that are not a device type's own. virtio 1.2, chapter 6, and 6.3 for the legacy ones.
public enum VirtioFeature {
    /// Legacy: any layout of descriptors.
    public static let anyLayout: UInt64 = 1 << 27
    /// Indirect descriptors.
    public static let indirect: UInt64 = 1 << 28
    /// used_event and avail_event.
    public static let eventIndex: UInt64 = 1 << 29
    /// Not a legacy driver.
    public static let version1: UInt64 = 1 << 32
    /// Packed rings.
    public static let packedRing: UInt64 = 1 << 34
    /// The bits that transports and rings own.
    static let reserved: UInt64 = anyLayout | indirect | eventIndex | version1 | packedRing
}

/// What rings a transport offers: properties that each virtio device has.
public struct VirtioRingOptions: Equatable, Sendable {
    /// `indirect_desc`.
    public var hasIndirect: Bool
    /// `event_idx`.
    public var hasEventIndex: Bool
    /// `packed`.
    public var isPacked: Bool

    /// The defaults are QEMU's.
    public init(hasIndirect: Bool = true, hasEventIndex: Bool = true, isPacked: Bool = false) {
        self.hasIndirect = hasIndirect
        self.hasEventIndex = hasEventIndex
        self.isPacked = isPacked
    }

    var features: UInt64 {
        (hasIndirect ? VirtioFeature.indirect : 0) | (hasEventIndex ? VirtioFeature.eventIndex : 0)
            | (isPacked ? VirtioFeature.packedRing : 0)
    }
}

/// Bits of the device status. virtio 1.2, 2.1.
public enum VirtioStatus {
    /// The guest has seen the device.
    public static let acknowledge: UInt8 = 1
    /// The guest has a driver for it.
    public static let driver: UInt8 = 2
    /// The driver is ready: the device works.
    public static let driverOK: UInt8 = 4
    /// Features are agreed on.
    public static let featuresOK: UInt8 = 8
    /// The device has given up until it is reset.
    public static let needsReset: UInt8 = 64
    /// The driver has given up.
    public static let failed: UInt8 = 128
}

/// What a type of device is called on its transports. virtio 1.2, chapter 5 and 4.1.2.
public struct VirtioDeviceKind: Equatable, Sendable {
    /// The virtio device id, 1 to 63.
    public let id: UInt16
    /// The PCI device id of its transitional form; nil where it has none.
    public let transitionalID: UInt16?
    /// The PCI class code.
    public let classCode: UInt32
    /// As QEMU names the device: `virtio-blk`.
    public let name: String

    /// 5.1.
    public static let net = VirtioDeviceKind(id: 1, transitionalID: 0x1000, classCode: 0x020000, name: "virtio-net")
    /// 5.2.
    public static let block = VirtioDeviceKind(id: 2, transitionalID: 0x1001, classCode: 0x010000, name: "virtio-blk")
    /// 5.3.
    public static let console = VirtioDeviceKind(
        id: 3, transitionalID: 0x1003, classCode: 0x078000, name: "virtio-serial")
    /// 5.4.
    public static let entropy = VirtioDeviceKind(id: 4, transitionalID: 0x1005, classCode: 0x00FF00, name: "virtio-rng")
    /// 5.5.
    public static let balloon = VirtioDeviceKind(
        id: 5, transitionalID: 0x1002, classCode: 0x00FF00, name: "virtio-balloon")

    /// 5.6.
    public static let scsi = VirtioDeviceKind(id: 8, transitionalID: 0x1004, classCode: 0x010000, name: "virtio-scsi")
    /// Linux's `virtio_ids.h`; the class is QEMU's.
    public static let share = VirtioDeviceKind(id: 9, transitionalID: 0x1009, classCode: 0x000200, name: "virtio-9p")

    /// A type of device.
    public init(id: UInt16, transitionalID: UInt16?, classCode: UInt32, name: String) {
        self.id = id
        self.transitionalID = transitionalID
        self.classCode = classCode
        self.name = name
    }
}
