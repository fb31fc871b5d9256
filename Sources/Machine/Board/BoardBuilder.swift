internal import DeviceModel
internal import Devices
internal import Display
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import JSON
internal import Log
internal import Synchronization
internal import SPICE

/// What a board is made of while it is made. Confined to the thread that makes the machine.
final class BoardBuilder {
    let configuration: MachineConfiguration
    let topology: ProcessorTopology
    let loop: EventLoop
    let clock: MachineClock
    let engine: any MachineEngine
    let memory: AddressSpace
    let layout: PCMemory
    let modules: MemoryModules
    let lifecycle: LifecyclePort
    let characters: CharacterHub
    let storage: Storage
    let networks: NetworkHub
    let log = Logger("machine")

    /// I/O ports.
    let io = Bus()
    /// Device memory.
    let mmio = Bus()
    let pic: LegacyPIC?
    let ioapic: IOAPIC
    let interrupts: any InterruptSink
    /// All devices in the order of making, which is that of resets.
    var devices: [any Device] = []
    /// Runs after the devices' resets: what a firmware would do where there is none.
    var afterReset: [@Sendable () -> Void] = []
    var power: ACPIPowerManagement?
    /// The root bus.
    private(set) var pci: PCIBus?
    /// All PCI buses by their names, the root first.
    var pciBuses: [(name: String, bus: PCIBus)] = []
    /// The PCI host bridge as it is set up now, where firmware may change it.
    var currentPCIHost: (@Sendable () -> PCIHost)?
    /// Where the power management registers answer from the start, and where they do now, where firmware may move them.
    var powerRange: Bus.RangeID?
    var currentPowerBase: (@Sendable () -> UInt16)?
    /// The ICH9's LPC bridge, of q35.
    var lpc: ICH9LPC?
    /// The processors' SMI pins.
    let management = ManagementInterrupts()
    /// Device memory that only processors in system management mode find.
    let managementMMIO = Bus()
    /// The root ports by the names of their buses.
    var rootPorts: [String: PCIERootPort] = [:]
    /// Numbers of chassis and slot of those.
    var chassisSlots: Set<Int> = []
    var rtc: RealTimeClock?
    /// What firmware is told to start.
    var bootDevices: BootDevices?
    /// What was made by name, in order.
    var plugged: [PluggedDevice] = []
    /// Where the device that was made last sits.
    var lastPlace = PluggedDevice.Place.fixed
    /// Whether the machine is there: devices that are made now are plugged into it.
    var isThere = false
    /// The controller of slots that are hot-plugged by ACPI.
    var slotHotplug: SlotHotplug?
    var fwCfg: FwCfgDevice?
    /// The identifier of the machine's generation.
    var generation: GenerationID?
    /// That of processors.
    var processorHotplug: ProcessorHotplugControl?
    /// Who hears of slots whose device the guest has let go.
    let ejectObserver = SharedObserver<Int>()
    /// The same for processors.
    let processorEjectObserver = SharedObserver<Int>()
    /// And for memory modules, and what the guest says of its work on them.
    let moduleEjectObserver = SharedObserver<Int>()
    let moduleReportObserver = SharedObserver<MemoryHotplugControl.Report>()
    /// SCSI hosts in the order of their making.
    var scsiBuses: [SCSIBus] = []
    /// AHCI controllers of `-device` that are made.
    var ahciCount = 0
    /// USB buses, in the order of their controllers, and how many have no name of their own.
    var usbBuses: [USBBus] = []
    var usbBusNumber = 0
    /// Keyboards and pointers that may be unplugged, by their devices' names.
    var inputs: [String: any KeyboardInput & PointerInput] = [:]
    var workers: [WorkerThread] = []
    /// The thread that was given to a device last.
    var lastWorker: WorkerThread?
    var threadContexts: [ThreadContext] = []
    /// What the ACPI tables say; boards and devices add to it.
    var acpi: ACPIConfiguration
    /// Words that the board adds to the kernel's command line.
    var kernelWords: [String] = []
    /// The nodes of `info qtree`, by bus name.
    var tree: [(bus: String, node: DeviceNode)] = []
    /// The cards of `info network`.
    var networkStatus: [NetworkStatus] = []
    /// The hardware address of the card that was made last.
    var lastMAC: String?
    /// The cards by their own and their back-end's names.
    var cards: [(name: String, backend: String?, card: any NetworkCard)] = []
    var usedNames: Set<String> = []
    /// The threads of `iothread` objects.
    var ioThreads: [(id: String, thread: WorkerThread)] = []
    var balloon: VirtioBalloon?
    /// Where a `ramfb` finds its file.
    var ramfb: FirmwareFiles?
    /// TPM back-ends that a device has.
    var usedTPMs: Set<String> = []
    /// Devices that share folders, with the folders.
    let shares = SharedFolders()
    /// The back-ends of `-audiodev`.
    var audio: [(id: String, backend: any AudioBackend)] = []
    /// What is played to the SPICE server's client; nil where nothing is.
    var spiceAudio: SPICEAudio?
    /// What graphics adapters show, the first adapter's first.
    var screens: [Screen] = []
    /// Where keys and movements go.
    let input = InputHub()
    /// virtio disks by their names.
    var disks: [(name: String, device: VirtioBlock)] = []
    /// What `bootindex` says: firmware's paths of devices, by index.
    var bootOrder: [Int: String] = [:]

