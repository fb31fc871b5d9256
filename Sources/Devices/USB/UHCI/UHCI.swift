public import DeviceModel
public import GuestMemory
internal import Synchronization

/// A UHCI controller as a PCI function with two ports: the PIIX3's or PIIX4's, or one of an ICH9's companions.
public final class UHCI: Device, BusDevice, USBHost {
    /// Which of them.
    public enum Model: Equatable, Sendable {
        /// `piix3-usb-uhci`.
        case piix3
        /// `piix4-usb-uhci`.
        case piix4
        /// `ich9-usb-uhci1` to `6`.
        case ich9(Int)

        fileprivate var deviceID: UInt16 {
            switch self {
            case .piix3: 0x7020
            case .piix4: 0x7112
            case .ich9(let number): [0x2934, 0x2935, 0x2936, 0x2937, 0x2938, 0x2939][min(max(number - 1, 0), 5)]
            }
        }
        fileprivate var pin: UInt8 {
            switch self {
            case .piix3, .piix4: 4
            case .ich9(let number): [1, 2, 3, 1, 2, 3][min(max(number - 1, 0), 5)]
            }
        }
    }
    public var portCount: Int { UHCIModel.portCount }
    private static let period: UInt64 = 1_000_000

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let memory: GuestUSBMemory
    private let clock: any VirtualClock
    private struct State: Sendable {
        var model: UHCIModel
        var level = false
        var deadline: UInt64?
    }
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A controller after power-on.
    public init(
        _ model: Model = .piix3, memory: AddressSpace, clock: any VirtualClock, stateName: String = "uhci"
    ) {
        self.stateName = stateName
        self.memory = GuestUSBMemory(memory: memory)
        self.clock = clock
        state = Mutex(State(model: UHCIModel()))
        let isICH = if case .ich9 = model { true } else { false }
        // Intel 290550 (82371SB) and 290562 (82371AB), function 2; 316972 (ICH9), chapter 16.
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: model.deviceID, classCode: 0x0C0300, revision: isICH ? 3 : 1,
                subsystemVendorID: 0x1AF4, subsystemID: 0x1100), interruptPin: model.pin)
        function.defineRegister(0x60, value: UInt8(0x10))
        function.defineRegister(0xC0, value: UInt16(0x2000), writable: UInt16(0xBFFF))
        function.addBAR(4, .io, size: 32, regions: [PCIBAR.Region(count: 32, name: "uhci", device: Registers(self))])
        timer.make(clock) { [weak self] in self?.frame() }
    }

    private final class Registers: BusDevice {
        private unowned let controller: UHCI
        init(_ controller: UHCI) { self.controller = controller }
        func read(offset: UInt64, size: Int) -> UInt64 { controller.read(offset: offset, size: size) }
        func write(offset: UInt64, size: Int, value: UInt64) {
            controller.write(offset: offset, size: size, value: value)
        }
    }

    // MARK: BusDevice

    public func read(offset: UInt64, size: Int) -> UInt64 { state.withLock { $0.model.read(offset, size: size) } }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        change { $0.model.write(offset, size: size, value: value) }
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            if !state.model.isRunning {
                state.deadline = nil
            } else if state.deadline == nil {
                state.deadline = clock.now &+ Self.period
            }
            timer.set(state.deadline)
            if state.level != state.model.interruptLevel {
                state.level = state.model.interruptLevel
                function.setINTx(state.level)
            }
        }
    }

    private func frame() {
        timer.fired()
        change { state in
            state.model.runFrame(memory)
            let now = clock.now
            // After a pause frames go on from now; a little lateness is made up for.
            let next = (state.deadline ?? now) &+ Self.period
            state.deadline = next &+ 8 * Self.period < now ? now &+ Self.period : next
        }
    }

    // MARK: Ports

    public func connect(_ device: USBPeripheral, port: Int) -> Bool {
        let speed: USBSpeed = device.knows(.full) ? .full : .low
        guard device.knows(speed), 0..<portCount ~= port, state.withLock({ $0.model.devices[port] == nil }) else {
            return false
        }
        // It asks every frame: nobody need wake it.
        device.connected(at: speed) {}
        change { $0.model.connect(device, port) }
        return true
    }

    public func disconnect(port: Int) {
        guard 0..<portCount ~= port else { return }
        let device = state.withLock { $0.model.devices[port] }
        guard let device else { return }
        change { $0.model.disconnect(port) }
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

    public func exportState() -> DeviceState {
        var saved = state.withLock { state in
            var saved = state.model.exportState()
            if let deadline = state.deadline { saved.set("next-frame", deadline) }
            return saved
        }
        saved.set("pci", [function.exportState()])
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let attached = state.withLock { $0.model }
        var model = attached
        try model.importState(saved)
        let taken = model
        try function.importState(try saved.list("pci", count: 1)[0])
        // Virtual time; states of older releases begin a frame.
        let latest = clock.now &+ Self.period
        let deadline: UInt64? = saved.fields["next-frame"] == nil ? nil : min(try saved.integer("next-frame"), latest)
        change { state in
            state.model = taken
            state.deadline = deadline
        }
    }
}
