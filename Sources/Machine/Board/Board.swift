internal import BlockImage
internal import CEngine
internal import DeviceModel
internal import Devices
internal import Display
internal import Execution
internal import Firmware
internal import GuestMemory
internal import HostOS
internal import Log
internal import VNC
internal import SPICE

/// A board with everything on it, finished: what a machine runs, resets and shows.
struct Board: Sendable {
    let configuration: MachineConfiguration
    let topology: ProcessorTopology
    let clock: MachineClock
    let engine: any MachineEngine
    /// What the engine writes down.
    let trace: ExecutionTrace
    let memory: AddressSpace
    let layout: PCMemory
    let modules: MemoryModules
    let io: Bus
    let mmio: Bus
    let buses: ProcessorBuses
    /// What comes and goes.
    let contents: BoardContents
    let plugger: DevicePlugger
    let processorHotplug: ProcessorHotplugControl?
    /// The ICH9's bridge; nil on other boards.
    let lpc: ICH9LPC?
    let processorEjectObserver: SharedObserver<Int>
    let moduleReportObserver: SharedObserver<MemoryHotplugControl.Report>
    var devices: [any Device] { contents.parts.devices }
    let afterReset: [@Sendable () -> Void]
    let power: ACPIPowerManagement?
    let rtc: RealTimeClock?
    let pci: PCIBus?
    var workers: [WorkerThread] { contents.parts.workers }
    let lifecycle: LifecyclePort
    let characters: CharacterHub
    let storage: Storage
    let networks: NetworkHub
    let image: BootImage
    var tree: [(bus: String, node: DeviceNode)] { contents.parts.tree }
    var networkStatus: [NetworkStatus] { contents.parts.networkStatus }
    let threadContexts: [ThreadContext]
    var cards: [(name: String, backend: String?, card: any NetworkCard)] { contents.parts.cards }
    var ioThreads: [(id: String, thread: WorkerThread)] { contents.parts.ioThreads }
    let balloon: VirtioBalloon?
    /// Devices that share folders, with the folders.
    let shares: SharedFolders
    let audio: [any AudioBackend]
    /// What is played to the SPICE server's client.
    let spiceAudio: SPICEAudio?
    var disks: [(name: String, device: VirtioBlock)] { contents.parts.disks }
    var scsiHosts: [(name: String, host: VirtioSCSI)] { contents.parts.scsiHosts }
    let screens: [Screen]
    let consoles: [DisplayConsole]
    let input: InputHub
    let keys: KeySequencer
    let ioapic: IOAPIC
    /// What firmware is told to start; nil without a clock whose memory tells it.
    let bootDevices: BootDevices?
    let generation: GenerationID?
    /// What a guest's kernel has told where its note for debuggers is; nil without the device.
    let guestNoteBytes: @Sendable () -> [UInt8]?
    /// Memory as it is saved: what is there from the start, as windows of devices come and go, and modules.
    var blocks: [RAMBlock] {
        firstBlocks + modules.blocks.filter { module in !firstBlocks.contains { $0 === module } }
    }
    private let firstBlocks: [RAMBlock]

