public import DeviceModel
internal import Synchronization

/// A parallel port of the PC with a printer at its end: what is strobed out goes to a character back-end. (IEEE 1284,
/// compatibility mode; bytes in both directions of the data register.)
public final class ParallelPort: Device, BusDevice {
    /// First ports of LPT1 to LPT3.
    public static let ports: [UInt64] = [0x378, 0x278, 0x3BC]
    /// Their ISA interrupts.
    public static let interrupts = [7, 5, 7]

    private enum Control {
        static let strobe: UInt8 = 1 << 0
        static let initialise: UInt8 = 1 << 2
        static let interrupt: UInt8 = 1 << 4
        static let input: UInt8 = 1 << 5
    }
    private enum Status {
        static let notBusy: UInt8 = 1 << 7
        static let notAcknowledge: UInt8 = 1 << 6
        static let online: UInt8 = 1 << 4
        static let notError: UInt8 = 1 << 3
        /// A printer that is ready; 0x07 has no meaning.
        static let ready: UInt8 = notBusy | notAcknowledge | online | notError | 0x07
    }
    private struct State: Sendable {
        var data: UInt8 = 0
        var control: UInt8 = Control.initialise | 0x08
    }

    public let stateName: String
    private let line: InterruptLine
    private let backend: any CharacterPort
    private let state = Mutex(State())
    /// Held while bytes leave, so that those of two processors stay in order.
    private let output = Mutex(())

    /// A port whose printer is a back-end.
    public init(name: String, line: InterruptLine, backend: any CharacterPort) {
        stateName = name
        self.line = line
        self.backend = backend
    }

    /// Puts the three registers on the bus.
    public func attach(to io: Bus, base: UInt64) { io.add(self, start: base, count: 3, name: stateName) }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            ByteLanes.read(offset, size) { register in
                switch register {
                // Nobody drives the lines while the port listens.
                case 0: state.control & Control.input != 0 ? 0xFF : state.data
                case 1: Status.ready
                case 2: state.control | 0xC0
                default: 0xFF
                }
            }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        output.withLock { _ in
            var sent: [UInt8] = []
            let interrupts = state.withLock { state in
                var rises = false
                ByteLanes.write(offset, size, value) { register, byte in
                    if register == 0 { state.data = byte }
                    guard register == 2 else { return }
                    // The printer takes a byte at the strobe's end, and acknowledges it.
                    if state.control & Control.strobe != 0, byte & Control.strobe == 0 {
                        if state.control & Control.input == 0 { sent.append(state.data) }
                        rises = byte & Control.interrupt != 0
                    }
                    state.control = byte & 0x3F
                }
                return rises
            }
            if !sent.isEmpty { backend.write(sent) }
            if interrupts { line.pulse() }
        }
    }

    public func reset() { state.withLock { $0 = State() } }
    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("data", state.data)
            saved.set("control", state.control)
            return saved
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let data: UInt8 = try saved.integer("data")
        let control: UInt8 = try saved.integer("control", as: UInt8.self) & 0x3F
        state.withLock { $0 = State(data: data, control: control) }
    }
}
