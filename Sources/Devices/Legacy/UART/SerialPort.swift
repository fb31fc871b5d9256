public import DeviceModel
internal import Synchronization

/// A serial port of the PC: a 16550A at 8 I/O ports with one interrupt line and a character back-end.
///
/// Locks, in order: output, registers, interrupt controller. The back-end is called with the registers unlocked, so it
/// may hold a lock of its own while it delivers input.
public final class SerialPort: BusDevice, Device, CharacterEventReceiver {
    /// First port of COM1 to COM4.
    public static let ports: [UInt64] = [0x3F8, 0x2F8, 0x3E8, 0x2E8]
    /// ISA interrupt of COM1 to COM4.
    public static let interrupts: [Int] = [4, 3, 4, 3]

    private struct State: Sendable {
        var uart = UART16550()
        var outgoing: [UInt8] = []
        /// The back-end was told "no more" and waits for `acceptInput`.
        var backendWaits = false
        /// Nothing comes in: the interrupt of a byte would be lost with the controllers' state that is being taken.
        var isPaused = false
        var level = false
    }

    public let stateName: String
    private let clock: any VirtualClock
    private let line: InterruptLine
    private let backend: (any CharacterPort)?
    private let state = Mutex(State())
    /// Held while bytes leave, so that those of two processors stay in order.
    private let output = Mutex(())
    private let timer = LateTimer()

    /// A port in the state after power-on. It becomes the back-end's receiver; without a back-end output is dropped.
    public init(name: String, clock: any VirtualClock, line: InterruptLine, backend: (any CharacterPort)?) {
        stateName = name
        self.clock = clock
        self.line = line
        self.backend = backend
        timer.make(clock) { [weak self] in self?.timerFired() }
        backend?.setReceiver(self)
    }

    /// Puts the port's 8 registers on a bus of I/O ports.
    public func attach(to bus: Bus, base: UInt64) { bus.add(self, start: base, count: 8, name: stateName) }

    // MARK: BusDevice

    public func read(offset: UInt64, size: Int) -> UInt64 {
        let (value, room) = state.withLock { state in
            let now = clock.now
            let value = ByteLanes.read(offset, size) { $0 < 8 ? state.uart.read($0, now: now) : 0xFF }
            return (value, finish(&state))
        }
        if room { backend?.acceptInput() }
        return value
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let (sends, room) = state.withLock { state in
            let now = clock.now
            ByteLanes.write(offset, size, value) { register, byte in
                guard register < 8, let out = state.uart.write(register, byte, now: now) else { return }
                state.outgoing.append(out)
            }
            return (!state.outgoing.isEmpty, finish(&state))
        }
        if sends { flush() }
        if room { backend?.acceptInput() }
    }

    private func flush() {
        output.withLock { _ in
            let bytes = state.withLock { state in
                let bytes = state.outgoing
                state.outgoing = []
                return bytes
            }
            if !bytes.isEmpty { backend?.write(bytes) }
        }
    }

    /// Line and timer after a change; true where the back-end should hear of room.
    private func finish(_ state: inout State) -> Bool {
        let level = state.uart.interrupt
        if level != state.level {
            state.level = level
            line.set(level)
        }
        timer.set(state.uart.deadline)
        guard state.backendWaits, state.uart.received.isEmpty, state.uart.capacity > 0 else { return false }
        state.backendWaits = false
        return true
    }

    private func timerFired() {
        state.withLock { state in
            timer.fired()
            state.uart.tick(now: clock.now)
            _ = finish(&state)
        }
    }

    // MARK: CharacterReceiver

    public func receiveCapacity() -> Int {
        state.withLock { state in
            let capacity = state.isPaused ? 0 : state.uart.capacity
            if capacity == 0 { state.backendWaits = true }
            return capacity
        }
    }

    public func receive(_ bytes: [UInt8]) {
        state.withLock { state in
            let now = clock.now
            let count = min(bytes.count, state.uart.capacity)
            for byte in bytes.prefix(count) { state.uart.receive(byte, now: now) }
            // The sender may hold more than was asked for: it hears when the FIFO is empty.
            if state.uart.capacity == 0 { state.backendWaits = true }
            settle(&state)
        }
    }

    public func receive(event: CharacterEvent) {
        // The terminal seems connected at all times: a login must not end when a viewer comes or goes.
        guard event == .breakReceived else { return }
        state.withLock { state in
            guard state.uart.capacity > 0 else { return }
            state.uart.receiveBreak(now: clock.now)
            settle(&state)
        }
    }

    /// After something came from the wire. What was on its way when the machine stopped interrupts when it goes on.
    private func settle(_ state: inout State) {
        if !state.isPaused { _ = finish(&state) }
    }

    // MARK: Device

    public func reset() {
        let room = state.withLock { state in
            state.uart = UART16550()
            return finish(&state)
        }
        if room { backend?.acceptInput() }
    }

    public func halt() { backend?.setReceiver(nil) }

    public func exportState() -> DeviceState { state.withLock { $0.uart.exportState() } }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let uart = try UART16550(saved)
        state.withLock { state in
            state.uart = uart
            state.level = uart.interrupt
            line.set(state.level)
            _ = finish(&state)
            // Heard when the machine goes on.
            state.backendWaits = true
        }
    }

    public func pause() { state.withLock { $0.isPaused = true } }

    public func resume() {
        let room = state.withLock { state in
            state.isPaused = false
            return finish(&state)
        }
        if room { backend?.acceptInput() }
    }
}
