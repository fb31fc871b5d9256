/// What a board tells of itself by ACPI. A plain value: the board fills it in, `ACPITables` encodes it.
public struct ACPIConfiguration: Sendable {
    /// A processor that is there or may be added.
    public struct Processor: Equatable, Sendable {
        /// The processor's number in the tables.
        public var uid: UInt32
        /// Its local APIC.
        public var apicID: UInt32
        /// It is there now; else it may be added later.
        public var isPresent: Bool
        /// Its NUMA node.
        public var node: UInt32

        /// A processor whose number is its place among the possible ones.
        public init(uid: UInt32, apicID: UInt32, isPresent: Bool = true, node: UInt32 = 0) {
            self.uid = uid
            self.apicID = apicID
            self.isPresent = isPresent
            self.node = node
        }
    }

    /// An I/O APIC.
    public struct IOAPIC: Equatable, Sendable {
        /// The id in its register 0.
        public var id: UInt8
        /// Its registers' address.
        public var address: UInt32
        /// The global system interrupt of its input 0.
        public var gsiBase: UInt32

        /// An I/O APIC; by default the PC's only one.
        public init(id: UInt8 = 0, address: UInt32 = 0xFEC0_0000, gsiBase: UInt32 = 0) {
            self.id = id
            self.address = address
            self.gsiBase = gsiBase
        }
    }

    /// An ISA interrupt that is wired to the I/O APIC in another way than edge-triggered to the input of its number.
    public struct InterruptOverride: Equatable, Sendable {
        /// The ISA interrupt.
        public var source: UInt8
        /// Its global system interrupt.
        public var gsi: UInt32
        /// The MPS INTI flags (ACPI 6.5, table 5.27).
        public var flags: UInt16

        /// As the bus has it: for ISA, edge-triggered and active high.
        public static let conforming: UInt16 = 0
        /// Level-triggered, active high: how i440FX boards wire the PCI interrupts and the SCI.
        public static let levelHigh: UInt16 = 0x000D
        /// Level-triggered, active low.
        public static let levelLow: UInt16 = 0x000F

        /// A wire from `source` to `gsi`.
        public init(source: UInt8, gsi: UInt32, flags: UInt16) {
            self.source = source
            self.gsi = gsi
            self.flags = flags
        }
    }

    /// A device of the ISA bus that is nothing but its resources.
    public struct ISADevice: Sendable {
        /// Its name, of four characters.
        public var name: String
        /// Its plug-and-play id.
        public var id: String
        /// Its number among those of its id, or nil.
        public var uid: UInt64?
        /// Its resources.
        public var resources: [ACPIResource]

        /// A device.
        public init(name: String, id: String, uid: UInt64? = nil, resources: [ACPIResource]) {
            self.name = name
            self.id = id
            self.uid = uid
            self.resources = resources
        }
    }

    /// A TPM by its interface, with the address of its registers. (TCG ACPI Specification 1.3, table 8.)
    public enum TPM: Equatable, Sendable {
        /// The FIFO of five localities.
        case fifo(UInt64)
        /// Command response buffer.
        case commandBuffer(UInt64)
    }

    /// An address with its space and width (ACPI 6.5, 5.2.3.2).
    public struct GenericAddress: Equatable, Sendable {
        /// I/O ports or memory.
        public var space: AML.RegionSpace
        /// The register's width in bits; 0 where there is no register.
        public var bits: UInt8
        /// Its address.
        public var address: UInt64

        /// A register of `bits` bits.
        public init(_ space: AML.RegionSpace, bits: UInt8, address: UInt64) {
            self.space = space
            self.bits = bits
            self.address = address
        }
    }

    /// The fixed hardware of a PC's power management (ACPI 6.5, 4.8): where its blocks lie among the I/O ports.
    public struct FixedPower: Equatable, Sendable {
        /// PM1a status and enable, 4 bytes.
        public var eventBlock: UInt16
        /// PM1a control, 2 bytes.
        public var controlBlock: UInt16
        /// The timer, 4 bytes, 32 bits wide.
        public var timerBlock: UInt16
        /// General-purpose events 0, status and enable, `gpeCount` bytes together; 0 for none.
        public var gpeBlock: UInt16
        /// See `gpeBlock`.
        public var gpeCount: UInt8
        /// The port that switches between legacy and ACPI mode, and what is written to it. 0: always in ACPI mode, and
        /// SCI_EN reads as 1 from reset on; that is what a board without firmware does.
        public var smiCommand: UInt16 = 0
        /// Written to enter ACPI mode.
        public var acpiEnable: UInt8 = 0
        /// Written to leave it.
        public var acpiDisable: UInt8 = 0

        /// Blocks at the given ports.
        public init(
            eventBlock: UInt16, controlBlock: UInt16, timerBlock: UInt16, gpeBlock: UInt16 = 0, gpeCount: UInt8 = 0
        ) {
            self.eventBlock = eventBlock
            self.controlBlock = controlBlock
            self.timerBlock = timerBlock
            self.gpeBlock = gpeBlock
            self.gpeCount = gpeCount
        }

        /// PIIX4's layout from its base: events at +0, control at +4, the timer at +8; its GPE block is elsewhere.
        public static func piix4(base: UInt16, gpeBlock: UInt16 = 0xAFE0) -> FixedPower {
            FixedPower(
                eventBlock: base, controlBlock: base + 4, timerBlock: base + 8, gpeBlock: gpeBlock, gpeCount: 4)
        }
        /// ICH9's layout from its base: as PIIX4's, with the GPE block at +0x20.
        public static func ich9(base: UInt16) -> FixedPower {
            FixedPower(
                eventBlock: base, controlBlock: base + 4, timerBlock: base + 8, gpeBlock: base + 0x20, gpeCount: 16)
        }
    }

