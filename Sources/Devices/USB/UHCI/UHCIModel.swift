internal import DeviceModel

/// A UHCI host controller with two ports: registers, and the work of a frame (Intel, Universal Host Controller
/// Interface 1.1). A pure model.
struct UHCIModel: Sendable {
    static let portCount = 2
    /// Most descriptors that are looked at in a frame.
    private static let visitLimit = 256
    /// Bytes that a frame has time for.
    private static let byteLimit = 1280

    enum Command {
        static let run: UInt16 = 1
        static let hostReset: UInt16 = 2
        static let globalReset: UInt16 = 4
        static let globalSuspend: UInt16 = 8
        static let writable: UInt16 = 0xFF
    }
    enum Status {
        static let interrupt: UInt16 = 1
        static let error: UInt16 = 2
        static let resume: UInt16 = 4
        static let systemError: UInt16 = 8
        static let processError: UInt16 = 16
        static let halted: UInt16 = 32
    }
    enum Port {
        static let connected: UInt16 = 1
        static let connectChange: UInt16 = 2
        static let enabled: UInt16 = 4
        static let enableChange: UInt16 = 8
        static let always: UInt16 = 0x80
        static let lowSpeed: UInt16 = 0x100
        static let reset: UInt16 = 0x200
        static let suspended: UInt16 = 0x1000
    }

    var command: UInt16 = 0
    var status: UInt16 = Status.halted
    /// Why the status has its interrupt: completion 1, short packet 2.
    var reasons: UInt8 = 0
    var enable: UInt16 = 0
    var frame: UInt16 = 0
    var base: UInt32 = 0
    var startOfFrame: UInt8 = 64
    var ports = [UInt16](repeating: Port.always, count: UHCIModel.portCount)
    var devices = [USBPeripheral?](repeating: nil, count: UHCIModel.portCount)

    /// To the state after power-on; devices stay, and are new.
    mutating func reset() {
        let attached = devices
        self = UHCIModel()
        for (index, device) in attached.enumerated() {
            device?.busReset()
            if let device { connect(device, index) }
        }
    }

    mutating func connect(_ device: USBPeripheral, _ index: Int) {
        devices[index] = device
        ports[index] = Port.always | Port.connected | Port.connectChange | (device.speed == .low ? Port.lowSpeed : 0)
        detectResume()
    }
    mutating func disconnect(_ index: Int) {
        devices[index] = nil
        let wasEnabled = ports[index] & Port.enabled != 0
        ports[index] = Port.always | Port.connectChange | (wasEnabled ? Port.enableChange : 0)
        detectResume()
    }
    /// A controller that sleeps wakes by what comes and goes. 2.1.2.
    private mutating func detectResume() {
        if command & Command.globalSuspend != 0 { status |= Status.resume }
    }

    var isRunning: Bool { command & Command.run != 0 }
    var interruptLevel: Bool {
        (status & Status.interrupt != 0 && (reasons & 1 != 0 && enable & 4 != 0 || reasons & 2 != 0 && enable & 8 != 0))
            || (status & Status.error != 0 && enable & 1 != 0) || (status & Status.resume != 0 && enable & 2 != 0)
            || status & (Status.systemError | Status.processError) != 0
    }

    // MARK: Registers

    func read(_ offset: UInt64, size: Int) -> UInt64 {
        func register(_ offset: UInt64) -> UInt64 {
            switch offset {
            case 0x00: UInt64(command)
            case 0x02: UInt64(status)
            case 0x04: UInt64(enable)
            case 0x06: UInt64(frame)
            case 0x08: UInt64(base & 0xFFFF)
            case 0x0A: UInt64(base >> 16)
            case 0x0C: UInt64(startOfFrame)
            case 0x10, 0x12: UInt64(ports[Int(offset - 0x10) / 2])
            default: 0xFF7F
            }
        }
        let word = register(offset & ~1) >> (offset & 1 * 8)
        return size >= 4 ? word | register(offset + 2) << 16 : size == 1 ? word & 0xFF : word
    }

    mutating func write(_ offset: UInt64, size: Int, value: UInt64) {
        let word = UInt16(truncatingIfNeeded: value)
        switch offset {
        case 0x00:
            if word & Command.globalReset != 0 || word & Command.hostReset != 0 {
                let keeps = word & Command.globalReset
                reset()
                command = keeps
                return
            }
            command = word & Command.writable
            if isRunning { status &= ~Status.halted } else { status |= Status.halted }
        case 0x02:
            status &= ~(word & 0x1F)
            if word & Status.interrupt != 0 { reasons = 0 }
        case 0x04: enable = word & 0x0F
        case 0x06: if !isRunning { frame = word & 0x7FF }
        case 0x08:
            base = size >= 4 ? UInt32(truncatingIfNeeded: value) & ~0xFFF : base & 0xFFFF_0000 | UInt32(word) & 0xF000
        case 0x0A: base = base & 0xF000 | UInt32(word) << 16
        case 0x0C: startOfFrame = UInt8(truncatingIfNeeded: value) & 0x7F
        case 0x10, 0x12:
            writePort(Int(offset - 0x10) / 2, word)
            if size >= 4, offset == 0x10 { writePort(1, UInt16(truncatingIfNeeded: value >> 16)) }
        default: break
        }
    }

    private mutating func writePort(_ index: Int, _ value: UInt16) {
        var port = ports[index]
        if value & Port.reset != 0, port & Port.reset == 0 { devices[index]?.busReset() }
        port &= ~(value & (Port.connectChange | Port.enableChange))
        let writable = Port.enabled | 0x40 | Port.reset | Port.suspended
        port = port & ~writable | value & writable
        // Without a device, and while it is reset, a port is not enabled.
        if devices[index] == nil || port & Port.reset != 0 { port &= ~Port.enabled }
        ports[index] = port
    }

