internal import Synchronization

/// Where keys and movements of all viewers and monitors come together, and go on to the guest's keyboard and pointer.
/// Any thread.
public final class InputHub: Sendable {
    /// A pointer device, as monitors list it.
    public struct Pointer: Equatable, Sendable {
        /// Its number.
        public var index: Int
        /// Its name.
        public var name: String
        /// Whether it is told places.
        public var isAbsolute: Bool
        /// Whether it gets the movements now.
        public var isCurrent: Bool
    }
    private struct State: Sendable {
        var keyboards: [any KeyboardInput] = []
        /// The one that gets the movements first.
        var pointers: [(index: Int, device: any PointerInput)] = []
        var nextIndex = 0
        var event = PointerEvent()
        var leds: UInt8 = 0
        var isListening = true
    }
    private let state = Mutex(State())

    /// A hub without devices.
    public init() {}

    /// Adds a keyboard, which gets keys from now on in place of those before.
    public func add(_ keyboard: any KeyboardInput) { state.withLock { $0.keyboards.insert(keyboard, at: 0) } }

    /// Adds a mouse or tablet, which gets movements from now on in place of those before.
    public func add(_ pointer: any PointerInput) {
        state.withLock { state in
            state.pointers.insert((state.nextIndex, pointer), at: 0)
            state.nextIndex += 1
        }
    }

    /// Takes a device away.
    public func remove(_ pointer: any PointerInput) {
        state.withLock { state in state.pointers.removeAll { $0.device === pointer } }
    }
    public func remove(_ keyboard: any KeyboardInput) {
        state.withLock { state in state.keyboards.removeAll { $0 === keyboard } }
    }

    /// The pointer devices.
    public var pointers: [Pointer] {
        state.withLock { state in
            state.pointers.enumerated().map { place, entry in
                Pointer(
                    index: entry.index, name: entry.device.pointerName, isAbsolute: entry.device.isAbsolute,
                    isCurrent: place == 0)
            }
        }
    }

    /// Has a device get the movements. False where there is none of the number.
    public func choose(_ index: Int) -> Bool {
        state.withLock { state in
            guard let place = state.pointers.firstIndex(where: { $0.index == index }) else { return false }
            state.pointers.insert(state.pointers.remove(at: place), at: 0)
            return true
        }
    }

    /// Whether the device that gets the movements is told places.
    public var isAbsolute: Bool { state.withLock { $0.pointers.first?.device.isAbsolute ?? false } }

    /// The keyboard's lights: scroll 1, num 2, caps 4.
    public var leds: UInt8 {
        get { state.withLock { $0.leds } }
        set { state.withLock { $0.leds = newValue } }
    }

    /// Whether the guest runs: what comes while it does not is dropped, as QEMU does.
    public var isListening: Bool {
        get { state.withLock { $0.isListening } }
        set { state.withLock { $0.isListening = newValue } }
    }

    /// A key goes down or up: its scan code of set 1, with bit 7 for those that have the prefix E0.
    public func key(_ code: UInt8, down: Bool) {
        guard let keyboard = state.withLock({ $0.isListening ? $0.keyboards.first : nil }) else { return }
        keyboard.key(code: code, down: down)
    }

    /// Moves by a way; buttons stay.
    public func move(dx: Int, dy: Int, dz: Int = 0) {
        send { event in (event.dx, event.dy, event.dz) = (dx, dy, dz) }
    }
    /// Moves to a place, 0 to 32767 each; nil where a coordinate stays.
    public func place(x: Int?, y: Int?) {
        send { event in
            event.x = min(max(x ?? event.x, 0), PointerEvent.limit)
            event.y = min(max(y ?? event.y, 0), PointerEvent.limit)
        }
    }
    /// Sets which buttons are down, and turns the wheel.
    public func setButtons(_ buttons: UInt8, dz: Int = 0) {
        send { event in (event.buttons, event.dz) = (buttons, dz) }
    }
    /// The buttons that are down.
    public var buttons: UInt8 { state.withLock { $0.event.buttons } }

    private func send(_ change: (inout PointerEvent) -> Void) {
        let (event, device) = state.withLock { state -> (PointerEvent, (any PointerInput)?) in
            guard state.isListening else { return (state.event, nil) }
            (state.event.dx, state.event.dy, state.event.dz) = (0, 0, 0)
            change(&state.event)
            return (state.event, state.pointers.first?.device)
        }
        device?.pointer(event)
    }
}
