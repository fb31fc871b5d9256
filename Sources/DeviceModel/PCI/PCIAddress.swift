/// Where a function sits: bus, slot ("device" in the specification) and function. PCI Local Bus 3.0, 3.2.2.3.
public struct PCIAddress: Hashable, Sendable, CustomStringConvertible {
    /// Bus number.
    public var bus: UInt8
    /// Slot, 0 to 31.
    public var slot: UInt8
    /// Function, 0 to 7.
    public var function: UInt8

    /// An address; slot and function are cut to 5 and 3 bits.
    public init(bus: UInt8 = 0, slot: UInt8, function: UInt8 = 0) {
        self.bus = bus
        self.slot = slot & 31
        self.function = function & 7
    }

    /// Slot and function in one byte, as requester ids and firmware tables have it.
    public var devfn: UInt8 { slot << 3 | function }

    /// As `lspci` prints it: `00:1f.2`.
    public var description: String {
        func hex(_ value: UInt8) -> String {
            let digits = String(value, radix: 16)
            return digits.count < 2 ? "0" + digits : digits
        }
        return "\(hex(bus)):\(hex(slot)).\(function)"
    }
}

/// What a function says of itself in its header. PCI Local Bus 3.0, 6.2.1.
public struct PCIIdentity: Equatable, Sendable {
    /// Who made it.
    public var vendorID: UInt16
    /// What it is, among the vendor's.
    public var deviceID: UInt16
    /// Base class, sub-class and programming interface: `0x010601`.
    public var classCode: UInt32
    /// The version.
    public var revision: UInt8
    /// Who made the board.
    public var subsystemVendorID: UInt16
    /// What it is, among the board vendor's.
    public var subsystemID: UInt16

    /// An identity.
    public init(
        vendorID: UInt16, deviceID: UInt16, classCode: UInt32, revision: UInt8 = 0, subsystemVendorID: UInt16 = 0,
        subsystemID: UInt16 = 0
    ) {
        self.vendorID = vendorID
        self.deviceID = deviceID
        self.classCode = classCode
        self.revision = revision
        self.subsystemVendorID = subsystemVendorID
        self.subsystemID = subsystemID
    }
}

/// Offsets in configuration space. PCI Local Bus 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2 for those of type 1.
public enum PCIRegister {
    /// Who made it, 2 bytes.
    public static let vendorID = 0x00
    /// What it is, 2 bytes.
    public static let deviceID = 0x02
    /// `PCICommand`, 2 bytes.
    public static let command = 0x04
    /// `PCIStatus`, 2 bytes.
    public static let status = 0x06
    /// The version, a byte.
    public static let revision = 0x08
    /// The class, 3 bytes.
    public static let classCode = 0x09
    /// For drivers only, a byte.
    public static let cacheLineSize = 0x0C
    /// Without meaning here, a byte.
    public static let latencyTimer = 0x0D
    /// 0 or 1, and bit 7 for several functions.
    public static let headerType = 0x0E
    /// The first of six windows (of two for a bridge), 4 bytes each.
    public static let bar0 = 0x10
    /// Bridge: the bus above, a byte.
    public static let primaryBus = 0x18
    /// Bridge: the bus behind, a byte.
    public static let secondaryBus = 0x19
    /// Bridge: the highest bus behind, a byte.
    public static let subordinateBus = 0x1A
    /// Bridge: base and limit of ports, a byte each.
    public static let ioBase = 0x1C
    /// Bridge: the status of the bus behind, 2 bytes.
    public static let secondaryStatus = 0x1E
    /// Bridge: base and limit of memory, 2 bytes each.
    public static let memoryBase = 0x20
    /// Bridge: base and limit of prefetchable memory, 2 bytes each.
    public static let prefetchableBase = 0x24
    /// Who made the board, 2 bytes.
    public static let subsystemVendorID = 0x2C
    /// What it is among the board vendor's, 2 bytes.
    public static let subsystemID = 0x2E
    /// The ROM's window, 4 bytes.
    public static let expansionROM = 0x30
    /// Offset of the first capability, a byte.
    public static let capabilities = 0x34
    /// Bridge: the ROM's window, 4 bytes.
    public static let bridgeROM = 0x38
    /// What firmware routed the pin to, a byte; hardware does not look at it.
    public static let interruptLine = 0x3C
    /// 0 for none, 1 to 4 for INTA# to INTD#.
    public static let interruptPin = 0x3D
    /// Bridge: control bits, 2 bytes.
    public static let bridgeControl = 0x3E
}

/// Bits of the command register. PCI Local Bus 3.0, 6.2.2.
public enum PCICommand {
    /// Windows on the I/O bus are decoded.
    public static let ioSpace: UInt16 = 1 << 0
    /// Windows in memory are decoded.
    public static let memorySpace: UInt16 = 1 << 1
    /// The function may write memory, and so send messages.
    public static let busMaster: UInt16 = 1 << 2
    /// The pin stays low.
    public static let interruptDisable: UInt16 = 1 << 10
    /// Every bit that a driver may change: the above, parity response and SERR#.
    static let writable: UInt16 = 0x0547
}

/// Bits of the status register. PCI Local Bus 3.0, 6.2.3.
public enum PCIStatus {
    /// The function wants its pin high.
    public static let interrupt: UInt16 = 1 << 3
    /// There is a list of capabilities.
    public static let capabilities: UInt16 = 1 << 4
    /// Error bits, cleared by writing ones.
    static let errors: UInt16 = 0xF900
}

/// Capability ids. PCI Local Bus 3.0, appendix H, and the PCI code and id assignment.
public enum PCICapabilityID {
    /// Power management.
    public static let powerManagement: UInt8 = 0x01
    /// Message-signalled interrupts.
    public static let msi: UInt8 = 0x05
    /// The vendor's own.
    public static let vendorSpecific: UInt8 = 0x09
    /// PCI Express.
    public static let express: UInt8 = 0x10
    /// Message-signalled interrupts by a table.
    public static let msix: UInt8 = 0x11
    /// Serial ATA index and data registers.
    public static let sata: UInt8 = 0x12
}
