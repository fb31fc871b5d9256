internal import DeviceModel

/// An EHCI host controller (Enhanced Host Controller Interface Specification for Universal Serial Bus, 1.0): registers,
/// ports, and the work of its two schedules. Isochronous transfers move nothing. A pure model.
struct EHCIModel: Sendable {
    /// Bytes of registers in front of the operational ones.
    static let capabilityLength: UInt64 = 0x20

    enum Command {
        static let run: UInt32 = 1
        static let reset: UInt32 = 2
        static let periodic: UInt32 = 16
        static let asynchronous: UInt32 = 32
        static let doorbell: UInt32 = 64
        static let initial: UInt32 = 0x0008_0000
    }
    enum Status {
        static let interrupt: UInt32 = 1
        static let error: UInt32 = 2
        static let portChange: UInt32 = 4
        static let rollover: UInt32 = 8
        static let systemError: UInt32 = 16
        static let advance: UInt32 = 32
        static let clearable: UInt32 = 0x3F
        static let halted: UInt32 = 1 << 12
        static let periodic: UInt32 = 1 << 14
        static let asynchronous: UInt32 = 1 << 15
    }
    enum PortBit {
        static let connected: UInt32 = 1
        static let connectChange: UInt32 = 2
        static let enabled: UInt32 = 4
        static let enableChange: UInt32 = 8
        static let changes: UInt32 = 0x2A
        static let resume: UInt32 = 0x40
        static let suspended: UInt32 = 0x80
        static let reset: UInt32 = 0x100
        static let power: UInt32 = 0x1000
        static let owner: UInt32 = 0x2000
        static let wakes: UInt32 = 0x70_0000
    }
    struct Port: Sendable {
        var status: UInt32
        /// What is at the port, whoever owns it.
        var device: USBPeripheral?
    }

    /// Companion controllers, of which each serves two ports.
    let companions: Int
    var command = Command.initial
    var status = Status.halted
    var enable: UInt32 = 0
    var frame: UInt32 = 0
    var periodicBase: UInt32 = 0
    var asynchronousAddress: UInt32 = 0
    var isConfigured = false
    var ports: [Port]
    /// Interrupts on completion since the last threshold.
    var due: UInt32 = 0
    /// Ports whose owner changed and whose device has to move.
    var moved: Set<Int> = []

    init(ports count: Int, companions: Int) {
        self.companions = companions
        // Without configuration all ports are the companions'.
        ports = [Port](repeating: Port(status: PortBit.power | (companions > 0 ? PortBit.owner : 0)), count: count)
    }

    mutating func reset() {
        let devices = ports.map(\.device)
        self = EHCIModel(ports: ports.count, companions: companions)
        for (index, device) in devices.enumerated() {
            guard let device else { continue }
            ports[index].device = device
            device.busReset()
            if !isCompanions(index) { setConnected(index) } else { moved.insert(index) }
        }
    }

    var isRunning: Bool { command & Command.run != 0 }
    var interruptLevel: Bool { status & enable & Status.clearable != 0 }
    func isCompanions(_ port: Int) -> Bool { ports[port].status & PortBit.owner != 0 }

    // MARK: Registers

    func read(_ offset: UInt64) -> UInt32 {
        guard offset >= Self.capabilityLength else {
            switch offset {
            case 0x00: return 0x0100_0000 | UInt32(Self.capabilityLength)
            case 0x04: return UInt32(ports.count) | UInt32(companions > 0 ? 2 : 0) << 8 | UInt32(companions) << 12
            // Isochronous threshold 0; no 64-bit addresses, no parking.
            default: return 0
            }
        }
        switch offset - Self.capabilityLength {
        case 0x00: return command
        case 0x04:
            var value = status
            if isRunning, command & Command.periodic != 0 { value |= Status.periodic }
            if isRunning, command & Command.asynchronous != 0 { value |= Status.asynchronous }
            return value
        case 0x08: return enable
        case 0x0C: return frame
        case 0x14: return periodicBase
        case 0x18: return asynchronousAddress
        case 0x40: return isConfigured ? 1 : 0
        case 0x44..<(0x44 + UInt64(ports.count) * 4):
            return ports[Int(offset - Self.capabilityLength - 0x44) / 4].status
        default: return 0
        }
    }

    mutating func write(_ offset: UInt64, _ value: UInt32) {
        guard offset >= Self.capabilityLength else { return }
        switch offset - Self.capabilityLength {
        case 0x00:
            if value & Command.reset != 0 { return reset() }
            command = value & 0x00FF_0071
            if isRunning { status &= ~Status.halted } else { status |= Status.halted }
        case 0x04: status &= ~(value & Status.clearable)
        case 0x08: enable = value & 0x3F
        case 0x0C: if !isRunning { frame = value & 0x3FFF }
        case 0x14: periodicBase = value & ~0xFFF
        case 0x18: asynchronousAddress = value & ~0x1F
        case 0x40: configure(value & 1 != 0)
        case 0x44..<(0x44 + UInt64(ports.count) * 4):
            writePort(Int(offset - Self.capabilityLength - 0x44) / 4, value)
        default: break
        }
    }

