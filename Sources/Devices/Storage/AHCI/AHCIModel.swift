/// Registers of an AHCI controller (Serial ATA AHCI 1.3.1): no lock, no memory, no images.
package struct AHCIModel: Sendable {
    /// Offsets of the generic registers (3.1).
    enum Host {
        static let capabilities: UInt64 = 0x00
        static let control: UInt64 = 0x04
        static let status: UInt64 = 0x08
        static let ports: UInt64 = 0x0C
        static let version: UInt64 = 0x10
        static let interruptEnable: UInt32 = 1 << 1
        static let reset: UInt32 = 1 << 0
        static let enabled: UInt32 = 1 << 31
    }
    /// Offsets of a port's registers (3.3).
    enum Port {
        static let listBase: UInt64 = 0x00
        static let fisBase: UInt64 = 0x08
        static let status: UInt64 = 0x10
        static let enable: UInt64 = 0x14
        static let command: UInt64 = 0x18
        static let taskFile: UInt64 = 0x20
        static let signature: UInt64 = 0x24
        static let sataStatus: UInt64 = 0x28
        static let sataControl: UInt64 = 0x2C
        static let sataError: UInt64 = 0x30
        static let sataActive: UInt64 = 0x34
        static let issue: UInt64 = 0x38
    }
    /// Bits of a port's interrupt status.
    package enum Interrupt {
        package static let register: UInt32 = 1 << 0
        package static let pioSetup: UInt32 = 1 << 1
        package static let deviceBits: UInt32 = 1 << 3
        package static let descriptor: UInt32 = 1 << 5
        package static let connectChange: UInt32 = 1 << 6
        package static let taskFileError: UInt32 = 1 << 30
        package static let busFatal: UInt32 = 1 << 29
        static let all: UInt32 = 0xFDC0_00AF
    }
    enum Command {
        static let start: UInt32 = 1 << 0
        static let overrideBusy: UInt32 = 1 << 3
        static let receive: UInt32 = 1 << 4
        static let receiving: UInt32 = 1 << 14
        static let running: UInt32 = 1 << 15
        static let writable: UInt32 = 0x0F00_0017
    }
    package struct PortState: Equatable, Sendable {
        var listBase: UInt64 = 0
        var fisBase: UInt64 = 0
        var status: UInt32 = 0
        var enable: UInt32 = 0
        var command: UInt32 = 0x6
        var taskFile: UInt32 = 0x7F
        var signature: UInt32 = 0xFFFF_FFFF
        var sataControl: UInt32 = 0
        var sataError: UInt32 = 0
        var active: UInt32 = 0
        var issue: UInt32 = 0
        /// An error stopped the port: nothing is taken until the driver stops and starts it.
        var isHalted = false
        /// Slots whose commands are being done.
        var taken: UInt32 = 0
        var hasDevice = false
        var isATAPI = false
    }
    /// What a register write asks of the adapter.
    package enum Effect: Equatable, Sendable {
        case none
        /// Look at the port's slots.
        case work(port: Int)
        /// The port's device is reset, and says its signature.
        case resetDevice(port: Int)
        /// Everything is reset.
        case resetAll
    }
    static let slots = 32

    package var ports: [PortState]
    var control: UInt32 = Host.enabled
    var hostStatus: UInt32 = 0

    package init(ports count: Int) { ports = [PortState](repeating: PortState(), count: count) }

    /// After power-on or a reset by the driver: what is attached stays.
    package mutating func reset() {
        control = Host.enabled
        hostStatus = 0
        for index in ports.indices {
            var fresh = PortState()
            fresh.hasDevice = ports[index].hasDevice
            fresh.isATAPI = ports[index].isATAPI
            // What is under way ends without being heard.
            fresh.taken = ports[index].taken
            ports[index] = fresh
            sign(index)
        }
    }

    /// Sets a port's device.
    package mutating func attach(_ port: Int, isATAPI: Bool) {
        ports[port].hasDevice = true
        ports[port].isATAPI = isATAPI
        sign(port)
    }
    /// The device's signature and status after its reset (ATA8-ACS).
    mutating func sign(_ port: Int) {
        guard ports[port].hasDevice else { return }
        ports[port].signature = ports[port].isATAPI ? 0xEB14_0101 : 0x0000_0101
        ports[port].taskFile = 0x0150
    }

    /// The interrupt output.
    package var interrupt: Bool { control & Host.interruptEnable != 0 && hostStatus != 0 }

    /// Adds bits of a port's interrupt status. True where the driver wants to hear of them.
    package mutating func raise(_ port: Int, _ bits: UInt32) -> Bool {
        ports[port].status |= bits
        guard ports[port].status & ports[port].enable != 0 else { return false }
        hostStatus |= 1 << UInt32(port)
        return control & Host.interruptEnable != 0
    }

    // MARK: Registers

    private var capabilities: UInt32 {
        // 64-bit addresses, command queues, AHCI only, generation 1, 32 slots.
        let fixed: UInt32 = 1 << 31 | 1 << 30 | 1 << 18 | 1 << 20 | UInt32(Self.slots - 1) << 8
        return fixed | UInt32(ports.count - 1)
    }

    package func read(_ offset: UInt64) -> UInt32 {
        switch offset {
        case Host.capabilities: return capabilities
        case Host.control: return control
        case Host.status: return hostStatus
        case Host.ports: return (1 << UInt32(ports.count)) - 1
        case Host.version: return 0x0001_0300
        case 0x100...:
            let index = Int((offset - 0x100) / 0x80)
            return ports.indices.contains(index) ? readPort(ports[index], (offset - 0x100) % 0x80) : 0
        default: return 0
        }
    }

    private func readPort(_ port: PortState, _ offset: UInt64) -> UInt32 {
        switch offset {
        case Port.listBase: return UInt32(truncatingIfNeeded: port.listBase)
        case Port.listBase + 4: return UInt32(truncatingIfNeeded: port.listBase >> 32)
        case Port.fisBase: return UInt32(truncatingIfNeeded: port.fisBase)
        case Port.fisBase + 4: return UInt32(truncatingIfNeeded: port.fisBase >> 32)
        case Port.status: return port.status
        case Port.enable: return port.enable
        case Port.command:
            var value = port.command
            if value & Command.start != 0 { value |= Command.running }
            if value & Command.receive != 0 { value |= Command.receiving }
            if port.isATAPI { value |= 1 << 24 }
            return value
        case Port.taskFile: return port.taskFile
        case Port.signature: return port.signature
        case Port.sataStatus: return port.hasDevice && port.sataControl & 15 != 4 ? 0x113 : 0
        case Port.sataControl: return port.sataControl
        case Port.sataError: return port.sataError
        case Port.sataActive: return port.active
        case Port.issue: return port.issue
        default: return 0
        }
    }

    package mutating func write(_ offset: UInt64, _ value: UInt32) -> Effect {
        switch offset {
        case Host.control:
            if value & Host.reset != 0 {
                reset()
                return .resetAll
            }
            control = value & Host.interruptEnable | Host.enabled
        case Host.status:
            hostStatus &= ~value
            // A port that still wants to be heard shows again.
            for index in ports.indices where ports[index].status & ports[index].enable != 0 {
                hostStatus |= 1 << UInt32(index)
            }
        case 0x100...:
            let index = Int((offset - 0x100) / 0x80)
            guard ports.indices.contains(index) else { return .none }
            return writePort(index, (offset - 0x100) % 0x80, value)
        default: break
        }
        return .none
    }

    private mutating func writePort(_ index: Int, _ offset: UInt64, _ value: UInt32) -> Effect {
        func low(_ old: UInt64, _ mask: UInt32) -> UInt64 { old & ~0xFFFF_FFFF | UInt64(value & mask) }
        func high(_ old: UInt64) -> UInt64 { old & 0xFFFF_FFFF | UInt64(value) << 32 }
        switch offset {
        case Port.listBase: ports[index].listBase = low(ports[index].listBase, 0xFFFF_FC00)
        case Port.listBase + 4: ports[index].listBase = high(ports[index].listBase)
        case Port.fisBase: ports[index].fisBase = low(ports[index].fisBase, 0xFFFF_FF00)
        case Port.fisBase + 4: ports[index].fisBase = high(ports[index].fisBase)
        case Port.status: ports[index].status &= ~value
        case Port.enable:
            ports[index].enable = value & Interrupt.all
            if ports[index].status & ports[index].enable != 0 { hostStatus |= 1 << UInt32(index) }
        case Port.command: return writeCommand(index, value)
        case Port.sataControl:
            let before = ports[index].sataControl & 15
            ports[index].sataControl = value & 0xFFF
            // The link is reset while 1 is in DET, and comes back at 0.
            if value & 15 == 1 {
                ports[index].taskFile = ports[index].hasDevice ? 0x80 : 0x7F
                ports[index].issue = 0
                ports[index].active = 0
            } else if value & 15 == 0, before == 1, ports[index].hasDevice {
                ports[index].sataError |= 1 << 26
                sign(index)
                return .resetDevice(port: index)
            }
        case Port.sataError: ports[index].sataError &= ~value
        case Port.sataActive:
            if ports[index].command & Command.start != 0 { ports[index].active |= value }
        case Port.issue:
            guard ports[index].command & Command.start != 0, ports[index].hasDevice else { break }
            ports[index].issue |= value
            return .work(port: index)
        default: break
        }
        return .none
    }

    private mutating func writeCommand(_ index: Int, _ value: UInt32) -> Effect {
        let before = ports[index].command
        ports[index].command = value & Command.writable | 0x6
        if value & Command.overrideBusy != 0 { ports[index].taskFile &= ~0x88 }
        if value & Command.start == 0, before & Command.start != 0 {
            ports[index].issue = 0
            ports[index].active = 0
            ports[index].isHalted = false
        }
        if value & Command.receive != 0, before & Command.receive == 0, ports[index].hasDevice {
            return .resetDevice(port: index)
        }
        return value & Command.start != 0 ? .work(port: index) : .none
    }

    /// The slots that can be taken now, lowest first.
    package func ready(_ port: Int) -> [Int] {
        let state = ports[port]
        guard state.command & Command.start != 0, !state.isHalted else { return [] }
        let waiting = state.issue & ~state.taken
        return (0..<Self.slots).filter { waiting >> UInt32($0) & 1 != 0 }
    }

    /// Whether the port stores what its device says.
    func receives(_ port: Int) -> Bool { ports[port].command & Command.receive != 0 }
}
