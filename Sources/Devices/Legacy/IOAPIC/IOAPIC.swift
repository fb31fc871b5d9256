public import DeviceModel
internal import Synchronization

/// An I/O APIC at FEC00000 with 24 inputs; what it sends to the local APICs goes to an `MSISink`.
///
/// Messages are delivered under this device's lock, so that they keep their order; the sink must not call back.
public final class IOAPIC: BusDevice, Device, InterruptSink {
    /// Where PCs have it, and how much room it takes.
    public static let address: UInt64 = 0xFEC0_0000
    public static let size: UInt64 = 0x1000

    public let stateName: String
    private let sink: any MSISink
    private let clock: (any VirtualClock)?
    private let state = Mutex(IOAPIC82093())
    private let timer = LateTimer()
    /// Nanoseconds for which a line waits that has asked too often in a row.
    private static let moment: UInt64 = 1_000_000

    /// An I/O APIC with all inputs masked. With a clock, lines that nobody releases leave the processors time between
    /// their interrupts.
    public init(name: String = "ioapic", sink: any MSISink, clock: (any VirtualClock)? = nil) {
        stateName = name
        self.sink = sink
        self.clock = clock
        guard let clock else { return }
        state.withLock { $0.mayDelay = true }
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            askAgain()
        }
    }

    /// Puts the registers on a bus of device memory.
    public func attach(to bus: Bus, address: UInt64 = IOAPIC.address) {
        bus.add(self, start: address, count: Self.size, name: stateName)
    }

    private func send(_ message: IOAPIC82093.Message?) {
        if let message { sink.deliver(address: message.address, data: message.data) }
    }

    /// Asserts or releases input 0 to 23; others are ignored. Any thread.
    public func setLine(_ line: Int, level: Bool) {
        state.withLock { send($0.setLine(line, level: level)) }
    }

    /// A local APIC ended a level-triggered interrupt. Any thread.
    public func endOfInterrupt(vector: UInt8) { state.withLock { end(vector, &$0) } }

    private func end(_ vector: UInt8, _ ioapic: inout IOAPIC82093) {
        let before = ioapic.delayed
        for message in ioapic.endOfInterrupt(vector: vector) { send(message) }
        if let clock, ioapic.delayed != before { timer.set(clock.now &+ Self.moment) }
    }

    private func askAgain() { state.withLock { for message in $0.askAgain() { send(message) } } }
    /// Lines that waited when the state was taken ask now.
    public func resume() { askAgain() }

    /// True where an input with this vector is level-triggered: an engine that can choose reports only these ends.
    public func awaitsEnd(of vector: UInt8) -> Bool { state.withLock { $0.awaitsEnd(of: vector) } }

    /// The messages in service whose end is awaited.
    public var awaitedMessages: [(address: UInt64, data: UInt32)] {
        state.withLock { ioapic in
            (0..<IOAPIC82093.inputs).map { ioapic.entries[$0] }.filter { $0 & IOAPIC82093.Entry.remoteIRR != 0 }
                .map { entry in
                    let message = IOAPIC82093.message(entry)
                    return (message.address, message.data)
                }
        }
    }

    /// Input `number`'s redirection entry, for `info pic`.
    public func entry(_ number: Int) -> UInt64? {
        guard 0..<IOAPIC82093.inputs ~= number else { return nil }
        return state.withLock { $0.entries[number] }
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { ioapic in
            switch offset {
            case 0x00: UInt64(ioapic.select)
            case 0x10: UInt64(ioapic.readWindow())
            default: 0
            }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        state.withLock { ioapic in
            switch offset {
            case 0x00: ioapic.select = UInt8(truncatingIfNeeded: value)
            case 0x10: send(ioapic.writeWindow(UInt32(truncatingIfNeeded: value)))
            case 0x40: end(UInt8(truncatingIfNeeded: value), &ioapic)
            default: break
            }
        }
    }

    public func reset() {
        state.withLock { ioapic in
            let lines = ioapic.lines
            ioapic = IOAPIC82093()
            ioapic.lines = lines
            ioapic.mayDelay = clock != nil
        }
    }

    public func exportState() -> DeviceState {
        state.withLock { ioapic in
            var saved = DeviceState(version: 1)
            saved.set("id", ioapic.id)
            saved.set("select", ioapic.select)
            saved.set("lines", ioapic.lines)
            saved.set("edges", ioapic.edges)
            saved.set(
                "entries",
                ioapic.entries.flatMap { entry in (0..<8).map { UInt8(truncatingIfNeeded: entry >> (8 * $0)) } })
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var ioapic = IOAPIC82093()
        ioapic.mayDelay = clock != nil
        ioapic.id = try saved.integer("id", as: UInt8.self) & 0x0F
        ioapic.select = try saved.integer("select")
        let valid: UInt32 = (1 << UInt32(IOAPIC82093.inputs)) - 1
        ioapic.lines = try saved.integer("lines", as: UInt32.self) & valid
        ioapic.edges = try saved.integer("edges", as: UInt32.self) & valid
        let bytes = try saved.bytes("entries", count: 8 * IOAPIC82093.inputs)
        for number in 0..<IOAPIC82093.inputs {
            var entry: UInt64 = 0
            for byte in 0..<8 { entry |= UInt64(bytes[8 * number + byte]) << UInt64(8 * byte) }
            ioapic.entries[number] = entry & (IOAPIC82093.Entry.writable | IOAPIC82093.Entry.remoteIRR)
        }
        // No message is sent: what was delivered before is in the saved local APICs.
        let restored = ioapic
        state.withLock { $0 = restored }
    }
}

/// The PC's global interrupts: numbers 0 to 15 go to the PIC and the I/O APIC, where number 0 is at input 2; numbers
/// 16 to 23 to the I/O APIC alone.
public final class GlobalInterrupts: InterruptSink {
    private let pic: (any InterruptSink)?
    private let ioapic: (any InterruptSink)?

    /// Either may be missing.
    public init(pic: (any InterruptSink)?, ioapic: (any InterruptSink)?) {
        self.pic = pic
        self.ioapic = ioapic
    }

    public func setLine(_ line: Int, level: Bool) {
        if 0..<16 ~= line { pic?.setLine(line, level: level) }
        ioapic?.setLine(line == 0 ? 2 : line, level: level)
    }
}
