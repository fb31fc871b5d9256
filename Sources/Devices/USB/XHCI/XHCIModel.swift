internal import DeviceModel

/// An xHCI host controller (eXtensible Host Controller Interface for Universal Serial Bus, 1.1): registers, ports and
/// rings. A pure model: what it does on rings it does when it is run, with the memory that it is given.
struct XHCIModel: Sendable {
    /// What does not change.
    struct Layout: Sendable {
        var slots = 64
        var interrupters = 16
        var ports2 = 4
        var ports3 = 4
        var isNEC = false
    }
    enum Offset {
        static let operational: UInt64 = 0x40
        static let ports: UInt64 = 0x440
        static let runtime: UInt64 = 0x1000
        static let doorbells: UInt64 = 0x2000
    }
    enum Command {
        static let run: UInt32 = 1
        static let reset: UInt32 = 2
        static let interrupts: UInt32 = 4
        static let lightReset: UInt32 = 1 << 7
        static let save: UInt32 = 1 << 8
        static let restore: UInt32 = 1 << 9
        static let writable: UInt32 = 0xC0D
    }
    enum Status {
        static let halted: UInt32 = 1
        static let systemError: UInt32 = 4
        static let event: UInt32 = 8
        static let portChange: UInt32 = 0x10
        static let restoreError: UInt32 = 0x400
        static let controllerError: UInt32 = 0x1000
        static let clearable: UInt32 = 0x41C
    }
    /// A device of a root port's, and the port's status and control.
    struct Port: Sendable {
        var status: UInt32
        var device: USBPeripheral?
        static let connected: UInt32 = 1
        static let enabled: UInt32 = 2
        static let reset: UInt32 = 0x10
        static let power: UInt32 = 0x200
        static let linkWrite: UInt32 = 1 << 16
        static let connectChange: UInt32 = 1 << 17
        static let warmResetChange: UInt32 = 1 << 19
        static let resetChange: UInt32 = 1 << 21
        static let linkChange: UInt32 = 1 << 22
        static let changes: UInt32 = 0xFE_0000
        static let wakes: UInt32 = 7 << 25
        static let warmReset: UInt32 = 1 << 31
        enum Link {
            static let u0: UInt32 = 0
            static let u3: UInt32 = 3
            static let detect: UInt32 = 5
            static let polling: UInt32 = 7
            static let resume: UInt32 = 15
        }
        var link: UInt32 {
            get { status >> 5 & 15 }
            set { status = status & ~(15 << 5) | newValue << 5 }
        }
    }
    struct Interrupter: Sendable {
        var management: UInt32 = 0
        var moderation: UInt32 = 4000
        var tableSize: UInt32 = 0
        var table: UInt64 = 0
        var dequeue: UInt64 = 0
        // The one segment of its ring, and the place of the next event.
        var start: UInt64 = 0
        var size = 0
        var index = 0
        var cycle = true
        var isFull = false
        static let pending: UInt32 = 1
        static let enabled: UInt32 = 2
        static let busy: UInt64 = 8
    }

    let layout: Layout
    var command: UInt32 = 0
    var status = Status.halted
    var notification: UInt32 = 0
    var contexts: UInt64 = 0
    var configuration: UInt32 = 0
    var commandDequeue: UInt64 = 0
    var commandCycle = false
    var isCommandRingRunning = false
    var ports: [Port]
    var interrupters: [Interrupter]
    /// By number; the first is none.
    var slots: [Slot]
    /// Doorbells that have been rung: slot and endpoint.
    var rung: [UInt16] = []
    /// Endpoints whose devices have nothing now.
    var waiting: Set<UInt16> = []
    /// Messages that are to be sent.
    var messages: [Int] = []

    init(_ layout: Layout) {
        self.layout = layout
        ports = [Port](repeating: Port(status: Port.power), count: layout.ports2 + layout.ports3)
        interrupters = [Interrupter](repeating: Interrupter(), count: layout.interrupters)
        slots = [Slot](repeating: Slot(), count: layout.slots + 1)
        for index in ports.indices { ports[index].link = Port.Link.detect }
    }

