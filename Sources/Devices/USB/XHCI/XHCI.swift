public import DeviceModel
public import GuestMemory
internal import Synchronization

/// What `-device qemu-xhci` and `nec-usb-xhci` may set.
public struct XHCIProperties: Sendable {
    /// The NEC uPD720200 in place of a controller of no maker.
    public var isNEC = false
    /// Ports of USB 2 and 3, up to 15 each.
    public var ports2 = 4
    public var ports3 = 4
    /// `slots`, up to 64, and `intrs`, up to 16.
    public var slots = 64
    public var interrupters = 16
    /// Whether it has MSI-X, and MSI.
    public var hasMSIX = true
    public var hasMSI = false

    /// A controller with QEMU's defaults.
    public init() {}
}

/// An xHCI host controller as a PCI function. Rings are worked on by a worker; one lock, under which devices are
/// called.
public final class XHCI: Device, BusDevice, USBHost {
    private struct State: Sendable {
        var model: XHCIModel
        var isPaused = false
        var level = false
    }
    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    public let portCount: Int
    private let memory: GuestUSBMemory
    private let clock: any VirtualClock
    private let state: Mutex<State>
    private let work = Mutex<(any WorkItem)?>(nil)
    /// Whether devices have something that they had not.
    private let hasNews = Atomic<Bool>(false)

    /// A controller after power-on.
    public init(
        _ properties: XHCIProperties = XHCIProperties(), memory: AddressSpace, clock: any VirtualClock,
        scheduler: any WorkScheduler, stateName: String = "xhci"
    ) {
        self.stateName = stateName
        self.memory = GuestUSBMemory(memory: memory)
        self.clock = clock
        var layout = XHCIModel.Layout()
        layout.ports2 = min(max(properties.ports2, 1), 15)
        layout.ports3 = min(max(properties.ports3, 0), 15)
        layout.slots = min(max(properties.slots, 1), 64)
        layout.interrupters = min(max(properties.interrupters, 1), 16)
        layout.isNEC = properties.isNEC
        portCount = max(layout.ports2, layout.ports3)
        state = Mutex(State(model: XHCIModel(layout)))
        function = PCIFunction(
            PCIIdentity(
                vendorID: properties.isNEC ? 0x1033 : 0x1B36, deviceID: properties.isNEC ? 0x0194 : 0x000D,
                classCode: 0x0C0330, revision: properties.isNEC ? 3 : 1, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        // The release of USB that it is of: 3.0 (5.2.3).
        function.defineRegister(0x60, value: UInt8(0x30))
        if properties.hasMSI { function.addMSI(vectors: layout.interrupters) }
        var table: [PCIBAR.Region] = []
        if properties.hasMSIX {
            table = function.addMSIX(vectors: layout.interrupters, bar: 0, tableOffset: 0x3000, pendingOffset: 0x3800)
        }
        let item = scheduler.makeItem { [weak self] in self?.perform() }
        work.withLock { $0 = item }
        function.addBAR(
            0, .memory64(prefetchable: false), size: 0x4000,
            regions: [PCIBAR.Region(count: 0x3000, name: "xhci", device: WeakWindow(self))] + table)
    }

    private func schedule() { work.withLock { $0 }?.schedule() }

    // MARK: Registers

    public func read(offset: UInt64, size: Int) -> UInt64 {
        let now = clock.now
        return state.withLock { state in
            let low = UInt64(state.model.read(offset & ~3, now: now))
            let high = size == 8 ? UInt64(state.model.read((offset & ~3) + 4, now: now)) : 0
            return (high << 32 | low) >> ((offset & 3) * 8)
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        guard size >= 4, offset & 3 == 0 else { return }
        change { model in
            var hasWork = model.write(offset, UInt32(truncatingIfNeeded: value), memory)
            if size == 8, model.write(offset + 4, UInt32(truncatingIfNeeded: value >> 32), memory) { hasWork = true }
            return hasWork
        }
    }

    /// Changes the model, tells of it by interrupts, and has work done where the change asks for it.
    private func change(_ body: (inout XHCIModel) -> Bool) {
        let hasWork = state.withLock { state in
            let hasWork = body(&state.model)
            settle(&state)
            return hasWork && !state.isPaused
        }
        if hasWork { schedule() }
    }

    /// Sends messages and brings the pin up to date. Takes only locks of the function and below.
    private func settle(_ state: inout State) {
        let (usesTable, usesMessages) = (function.isMSIXEnabled, function.isMSIEnabled)
        for index in state.model.messages where usesTable || usesMessages {
            if usesTable { function.signalMSIX(index) } else { function.signalMSI(index) }
            state.model.messageSent(index)
        }
        state.model.messages = []
        let level = !usesTable && !usesMessages && state.model.interruptLevel
        if level != state.level {
            state.level = level
            function.setINTx(level)
        }
    }

    /// Works on the rings. The worker's thread.
    private func perform() {
        var hasMore = true
        while hasMore {
            hasMore = state.withLock { state in
                guard !state.isPaused else { return false }
                if hasNews.exchange(false, ordering: .acquiringAndReleasing) { state.model.wake(memory) }
                let hasMore = state.model.run(memory)
                settle(&state)
                return hasMore
            }
        }
    }

    /// Any thread, also under this controller's lock: the worker looks.
    private func wake() {
        hasNews.store(true, ordering: .releasing)
        schedule()
    }

    // MARK: Ports

    public func connect(_ device: USBPeripheral, port: Int) -> Bool {
        guard 0..<portCount ~= port else { return false }
        let place = state.withLock { state -> (index: Int, speed: USBSpeed)? in
            let taken = state.model.ports.enumerated().contains { index, one in
                one.device != nil
                    && (index < state.model.layout.ports3 ? index : index - state.model.layout.ports3) == port
            }
            return taken ? nil : state.model.place(device, busPort: port)
        }
        guard let place else { return false }
        device.connected(at: place.speed) { [weak self] in self?.wake() }
        change { model in
            model.connect(device, place.index, memory)
            return false
        }
        return true
    }

    public func disconnect(port: Int) {
        let found = state.withLock { state -> (Int, USBPeripheral)? in
            let count3 = state.model.layout.ports3
            for index in [port, count3 + port] where state.model.ports.indices.contains(index) {
                guard index >= count3 || port < count3, index < count3 || index - count3 == port else { continue }
                if let device = state.model.ports[index].device { return (index, device) }
            }
            return nil
        }
        guard let (index, device) = found else { return }
        change { model in
            model.disconnect(index, memory)
            model.wake(memory)
            return true
        }
        device.disconnected()
    }

    // MARK: Device

    public func reset() {
        function.reset()
        change { model in
            model.reset()
            return false
        }
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        schedule()
    }
    public func halt() { pause() }

    public func exportState() -> DeviceState {
        var saved = state.withLock { $0.model.exportState() }
        saved.set("pci", [function.exportState()])
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        var model = state.withLock { $0.model }
        try model.importState(saved)
        let taken = model
        try function.importState(try saved.list("pci", count: 1)[0])
        change { model in
            model = taken
            return true
        }
    }
}
