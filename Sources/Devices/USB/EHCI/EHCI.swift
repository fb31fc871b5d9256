public import DeviceModel
public import GuestMemory
internal import Synchronization

/// An EHCI host controller as a PCI function, with or without companions that serve devices without high speed.
public final class EHCI: Device, BusDevice, USBHost {
    /// Which of them.
    public enum Model: Sendable {
        /// `usb-ehci`.
        case ich4
        /// `ich9-usb-ehci1`, and `ich9-usb-ehci2`.
        case ich9
        case ich9Second
    }
    /// Ports of any model.
    public static let ports = 6
    private static let period: UInt64 = 1_000_000

    private struct State: Sendable {
        var model: EHCIModel
        var deadline: UInt64?
        var level = false
        var isPaused = false
    }
    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    public var portCount: Int { Self.ports }
    private let memory: GuestUSBMemory
    private let clock: any VirtualClock
    private let state = Mutex(State(model: EHCIModel(ports: EHCI.ports, companions: 0)))
    /// By the pair of ports that each serves.
    private let companions = Mutex<[Int: any USBHost]>([:])
    private let timer = LateTimer()
    /// Fires at once where a device has something that it had not.
    private let news = LateTimer()
    /// One at a time moves devices between this controller and its companions.
    private let moving = Mutex<[Int: Bool]>([:])

    /// A controller after power-on.
    public init(_ model: Model, memory: AddressSpace, clock: any VirtualClock, stateName: String = "ehci") {
        self.stateName = stateName
        self.memory = GuestUSBMemory(memory: memory)
        self.clock = clock
        let (device, pin): (UInt16, UInt8) =
            switch model {
            case .ich4: (0x24CD, 4)
            case .ich9: (0x293A, 4)
            case .ich9Second: (0x293C, 4)
            }
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: device, classCode: 0x0C0320, revision: 3, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100), interruptPin: pin)
        // Release of USB, length of a frame, ports that wake (2.1.4 to 2.1.6).
        function.defineRegister(0x60, value: UInt8(0x20))
        function.defineRegister(0x61, value: UInt8(0x20), writable: UInt8(0x3F))
        function.defineRegister(0x62, value: UInt16(0x7F), writable: UInt16(0x7F))
        function.addBAR(
            0, .memory32(prefetchable: false), size: 0x1000,
            regions: [PCIBAR.Region(count: 0x1000, name: "ehci", device: WeakWindow(self))])
        timer.make(clock) { [weak self] in self?.fire() }
        news.make(clock) { [weak self] in self?.look() }
    }

    /// Has a controller serve devices without high speed at two ports, the first of which is even. False where that is
    /// no place. Before devices are connected.
    public func addCompanion(_ host: any USBHost, firstPort: Int) -> Bool {
        guard firstPort % 2 == 0, 0..<Self.ports ~= firstPort else { return false }
        let count = companions.withLock { companions -> Int? in
            guard companions[firstPort / 2] == nil else { return nil }
            companions[firstPort / 2] = host
            return companions.count
        }
        guard let count else { return false }
        change { $0.model = EHCIModel(ports: Self.ports, companions: count) }
        return true
    }

    // MARK: Registers

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            let low = UInt64(state.model.read(offset & ~3))
            let high = size == 8 ? UInt64(state.model.read((offset & ~3) + 4)) : 0
            return (high << 32 | low) >> ((offset & 3) * 8)
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        guard size >= 4, offset & 3 == 0 else { return }
        change { state in
            state.model.write(offset, UInt32(truncatingIfNeeded: value))
            if size == 8 { state.model.write(offset + 4, UInt32(truncatingIfNeeded: value >> 32)) }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let moved = state.withLock { state -> Set<Int> in
            body(&state)
            if !state.model.isRunning || state.isPaused {
                state.deadline = nil
            } else if state.deadline == nil {
                state.deadline = clock.now &+ Self.period
            }
            timer.set(state.deadline)
            let level = state.model.interruptLevel
            if level != state.level {
                state.level = level
                function.setINTx(level)
            }
            defer { state.model.moved = [] }
            return state.model.moved
        }
        for port in moved { move(port) }
    }

    private func fire() {
        timer.fired()
        change { state in
            let now = clock.now
            let due = state.deadline ?? now
            let frames = 1 + Int(min((now > due ? now - due : 0) / Self.period, 15))
            state.model.run(frames: frames, memory)
            state.deadline = max(due &+ UInt64(frames) * Self.period, now &+ Self.period / 2)
        }
    }

    /// Any thread, also under this controller's lock.
    private func wake() { news.set(0) }
    private func look() {
        news.fired()
        change { state in if !state.isPaused { state.model.runAsynchronous(memory) } }
    }

    // MARK: Ports

    /// Gives the device of a port to who owns the port now.
    private func move(_ port: Int) {
        moving.withLock { places in
            let (device, isCompanions) = state.withLock { ($0.model.ports[port].device, $0.model.isCompanions(port)) }
            let (wasCompanions, companion) = (places[port], companion(of: port))
            if wasCompanions == true { companion?.disconnect(port: port % 2) }
            places[port] = nil
            guard let device else { return }
            if isCompanions {
                places[port] = true
                _ = companion?.connect(device, port: port % 2)
            } else {
                device.connected(at: device.knows(.high) ? .high : .full) { [weak self] in self?.wake() }
            }
        }
    }
    private func companion(of port: Int) -> (any USBHost)? {
        companions.withLock { $0[port / 2] }
    }

    public func connect(_ device: USBPeripheral, port: Int) -> Bool {
        guard 0..<portCount ~= port, device.knows(.high) || companion(of: port) != nil,
            state.withLock({ $0.model.ports[port].device == nil })
        else { return false }
        device.connected(at: device.knows(.high) ? .high : .full) { [weak self] in self?.wake() }
        change { $0.model.connect(device, port) }
        return true
    }

    public func disconnect(port: Int) {
        guard 0..<portCount ~= port, let device = state.withLock({ $0.model.ports[port].device }) else { return }
        change { state in
            state.model.disconnect(port)
            state.model.moved.insert(port)
        }
        device.disconnected()
    }

    // MARK: Device

    public func reset() {
        function.reset()
        change { state in
            state.model.reset()
            state.deadline = nil
        }
    }
    public func pause() { change { $0.isPaused = true } }
    public func resume() { change { $0.isPaused = false } }

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
        change { state in
            state.model = taken
            state.deadline = nil
        }
    }
}