    /// To the state after power-on; devices stay, and are new.
    mutating func reset() {
        let devices = ports.map(\.device)
        self = XHCIModel(layout)
        for (index, device) in devices.enumerated() {
            device?.busReset()
            if let device { setConnected(index, device) }
        }
    }

    var isRunning: Bool { command & Command.run != 0 }
    /// The level of the pin, where messages are off.
    var interruptLevel: Bool {
        command & Command.interrupts != 0 && interrupters[0].management & 3 == 3
    }

    // MARK: Registers

    /// A register of 32 bits; `now` in nanoseconds.
    func read(_ offset: UInt64, now: UInt64) -> UInt32 {
        switch offset {
        case 0..<Offset.operational: capability(offset)
        case Offset.operational..<Offset.ports: operational(offset - Offset.operational)
        case Offset.ports..<(Offset.ports + UInt64(ports.count) * 16):
            offset & 15 == 0 ? ports[Int(offset - Offset.ports) / 16].status : 0
        case Offset.runtime: UInt32(truncatingIfNeeded: now / 125_000) & 0x3FFF
        case (Offset.runtime + 0x20)..<(Offset.runtime + 0x20 + UInt64(interrupters.count) * 32):
            interrupter(Int(offset - Offset.runtime - 0x20) / 32, offset & 0x1F)
        default: 0
        }
    }

    private func capability(_ offset: UInt64) -> UInt32 {
        let total = UInt32(ports.count)
        switch offset {
        case 0x00: return 0x0100_0000 | UInt32(Offset.operational)
        case 0x04: return UInt32(layout.slots) | UInt32(layout.interrupters) << 8 | total << 24
        case 0x08: return 0x0F
        case 0x0C: return 0
        // 64-bit addresses, contexts of 32 bytes, extended capabilities at 0x20.
        case 0x10: return 0x0008_0001
        case 0x14: return UInt32(Offset.doorbells)
        case 0x18: return UInt32(Offset.runtime)
        // Supported protocols (7.2): 2.0 and then 3.0, whose ports are numbered first.
        case 0x20: return 0x0200_0402
        case 0x24, 0x34: return 0x2042_5355
        case 0x28: return UInt32(layout.ports2) << 8 | UInt32(layout.ports3 + 1)
        case 0x30: return 0x0300_0002
        case 0x38: return UInt32(layout.ports3) << 8 | 1
        default: return 0
        }
    }

    private func operational(_ offset: UInt64) -> UInt32 {
        switch offset {
        case 0x00: command
        case 0x04: status
        case 0x08: 1
        case 0x14: notification
        case 0x18: isCommandRingRunning ? 8 : 0
        case 0x30: UInt32(truncatingIfNeeded: contexts)
        case 0x34: UInt32(truncatingIfNeeded: contexts >> 32)
        case 0x38: configuration
        default: 0
        }
    }

    private func interrupter(_ index: Int, _ offset: UInt64) -> UInt32 {
        let one = interrupters[index]
        return switch offset {
        case 0x00: one.management
        case 0x04: one.moderation
        case 0x08: one.tableSize
        case 0x10: UInt32(truncatingIfNeeded: one.table)
        case 0x14: UInt32(truncatingIfNeeded: one.table >> 32)
        case 0x18: UInt32(truncatingIfNeeded: one.dequeue)
        case 0x1C: UInt32(truncatingIfNeeded: one.dequeue >> 32)
        default: 0
        }
    }

    /// A driver's write of 32 bits. True where rings are to be worked on.
    mutating func write(_ offset: UInt64, _ value: UInt32, _ memory: some USBMemory) -> Bool {
        switch offset {
        case Offset.operational..<Offset.ports:
            writeOperational(offset - Offset.operational, value, memory)
            return !rung.isEmpty
        case Offset.ports..<(Offset.ports + UInt64(ports.count) * 16):
            if offset & 15 == 0 { writePort(Int(offset - Offset.ports) / 16, value, memory) }
            return false
        case (Offset.runtime + 0x20)..<(Offset.runtime + 0x20 + UInt64(interrupters.count) * 32):
            let index = Int(offset - Offset.runtime - 0x20) / 32
            let wasFull = interrupters[index].isFull
            writeInterrupter(index, offset & 0x1F, value, memory)
            return wasFull && !interrupters[index].isFull
        case Offset.doorbells..<(Offset.doorbells + UInt64(slots.count) * 4) where offset & 3 == 0:
            return ring(Int(offset - Offset.doorbells) / 4, value)
        default: return false
        }
    }

