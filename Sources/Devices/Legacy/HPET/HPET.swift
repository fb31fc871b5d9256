public import DeviceModel
internal import Synchronization

/// A high precision event timer block at FED00000 with three timers.
///
/// `onLegacyReplacement` runs under the device's lock, so that the lines change hands in order: it takes the PIT and
/// the RTC off their lines and must not call back.
public final class HPET: BusDevice, Device {
    /// Where PCs have it, and how much room it takes.
    public static let address: UInt64 = 0xFED0_0000
    public static let size: UInt64 = 0x400

    private struct State: Sendable {
        var model: HPETModel
        var held: UInt32 = 0
        var legacy = false
    }
    public let stateName: String
    private let clock: any VirtualClock
    private let interrupts: any InterruptSink
    private let messages: any MSISink
    private let onLegacyReplacement: @Sendable (Bool) -> Void
    private let state: Mutex<State>
    private let timer = LateTimer()

    /// A block in the state after power-on.
    /// - Parameters:
    ///   - interrupts: the global interrupts, of which legacy replacement uses 0 and 8.
    ///   - messages: takes messages of timers that are set to send them.
    ///   - tickLength: nanoseconds of a tick: 100 for 10 MHz, 10 for 100 MHz.
    ///   - routes: global interrupts that timers may use, one bit each.
    ///   - onLegacyReplacement: true when the timers take IRQ 0 and IRQ 8 from the PIT and the RTC.
    public init(
        name: String = "hpet", clock: any VirtualClock, interrupts: any InterruptSink, messages: any MSISink,
        tickLength: UInt64 = 10, routes: UInt32 = 0x00FF_0104,
        onLegacyReplacement: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
        stateName = name
        self.clock = clock
        self.interrupts = interrupts
        self.messages = messages
        self.onLegacyReplacement = onLegacyReplacement
        state = Mutex(State(model: HPETModel(tickLength: tickLength, routes: routes)))
        timer.make(clock) { [weak self] in
            self?.change { _, _ in self?.timer.fired() }
        }
    }

    /// Puts the registers on a bus of device memory.
    public func attach(to bus: Bus, address: UInt64 = HPET.address) {
        bus.add(self, start: address, count: Self.size, name: stateName)
    }

    @discardableResult
    private func change<R: Sendable>(_ body: (inout HPETModel, UInt64) -> R) -> R {
        state.withLock { state in
            let now = clock.now
            let matched = state.model.tick(now)
            for number in 0..<HPETModel.timers where matched & 1 << UInt64(number) != 0 {
                switch state.model.deliver(number) {
                case .edge(let line):
                    interrupts.setLine(line, level: true)
                    interrupts.setLine(line, level: false)
                case .message(let address, let data): messages.deliver(address: address, data: data)
                case nil: break
                }
            }
            let result = body(&state.model, now)
            finish(&state, now)
            return result
        }
    }

    private func finish(_ state: inout State, _ now: UInt64) {
        if state.model.legacy != state.legacy {
            state.legacy = state.model.legacy
            onLegacyReplacement(state.legacy)
        }
        let held = state.model.heldLines
        let changed = held ^ state.held
        state.held = held
        if changed != 0 {
            for line in 0..<32 where changed & 1 << UInt32(line) != 0 {
                interrupts.setLine(line, level: held & 1 << UInt32(line) != 0)
            }
        }
        timer.set(state.model.deadline(now))
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        change { model, now in model.register(offset & ~7, now) >> (8 &* (offset & 7)) }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let shift = 8 &* (offset & 7)
        let mask: UInt64 = (size >= 8 ? .max : (1 << UInt64(8 * max(size, 1))) - 1) << shift
        change { model, now in model.write(offset & ~7, value << shift, mask: mask, now) }
    }

    public func reset() {
        state.withLock { state in
            state.model = HPETModel(tickLength: state.model.tickLength, routes: state.model.routes)
            finish(&state, clock.now)
        }
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            let model = state.model
            var saved = DeviceState(version: 1)
            saved.set("tick-length", model.tickLength)
            saved.set("routes", model.routes)
            saved.set("enabled", model.enabled)
            saved.set("legacy", model.legacy)
            saved.set("status", model.status)
            saved.set("base", model.base)
            saved.set("started-at", model.startedAt)
            saved.set("last-tick", model.lastTick)
            saved.set(
                "timers",
                model.timer.map { timer in
                    var part = DeviceState(version: 1)
                    part.set("config", timer.config)
                    part.set("comparator", timer.comparator)
                    part.set("period", timer.period)
                    part.set("message", timer.message)
                    part.set("done", timer.done)
                    return part
                })
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let length: UInt64 = try saved.integer("tick-length")
        guard 1...100 ~= length else { throw .outOfRange(field: "tick-length", value: length) }
        var model = HPETModel(tickLength: length, routes: try saved.integer("routes"))
        model.enabled = try saved.bool("enabled")
        model.legacy = try saved.bool("legacy")
        model.status = try saved.integer("status", as: UInt64.self) & 7
        model.base = try saved.integer("base")
        model.startedAt = try saved.integer("started-at")
        model.lastTick = try saved.integer("last-tick")
        for (number, part) in try saved.list("timers", count: HPETModel.timers).enumerated() {
            model.timer[number].config = try part.integer("config", as: UInt64.self) & HPETModel.Config.writable
            model.timer[number].comparator = try part.integer("comparator")
            model.timer[number].period = try part.integer("period")
            model.timer[number].message = try part.integer("message")
            model.timer[number].done = try part.bool("done")
        }
        let restored = model
        state.withLock { state in
            state.model = restored
            state.held = 0
            state.legacy = false
            finish(&state, clock.now)
        }
    }
}