    /// Hardware-reduced power management (ACPI 6.5, 4.1): sleep registers and a generic event device.
    public struct ReducedPower: Equatable, Sendable {
        /// The sleep control register, one byte in memory.
        public var sleepControl: UInt64
        /// The sleep status register, one byte in memory.
        public var sleepStatus: UInt64
        /// The event device's 32-bit selector: reading it gives and clears the events; bit 1 is the power button.
        public var eventSelector: UInt32
        /// The event device's interrupt, level-triggered and active high.
        public var eventGSI: UInt32

        /// Registers at the given addresses.
        public init(sleepControl: UInt64, sleepStatus: UInt64, eventSelector: UInt32, eventGSI: UInt32) {
            self.sleepControl = sleepControl
            self.sleepStatus = sleepStatus
            self.eventSelector = eventSelector
            self.eventGSI = eventGSI
        }

        /// The event that stands for the power button.
        public static let powerButtonEvent: UInt32 = 1 << 1
    }

    /// How the machine is powered off and how its power button works.
    public enum Power: Equatable, Sendable {
        /// PM1 registers and a fixed power button.
        case fixed(FixedPower)
        /// Sleep registers and a generic event device.
        case reduced(ReducedPower)
    }

    /// A virtio device on the memory-mapped transport.
    public struct VirtioMMIO: Equatable, Sendable {
        /// Its registers.
        public var address: UInt32
        /// Bytes of them.
        public var count: UInt32
        /// Its interrupt.
        public var gsi: UInt32
        /// Edge-triggered (as `microvm` does it in QEMU); else level.
        public var edge: Bool

        /// A slot at `address`.
        public init(address: UInt32, count: UInt32 = 0x200, gsi: UInt32, edge: Bool = true) {
            self.address = address
            self.count = count
            self.gsi = gsi
            self.edge = edge
        }
    }

    /// A serial port.
    public struct SerialPort: Equatable, Sendable {
        /// Its first of eight I/O ports.
        public var port: UInt16
        /// Its ISA interrupt.
        public var irq: UInt8

        /// A 16550.
        public init(port: UInt16, irq: UInt8) {
            self.port = port
            self.irq = irq
        }

        /// COM1.
        public static let com1 = SerialPort(port: 0x3F8, irq: 4)
        /// COM2.
        public static let com2 = SerialPort(port: 0x2F8, irq: 3)
    }

    /// A NUMA node's memory.
    public struct NodeMemory: Equatable, Sendable {
        /// The node.
        public var node: UInt32
        /// First address.
        public var start: UInt64
        /// Bytes.
        public var count: UInt64
        /// Modules that come and go have their place there.
        public var isHotpluggable: Bool

        /// Memory of a node.
        public init(node: UInt32, start: UInt64, count: UInt64, isHotpluggable: Bool = false) {
            self.node = node
            self.start = start
            self.count = count
            self.isHotpluggable = isHotpluggable
        }
    }

    /// The possible processors, by uid.
    public var processors: [Processor]
    /// The local APICs' address.
    public var localAPIC: UInt32 = 0xFEE0_0000
    /// The I/O APICs.
    public var ioAPICs = [IOAPIC()]
    /// How ISA interrupts differ; by default interrupt 0 at input 2.
    public var overrides = [InterruptOverride(source: 0, gsi: 2, flags: InterruptOverride.conforming)]
    /// There is a pair of 8259s.
    public var hasPIC = true
    /// Processors that come and go.
    public var processorHotplug: ProcessorHotplug?
    /// Memory modules that come and go.
    public var memoryHotplug: MemoryHotplug?
    /// The identifier of the machine's generation.
    public var generation: MachineGeneration?
    /// The SCI's interrupt. Its override belongs to `overrides`.
    public var sci: UInt16 = 9
    /// Power management.
    public var power: Power
    /// The value of SLP_TYP for power-off.
    public var sleepTypeOff: UInt8 = 0
    /// SLP_TYP of suspending to RAM, `\_S3`, and to disk, `\_S4`; nil where the board cannot.
    public var sleepTypeMemory: UInt8?
    public var sleepTypeDisk: UInt8?
    /// The register that resets the machine.
    public var resetRegister: GenericAddress?
    /// What is written there.
    public var resetValue: UInt8 = 0
    /// The PCI host bridge.
    public var pci: PCIHost?
    /// The serial ports, COM1 first.
    public var serialPorts: [SerialPort] = []
    /// An MC146818 at port 0x70 with interrupt 8.
    public var hasRTC = false
    /// An i8042 at ports 0x60 and 0x64 with a keyboard (interrupt 1) and a mouse (interrupt 12).
    public var hasI8042 = false
    /// A VGA answers at the legacy addresses.
    public var hasVGA = false
    /// An HPET's registers.
    public var hpet: UInt32?
    /// fw_cfg's first I/O port.
    public var fwCfg: UInt16?
    /// pvpanic's I/O port.
    public var pvpanic: UInt16?
    /// Further devices of the ISA bus.
    public var isaDevices: [ISADevice] = []
    /// The TPM.
    public var tpm: TPM?
    /// A DMA-remapping unit for all PCI devices: where its registers are, and the bits of addresses that it takes.
    public var remapping: (address: UInt64, addressBits: Int)?
    /// Memory-mapped virtio devices.
    public var virtioMMIO: [VirtioMMIO] = []
    /// Each NUMA node's memory; empty on a machine without NUMA.
    public var nodeMemory: [NodeMemory] = []
    /// The distances between nodes, row by row; empty for none.
    public var nodeDistances: [[UInt8]] = []
    /// Further objects for `\_SB`.
    public var systemBus: [AML] = []

    /// A board without devices.
    public init(processors: [Processor], power: Power) {
        self.processors = processors
        self.power = power
    }
}
