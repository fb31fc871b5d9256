public import DeviceModel
internal import Synchronization

/// The PC's keyboard controller with a PS/2 keyboard and mouse: ports 60, 64 and 92, IRQ 1 and IRQ 12.
///
/// The callbacks run after the device's lock is released, on the thread that caused them.
public final class KeyboardController: BusDevice, Device {
    private struct State: Sendable {
        var controller: I8042
        var keyboardLevel = false
        var mouseLevel = false
        var a20 = true
        var leds: UInt8 = 0
    }
    /// What to tell once the lock is released.
    private struct News: Sendable {
        var a20: Bool?
        var leds: UInt8?
        var reset = false
    }

    public let stateName: String
    private let clock: any VirtualClock
    private let keyboardLine: InterruptLine
    private let mouseLine: InterruptLine
    private let commandByte: UInt8
    private let onReset: @Sendable () -> Void
    private let onA20: @Sendable (Bool) -> Void
    private let onLEDs: @Sendable (UInt8) -> Void
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A controller in the state after power-on.
    /// - Parameters:
    ///   - keyboardLine: IRQ 1.
    ///   - mouseLine: IRQ 12.
    ///   - commandByte: the first command byte; 0x43 (with translation) for guests that start without firmware.
    ///   - onReset: the guest asks for a reset (command FE, output port, port 92).
    ///   - onA20: the gate of address line 20 changed; it is open at power-on.
    ///   - onLEDs: the lights changed: scroll 1, num 2, caps 4.
    public init(
        name: String = "i8042", clock: any VirtualClock, keyboardLine: InterruptLine, mouseLine: InterruptLine,
        commandByte: UInt8 = 0x03, onReset: @escaping @Sendable () -> Void,
        onA20: @escaping @Sendable (Bool) -> Void = { _ in }, onLEDs: @escaping @Sendable (UInt8) -> Void = { _ in }
    ) {
        stateName = name
        self.clock = clock
        self.keyboardLine = keyboardLine
        self.mouseLine = mouseLine
        self.commandByte = commandByte
        self.onReset = onReset
        self.onA20 = onA20
        self.onLEDs = onLEDs
        state = Mutex(State(controller: I8042(commandByte: commandByte)))
        timer.make(clock) { [weak self] in
            self?.change { controller, now in
                self?.timer.fired()
                controller.keyboard.tick(now: now)
            }
        }
    }

    /// Puts the registers on a bus of I/O ports; `port92` leaves out the fast gate where another chip has it.
    public func attach(to bus: Bus, port92: Bool = true) {
        bus.add(PortWindow(self, base: 0x60), start: 0x60, count: 1, name: "i8042-data")
        bus.add(PortWindow(self, base: 0x64), start: 0x64, count: 1, name: "i8042-cmd")
        if port92 { bus.add(PortWindow(self, base: 0x92), start: 0x92, count: 1, name: "port92") }
    }

    @discardableResult
    private func change<R: Sendable>(_ body: (inout I8042, UInt64) -> R) -> R {
        let (result, news) = state.withLock { state in
            let result = body(&state.controller, clock.now)
            // An empty port shows on the lines before the next byte comes: each byte is an edge.
            setLines(&state)
            state.controller.fill()
            setLines(&state)
            timer.set(state.controller.keyboard.repeatAt)
            return (result, takeNews(&state))
        }
        if let leds = news.leds { onLEDs(leds) }
        if let a20 = news.a20 { onA20(a20) }
        if news.reset { onReset() }
        return result
    }

    private func setLines(_ state: inout State) {
        let keyboard = state.controller.keyboardInterrupt
        if keyboard != state.keyboardLevel {
            state.keyboardLevel = keyboard
            keyboardLine.set(keyboard)
        }
        let mouse = state.controller.mouseInterrupt
        if mouse != state.mouseLevel {
            state.mouseLevel = mouse
            mouseLine.set(mouse)
        }
    }

    private func takeNews(_ state: inout State) -> News {
        var news = News()
        if state.controller.a20 != state.a20 {
            state.a20 = state.controller.a20
            news.a20 = state.a20
        }
        if state.controller.keyboard.leds != state.leds {
            state.leds = state.controller.keyboard.leds
            news.leds = state.leds
        }
        news.reset = state.controller.resetRequested
        state.controller.resetRequested = false
        return news
    }

    // MARK: Input

    /// A key goes down or up. Any thread.
    public func key(_ key: KeyCode, down: Bool) { change { $0.keyboard.key(key, down: down, now: $1) } }

    /// The pointer moved right, down, and by wheel clicks towards the user; `buttons` are those that are down now:
    /// left 1, right 2, middle 4, side 8, extra 16. Any thread.
    public func pointer(dx: Int, dy: Int, dz: Int, buttons: UInt8) {
        change { controller, _ in controller.mouse.move(dx: dx, dy: dy, dz: dz, buttons: buttons) }
    }

    /// The lights: scroll 1, num 2, caps 4.
    public var leds: UInt8 { state.withLock { $0.leds } }
    /// Address line 20 is let through.
    public var a20: Bool { state.withLock { $0.a20 } }

    // MARK: BusDevice

    /// Reads a register; offsets are port numbers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        // Only the first byte lies in one of the ranges.
        UInt64(
            change { controller, _ in
                switch offset {
                case 0x60: controller.readData()
                case 0x64: controller.status
                case 0x92: controller.port92
                default: 0xFF as UInt8
                }
            })
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let byte = UInt8(truncatingIfNeeded: value)
        change { controller, _ in
            switch offset {
            case 0x60: controller.writeData(byte)
            case 0x64: controller.writeCommand(byte)
            case 0x92: controller.writePort92(byte)
            default: break
            }
        }
    }

    // MARK: Device

    public func reset() {
        change { controller, _ in controller = I8042(commandByte: commandByte) }
    }

    public func exportState() -> DeviceState { state.withLock { $0.controller.exportState() } }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let controller = try I8042(saved)
        let a20 = state.withLock { state in
            state.controller = controller
            state.keyboardLevel = controller.keyboardInterrupt
            state.mouseLevel = controller.mouseInterrupt
            state.a20 = controller.a20
            state.leds = controller.keyboard.leds
            keyboardLine.set(state.keyboardLevel)
            mouseLine.set(state.mouseLevel)
            timer.set(controller.keyboard.repeatAt)
            return state.a20
        }
        onA20(a20)
    }
}
