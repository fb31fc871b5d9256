internal import DeviceModel
internal import Devices
internal import Firmware
internal import GuestMemory

/// The `q35` board: Q35 host bridge with configuration space in memory, ICH9 with AHCI, SMBus and watchdog, and a PCI
/// Express bus.
enum Q35Board {
    /// Where configuration space lies in memory until firmware says otherwise, as SeaBIOS has it.
    static let configurationWindow: (start: UInt64, count: UInt64) = (0xB000_0000, 256 << 20)
    static let chipsetSlot = 0x1F
    static let ahciPorts = 6

    static func build(_ builder: BoardBuilder) throws(MachineBuildError) {
        let board = builder.configuration.board
        let pit = board.pit.resolved(default: true) ? builder.addPIT() : nil
        let rtc = builder.addRTC()
        if board.i8042 { builder.addKeyboardController() }
        if board.hpet { builder.addHPET(pit: pit, rtc: rtc) }
        if board.acpi.resolved(default: true) { builder.addPowerManagement(ich9) }
        builder.addResetControl()
        try builder.addSerialPorts()
        try builder.addDebugPorts()
        try addPCI(builder)
    }

    /// The ICH9's power management, where `ICH9LPC` has it.
    private static var ich9: ACPIPowerManagementConfiguration {
        var power = ACPIPowerManagementConfiguration()
        power.base = ICH9LPC.powerBase
        power.eventBase = ICH9LPC.powerBase + 0x20
        power.eventBytes = 16
        power.enableCommand = 2
        power.disableCommand = 3
        return power
    }

    private static func addPCI(_ builder: BoardBuilder) throws(MachineBuildError) {
        let lifecycle = builder.lifecycle
        let lpc = ICH9LPC(
            mmio: builder.mmio, clock: builder.clock, interrupts: builder.interrupts,
            stateName: builder.stateName("ICH9-LPC"), onSMI: builder.requestSMI,
            onWatchdog: { lifecycle.send(.watchdog) })
        builder.power?.observeCommands { [weak lpc] _ in lpc?.receiveCommand() }
        builder.lpc = lpc
        lpc.attach(to: builder.io)
        let bus = PCIBus(
            name: "pcie.0",
            spaces: PCISpaces(
                io: builder.io, memory: builder.mmio, ram: builder.memory, msi: builder.engine,
                doorbells: builder.engine.doorbells),
            routing: PCIInterruptRouting(
                line: { slot, pin in ICH9LPC.input(slot: slot, pin: pin) },
                output: { line, level in lpc.setInput(line, level: level) }))
        builder.setRootBus(bus)
        let ports = PCIConfigPorts(bus)
        builder.io.add(ports, start: 0xCF8, count: 8, name: "pci-conf")
        builder.devices.append(ports)
        let bridge = try addHostBridge(bus, builder)
        try attach(lpc.function, 0, "ICH9-LPC", lpc, builder)
        let smbus = ICH9SMBus(stateName: builder.stateName("ICH9-SMB"))
        try attach(smbus.function, 3, "ICH9-SMB", smbus, builder)
        if !builder.configuration.hasFirmware { builder.afterReset.append { route(lpc.function) } }

        let low = builder.layout.low
        var host = PCIHost(
            isExpress: true, memoryWindows: windows(low, configurationWindow), routing: .fixed, routes: routes,
            isaBridge: UInt32(chipsetSlot) << 16)
        host.ecam = configurationWindow.start
        host.highWindow = PCBoard.highWindow(builder)
        builder.acpi.pci = host
        let first = host
        builder.currentPCIHost = {
            let window = bridge.configurationWindow ?? configurationWindow
            var now = first
            now.ecam = window.start
            now.buses = 0...UInt8(truncatingIfNeeded: (window.count >> 20) - 1)
            now.memoryWindows = windows(low, window)
            return now
        }
    }

    private static func attach(
        _ function: PCIFunction, _ number: Int, _ model: String, _ device: any Device, _ builder: BoardBuilder
    ) throws(MachineBuildError) {
        guard let bus = builder.pci else { return }
        try MachineBuildError.wrapping { () throws(PCIBusError) in
            try bus.attach(function, slot: chipsetSlot, function: number)
        }
        builder.devices.append(device)
        builder.note(model, bus: "pcie.0", place: (0x1F, number))
    }

    private static func addHostBridge(
        _ bus: PCIBus, _ builder: BoardBuilder
    ) throws(MachineBuildError) -> I440FX {
        guard let block = builder.memory.view.range(at: GuestPhysical(0))?.block else {
            throw MachineBuildError("There is no guest memory at 0")
        }
        let bridge = I440FX(
            memory: builder.memory, block: block, chipset: .q35, management: builder.managementMemory,
            stateName: builder.stateName("mch"))
        try MachineBuildError.wrapping { () throws(PCIBusError) in try bus.attach(bridge.function, slot: 0) }
        builder.devices.append(bridge)
        builder.note("mch", bus: "pcie.0", place: (0, 0))
        let window = ConfigurationWindow(bus, builder.mmio)
        bridge.observeConfigurationWindow { [weak bridge] in window.move(to: bridge?.configurationWindow) }
        if !builder.configuration.hasFirmware {
            builder.afterReset.append {
                bridge.shadowAll()
                bridge.function.writeConfiguration(
                    0x60, size: 4, value: UInt32(truncatingIfNeeded: configurationWindow.start | 1))
            }
        }
        return bridge
    }

    /// What firmware does with the PCI interrupt router for the PIC, and with the chipset's registers in memory.
    private static func route(_ lpc: PCIFunction) {
        lpc.writeConfiguration(0xF0, size: 4, value: 0xFED1_C001)
        lpc.writeConfiguration(0x44, size: 1, value: 0x80)
        for input in 0..<8 {
            lpc.writeConfiguration(
                input < 4 ? 0x60 + input : 0x64 + input, size: 1,
                value: UInt32(PCBoard.linkInterrupts[input & 3]))
        }
    }

    /// Two windows of memory below 4 GiB: what lies around configuration space, always in two parts.
    private static func windows(
        _ low: UInt64, _ express: (start: UInt64, count: UInt64)
    ) -> [ClosedRange<UInt32>] {
        let last: UInt64 = 0xFEBF_FFFF
        let end = express.start + express.count
        func range(_ first: UInt64, _ last: UInt64) -> ClosedRange<UInt32> {
            UInt32(clamping: min(first, last))...UInt32(clamping: last)
        }
        guard end < last else { return [range(low, express.start / 2 + low / 2 - 1), range(low, express.start - 1)] }
        if low < express.start { return [range(low, express.start - 1), range(end, last)] }
        let middle = (end + last) / 2 & ~0xFFF_FFFF
        return [range(end, middle - 1), range(middle, last)]
    }

    /// Each pin's input of the IOAPIC.
    private static var routes: [PCIHost.Route] {
        (1...31).flatMap { device in
            (0..<4).map { pin in
                PCIHost.Route(
                    device: UInt8(device), pin: UInt8(pin),
                    target: UInt32(16 + ICH9LPC.input(slot: device, pin: pin)))
            }
        }
    }
}
