public import DeviceModel
internal import Synchronization

/// The PC's pair of 8259A interrupt controllers at ports 20, A0 and 4D0: 16 inputs and one line to the processor.
///
/// The output callback runs under this device's lock, so that levels reach the engine in order; it must not call back
/// into this device.
public final class LegacyPIC: BusDevice, Device, InterruptSink {
    private struct State: Sendable {
        var pair = PIC8259Pair()
        var output = false
    }
    public let stateName: String
    private let state = Mutex(State())
    private let output: @Sendable (Bool) -> Void

    /// Controllers in the state after power-on. `output` hears of each change of the line to the processor.
    public init(name: String = "i8259", output: @escaping @Sendable (Bool) -> Void) {
        stateName = name
        self.output = output
    }

    /// Puts the registers on a bus of I/O ports.
    public func attach(to bus: Bus) {
        bus.add(PortWindow(self, base: 0x20), start: 0x20, count: 2, name: "pic")
        bus.add(PortWindow(self, base: 0xA0), start: 0xA0, count: 2, name: "pic")
        bus.add(PortWindow(self, base: 0x4D0), start: 0x4D0, count: 2, name: "elcr")
    }

    private func change<R: Sendable>(_ body: (inout PIC8259Pair) -> R) -> R {
        state.withLock { state in
            let result = body(&state.pair)
            let level = state.pair.output
            if level != state.output {
                state.output = level
                output(level)
            }
            return result
        }
    }

    /// Raises or lowers input 0 to 15; others are ignored. Any thread.
    public func setLine(_ line: Int, level: Bool) {
        guard 0..<16 ~= line else { return }
        change { $0.setLine(line, level: level) }
    }

    /// The processor's interrupt acknowledge: the vector to run. Any thread.
    public func acknowledge() -> UInt8 { change { $0.acknowledge() } }

    /// Reads a register; offsets are port numbers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        change { pair in ByteLanes.read(offset, size) { pair.read(port: $0) } }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        change { pair in ByteLanes.write(offset, size, value) { pair.write(port: $0, $1) } }
    }

    public func reset() {
        change { pair in
            // The wires keep their levels; devices lower theirs in their own reset.
            let (low, high) = (pair.first.lines, pair.second.lines)
            pair = PIC8259Pair()
            pair.first.lines = low & ~0x04
            pair.second.lines = high
        }
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("chips", [state.pair.first.exportState(), state.pair.second.exportState()])
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let chips = try saved.list("chips", count: 2)
        var pair = PIC8259Pair()
        pair.first = try PIC8259(chips[0], cascade: 0x04)
        pair.second = try PIC8259(chips[1], cascade: 0)
        let restored = pair
        state.withLock { state in
            state.pair = restored
            state.output = restored.output
            output(state.output)
        }
    }
}
