public import BlockImage
public import DeviceModel
public import GuestMemory
internal import HostOS
import Synchronization

/// The ICH9's AHCI controller: a PCI function with a drive at each port. Serial ATA AHCI 1.3.1.
///
/// Commands are taken on a worker; their data moves with no lock held, as many at a time as the driver issues.
public final class AHCIController: Device {
    struct State {
        var model: AHCIModel
        var drives: [IDEDrive?]
        var backends: [PatientBackend?]
        /// Rises when a port's commands are void.
        var lives: [UInt64]
        var inFlight: [Int]
        /// A software reset is on: the first of its two FISes came.
        var isResetting: [Bool]
        var isPaused = false
        var openTrays: [Bool]
    }
    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    let memory: AddressSpace
    let state: Mutex<State>
    /// Rung when a command has ended, or waits for the machine to go on.
    let idle: Bell
    // Set once in `init`, where it needs `self`.
    private let work = Mutex<(any WorkItem)?>(nil)
    private let trayObserver = Mutex<IDEController.TrayObserver?>(nil)
    /// What the index register in I/O space selects.
    let index = Mutex<UInt32>(0)

    /// A controller with a drive or none at each of its 1 to 32 ports.
    public init(
        units: [IDEUnit?], memory: AddressSpace, scheduler: any WorkScheduler, stateName: String = "ich9-ahci"
    ) {
        precondition((1...32).contains(units.count), "An AHCI controller has 1 to 32 ports")
        self.stateName = stateName
        self.memory = memory
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x2922, classCode: 0x010601, revision: 2, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        var model = AHCIModel(ports: units.count)
        let drives = units.map { unit in
            unit.map {
                IDEDrive($0.properties, size: $0.backend?.sizeInBytes, isReadOnly: $0.backend?.isReadOnly ?? true)
            }
        }
        for (port, drive) in drives.enumerated() {
            if let drive { model.attach(port, isATAPI: !drive.isDisk) }
        }
        let zeros = units.map { _ in 0 }
        let bell = Bell()
        idle = bell
        state = Mutex(
            State(
                model: model, drives: drives, backends: units.map { Self.patient($0?.backend, bell) }, lives: zeros.map { UInt64($0) },
                inFlight: zeros, isResetting: units.map { _ in false }, openTrays: units.map { _ in false }))
        for (port, unit) in units.enumerated() {
            guard let unit, unit.properties.kind == .disk else { continue }
            unit.backend?.observeSize { [weak self] in
                self?.state.withLock { $0.drives[port]?.size = $0.backends[port]?.sizeInBytes }
            }
        }
        let item = scheduler.makeItem { [weak self] in self?.takeCommands() }
        work.withLock { $0 = item }
        // Mode: AHCI.
        function.defineRegister(0x90, value: UInt8(0x40))
        // Index and data registers in the window of ports, 16 bytes on.
        function.addCapability(PCICapabilityID.sata, body: [0x10, 0, 0x48, 0, 0, 0])
        function.addMSI(vectors: 1)
        function.addBAR(
            4, .io, size: 32,
            regions: [PCIBAR.Region(offset: 16, count: 8, name: "ahci-idp", device: WeakWindow(self, base: 0x1_0000))])
        function.addBAR(
            5, .memory32(prefetchable: false), size: 4096,
            regions: [PCIBAR.Region(count: 4096, name: "ahci", device: WeakWindow(self))])
    }

    private static func patient(_ image: (any BlockBackend)?, _ bell: Bell) -> PatientBackend? {
        image.map { PatientBackend($0) { bell.ring() } }
    }

    /// How long the answer to a driver that polls may wait for the command.
    private static let pollNanoseconds: UInt64 = 50_000

    /// Has the worker look at the ports.
    func schedule() { work.withLock { $0 }?.schedule() }

    /// Brings the interrupt up to date; `isNew` sends a message. Takes only locks of the function and below.
    func settle(_ state: State, isNew: Bool) {
        if function.isMSIEnabled {
            function.setINTx(false)
            if isNew && state.model.interrupt { function.signalMSI(0) }
        } else {
            function.setINTx(state.model.interrupt)
        }
    }

    // MARK: Media

    /// Who hears of trays that guests and `setTray` move: the port, and unit 0.
    public func observeTrays(_ observer: IDEController.TrayObserver?) { trayObserver.withLock { $0 = observer } }

    /// Tells of trays that moved since the last look.
    func noteTrays() {
        let moved = state.withLock { state -> [(Int, Bool)] in
            let now = state.drives.map { $0?.isTrayOpen ?? false }
            defer { state.openTrays = now }
            return now.indices.filter { now[$0] != state.openTrays[$0] }.map { ($0, now[$0]) }
        }
        guard let observer = trayObserver.withLock({ $0 }) else { return }
        for (port, isOpen) in moved { observer(port, 0, isOpen) }
    }

    /// Waits until no command of a port, or of any, is under way, but for those that wait for the machine to go on.
    func drain(_ port: Int? = nil) {
        func isBusy(_ port: Int, _ state: State) -> Bool {
            state.inFlight[port] > (state.backends[port]?.heldCount ?? 0)
        }
        while state.withLock({ state in
            port.map { isBusy($0, state) } ?? state.inFlight.indices.contains { isBusy($0, state) }
        }) { idle.wait(nanoseconds: 100_000_000) }
    }