    // MARK: A frame

    private enum Link {
        static let end: UInt32 = 1
        static let queue: UInt32 = 2
        static let depth: UInt32 = 4
        static func address(_ link: UInt32) -> UInt32 { link & ~0xF }
    }
    private enum Next {
        case advance(UInt32)
        case stay(UInt32)
        case stop
    }

    /// Does the work of the next frame.
    mutating func runFrame(_ memory: some USBMemory) {
        guard isRunning else { return }
        guard var link = memory.word(base &+ UInt32(frame & 0x3FF) * 4) else {
            status |= Status.systemError | Status.halted
            command &= ~Command.run
            return
        }
        var (visits, bytes) = (0, 0)
        var queue: (address: UInt32, next: UInt32)?
        // Queues since the last transaction: one that comes again means that nothing is left to do.
        var seen: Set<UInt32> = []
        while link & Link.end == 0, visits < Self.visitLimit, bytes < Self.byteLimit {
            visits += 1
            let address = Link.address(link)
            if link & Link.queue != 0 {
                guard seen.insert(address).inserted, let next = memory.word(address),
                    let element = memory.word(address &+ 4)
                else { break }
                if element & Link.end != 0 {
                    (queue, link) = (nil, next)
                } else {
                    queue = element & Link.queue == 0 ? (address, next) : nil
                    link = element
                }
                continue
            }
            switch run(address, memory, &bytes) {
            case .stop:
                frame = (frame + 1) & 0x7FF
                return
            case .advance(let next):
                seen = []
                if let current = queue {
                    memory.store(current.address &+ 4, next)
                    if next & Link.depth == 0 { (queue, link) = (nil, current.next) } else { link = next }
                } else {
                    link = next
                }
            case .stay(let next):
                link = queue?.next ?? next
                queue = nil
            }
        }
        frame = (frame + 1) & 0x7FF
    }

    private enum Control {
        static let active: UInt32 = 1 << 23
        static let completes: UInt32 = 1 << 24
        static let isochronous: UInt32 = 1 << 25
        static let stalled: UInt32 = 1 << 22
        static let babble: UInt32 = 1 << 20
        static let notReady: UInt32 = 1 << 19
        static let timeout: UInt32 = 1 << 18
        static let detectsShort: UInt32 = 1 << 29
        static let outcome: UInt32 = 0x7E_07FF
    }

    /// Does a transaction.
    private mutating func run(_ address: UInt32, _ memory: some USBMemory, _ sum: inout Int) -> Next {
        guard let link = memory.word(address), var control = memory.word(address &+ 4),
            let token = memory.word(address &+ 8), let buffer = memory.word(address &+ 12)
        else { return .stop }
        guard control & Control.active != 0 else { return .stay(link) }
        let length = Int(((token >> 21) &+ 1) & 0x7FF)
        guard let kind = USBToken(rawValue: UInt8(truncatingIfNeeded: token)), length <= 1280 else {
            status |= Status.processError | Status.halted
            command &= ~Command.run
            return .stop
        }
        sum += length
        let output = kind == .input ? [] : memory.bytes(buffer, count: length)
        let endpoint = UInt8(token >> 15 & 15)
        let wanted = UInt8(token >> 8 & 0x7F)
        var device: USBPeripheral?
        for index in devices.indices where device == nil && ports[index] & Port.enabled != 0 {
            device = devices[index]?.find(address: wanted)
        }
        var result = USBResult.silence
        if let device, let output {
            result = device.transact(kind, endpoint: endpoint, output: output, limit: length)
        }
        control &= ~Control.outcome
        switch result {
        case .done(let data):
            let moved = kind == .input ? data.count : length
            control = control & ~Control.active | UInt32(truncatingIfNeeded: moved &- 1) & 0x7FF
            if kind == .input { memory.store(buffer, data) }
            let isShort = kind == .input && moved < length && control & Control.detectsShort != 0
            memory.store(address &+ 4, control)
            if control & Control.completes != 0 { note(1) }
            if isShort {
                note(2)
                return .stay(link)
            }
            return .advance(link)
        case .notReady:
            memory.store(address &+ 4, control | Control.notReady)
            return .stay(link)
        case .stall, .silence:
            if result == .silence { control |= Control.timeout }
            memory.store(address &+ 4, control & ~Control.active & ~(3 << 27) | Control.stalled)
            status |= Status.error
            if control & Control.completes != 0 { note(1) }
            return .stay(link)
        }
    }

    private mutating func note(_ reason: UInt8) {
        status |= Status.interrupt
        reasons |= reason
    }

    // MARK: State

    func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("command", command)
        saved.set("status", status)
        saved.set("reasons", reasons)
        saved.set("enable", enable)
        saved.set("frame", frame)
        saved.set("base", base)
        saved.set("sof", startOfFrame)
        saved.set("ports", ports.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        return saved
    }

    mutating func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        command = try saved.integer("command")
        status = try saved.integer("status")
        reasons = try saved.integer("reasons")
        enable = try saved.integer("enable")
        frame = try saved.integer("frame") & 0x7FF
        base = try saved.integer("base")
        startOfFrame = try saved.integer("sof")
        let bytes = try saved.bytes("ports", count: Self.portCount * 2)
        ports = (0..<Self.portCount).map { UInt16(bytes[$0 * 2]) | UInt16(bytes[$0 * 2 + 1]) << 8 }
    }
}
