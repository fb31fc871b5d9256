internal import DeviceModel
import Synchronization

/// How a virtio device reaches its driver: used buffers, changed configuration, a device in need of reset. Any thread.
///
/// Its lock comes after a device's and before an interrupt controller's.
public final class VirtioInterrupt: Sendable {
    /// What it pulls.
    enum Wire: Sendable {
        /// A line that is high while a cause is pending (MMIO).
        case line(InterruptLine)
        /// The pin or the vectors of a PCI function.
        case pci(FunctionReference)
    }
    /// The function owns the windows whose adapters lead here, so this must not own the function.
    struct FunctionReference: Sendable { weak let function: PCIFunction? }

    /// Causes, as the ISR status has them. virtio 1.2, 4.1.4.5 and 4.2.2.
    enum Cause {
        static let queue: UInt8 = 1
        static let configuration: UInt8 = 2
    }
    /// The vector number that means none (4.1.5.1.2).
    static let noVector: UInt16 = 0xFFFF

    private struct State: Sendable {
        var isr: UInt8 = 0
        var needsReset = false
        var generation: UInt32 = 0
        var configurationVector = VirtioInterrupt.noVector
        var vectors: [UInt16]
    }
    private let state: Mutex<State>
    private let wire: Wire

    init(_ wire: Wire, queueCount: Int) {
        self.wire = wire
        state = Mutex(State(vectors: [UInt16](repeating: Self.noVector, count: queueCount)))
    }

    // MARK: For devices

    /// The queue has returned buffers of which the driver wants to know.
    public func signalQueue(_ queue: Int) {
        state.withLock { state in
            raise(
                &state, Cause.queue,
                vector: state.vectors.indices.contains(queue) ? state.vectors[queue] : Self.noVector)
        }
    }

    /// The device's configuration has changed by itself.
    public func signalConfigurationChange() {
        state.withLock { state in
            state.generation &+= 1
            raise(&state, Cause.configuration, vector: state.configurationVector)
        }
    }

    /// The driver broke the rules, and the device works no more until it is reset (2.1.1).
    public func setNeedsReset() {
        state.withLock { state in
            guard !state.needsReset else { return }
            state.needsReset = true
            state.generation &+= 1
            raise(&state, Cause.configuration, vector: state.configurationVector)
        }
    }

    private func raise(_ state: inout State, _ cause: UInt8, vector: UInt16) {
        switch wire {
        case .line(let line):
            let before = state.isr
            state.isr |= cause
            if before == 0 { line.set(true) }
        case .pci(let reference):
            guard let function = reference.function else { return }
            if function.isMSIXEnabled {
                if vector != Self.noVector { function.signalMSIX(Int(vector)) }
            } else {
                state.isr |= cause
                function.setINTx(true)
            }
        }
    }

    // MARK: For transports

    var isr: UInt8 { state.withLock { $0.isr } }
    var needsReset: Bool { state.withLock { $0.needsReset } }
    var generation: UInt32 { state.withLock { $0.generation } }
    var configurationVector: UInt16 { state.withLock { $0.configurationVector } }
    func vector(ofQueue queue: Int) -> UInt16 {
        state.withLock { $0.vectors.indices.contains(queue) ? $0.vectors[queue] : Self.noVector }
    }
    func setConfigurationVector(_ vector: UInt16) { state.withLock { $0.configurationVector = vector } }
    func setVector(_ vector: UInt16, ofQueue queue: Int) {
        state.withLock { if $0.vectors.indices.contains(queue) { $0.vectors[queue] = vector } }
    }

    /// The driver has seen the causes of `mask`.
    func acknowledge(_ mask: UInt8) {
        state.withLock { state in
            state.isr &= ~mask
            if state.isr == 0 { lower() }
        }
    }
    /// Reads the causes and clears them, as the PCI register does.
    func takeISR() -> UInt8 {
        state.withLock { state in
            defer {
                state.isr = 0
                lower()
            }
            return state.isr
        }
    }
    func reset() {
        state.withLock { state in
            state.isr = 0
            state.needsReset = false
            state.configurationVector = Self.noVector
            for index in state.vectors.indices { state.vectors[index] = Self.noVector }
            lower()
        }
    }
    private func lower() {
        switch wire {
        case .line(let line): line.set(false)
        case .pci(let reference): reference.function?.setINTx(false)
        }
    }

    func exportState() -> DeviceState {
        state.withLock { state in
            var result = DeviceState(version: 1)
            result.set("isr", state.isr)
            result.set("needs-reset", state.needsReset)
            result.set("generation", state.generation)
            result.set("config-vector", state.configurationVector)
            result.set("vectors", state.vectors.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
            return result
        }
    }

    func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let count = state.withLock { $0.vectors.count }
        let bytes = try saved.bytes("vectors", count: count * 2)
        var new = State(vectors: (0..<count).map { UInt16(bytes[$0 * 2]) | UInt16(bytes[$0 * 2 + 1]) << 8 })
        let isr: UInt8 = try saved.integer("isr")
        new.isr = isr & 3
        new.needsReset = try saved.bool("needs-reset")
        new.generation = try saved.integer("generation")
        new.configurationVector = try saved.integer("config-vector")
        let restored = new
        state.withLock { state in
            state = restored
            // A PCI function restores its own pin; a line is this object's.
            if case .line(let line) = wire { line.set(state.isr != 0) }
        }
    }
}