    /// All ports go to this controller, or to its companions. 4.2.
    private mutating func configure(_ flag: Bool) {
        guard flag != isConfigured else { return }
        isConfigured = flag
        guard companions > 0 else { return }
        for index in ports.indices { setOwner(index, companions: !flag) }
    }

    private mutating func setOwner(_ index: Int, companions: Bool) {
        guard isCompanions(index) != companions else { return }
        if companions {
            // Here it looks as if the device had gone.
            let had = ports[index].status & PortBit.connected
            ports[index].status = PortBit.power | PortBit.owner | (had != 0 ? PortBit.connectChange : 0)
        } else {
            ports[index].status = PortBit.power
            if ports[index].device != nil { setConnected(index) }
        }
        if ports[index].device != nil { moved.insert(index) }
    }

    private mutating func setConnected(_ index: Int) {
        // A device that has no high speed shows as one in the state K of the line: it is not for this controller.
        let line: UInt32 = ports[index].device.map { $0.knows(.high) ? 0x800 : 0x400 } ?? 0
        ports[index].status =
            PortBit.power | PortBit.connected | PortBit.connectChange | line | ports[index].status & PortBit.wakes
        tellPort()
    }
    private mutating func tellPort() { status |= Status.portChange }

    mutating func connect(_ device: USBPeripheral, _ index: Int) {
        ports[index].device = device
        if isCompanions(index) { moved.insert(index) } else { setConnected(index) }
    }
    mutating func disconnect(_ index: Int) {
        ports[index].device = nil
        if isCompanions(index) {
            // Once it has gone the port is this controller's again. 4.2.2.
            if isConfigured { ports[index].status = PortBit.power }
            return
        }
        let wasEnabled = ports[index].status & PortBit.enabled != 0
        ports[index].status =
            PortBit.power | PortBit.connectChange | (wasEnabled ? PortBit.enableChange : 0)
            | ports[index].status & PortBit.wakes
        tellPort()
    }

    private mutating func writePort(_ index: Int, _ value: UInt32) {
        // Changes are seen and cleared whoever has the port now.
        ports[index].status &= ~(value & PortBit.changes)
        if companions > 0 { setOwner(index, companions: value & PortBit.owner != 0) }
        guard !isCompanions(index) else { return }
        var port = ports[index].status
        if value & PortBit.enabled == 0 { port &= ~PortBit.enabled }
        if value & PortBit.reset != 0 {
            port = port & ~(PortBit.enabled | PortBit.suspended) | PortBit.reset
        } else if port & PortBit.reset != 0 {
            port &= ~PortBit.reset
            if let device = ports[index].device {
                device.busReset()
                if device.speed == .high { port |= PortBit.enabled }
            }
        }
        if port & PortBit.enabled != 0, value & PortBit.suspended != 0 { port |= PortBit.suspended }
        if value & PortBit.resume != 0 {
            if port & PortBit.suspended != 0 { port |= PortBit.resume }
        } else if port & PortBit.resume != 0 {
            port &= ~(PortBit.resume | PortBit.suspended)
        }
        ports[index].status = port & ~PortBit.wakes | value & PortBit.wakes
    }

    // MARK: State

    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("command", command)
        saved.set("status", status)
        saved.set("enable", enable)
        saved.set("frame", frame)
        saved.set("periodic", periodicBase)
        saved.set("asynchronous", asynchronousAddress)
        saved.set("configured", isConfigured)
        saved.set("due", due)
        saved.set(
            "ports",
            ports.map { port in
                var part = DeviceState(version: 1)
                part.set("status", port.status)
                return part
            })
        return saved
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = self
        new.command = try saved.integer("command")
        new.status = try saved.integer("status")
        new.enable = try saved.integer("enable")
        new.frame = try saved.integer("frame", as: UInt32.self) & 0x3FFF
        new.periodicBase = try saved.integer("periodic")
        new.asynchronousAddress = try saved.integer("asynchronous")
        new.isConfigured = try saved.bool("configured")
        new.due = try saved.integer("due", as: UInt32.self) & Status.clearable
        for (index, part) in try saved.list("ports", count: ports.count).enumerated() {
            let had = isCompanions(index)
            new.ports[index].status = try part.integer("status")
            if new.isCompanions(index) != had, new.ports[index].device != nil { new.moved.insert(index) }
        }
        self = new
    }
}