    /// Builds the board of a configuration; nothing runs yet but threads that wait.
    init(
        _ configuration: MachineConfiguration, loop: EventLoop, characters: CharacterHub, descriptors: DescriptorSets,
        engineFactory: EngineFactory
    ) throws(MachineBuildError) {
        let topology = try MachineBuildError.wrapping { () throws(TopologyError) in
            try ProcessorTopology(configuration.topology)
        }
        let kind = configuration.board.kind
        guard kind.isSupported else { throw MachineBuildError("-machine \(kind.rawValue): not supported") }
        let clock = MachineClock(loop: loop, configuration.clock)
        let layout = Self.layout(configuration)
        var contexts: [ThreadContext] = []
        do throws(MachineBuildError) {
            for object in configuration.objects where object.type == "thread-context" {
                contexts.append(try ThreadContext(object))
            }
        } catch {
            for context in contexts { context.close() }
            throw error
        }
        let memory: AddressSpace
        let modules: MemoryModules
        let storage: Storage
        do throws(MachineBuildError) {
            memory = try Self.makeMemory(layout, configuration, contexts)
            // SAFETY: addresses alone are noted. Modules may be unplugged; this memory stays as long as the process, and
            // locked, its pages do as well.
            let locked =
                configuration.memory.locked ? memory.blocks.map { unsafe MemoryRange($0.base, count: $0.size) } : []
            modules = try MemoryModules(configuration, layout, memory, contexts)
            storage = try Storage(configuration, descriptors: descriptors, lockedMemory: locked)
        } catch {
            for context in contexts { context.close() }
            throw error
        }
        var networks: NetworkHub?
        do throws(MachineBuildError) {
            let hub = try NetworkHub(configuration, lifecycle: LifecyclePort())
            networks = hub
            // Those that may be plugged in are made with the others, and wait.
            let processors = kind.isPC ? topology.maximum : topology.processors
            var request = EngineRequest(
                memory: memory, processorCount: processors,
                apicIDs: (0..<processors).map { APICNumbering.id(of: $0, topology) },
                processorModel: configuration.processorModel, topology: topology,
                ramSize: configuration.memory.size, clock: clock,
                accelerator: configuration.accelerators.first ?? AcceleratorConfiguration(kind: .automatic))
            request.keepsIdleInGuest = configuration.memory.processorPowerManagement
            request.alternatives = Array(configuration.accelerators.dropFirst())
            request.instructionTime = clock.instructions
            if let seed = configuration.process.seed {
                let random = GuestRandom(seed: seed, .processor)
                request.random = { random.next() }
            }
            request.wallClock = { clock.guestWallClock }
            request.trace = ExecutionTrace(TraceItems(names: configuration.process.logItems)) {
                LogSink.standard.writeText($0)
            }
            request.writesPerfMap = configuration.process.writesPerfMap
            if let home = configuration.board.kernelIRQChip {
                // -machine's property holds for engines that have none of their own.
                request.accelerator.kernelIRQChip = request.accelerator.kernelIRQChip ?? home
                for index in request.alternatives.indices {
                    request.alternatives[index].kernelIRQChip = request.alternatives[index].kernelIRQChip ?? home
                }
            }
            let engine = try engineFactory(request)
            let trace = request.trace
            let builder = BoardBuilder(
                configuration, topology: topology, loop: loop, clock: clock, engine: engine, memory: memory,
                layout: layout, modules: modules, characters: characters, storage: storage, networks: hub,
                hasPIC: configuration.board.pic.resolved(default: true))
            try builder.addIOThreads()
            try builder.checkManagement()
            switch kind {
            case .microvm: try MicroVMBoard.build(builder)
            case .none: break
            case .q35: try Q35Board.build(builder)
            case .pc: try PCBoard.build(builder)
            }
            builder.threadContexts = contexts
            try builder.addGenerationID()
            try builder.addDevices()
            try builder.checkDevices()
            builder.acpi.set(configuration.numa, layout, modules: modules.region)
            try self.init(builder, trace)
        } catch {
            networks?.close()
            storage.close()
            for context in contexts { context.close() }
            throw error
        }
    }

    private init(_ builder: BoardBuilder, _ trace: ExecutionTrace) throws(MachineBuildError) {
        self.trace = trace
        configuration = builder.configuration
        topology = builder.topology
        clock = builder.clock
        engine = builder.engine
        memory = builder.memory
        layout = builder.layout
        modules = builder.modules
        io = builder.io
        mmio = builder.mmio
        bootDevices = builder.bootDevices
        let hasACPI = builder.power != nil
        let smbios = try configuration.smbiosTables(layout: layout, topology: topology) { name in
            guard let device = builder.plugged.first(where: { $0.configuration.id == name }),
                case .slot(let bus, _, let slot, let function) = device.place
            else { return nil }
            return (bus.bridge == nil, slot, function)
        }
        try builder.addFirmware(smbios: smbios, hasACPI: hasACPI)
        image = try BootImage(
            configuration, layout: layout, acpi: hasACPI ? builder.acpi : nil,
            kernelWords: !hasACPI && configuration.board.automaticKernelCommandLine ? builder.kernelWords : [],
            smbios: smbios)
        let (pic, ioapic) = (builder.pic, builder.ioapic)
        buses = ProcessorBuses(
            io: io, memory: mmio, managementMemory: builder.managementMMIO, management: builder.management,
            acknowledge: { pic?.acknowledge() },
            endOfInterrupt: { ioapic.endOfInterrupt(vector: $0) })
        if let pci = builder.pci {
            let (io, high) = (builder.io, PCBoard.highWindow(builder))
            let isQ35 = configuration.board.kind == .q35
            let express = Q35Board.configurationWindow
            let window = isQ35 ? express.start + express.count : max(PCBoard.memoryWindow.start, builder.layout.low)
            if !configuration.hasFirmware {
                builder.afterReset.append { PCBoard.initialise(pci, io: io, window: window, high: high) }
            }
        }
        contents = BoardContents(builder)
        plugger = DevicePlugger(builder, contents)
        processorHotplug = builder.processorHotplug
        lpc = builder.lpc
        processorEjectObserver = builder.processorEjectObserver
        moduleReportObserver = builder.moduleReportObserver
        afterReset = builder.afterReset
        power = builder.power
        rtc = builder.rtc
        pci = builder.pci
        lifecycle = builder.lifecycle
        characters = builder.characters
        storage = builder.storage
        storage.live.tell(lifecycle)
        networks = builder.networks
        threadContexts = builder.threadContexts
        balloon = builder.balloon
        shares = builder.shares
        audio = builder.audio.map(\.backend)
        spiceAudio = builder.spiceAudio
        screens = builder.screens
        consoles =
            builder.screens.map { DisplayConsole(screen: $0) }
            + builder.characters.consoles(builder.configuration).map {
                DisplayConsole(screen: Screen(name: $0.name, source: $0), terminal: $0)
            }
        input = builder.input
        keys = KeySequencer(builder.input, loop: builder.loop)
        if let first = builder.screens.first {
            let surroundings = AgentPort.Surroundings(input: builder.input) {
                first.look { (width: $0.width, height: $0.height) }
            }
            for agent in builder.characters.agents { agent.connect(surroundings) }
        }
        self.ioapic = builder.ioapic
        generation = builder.generation
        let fwCfg = builder.fwCfg
        guestNoteBytes = { fwCfg?.bytes(ofFile: BoardBuilder.guestNoteFile) }
        var blocks = builder.memory.blocks
        for device in builder.devices {
            for block in device.ownMemory where !blocks.contains(where: { $0 === block }) { blocks.append(block) }
        }
        let modules = modules.blocks
        firstBlocks = blocks.filter { block in !modules.contains { $0 === block } }
    }