    init(
        _ configuration: MachineConfiguration, topology: ProcessorTopology, loop: EventLoop, clock: MachineClock,
        engine: any MachineEngine, memory: AddressSpace, layout: PCMemory, modules: MemoryModules,
        characters: CharacterHub, storage: Storage, networks: NetworkHub, hasPIC: Bool
    ) {
        self.configuration = configuration
        self.topology = topology
        self.loop = loop
        self.clock = clock
        self.engine = engine
        self.memory = memory
        self.layout = layout
        self.modules = modules
        self.characters = characters
        self.storage = storage
        self.networks = networks
        lifecycle = networks.lifecycle
        ioapic = IOAPIC(sink: engine, clock: clock)
        let controllers = engine.controllers
        pic = hasPIC && controllers == nil ? LegacyPIC { engine.setExternalInterrupt($0) } : nil
        interrupts = controllers ?? GlobalInterrupts(pic: pic, ioapic: ioapic)
        acpi = ACPIConfiguration(
            processors: (0..<topology.maximum).map {
                ACPIConfiguration.Processor(
                    uid: UInt32($0), apicID: APICNumbering.id(of: $0, topology), isPresent: $0 < topology.processors)
            },
            power: .fixed(Self.powerRegisters()))
        if let controllers {
            devices.append(controllers)
        } else {
            ioapic.attach(to: mmio)
            devices.append(ioapic)
        }
        if let pic {
            pic.attach(to: io)
            devices.append(pic)
        }
        acpi.hasPIC = hasPIC
        acpi.ioAPICs = [ACPIConfiguration.IOAPIC(id: 0)]
        typealias Override = ACPIConfiguration.InterruptOverride
        acpi.overrides = [
            Override(source: 0, gsi: 2, flags: Override.conforming),
            Override(source: 9, gsi: 9, flags: Override.levelHigh),
        ]
    }

    /// Power management at 0x600, entered and left by the SMI command port.
    static func powerRegisters(
        _ settings: ACPIPowerManagementConfiguration = ACPIPowerManagementConfiguration()
    ) -> ACPIConfiguration.FixedPower {
        var power = ACPIConfiguration.FixedPower.piix4(
            base: UInt16(truncatingIfNeeded: settings.base), gpeBlock: UInt16(truncatingIfNeeded: settings.eventBase))
        power.gpeCount = UInt8(truncatingIfNeeded: settings.eventBytes)
        power.smiCommand = UInt16(truncatingIfNeeded: settings.commandPort)
        power.acpiEnable = settings.enableCommand
        power.acpiDisable = settings.disableCommand
        return power
    }

    /// The same at a base that firmware has chosen.
    static func powerRegisters(at base: UInt16) -> ACPIConfiguration.FixedPower {
        var settings = ACPIPowerManagementConfiguration()
        settings.base = UInt64(base)
        return powerRegisters(settings)
    }

    /// Sets the root bus, once.
    func setRootBus(_ bus: PCIBus) {
        pci = bus
        pciBuses = [(bus.name, bus)]
    }

    func line(_ number: Int) -> InterruptLine { InterruptLine(sink: interrupts, number: number) }

    /// A name for saved states that no other device has.
    func stateName(_ wanted: String) -> String {
        var name = wanted
        var number = 1
        while !usedNames.insert(name).inserted {
            name = "\(wanted).\(number)"
            number += 1
        }
        return name
    }

    /// The thread of the `iothread` object that a device names, or one of its own.
    func worker(_ name: String, _ properties: JSONObject) throws(MachineBuildError) -> WorkerThread {
        guard let id = properties.string("iothread") else { return try worker(name) }
        guard let found = ioThreads.first(where: { $0.id == id }) else {
            throw MachineBuildError("object '\(id)' is not an iothread")
        }
        lastWorker = found.thread
        return found.thread
    }

    func addIOThreads() throws(MachineBuildError) {
        for object in configuration.objects where object.type == "iothread" { try addIOThread(object.id) }
    }

    func addIOThread(_ id: String) throws(MachineBuildError) {
        ioThreads.append((id, try worker("IO \(id)")))
    }

    /// A worker thread of a device.
    func worker(_ name: String) throws(MachineBuildError) -> WorkerThread {
        let worker = try MachineBuildError.wrapping { () throws(HostError) in try WorkerThread(name: name) }
        workers.append(worker)
        lastWorker = worker
        return worker
    }
}

/// Somebody who hears of something, named after what tells of it is made. Any thread.
final class SharedObserver<Value: Sendable>: Sendable {
    private let observer = Mutex<(@Sendable (Value) -> Void)?>(nil)
    func set(_ observer: @escaping @Sendable (Value) -> Void) { self.observer.withLock { $0 = observer } }
    func tell(_ value: Value) { observer.withLock { $0 }?(value) }
}

/// Local APIC IDs: each level of the topology takes as many bits as it needs (SDM volume 3, 9.9.1).
enum APICNumbering {
    static func id(of index: Int, _ topology: ProcessorTopology) -> UInt32 {
        let place = topology.place(of: index)
        let (threads, cores, dies) = (width(topology.threads), width(topology.cores), width(topology.dies))
        let socket = place.socket << dies | place.die
        return UInt32(truncatingIfNeeded: (socket << cores | place.core) << threads | place.thread)
    }
    /// Bits that hold the numbers below `count`.
    static func width(_ count: Int) -> Int { count <= 1 ? 0 : Int.bitWidth - (count - 1).leadingZeroBitCount }
}
