internal import DeviceModel
internal import Devices
internal import Firmware
internal import GuestMemory

/// The `pc` board: i440FX host bridge, PIIX3 and PIIX4 functions, the PC's devices and a PCI bus.
enum PCBoard {
    /// The ISA interrupts of the four PCI links: two each, as PC firmware routes PIIX3.
    static let linkInterrupts = [10, 10, 11, 11]
    static let memoryWindow: (start: UInt64, end: UInt64) = (0xE000_0000, 0xFEC0_0000)

    static func build(_ builder: BoardBuilder) throws(MachineBuildError) {
        let board = builder.configuration.board
        let pit = board.pit.resolved(default: true) ? builder.addPIT() : nil
        let rtc = builder.addRTC()
        if board.i8042 { builder.addKeyboardController() }
        if board.hpet { builder.addHPET(pit: pit, rtc: rtc) }
        if board.acpi.resolved(default: true) { builder.addPowerManagement() }
        builder.addResetControl()
        try builder.addSerialPorts()
        try builder.addDebugPorts()
        try addPCI(builder)
    }

    private static func addPCI(_ builder: BoardBuilder) throws(MachineBuildError) {
        let interrupts = builder.interrupts
        let bus = PCIBus(
            spaces: PCISpaces(
                io: builder.io, memory: builder.mmio, ram: builder.memory, msi: builder.engine,
                doorbells: builder.engine.doorbells),
            routing: PCIInterruptRouting(
                line: { slot, pin in ((slot &+ pin &+ 3) & 3) >> 1 },
                output: { line, level in interrupts.setLine(10 + line, level: level) }))
        builder.setRootBus(bus)
        let ports = PCIConfigPorts(bus)
        builder.io.add(ports, start: 0xCF8, count: 8, name: "pci-conf")
        builder.devices.append(ports)
        // Intel 290549 (82441FX), 290550 (82371SB) and 290562 (82371AB).
        try addHostBridge(bus, builder)
        // The router's four inputs, which firmware sets to what is wired here anyway.
        try add("PIIX3", PCIIdentity(vendorID: 0x8086, deviceID: 0x7000, classCode: 0x060100), 1, 0, builder) {
            $0.defineRegister(0x60, value: UInt32(0x8080_8080), writable: UInt32.max)
        }
        // Without firmware, whose work it is, the registers are where the tables say.
        let (hasFirmware, power) = (builder.configuration.hasFirmware, builder.power)
        let onSMI = builder.requestSMI
        try add(
            "PIIX4_PM", PCIIdentity(vendorID: 0x8086, deviceID: 0x7113, classCode: 0x068000, revision: 3), 1, 3,
            builder, device: { function, name in
                guard let power else { return BridgeFunction(function, name: name) }
                let made = PIIX4Power(
                    function, power, io: builder.io, range: builder.powerRange, stateName: name, onSMI: onSMI)
                builder.currentPowerBase = { made.base }
                return made
            }
        ) {
            // Without system management mode the bit of its commands tells firmware that somebody else has set it up.
            let command: UInt32 = 0x0200_0000
            $0.defineRegister(0x58, value: onSMI == nil ? command : 0, writable: onSMI == nil ? 0 : command)
            // Where the power management registers are, and whether they answer.
            $0.defineRegister(0x40, value: UInt32(hasFirmware ? 1 : 0x601), writable: UInt32(0xFFC0))
            $0.defineRegister(0x80, value: UInt8(hasFirmware ? 0 : 1), writable: UInt8(1))
            // The SMBus controller at 0x700, switched on.
            $0.defineRegister(0x90, value: UInt32(0x701))
            $0.defineRegister(0xD2, value: UInt8(0x09))
        }

        let smbus = ICH9SMBus(stateName: builder.stateName("piix4-smbus"))
        builder.io.add(smbus, start: 0x700, count: 32, name: "pm-smbus")
        builder.devices.append(smbus)

        var host = PCIHost(
            isExpress: false,
            memoryWindows: [UInt32(memoryStart(builder))...UInt32(memoryWindow.end - 1)],
            routing: .fixed, routes: routes, isaBridge: 1 << 16)
        host.highWindow = highWindow(builder)
        if builder.power != nil {
            let observer = builder.ejectObserver
            let hotplug = SlotHotplug(stateName: builder.stateName("acpi-pci-hotplug")) { observer.tell($0) }
            builder.io.add(hotplug, start: SlotHotplug.port, count: SlotHotplug.count, name: "acpi-pci-hotplug")
            builder.devices.append(hotplug)
            builder.slotHotplug = hotplug
            // The board's own graphics adapter stays.
            let first: UInt8 = builder.configuration.graphics == .none ? 2 : 3
            host.hotplug = PCIHotplug(
                port: UInt16(SlotHotplug.port), event: UInt8(SlotHotplug.event), slots: first...31)
        }
        builder.acpi.pci = host
        for irq: UInt8 in [10, 11] {
            builder.acpi.overrides.append(
                ACPIConfiguration.InterruptOverride(
                    source: irq, gsi: UInt32(irq), flags: ACPIConfiguration.InterruptOverride.levelHigh))
        }
    }