    private mutating func writeOperational(_ offset: UInt64, _ value: UInt32, _ memory: some USBMemory) {
        switch offset {
        case 0x00:
            if value & Command.reset != 0 { return reset() }
            let wasRunning = isRunning
            command = value & Command.writable
            if value & Command.restore != 0 { status |= Status.restoreError }
            if isRunning {
                status &= ~Status.halted
                if !wasRunning { start(memory) }
            } else {
                status |= Status.halted
                isCommandRingRunning = false
            }
        case 0x04: status &= ~(value & Status.clearable)
        case 0x14: notification = value & 0xFFFF
        case 0x18: writeCommandRing(low: value, memory)
        case 0x1C: if !isCommandRingRunning { commandDequeue = commandDequeue & 0xFFFF_FFFF | UInt64(value) << 32 }
        case 0x30: contexts = contexts & ~0xFFFF_FFFF | UInt64(value & ~0x3F)
        case 0x34: contexts = contexts & 0xFFFF_FFFF | UInt64(value) << 32
        case 0x38: configuration = value & 0xFF
        default: break
        }
    }

    private mutating func writeCommandRing(low value: UInt32, _ memory: some USBMemory) {
        if isCommandRingRunning {
            // Stop or abort: commands are done one at a time, so none is under way. 4.6.1.
            guard value & 6 != 0 else { return }
            isCommandRingRunning = false
            post(Event(type: 33, parameter: commandDequeue, status: Completion.ringStopped << 24), to: 0, memory)
        } else {
            commandDequeue = commandDequeue & ~0xFFFF_FFFF | UInt64(value & ~0x3F)
            commandCycle = value & 1 != 0
        }
    }

    private mutating func writeInterrupter(
        _ index: Int, _ offset: UInt64, _ value: UInt32, _ memory: some USBMemory
    ) {
        switch offset {
        case 0x00:
            var management = interrupters[index].management
            if value & Interrupter.pending != 0 { management &= ~Interrupter.pending }
            interrupters[index].management = management & ~Interrupter.enabled | value & Interrupter.enabled
        case 0x04: interrupters[index].moderation = value
        case 0x08: interrupters[index].tableSize = value & 0xFFFF
        case 0x10:
            interrupters[index].table = interrupters[index].table & ~0xFFFF_FFFF | UInt64(value & ~0x3F)
        case 0x14:
            interrupters[index].table = interrupters[index].table & 0xFFFF_FFFF | UInt64(value) << 32
            loadSegment(index, memory)
        case 0x18:
            var low = UInt64(value)
            // The busy flag is cleared by a one.
            if low & Interrupter.busy != 0 {
                low &= ~Interrupter.busy
            } else {
                low |= interrupters[index].dequeue & Interrupter.busy
            }
            interrupters[index].dequeue = interrupters[index].dequeue & ~0xFFFF_FFFF | low
            moveDequeue(index, memory)
        case 0x1C:
            interrupters[index].dequeue = interrupters[index].dequeue & 0xFFFF_FFFF | UInt64(value) << 32
            moveDequeue(index, memory)
        default: break
        }
    }

    private mutating func ring(_ slot: Int, _ value: UInt32) -> Bool {
        guard isRunning else { return false }
        if slot == 0 {
            guard value == 0 else { return false }
            isCommandRingRunning = true
            return true
        }
        let endpoint = UInt16(value & 0xFF)
        guard 1...31 ~= endpoint, slots[slot].isEnabled else { return false }
        let key = UInt16(slot) << 8 | endpoint
        if !rung.contains(key) { rung.append(key) }
        return true
    }

    // MARK: Ports