    /// Where RAM lies.
    static func layout(_ configuration: MachineConfiguration) -> PCMemory {
        let ram = configuration.memory.size & ~4095
        if let limit = configuration.board.maximumMemoryBelow4G, limit >= 1 << 20, limit <= 0xE000_0000 {
            return PCMemory(ram: ram, lowLimit: limit & ~4095)
        }
        return configuration.board.kind == .pc ? .pc(ram: ram) : .q35(ram: ram)
    }

    private static func makeMemory(
        _ layout: PCMemory, _ configuration: MachineConfiguration, _ contexts: [ThreadContext]
    ) throws(MachineBuildError) -> AddressSpace {
        guard layout.low >= 1 << 20 else {
            throw MachineBuildError("Guest memory of \(configuration.memory.size) bytes is too small: 1 MiB at least")
        }
        guard layout.low + layout.high <= 1 << 40 else {
            throw MachineBuildError("Guest memory of \(configuration.memory.size) bytes is more than 1 TiB")
        }
        let space = AddressSpace()
        let ram = try GuestRAM(configuration, total: layout.low + layout.high, contexts: contexts)
        if configuration.memory.locked {
            try MachineBuildError.wrapping("-overcommit mem-lock=on: ") { () throws(HostError) in
                try ProcessMemory.lockAll()
            }
        }
        if configuration.board.kind.isPC {
            // Who answers from 640 KiB to 1 MiB the host bridge says.
            let (conventional, extended): (UInt64, UInt64) = (0xA_0000, 0x10_0000)
            ram.map(space, at: 0, offset: 0, count: conventional)
            if layout.low > extended {
                ram.map(space, at: extended, offset: extended, count: layout.low - extended)
            }
        } else {
            ram.map(space, at: 0, offset: 0, count: layout.low)
        }
        ram.map(space, at: PCMemory.highStart, offset: layout.low, count: layout.high)
        return space
    }

    /// Everything to the state after power-on, with the kernel in place. Processors stand at the gate.
    ///
    /// Without the kernel where a saved state takes its place.
    func reset(_ threads: [any ProcessorThread], loadsKernel: Bool = true) throws(MachineBuildError) {
        for device in devices { device.reset() }
        for action in afterReset { action() }
        for thread in threads {
            thread.reset()
            guard thread.index > 0 else { continue }
            var state = thread.state
            state.waiting_for_sipi = 1
            thread.state = state
        }
        guard loadsKernel else { return }
        let features = engine.features
        let hasLongMode = features.isEmpty || features.contains("lm")
        if let entry = try image.load(into: memory, hasLongMode: hasLongMode), let first = threads.first {
            var state = first.state
            entry.apply(to: &state)
            first.state = state
            if entry.format == .multiboot {
                for (port, value) in BIOSRemains.portWrites { io.write(UInt64(port), size: 1, value: UInt64(value)) }
            }
        }
    }

    /// Ends all that works by itself: devices, their threads, back-ends.
    func close() {
        networks.close()
        for device in devices { device.halt() }
        for backend in audio { backend.close() }
        for worker in workers { worker.stop() }
        storage.close()
        characters.closeAll()
        for context in threadContexts { context.close() }
    }
}
