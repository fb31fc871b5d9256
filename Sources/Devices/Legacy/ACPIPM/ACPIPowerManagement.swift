public import DeviceModel
internal import Synchronization

/// ACPI's sleep states that a guest can ask for.
public enum SleepState: Equatable, Sendable {
    /// Suspend to RAM.
    case s3
    /// Suspend to disk.
    case s4
    /// Power off.
    case s5
}

/// Where the ACPI registers are and what their values mean; the FADT and the DSDT say the same.
public struct ACPIPowerManagementConfiguration: Sendable {
    /// First port of the PM registers, of which there are 12.
    public var base: UInt64 = 0x600
    /// First port of the general-purpose events.
    public var eventBase: UInt64 = 0xAFE0
    /// Bytes of the block of general-purpose events: half status, half enables; at most 64.
    public var eventBytes = 4
    /// Port of the system management command; the scratch byte follows it.
    public var commandPort: UInt64 = 0xB2
    /// Commands that switch ACPI on and off.
    public var enableCommand: UInt8 = 0xF1
    public var disableCommand: UInt8 = 0xF0
    /// SLP_TYP of the sleep states, as `\_S3` and so on give them.
    public var s3Type: UInt8 = 1
    public var s4Type: UInt8 = 2
    public var s5Type: UInt8 = 0

    /// The PIIX4's as QEMU's `pc` has it.
    public init() {}
}

/// The ACPI power management block: PM1a, PM timer, general-purpose events, and the SMI command ports.
///
/// `onSleep` and the observer of commands run after the device's lock is released, on the processor's thread.
public final class ACPIPowerManagement: BusDevice, Device {
    private struct State: Sendable {
        var model: ACPIPMModel
        var level = false
    }
    /// Where it is and what its values mean.
    public let configuration: ACPIPowerManagementConfiguration
    public let stateName: String
    private let clock: any VirtualClock
    private let line: InterruptLine
    private let onSleep: @Sendable (SleepState) -> Void
    private let onCommand = Mutex<(@Sendable (UInt8) -> Void)?>(nil)
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A block in the state after power-on.
    /// - Parameters:
    ///   - line: the system control interrupt, IRQ 9 on PCs.
    ///   - onSleep: the guest asks for a sleep state.
    public init(
        name: String = "acpi-pm", clock: any VirtualClock, line: InterruptLine,
        configuration: ACPIPowerManagementConfiguration = ACPIPowerManagementConfiguration(),
        onSleep: @escaping @Sendable (SleepState) -> Void
    ) {
        stateName = name
        self.clock = clock
        self.line = line
        self.configuration = configuration
        self.onSleep = onSleep
        var model = ACPIPMModel(eventBytes: configuration.eventBytes / 2)
        model.tick(clock.now)
        model.status = 0
        state = Mutex(State(model: model))
        timer.make(clock) { [weak self] in
            self?.change { model, now in
                self?.timer.fired()
                model.tick(now)
            }
        }
    }

    /// Puts the registers on a bus of I/O ports. Returns the ranges, for boards where the guest moves the block.
    @discardableResult
    public func attach(to bus: Bus, commandPorts: Bool = true) -> [Bus.RangeID] {
        var ranges = [bus.add(Block(self, .registers), start: configuration.base, count: 12, name: "acpi-pm")]
        let events = state.withLock { UInt64(2 * $0.model.eventStatus.count) }
        if events > 0 {
            ranges.append(
                bus.add(Block(self, .events), start: configuration.eventBase, count: events, name: "acpi-gpe0"))
        }
        if commandPorts {
            ranges.append(bus.add(Block(self, .command), start: configuration.commandPort, count: 2, name: "apm"))
        }
        return ranges
    }

    /// Has the PM registers answer at another place, for boards where the guest moves them.
    public func attachRegisters(to bus: Bus, at base: UInt64) -> Bus.RangeID {
        bus.add(Block(self, .registers), start: base, count: 12, name: "acpi-pm")
    }

    /// Who hears of bytes that are written to the port of system management commands, but for those that switch ACPI on and
    /// off.
    public func observeCommands(_ observer: @escaping @Sendable (UInt8) -> Void) { onCommand.withLock { $0 = observer } }

    private func change<R: Sendable>(_ body: (inout ACPIPMModel, UInt64) -> R) -> R {
        state.withLock { state in
            let now = clock.now
            let result = body(&state.model, now)
            finish(&state, now)
            return result
        }
    }

    private func finish(_ state: inout State, _ now: UInt64) {
        let level = state.model.interrupt
        if level != state.level {
            state.level = level
            line.set(level)
        }
        timer.set(state.model.deadline(now))
    }

    // MARK: Events