    /// The port where a device of a bus's port belongs, at which speed; nil where it has none.
    func place(_ device: USBPeripheral, busPort: Int) -> (index: Int, speed: USBSpeed)? {
        if busPort < layout.ports3, device.knows(.superSpeed) { return (busPort, .superSpeed) }
        guard busPort < layout.ports2 else { return nil }
        for speed in [USBSpeed.high, .full, .low] where device.knows(speed) {
            return (layout.ports3 + busPort, speed)
        }
        return nil
    }

    mutating func connect(_ device: USBPeripheral, _ index: Int, _ memory: some USBMemory) {
        ports[index].device = device
        setConnected(index, device)
        notify(index, memory)
    }

    private mutating func setConnected(_ index: Int, _ device: USBPeripheral) {
        let speed = device.speed
        var port = Port(status: Port.power | Port.connected | Port.connectChange | UInt32(speed.rawValue) << 10)
        port.device = device
        port.link = speed == .superSpeed ? Port.Link.u0 : Port.Link.polling
        // SuperSpeed's links come up by themselves.
        if speed == .superSpeed { port.status |= Port.enabled }
        ports[index] = port
    }

    mutating func disconnect(_ index: Int, _ memory: some USBMemory) {
        ports[index].device = nil
        var port = Port(status: Port.power | Port.connectChange | ports[index].status & (Port.wakes | Port.changes))
        port.link = Port.Link.detect
        ports[index].status = port.status
        notify(index, memory)
    }

    private mutating func writePort(_ index: Int, _ value: UInt32, _ memory: some USBMemory) {
        if value & Port.warmReset != 0, index < layout.ports3 { return resetPort(index, isWarm: true, memory) }
        if value & Port.reset != 0 { return resetPort(index, isWarm: false, memory) }
        var port = ports[index]
        port.status &= ~(value & Port.changes)
        var mustTell = false
        if value & Port.linkWrite != 0 {
            let (old, new) = (port.link, value >> 5 & 15)
            switch new {
            case Port.Link.u0:
                if old != Port.Link.u0, port.status & Port.connected != 0 {
                    port.link = new
                    mustTell = old == Port.Link.resume || old == Port.Link.u3
                }
            case Port.Link.u3: if old < Port.Link.u3 { port.link = new }
            case Port.Link.resume: if old == Port.Link.u3 { port.link = new }
            default: break
            }
        }
        if value & Port.enabled != 0, port.status & Port.enabled != 0 {
            port.status &= ~Port.enabled
            port.link = Port.Link.detect
        }
        port.status = port.status & ~(Port.power | Port.wakes) | value & (Port.power | Port.wakes)
        if mustTell { port.status |= Port.linkChange }
        ports[index] = port
        if mustTell { notify(index, memory) }
    }

    private mutating func resetPort(_ index: Int, isWarm: Bool, _ memory: some USBMemory) {
        guard let device = ports[index].device else { return }
        device.busReset()
        ports[index].link = Port.Link.u0
        ports[index].status |= Port.enabled | Port.resetChange
        if isWarm { ports[index].status |= Port.warmResetChange }
        notify(index, memory)
    }

    /// Tells of a port's change. 4.19.2.
    private mutating func notify(_ index: Int, _ memory: some USBMemory) {
        status |= Status.portChange
        guard isRunning else { return }
        post(
            Event(type: 34, parameter: UInt64(index + 1) << 24, status: Completion.success << 24), to: 0, memory)
    }

    /// The controller begins to run: what changed before is told now.
    private mutating func start(_ memory: some USBMemory) {
        for index in ports.indices where ports[index].status & Port.changes != 0 { notify(index, memory) }
    }

    /// Devices have something that they had not: those that wait are asked again, and those that sleep wake.
    mutating func wake(_ memory: some USBMemory) {
        for index in ports.indices where ports[index].link == Port.Link.u3 && ports[index].device != nil {
            ports[index].link = Port.Link.resume
            ports[index].status |= Port.linkChange
            notify(index, memory)
        }
        for key in waiting where !rung.contains(key) { rung.append(key) }
        waiting = []
    }
}