    /// The host bridge, which gives the first MiB its RAM; without firmware all of it from the start.
    private static func addHostBridge(_ bus: PCIBus, _ builder: BoardBuilder) throws(MachineBuildError) {
        guard let block = builder.memory.view.range(at: GuestPhysical(0))?.block else { return }
        let bridge = I440FX(
            memory: builder.memory, block: block, management: builder.managementMemory,
            stateName: builder.stateName("i440FX"))
        try MachineBuildError.wrapping { () throws(PCIBusError) in try bus.attach(bridge.function, slot: 0) }
        builder.devices.append(bridge)
        builder.note("i440FX", bus: "pci.0", place: (0, 0))
        if !builder.configuration.hasFirmware { builder.afterReset.append { bridge.shadowAll() } }
    }

    /// A bridge that is nothing but its configuration space.
    private static func add(
        _ name: String, _ identity: PCIIdentity, _ slot: Int, _ function: Int, _ builder: BoardBuilder,
        device wrap: (PCIFunction, String) -> any Device = { BridgeFunction($0, name: $1) },
        _ define: (PCIFunction) -> Void
    ) throws(MachineBuildError) {
        guard let bus = builder.pci else { return }
        var identity = identity
        identity.subsystemVendorID = 0x1AF4
        identity.subsystemID = 0x1100
        let made = PCIFunction(identity)
        define(made)
        let device = wrap(made, builder.stateName(name))
        try MachineBuildError.wrapping { () throws(PCIBusError) in
            try bus.attach(made, slot: slot, function: function)
        }
        builder.devices.append(device)
        builder.note(name, bus: "pci.0", place: (slot, function))
    }

    private static var routes: [PCIHost.Route] {
        (1...31).flatMap { device in
            (0..<4).map { pin in
                PCIHost.Route(
                    device: UInt8(device), pin: UInt8(pin), target: UInt32(linkInterrupts[(device + pin + 3) & 3]))
            }
        }
    }

    /// Where memory of PCI functions begins below 4 GiB: firmware takes more room than this board's own assignment.
    private static func memoryStart(_ builder: BoardBuilder) -> UInt64 {
        max(builder.configuration.hasFirmware ? 0x8000_0000 : memoryWindow.start, builder.layout.low)
    }

    /// Memory above all RAM and modules, on a boundary of 1 GiB; with firmware all that processors of 39 bits reach.
    static func highWindow(_ builder: BoardBuilder) -> ClosedRange<UInt64> {
        let gibibyte: UInt64 = 1 << 30
        let memoryEnd = builder.modules.region?.end ?? PCMemory.highStart + builder.layout.high
        let start = (memoryEnd + gibibyte - 1) & ~(gibibyte - 1)
        let end = builder.configuration.hasFirmware ? max(1 << 39, start + gibibyte) : start + 32 * gibibyte
        return start...(end - 1)
    }

    /// What a firmware does: resources of PCI functions, and level-triggered PCI interrupts at the PIC.
    static func initialise(_ bus: PCIBus, io: Bus, window: UInt64, high: ClosedRange<UInt64>) {
        var assigner = PCIResourceAssigner(
            io: PCIResourceAssigner.Window(start: 0xC000, end: 0x1_0000),
            memory32: PCIResourceAssigner.Window(start: window, end: memoryWindow.end),
            memory64: PCIResourceAssigner.Window(start: high.lowerBound, end: high.upperBound + 1),
            interruptLine: { slot, pin in UInt8(linkInterrupts[(slot &+ pin &+ 3) & 3]) })
        _ = assigner.assign(bus)
        // ELCR: interrupts 9, 10 and 11 are level-triggered.
        io.write(0x4D1, size: 1, value: 0x0E)
    }
}

/// A bridge function as a device of the machine.
final class BridgeFunction: Device {
    let stateName: String
    private let function: PCIFunction

    init(_ function: PCIFunction, name: String) {
        self.function = function
        stateName = name
    }
    func reset() { function.reset() }
    func exportState() -> DeviceState { function.exportState() }
    func importState(_ state: DeviceState) throws(DeviceStateError) { try function.importState(state) }
}
