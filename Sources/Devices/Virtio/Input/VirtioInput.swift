public import DeviceModel
public import Display
import Synchronization
internal import VirtQueue

/// An input device: keyboard, mouse or tablet. virtio 1.2, 5.8.
public final class VirtioInput: VirtioDevice, KeyboardInput, PointerInput {
    /// Which device.
    public enum Kind: Sendable {
        /// `virtio-keyboard`.
        case keyboard
        /// `virtio-mouse`.
        case mouse
        /// `virtio-tablet`.
        case tablet

        var model: InputModel.Kind {
            switch self {
            case .keyboard: .keyboard
            case .mouse: .mouse
            case .tablet: .tablet
            }
        }
    }
    private struct State {
        var model: InputModel
        var queues: [VirtQueue?] = []
        var interrupt: VirtioInterrupt?
        var chain: DescriptorChain?
        var isPaused = false
        /// Linux's lights: num 1, caps 2, scroll 4.
        var lights: UInt8 = 0
    }
    private let type: Kind
    private let state: Mutex<State>
    private let work = Mutex<(any WorkItem)?>(nil)
    private let onLights: @Sendable (UInt8) -> Void

    /// A device. `onLights` hears of a keyboard's lights: scroll 1, num 2, caps 4.
    public init(
        _ kind: Kind, serial: String = "", scheduler: any WorkScheduler,
        onLights: @escaping @Sendable (UInt8) -> Void = { _ in }
    ) {
        type = kind
        self.onLights = onLights
        state = Mutex(State(model: InputModel(kind.model, serial: serial)))
        let item = scheduler.makeItem { [weak self] in self?.perform() }
        work.withLock { $0 = item }
    }

    public var kind: VirtioDeviceKind {
        let (code, name): (UInt32, String) =
            switch type {
            case .keyboard: (0x090000, "virtio-keyboard")
            case .mouse: (0x090200, "virtio-mouse")
            case .tablet: (0x098000, "virtio-tablet")
            }
        return VirtioDeviceKind(id: 18, transitionalID: nil, classCode: code, name: name)
    }
    public var features: UInt64 { 0 }
    public var queueSizes: [UInt16] { [64, 64] }
    public var configurationCount: Int { 136 }

    public func readConfiguration(offset: Int, size: Int) -> UInt32 {
        VirtioConfiguration.read(state.withLock { $0.model.configuration }, offset: offset, size: size)
    }
    public func writeConfiguration(offset: Int, size: Int, value: UInt32) {
        state.withLock { state in
            for index in 0..<min(size, 4) {
                let byte = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
                if offset + index == 0 { state.model.select = byte }
                if offset + index == 1 { state.model.subselect = byte }
            }
        }
    }

    // MARK: Input

    public var pointerName: String { state.withLock { $0.model.name } }
    public var isAbsolute: Bool { type == .tablet }
    public func key(code: UInt8, down: Bool) {
        state.withLock { $0.model.key(code, down: down) }
        schedule()
    }
    public func pointer(_ event: PointerEvent) {
        state.withLock { $0.model.pointer(event) }
        schedule()
    }

    // MARK: Work

    private func schedule() { work.withLock { $0 }?.schedule() }

    public func activate(_ context: consuming VirtioActivation) {
        let (queues, interrupt, memory) = (context.queues, context.interrupt, context.memory)
        state.withLock { state in
            state.queues = queues
            state.interrupt = interrupt
            state.chain = DescriptorChain(memory: memory)
        }
    }
    public func notify(queue: Int) { schedule() }

    private func perform() {
        var hasMore = false
        let lights = state.withLock { state -> UInt8? in
            guard let interrupt = state.interrupt, let chain = state.chain, state.queues.count == 2, !state.isPaused
            else { return nil }
            if let queue = state.queues[0] { send(queue, chain, interrupt, &state) }
            guard let queue = state.queues[1] else { return nil }
            let before = state.lights
            hasMore = queue.process(1, interrupt, chain) { chain in
                let bytes = chain.bytes(at: 0, count: 8)
                let type = UInt16(VirtioConfiguration.read(bytes, offset: 0, size: 2))
                let code = VirtioConfiguration.read(bytes, offset: 2, size: 2)
                if type == InputModel.EventType.light, code < 3 {
                    let bit = UInt8(1) << UInt8(code)
                    let isOn = VirtioConfiguration.read(bytes, offset: 4, size: 4) != 0
                    state.lights = isOn ? state.lights | bit : state.lights & ~bit
                }
                return 0
            }
            return state.lights == before ? nil : state.lights
        }
        if let lights { onLights(lights << 1 & 6 | lights >> 2 & 1) }
        if hasMore { schedule() }
    }

    /// Gives the driver events for as long as it has room.
    private func send(
        _ queue: VirtQueue, _ chain: DescriptorChain, _ interrupt: VirtioInterrupt, _ state: inout State
    ) {
        do throws(VirtQueueError) {
            while let event = state.model.take() {
                guard try queue.pop(into: chain) else {
                    state.model.put(back: event)
                    break
                }
                queue.push(chain, written: chain.write(at: 0, bytes: event.bytes))
            }
        } catch { interrupt.setNeedsReset() }
        if queue.needsInterrupt() { interrupt.signalQueue(0) }
    }

    // MARK: Life

    public func reset() {
        state.withLock { state in
            state = State(model: state.model, isPaused: state.isPaused)
            state.model.reset()
        }
    }
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() {
        state.withLock { $0.isPaused = false }
        schedule()
    }

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("select", state.model.select)
            saved.set("subselect", state.model.subselect)
            saved.set("lights", state.lights)
            saved.set("events", state.model.waiting.flatMap(\.bytes))
            saved.set("x", state.model.event.x)
            saved.set("y", state.model.event.y)
            saved.set("buttons", state.model.event.buttons)
            return saved
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let (select, subselect): (UInt8, UInt8) = (try saved.integer("select"), try saved.integer("subselect"))
        let lights: UInt8 = try saved.integer("lights")
        let bytes = try saved.bytes("events")
        let events = stride(from: 0, to: bytes.count - 7, by: 8).map { place in
            InputModel.Event(
                type: UInt16(VirtioConfiguration.read(bytes, offset: place, size: 2)),
                code: UInt16(VirtioConfiguration.read(bytes, offset: place + 2, size: 2)),
                value: VirtioConfiguration.read(bytes, offset: place + 4, size: 4))
        }
        var last = PointerEvent()
        // States of older releases have nothing of the pointer: its next place and buttons are told anew.
        if saved.fields["x"] != nil {
            last.x = min(max(try saved.integer("x"), 0), PointerEvent.limit)
            last.y = min(max(try saved.integer("y"), 0), PointerEvent.limit)
            last.buttons = try saved.integer("buttons")
        }
        let restored = last
        state.withLock { state in
            (state.model.select, state.model.subselect) = (select, subselect)
            state.lights = lights & 7
            state.model.restore(events, last: restored)
        }
    }
}