    // MARK: Life

    public func reset() {
        let (wasPaused, images) = state.withLock { state in
            defer {
                state.isPaused = true
                for port in state.lives.indices { state.lives[port] &+= 1 }
            }
            return (state.isPaused, state.backends)
        }
        for image in images { image?.cancel() }
        drain()
        function.reset()
        state.withLock { state in
            for port in state.drives.indices {
                state.drives[port]?.reset(powerOn: true)
                state.lives[port] &+= 1
                state.model.ports[port].taken = 0
                state.isResetting[port] = false
            }
            state.model.reset()
            state.isPaused = wasPaused
            settle(state, isNew: false)
        }
        index.withLock { $0 = 0 }
    }
    public func pause() {
        state.withLock { $0.isPaused = true }
        drain()
    }
    public func resume() {
        let images = state.withLock { state in
            state.isPaused = false
            return state.backends
        }
        for image in images { image?.retry() }
        schedule()
    }
    public func halt() { pause() }
}

// MARK: Registers

extension AHCIController: BusDevice {
    /// The memory window; from 0x10000 on the index and data ports.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        if offset >= 0x1_0000 {
            let selected = index.withLock { $0 }
            return offset & 4 == 0 ? UInt64(selected) : readRegister(UInt64(selected))
        }
        let value = readRegister(offset & ~3) >> (8 * (offset & 3))
        return size == 8 ? value | readRegister((offset & ~3) + 4) << 32 : value
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        if offset >= 0x1_0000 {
            if offset & 4 == 0 {
                index.withLock { $0 = UInt32(truncatingIfNeeded: value) & 0xFFC }
            } else {
                writeRegister(UInt64(index.withLock { $0 }), UInt32(truncatingIfNeeded: value))
            }
            return
        }
        // Registers are written as a whole (1.3.1, 3); of a part only the low bits are meant.
        guard offset & 3 == 0 else { return }
        writeRegister(offset, UInt32(truncatingIfNeeded: value))
        if size == 8 { writeRegister(offset + 4, UInt32(truncatingIfNeeded: value >> 32)) }
    }

    private func readRegister(_ offset: UInt64) -> UInt64 {
        let (value, isPolling) = state.withLock { state in
            (UInt64(state.model.read(offset)), !state.isPaused && state.model.isPolled(offset))
        }
        guard isPolling else { return value }
        // Firmware asks again and again until its command is done: the worker gets the processor for it.
        idle.wait(nanoseconds: Self.pollNanoseconds)
        return state.withLock { UInt64($0.model.read(offset)) }
    }

    private func writeRegister(_ offset: UInt64, _ value: UInt32) {
        let effect = state.withLock { state -> AHCIModel.Effect in
            let running = state.model.ports.map { $0.command & 1 }
            let effect = state.model.write(offset, value)
            for port in running.indices where running[port] == 1 && state.model.ports[port].command & 1 == 0 {
                state.lives[port] &+= 1
            }
            switch effect {
            case .resetDevice(let port): state.drives[port]?.reset(powerOn: false)
            case .resetAll:
                for port in state.drives.indices {
                    state.lives[port] &+= 1
                    state.drives[port]?.reset(powerOn: true)
                }
            default: break
            }
            settle(state, isNew: false)
            return effect
        }
        switch effect {
        case .work: schedule()
        case .resetDevice(let port): postSignature(port)
        default: break
        }
    }
}

extension AHCIController: RemovableMediaHost {
    private func drive<R>(_ port: Int, _ body: (inout IDEDrive) -> R) -> R? {
        state.withLock { state in
            guard state.drives.indices.contains(port), var drive = state.drives[port], !drive.isDisk else { return nil }
            defer { state.drives[port] = drive }
            return body(&drive)
        }
    }
    public func tray(channel: Int, unit: Int) -> (isOpen: Bool, isLocked: Bool)? {
        drive(channel) { ($0.isTrayOpen, $0.isLocked) }
    }
    public func setTray(channel: Int, unit: Int, isOpen: Bool) {
        _ = drive(channel) { $0.moveTray(isOpen: isOpen) }
        noteTrays()
    }
    public func requestEject(channel: Int, unit: Int) {
        _ = drive(channel) { $0.mediumEvent = IDEDrive.ejectEvent }
    }
    public func changeMedium(channel: Int, unit: Int, backend: (any BlockBackend)?) {
        guard drive(channel, { _ in true }) != nil else { return }
        let wasPaused = state.withLock { state in
            defer { state.isPaused = true }
            return state.isPaused
        }
        state.withLock { $0.backends[channel] }?.cancel()
        drain(channel)
        let image = Self.patient(backend, idle)
        state.withLock { state in
            state.backends[channel] = image
            state.drives[channel]?.insert(size: backend?.sizeInBytes)
            state.isPaused = wasPaused
        }
        if !wasPaused { schedule() }
    }
}
