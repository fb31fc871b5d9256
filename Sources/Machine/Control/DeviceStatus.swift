/// A device and what hangs on it, for `info qtree` and the object tree.
public struct DeviceNode: Equatable, Sendable {
    /// A bus of a device.
    public struct Bus: Equatable, Sendable {
        /// Its name: `pci.0`.
        public var name: String
        /// Its type: `PCI`, `ISA`, `System`.
        public var type: String
        /// What hangs on it.
        public var devices: [DeviceNode]
        /// A bus of devices.
        public init(name: String, type: String, devices: [DeviceNode] = []) {
            self.name = name
            self.type = type
            self.devices = devices
        }
    }
    /// A property and its value in the words that `info qtree` shows: `drive`, `"virtio0"`.
    public struct Property: Equatable, Sendable {
        /// Its name.
        public var name: String
        /// Its value; strings in quotes.
        public var value: String
        /// A property.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }
    /// The model: `virtio-blk-pci`.
    public var model: String
    /// The name that was given, or empty.
    public var id: String
    /// Its path in the object tree: `/machine/peripheral/disk0`, `/machine/unattached/device[3]`.
    public var path: String
    /// Its properties.
    public var properties: [Property]
    /// Further lines of `info qtree`: `class SCSI controller, addr 00:04.0, pci id 1af4:1001 (sub 1af4:0002)`.
    public var details: [String]
    /// Its buses.
    public var buses: [Bus]
    /// Whether it was plugged in after the start.
    public var isHotplugged = false
    /// A device of a model.
    public init(
        model: String, id: String = "", path: String, properties: [Property] = [], details: [String] = [],
        buses: [Bus] = []
    ) {
        self.model = model
        self.id = id
        self.path = path
        self.properties = properties
        self.details = details
        self.buses = buses
    }
}

/// A function of a PCI device, for `info pci` and `query-pci`.
public struct PCIFunctionStatus: Equatable, Sendable {
    /// A base address register.
    public struct Region: Equatable, Sendable {
        /// Its number, 6 for the expansion ROM.
        public var bar: Int
        /// Whether it is in I/O space.
        public var isIO: Bool
        /// Whether it has 64 bits.
        public var is64Bit: Bool
        /// Whether it is prefetchable.
        public var isPrefetchable: Bool
        /// Where it is, or nil where the guest has not enabled it.
        public var address: UInt64?
        /// Its size in bytes, a power of two.
        public var size: UInt64
        /// A region.
        public init(
            bar: Int, isIO: Bool, is64Bit: Bool = false, isPrefetchable: Bool = false, address: UInt64?, size: UInt64
        ) {
            self.bar = bar
            self.isIO = isIO
            self.is64Bit = is64Bit
            self.isPrefetchable = isPrefetchable
            self.address = address
            self.size = size
        }
    }
    /// Bus, slot and function.
    public var bus: Int
    /// See `bus`.
    public var slot: Int
    /// See `bus`.
    public var function: Int
    /// Base class and subclass: 0x0200 for Ethernet.
    public var classCode: UInt16
    /// Vendor and device.
    public var vendor: UInt16
    /// See `vendor`.
    public var device: UInt16
    /// Subsystem vendor and subsystem.
    public var subsystemVendor: UInt16
    /// See `subsystemVendor`.
    public var subsystem: UInt16
    /// Interrupt pin, 0 for none, 1 for A.
    public var interruptPin: Int
    /// The interrupt line register.
    public var interruptLine: Int
    /// The device's name, or empty.
    public var id: String
    /// Its regions.
    public var regions: [Region]
    /// A function of a place and identity.
    public init(
        bus: Int = 0, slot: Int, function: Int, classCode: UInt16, vendor: UInt16, device: UInt16,
        subsystemVendor: UInt16 = 0, subsystem: UInt16 = 0, interruptPin: Int = 0, interruptLine: Int = 0,
        id: String = "", regions: [Region] = []
    ) {
        self.bus = bus
        self.slot = slot
        self.function = function
        self.classCode = classCode
        self.vendor = vendor
        self.device = device
        self.subsystemVendor = subsystemVendor
        self.subsystem = subsystem
        self.interruptPin = interruptPin
        self.interruptLine = interruptLine
        self.id = id
        self.regions = regions
    }
}

/// A range of an address space, for `info mtree`.
public struct AddressRangeStatus: Equatable, Sendable {
    /// First address.
    public var start: UInt64
    /// Last address.
    public var last: UInt64
    /// Among ranges that overlap the higher answers.
    public var priority: Int
    /// What it is: `ram`, `rom`, `i/o`.
    public var kind: String
    /// Its name.
    public var name: String
    /// A range.
    public init(start: UInt64, last: UInt64, priority: Int = 0, kind: String, name: String) {
        self.start = start
        self.last = last
        self.priority = priority
        self.kind = kind
        self.name = name
    }
}

/// An address space, for `info mtree`.
public struct AddressSpaceStatus: Equatable, Sendable {
    /// `memory` or `I/O`.
    public var name: String
    /// The name of the range that is all of it: `system`, `io`.
    public var root: String
    /// Its last address.
    public var last: UInt64
    /// Its ranges by start.
    public var ranges: [AddressRangeStatus]
    /// A space.
    public init(name: String, root: String, last: UInt64, ranges: [AddressRangeStatus]) {
        self.name = name
        self.root = root
        self.last = last
        self.ranges = ranges
    }
}

/// A network card or back-end without one, for `info network`.
public struct NetworkStatus: Equatable, Sendable {
    /// The card's name: `e1000.0`, or given. Empty for a back-end without a card.
    public var name: String
    /// The card's line after its name: `index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56`.
    public var text: String
    /// The back-end's name, or nil.
    public var backend: String?
    /// The back-end's line: `index=0,type=user,net=10.0.2.0,restrict=off`.
    public var backendText: String
    /// The card's address of 6 bytes; none for a back-end without a card.
    public var address: [UInt8] = []
    /// A card.
    public init(name: String, text: String, backend: String?, backendText: String) {
        self.name = name
        self.text = text
        self.backend = backend
        self.backendText = backendText
    }
}

/// Which frames a network card lets through, for `query-rx-filter`.
public struct ReceiveFilterStatus: Equatable, Sendable {
    /// The card's name.
    public var name: String
    /// Whether it takes all frames.
    public var isPromiscuous: Bool
    /// `normal`, `none` or `all`.
    public var multicast: String
    /// `normal`, `none` or `all`.
    public var unicast: String
    /// `all` where VLANs are not filtered, `normal` where they are.
    public var vlan: String
    /// Whether broadcasts pass.
    public var allowsBroadcast: Bool
    /// Whether a table had more entries than are kept.
    public var overflowsMulticast: Bool
    public var overflowsUnicast: Bool
    /// The card's address.
    public var address: String
    /// Tables of addresses and VLANs.
    public var unicastTable: [String]
    public var multicastTable: [String]
    public var vlanTable: [Int]
}

/// A character back-end, for `info chardev`.
public struct CharacterDeviceStatus: Equatable, Sendable {
    /// Its name.
    public var label: String
    /// Where it leads: `stdio`, `pty:/dev/pts/3`, `unix:/tmp/s,server=on`.
    public var filename: String
    /// Whether its user has it open.
    public var isOpen: Bool
    /// A back-end.
    public init(label: String, filename: String, isOpen: Bool) {
        self.label = label
        self.filename = filename
        self.isOpen = isOpen
    }
}

/// What a guest tells of its memory through its balloon, for `guest-stats`.
public struct BalloonStatistics: Equatable, Sendable {
    /// Values by the tags of virtio 1.2, 5.5.6.3.
    public var values: [UInt16: UInt64]
    /// Seconds since 1970 at which they came; 0: none have.
    public var lastUpdate: UInt64
    /// What a guest has told.
    public init(values: [UInt16: UInt64], lastUpdate: UInt64) { (self.values, self.lastUpdate) = (values, lastUpdate) }
}

/// A thread of an `iothread` object.
public struct IOThreadStatus: Equatable, Sendable {
    /// The object's name.
    public var id: String
    /// The thread's number on the host.
    public var threadID: Int
    /// A thread.
    public init(id: String, threadID: Int) {
        self.id = id
        self.threadID = threadID
    }
}

/// A CPU model, for `query-cpu-definitions`.
public struct ProcessorModelStatus: Equatable, Sendable {
    /// Its name: `qemu64`.
    public var name: String
    /// The version that the name stands for, where it is not one itself.
    public var aliasOf: String?
    /// Features that it has and this engine lacks.
    public var unavailableFeatures: [String]
    /// Whether a machine of it may move to another host.
    public var isMigrationSafe: Bool
    /// A model.
    public init(
        name: String, aliasOf: String? = nil, unavailableFeatures: [String] = [], isMigrationSafe: Bool = true
    ) {
        self.name = name
        self.aliasOf = aliasOf
        self.unavailableFeatures = unavailableFeatures
        self.isMigrationSafe = isMigrationSafe
    }
}
