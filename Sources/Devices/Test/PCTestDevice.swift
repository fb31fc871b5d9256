public import DeviceModel
internal import Synchronization

/// `pc-testdev`, and its older form `testdev`: what test kernels poke to see accesses, interrupts and lost
/// translations.
///
/// Ports E0-E3 hold what was written in 1, 2 or 4 bytes; a dword at E4, an address, has the host forget its translation
/// of that page; a byte at 2000H+n sets global interrupt n; 64 KiB of device memory at FF000000H hold what was
/// written. The
/// older form also has F1 (a byte for a character back-end), F4 (a byte: the process ends with it) and D1 (the dword
/// there is the size of RAM).
public final class PCTestDevice: Device {
    /// Who hears what the guest wants.
    public struct Effects: Sendable {
        /// Sets a global interrupt's level.
        public var interrupt: @Sendable (Int, Bool) -> Void
        /// Forgets the host's translation of the page at a guest-physical address.
        public var flush: @Sendable (UInt64) -> Void

        /// Effects of all parts.
        public init(
            interrupt: @escaping @Sendable (Int, Bool) -> Void, flush: @escaping @Sendable (UInt64) -> Void
        ) {
            self.interrupt = interrupt
            self.flush = flush
        }
    }
    /// What the older form has beside.
    public struct Log: Sendable {
        /// Takes the bytes.
        public var port: any CharacterPort
        /// Ends the process.
        public var exit: @Sendable (UInt8) -> Void
        /// Bytes of RAM.
        public var memorySize: UInt64

        /// A log of all parts.
        public init(port: any CharacterPort, memorySize: UInt64, exit: @escaping @Sendable (UInt8) -> Void) {
            self.port = port
            self.memorySize = memorySize
            self.exit = exit
        }
    }

    static let memoryAddress: UInt64 = 0xFF00_0000
    static let memoryCount = 0x10000
    private static let interrupts: UInt64 = 24

    private struct State {
        var latch: UInt32 = 0
        var memory = [UInt8](repeating: 0, count: memoryCount)
    }

    public let stateName: String
    private let effects: Effects
    private let log: Log?
    private let state = Mutex(State())
    private let output = Mutex(())

    /// A device that was not written to. With a log it is of the older form.
    public init(name: String = "pc-testdev", effects: Effects, log: Log? = nil) {
        stateName = name
        self.effects = effects
        self.log = log
    }

    /// Puts it on the buses.
    public func attach(io: Bus, memory: Bus) {
        func port(_ start: UInt64, _ count: UInt64, _ what: Place) {
            io.add(Window(self, what), start: start, count: count, name: "\(stateName)-\(what)")
        }
        port(0xE0, 4, .latch)
        port(0xE4, 4, .flush)
        port(0x2000, Self.interrupts, .interrupt)
        if log != nil {
            port(0xD1, 4, .size)
            port(0xF1, 1, .text)
            port(0xF4, 4, .exit)
        }
        memory.add(
            Window(self, .memory), start: Self.memoryAddress, count: UInt64(Self.memoryCount),
            name: "\(stateName)-memory")
    }

    private enum Place: Sendable { case latch, flush, interrupt, size, text, exit, memory }

    private func read(_ place: Place, _ offset: UInt64, _ size: Int) -> UInt64 {
        switch place {
        case .latch: return state.withLock { UInt64($0.latch) >> (offset * 8) }
        case .size: return log?.memorySize ?? 0
        case .memory:
            return state.withLock { state in
                let bytes = state.memory.dropFirst(Int(clamping: offset)).prefix(size)
                return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
            }
        case .flush, .interrupt, .text, .exit: return UInt64.max
        }
    }

    private func write(_ place: Place, _ offset: UInt64, _ size: Int, _ value: UInt64) {
        switch place {
        case .latch:
            state.withLock { state in
                for index in 0..<size where Int(offset) + index < 4 {
                    let shift = UInt32((Int(offset) + index) * 8)
                    let byte = UInt32(truncatingIfNeeded: value >> UInt64(index * 8)) & 0xFF
                    state.latch = state.latch & ~(0xFF << shift) | byte << shift
                }
            }
        case .flush:
            effects.flush(value & 0xFFFF_F000)
        case .interrupt: effects.interrupt(Int(offset), value & 0xFF != 0)
        case .text: output.withLock { _ in log?.port.write([UInt8(truncatingIfNeeded: value)]) }
        case .exit: log?.exit(UInt8(truncatingIfNeeded: value))
        case .size: break
        case .memory:
            state.withLock { state in
                for index in 0..<size where Int(clamping: offset) + index < Self.memoryCount {
                    state.memory[Int(offset) + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8))
                }
            }
        }
    }

    public func reset() { state.withLock { $0 = State() } }
    public func exportState() -> DeviceState {
        var result = DeviceState(version: 1)
        state.withLock { state in
            result.set("latch", state.latch)
            result.set("memory", state.memory)
        }
        return result
    }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let latch: UInt32 = try state.integer("latch")
        let memory = try state.bytes("memory", count: Self.memoryCount)
        self.state.withLock { state in
            state.latch = latch
            state.memory = memory
        }
    }

    private final class Window: BusDevice {
        private unowned let device: PCTestDevice
        private let place: Place

        init(_ device: PCTestDevice, _ place: Place) {
            self.device = device
            self.place = place
        }
        func read(offset: UInt64, size: Int) -> UInt64 { device.read(place, offset, size) }
        func write(offset: UInt64, size: Int, value: UInt64) { device.write(place, offset, size, value) }
    }
}
