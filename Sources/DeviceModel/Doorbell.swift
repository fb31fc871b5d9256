/// A write of the guest that rings an eventfd, without its processor waiting for the device.
public struct Doorbell: Equatable, Sendable {
    /// Which addresses are meant.
    public enum Space: Sendable {
        /// I/O ports.
        case io
        /// Device memory.
        case memory
    }
    /// The bus.
    public var space: Space
    /// First address of the write.
    public var address: UInt64
    /// 1, 2, 4 or 8 bytes; 0 for a write of any size.
    public var size: UInt32
    /// Only writes of this value ring; nil for all.
    public var value: UInt64?
    /// The eventfd, which the device keeps open while the doorbell hangs.
    public var descriptor: Int32

    /// A doorbell of all parts.
    public init(space: Space, address: UInt64, size: UInt32, value: UInt64? = nil, descriptor: Int32) {
        self.space = space
        self.address = address
        self.size = size
        self.value = value
        self.descriptor = descriptor
    }
}

/// Who can turn writes of guests into rings of eventfds: an engine over KVM. Any thread.
public protocol DoorbellHost: AnyObject, Sendable {
    /// Hangs a doorbell up. False where that is not possible: the device then sees the write itself.
    func attach(_ doorbell: Doorbell) -> Bool
    /// Takes it down.
    func detach(_ doorbell: Doorbell)
}

/// A doorbell in a window of a PCI function.
public struct PCIDoorbell: Equatable, Sendable {
    /// The window's register, 0 to 5.
    public var bar: Int
    /// Offset in the window.
    public var offset: UInt64
    /// 1, 2, 4 or 8 bytes; 0 for a write of any size.
    public var size: UInt32
    /// Only writes of this value ring; nil for all.
    public var value: UInt64?
    /// The eventfd, which the device keeps open while the doorbell hangs.
    public var descriptor: Int32

    /// A doorbell of all parts.
    public init(bar: Int, offset: UInt64, size: UInt32, value: UInt64? = nil, descriptor: Int32) {
        self.bar = bar
        self.offset = offset
        self.size = size
        self.value = value
        self.descriptor = descriptor
    }
}
