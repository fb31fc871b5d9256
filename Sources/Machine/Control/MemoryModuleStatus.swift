/// A memory module as monitors show it.
public struct MemoryModuleStatus: Equatable, Sendable {
    /// The device's name.
    public var id: String?
    /// First address.
    public var address: UInt64
    /// Bytes.
    public var size: UInt64
    /// Its slot.
    public var slot: Int
    /// Its node of memory.
    public var node: Int
    /// The object that is its memory.
    public var backend: String
    /// It came while the machine was there.
    public var isHotplugged: Bool

    /// A module of all parts.
    public init(
        id: String?, address: UInt64, size: UInt64, slot: Int, node: Int, backend: String, isHotplugged: Bool
    ) {
        self.id = id
        self.address = address
        self.size = size
        self.slot = slot
        self.node = node
        self.backend = backend
        self.isHotplugged = isHotplugged
    }
}

/// What a guest says of its work on a module (`_OST`, ACPI 6.5, 6.3.5).
public struct MemoryReport: Equatable, Sendable {
    /// The slot.
    public var slot: Int
    /// What it worked on.
    public var event: UInt32
    /// 0 for success.
    public var status: UInt32

    /// A report of all parts.
    public init(slot: Int, event: UInt32, status: UInt32) {
        self.slot = slot
        self.event = event
        self.status = status
    }
}
