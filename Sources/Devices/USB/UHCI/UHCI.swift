public import DeviceModel
public import Display
public import GuestMemory
internal import Synchronization

/// The PIIX3's USB function: a UHCI controller with human interface devices at its two ports.
public final class UHCI: Device, BusDevice {
    /// A device at a port.
    public enum Attachment: Sendable {
        /// `usb-kbd`.
        case keyboard
        /// `usb-mouse`.
        case mouse
        /// `usb-tablet`.
        case tablet

        fileprivate var kind: HIDFunction.Kind {
            switch self {
            case .keyboard: .keyboard
            case .mouse: .mouse
            case .tablet: .tablet
            }
        }
    }
    /// The most devices that it takes.
    public static let portCount = UHCIModel.portCount
    private static let period: UInt64 = 1_000_000

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let memory: AddressSpace
    private let clock: any VirtualClock
    private let onLights: @Sendable (UInt8) -> Void
    private struct State: Sendable {
        var model: UHCIModel
        var level = false
        var lights: [UInt8]
        var deadline: UInt64?
    }
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A controller after power-on. `onLights` hears of a keyboard's lights: scroll 1, num 2, caps 4.
    public init(
        _ attachments: [Attachment], memory: AddressSpace, clock: any VirtualClock, stateName: String = "uhci",
        onLights: @escaping @Sendable (UInt8) -> Void = { _ in }
    ) {
        self.stateName = stateName
        self.memory = memory
        self.clock = clock
        self.onLights = onLights
        let devices = attachments.prefix(Self.portCount).map { USBDevice(HIDFunction($0.kind)) }
        state = Mutex(
            State(model: UHCIModel(devices: devices), lights: [UInt8](repeating: 0, count: Self.portCount)))
        // Intel 290550 (82371SB), function 2.
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x7020, classCode: 0x0C0300, revision: 1, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100), interruptPin: 4)
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
        let lights = state.withLock { state -> UInt8? in
            body(&state)
            if !state.model.isRunning {
                state.deadline = nil
            } else if state.deadline == nil {
                state.deadline = clock.now &+ Self.period
            }
            timer.set(state.deadline)
            var lights: UInt8?
            for index in state.lights.indices {
                guard let keyboard = state.model.devices[index]?.function as? HIDFunction else { continue }
                if keyboard.lights != state.lights[index] {
                    state.lights[index] = keyboard.lights
                    lights = keyboard.lights
                }
            }
            if state.level != state.model.interruptLevel {
                state.level = state.model.interruptLevel
                function.setINTx(state.level)
            }
            return lights
        }
        // The class counts num, caps, scroll; PS/2 scroll, num, caps.
        if let lights { onLights(lights << 1 & 6 | lights >> 2 & 1) }
    }

    private func frame() {
        timer.fired()
        let view = Schedule(memory: memory)
        change { state in
            state.model.runFrame(view)
            let now = clock.now
            // After a pause frames go on from now; a little lateness is made up for.
            let next = (state.deadline ?? now) &+ Self.period
            state.deadline = next &+ 8 * Self.period < now ? now &+ Self.period : next
        }
    }

    private struct Schedule: USBMemory {
        let memory: AddressSpace
        func word(_ address: UInt32) -> UInt32? { try? memory.load(GuestPhysical(UInt64(address)), as: UInt32.self) }
        func store(_ address: UInt32, _ value: UInt32) { try? memory.store(GuestPhysical(UInt64(address)), value) }
        func bytes(_ address: UInt32, count: Int) -> [UInt8]? {
            count == 0 ? [] : try? memory.bytes(GuestPhysical(UInt64(address)), count: count)
        }
        func store(_ address: UInt32, _ bytes: [UInt8]) {
            if !bytes.isEmpty { try? memory.write(GuestPhysical(UInt64(address)), bytes: bytes) }
        }
    }

    // MARK: Input

    /// The device at a port as a keyboard or pointer of the guest's; it keeps the controller.
    public func input(_ port: Int) -> any KeyboardInput & PointerInput { Input(self, port) }

    private final class Input: KeyboardInput, PointerInput {
        private let controller: UHCI
        private let port: Int
        let isAbsolute: Bool

        init(_ controller: UHCI, _ port: Int) {
            self.controller = controller
            self.port = port
            isAbsolute = controller.kind(port) == .tablet
        }
        var pointerName: String { isAbsolute ? "QEMU HID Tablet" : "QEMU HID Mouse" }
        func key(code: UInt8, down: Bool) { controller.withFunction(port) { $0.key(code, down: down) } }
        func pointer(_ event: PointerEvent) { controller.withFunction(port) { $0.pointer(event) } }
    }

    private func kind(_ port: Int) -> HIDFunction.Kind? {
        state.withLock { ($0.model.devices[port]?.function as? HIDFunction)?.kind }
    }
    private func withFunction(_ port: Int, _ body: (inout HIDFunction) -> Void) {
        state.withLock { state in
            guard var function = state.model.devices[port]?.function as? HIDFunction else { return }
            body(&function)
            state.model.devices[port]?.function = function
        }
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
        var saved = state.withLock { $0.model.exportState() }
        saved.set("pci", [function.exportState()])
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let attached = state.withLock { $0.model }
        var model = attached
        try model.importState(saved)
        let taken = model
        try function.importState(try saved.list("pci", count: 1)[0])
        change { state in
            state.model = taken
            state.deadline = nil
        }
    }
}