    /// The power button: the guest hears of it, if it listens. Any thread.
    public func pressPowerButton() { change { model, _ in model.status |= ACPIPMModel.PM1.powerButton } }
    /// The sleep button. Any thread.
    public func pressSleepButton() { change { model, _ in model.status |= ACPIPMModel.PM1.sleepButton } }
    /// The guest has suspended to RAM and was not woken yet. Saved with the machine.
    public var isAsleep: Bool {
        get { state.withLock { $0.model.isAsleep } }
        set { state.withLock { $0.model.isAsleep = newValue } }
    }
    /// The guest wants the clock's alarm to wake it.
    public var wakesByClock: Bool { state.withLock { $0.model.enable & ACPIPMModel.PM1.clock != 0 } }
    /// Says, after a reset, that the machine wakes from a sleep state: by the clock, or by something else.
    public func wake(byClock: Bool) {
        change { model, _ in
            model.isAsleep = false
            model.status |= ACPIPMModel.PM1.wake | (byClock ? ACPIPMModel.PM1.clock : 0)
        }
    }
    /// A general-purpose event happened. Any thread.
    public func raiseEvent(_ number: Int) { change { model, _ in model.raiseEvent(number) } }
    /// The guest drives this block by ACPI.
    public var isEnabled: Bool { state.withLock { $0.model.control & ACPIPMModel.Control.sciEnable != 0 } }
    /// The guest listens to the power button.
    public var hearsPowerButton: Bool {
        state.withLock { state in
            state.model.control & ACPIPMModel.Control.sciEnable != 0
                && state.model.enable & ACPIPMModel.PM1.powerButton != 0
        }
    }
    /// Switches ACPI on, as firmware that is not there would have.
    public func enable() { change { model, _ in model.control |= ACPIPMModel.Control.sciEnable } }

    // MARK: BusDevice

    /// Reads a register; offsets are relative to the PM registers.
    public func read(offset: UInt64, size: Int) -> UInt64 {
        change { model, now in ByteLanes.read(offset, size) { model.read($0, now) } }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let type = change { model, now in
            var type: UInt8?
            ByteLanes.write(offset, size, value) { type = model.write($0, $1, now) ?? type }
            return type
        }
        guard let type else { return }
        if type == configuration.s5Type {
            onSleep(.s5)
        } else if type == configuration.s3Type {
            onSleep(.s3)
        } else if type == configuration.s4Type {
            onSleep(.s4)
        }
    }

    fileprivate func readEvents(offset: UInt64, size: Int) -> UInt64 {
        change { model, _ in ByteLanes.read(offset, size) { model.readEvents($0) } }
    }
    fileprivate func writeEvents(offset: UInt64, size: Int, value: UInt64) {
        change { model, _ in ByteLanes.write(offset, size, value) { model.writeEvents($0, $1) } }
    }
    fileprivate func readCommand(offset: UInt64) -> UInt64 {
        change { model, _ in UInt64(offset == 0 ? model.command : model.scratch) }
    }
    fileprivate func writeCommand(offset: UInt64, size: Int, value: UInt64) {
        let commanded = change { model, _ in
            var commanded = false
            ByteLanes.write(offset, size, value) { port, byte in
                guard port == 0 else {
                    if port == 1 { model.scratch = byte }
                    return
                }
                model.command = byte
                commanded = true
                if byte == configuration.enableCommand {
                    model.control |= ACPIPMModel.Control.sciEnable
                } else if byte == configuration.disableCommand {
                    model.control &= ~ACPIPMModel.Control.sciEnable
                }
            }
            return commanded
        }
        // Those that switch ACPI are done with.
        let command = UInt8(truncatingIfNeeded: value)
        if commanded, command != configuration.enableCommand, command != configuration.disableCommand {
            onCommand.withLock { $0 }?(command)
        }
    }

    // MARK: Device

    public func reset() {
        change { model, now in
            model = ACPIPMModel(eventBytes: configuration.eventBytes / 2)
            model.tick(now)
            model.status = 0
        }
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            let model = state.model
            var saved = DeviceState(version: 1)
            saved.set("pm1-status", model.status)
            saved.set("pm1-enable", model.enable)
            saved.set("pm1-control", model.control)
            saved.set("gpe-status", model.eventStatus)
            saved.set("gpe-enable", model.eventEnable)
            saved.set("command", model.command)
            saved.set("scratch", model.scratch)
            saved.set("last-half", model.lastHalf)
            if model.isAsleep { saved.set("asleep", true) }
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var model = ACPIPMModel(eventBytes: configuration.eventBytes / 2)
        model.status = try saved.integer("pm1-status", as: UInt16.self) & ACPIPMModel.PM1.status
        model.enable = try saved.integer("pm1-enable", as: UInt16.self) & ACPIPMModel.PM1.events
        model.control = try saved.integer("pm1-control", as: UInt16.self) & ACPIPMModel.Control.kept
        model.eventStatus = try saved.bytes("gpe-status", count: model.eventStatus.count)
        model.eventEnable = try saved.bytes("gpe-enable", count: model.eventEnable.count)
        model.command = try saved.integer("command")
        model.scratch = try saved.integer("scratch")
        model.lastHalf = try saved.integer("last-half")
        if saved.fields["asleep"] != nil { model.isAsleep = try saved.bool("asleep") }
        let restored = model
        state.withLock { state in
            state.model = restored
            state.level = restored.interrupt
            line.set(state.level)
            finish(&state, clock.now)
        }
    }

    /// One of the block's ranges of ports.
    private final class Block: BusDevice {
        enum Kind { case registers, events, command }
        private let device: ACPIPowerManagement
        private let kind: Kind

        init(_ device: ACPIPowerManagement, _ kind: Kind) {
            self.device = device
            self.kind = kind
        }

        func read(offset: UInt64, size: Int) -> UInt64 {
            switch kind {
            case .registers: device.read(offset: offset, size: size)
            case .events: device.readEvents(offset: offset, size: size)
            case .command: device.readCommand(offset: offset)
            }
        }
        func write(offset: UInt64, size: Int, value: UInt64) {
            switch kind {
            case .registers: device.write(offset: offset, size: size, value: value)
            case .events: device.writeEvents(offset: offset, size: size, value: value)
            case .command: device.writeCommand(offset: offset, size: size, value: value)
            }
        }
    }
}
