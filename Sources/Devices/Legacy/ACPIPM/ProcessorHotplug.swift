public import DeviceModel
import Synchronization

/// The board's controller of processors that come and go, as the ACPI tables' methods use it: a map of those that are
/// there, one bit each; a word that gives changes one at a time; and a word that lets one go. Firmware looks at the same by
/// registers of its own (`ProcessorRegisters`).
public final class ProcessorHotplugControl: BusDevice, Device {
    private struct Change: Sendable {
        var processor: Int
        /// 1: it came; 2: it is to leave.
        var kind: UInt32
    }
    private struct State: Sendable {
        var present: Set<Int>
        var changes: [Change] = []
        var registers: ProcessorRegisters
        /// Whom firmware is to eject.
        var handedOver: Set<Int> = []

        /// Who came and has not been told of yet, and who is to leave.
        var events: ProcessorRegisters.Events {
            ProcessorRegisters.Events(
                inserted: Set(changes.filter { $0.kind == 1 }.map(\.processor)),
                leaving: Set(changes.filter { $0.kind == 2 }.map(\.processor)), handedOver: handedOver)
        }
        mutating func handOver(_ processor: Int) {
            if present.contains(processor) { handedOver.insert(processor) }
        }
    }
    /// Beside a number at the word that lets one go: firmware is to eject it.
    private static let handOver: UInt64 = 0x8000_0000
    /// First port.
    public static let port: UInt64 = 0xA00
    /// Ports.
    public static let count: UInt64 = 72
    /// The general-purpose event that tells of changes.
    public static let event = 2
    private static let limit = 256

    public let stateName: String
    private let state: Mutex<State>
    private let onEject: @Sendable (_ processor: Int) -> Void

    /// A controller with the processors that are there from the start, of all that may be by their APIC IDs. `onEject` runs
    /// with no lock held, on a processor's thread.
    public init(
        present: Int, apicIDs: [UInt32], stateName: String = "acpi-cpu-hotplug",
        onEject: @escaping @Sendable (_ processor: Int) -> Void
    ) {
        self.stateName = stateName
        self.onEject = onEject
        state = Mutex(State(present: Set(0..<present), registers: ProcessorRegisters(apicIDs: apicIDs)))
    }

    /// Puts firmware's registers on a bus, which keeps the controller.
    public func attachRegisters(to bus: Bus, at port: UInt64) {
        bus.add(Window(control: self), start: port, count: ProcessorRegisters.count, name: "acpi-cpu-hotplug-firmware")
    }

    private final class Window: BusDevice {
        private let control: ProcessorHotplugControl
        init(control: ProcessorHotplugControl) { self.control = control }

        func read(offset: UInt64, size: Int) -> UInt64 {
            control.state.withLock { state in
                let events = state.events
                return ByteLanes.read(offset, size) {
                    state.registers.read($0, present: state.present, events: events)
                }
            }
        }
        func write(offset: UInt64, size: Int, value: UInt64) {
            let ejected = control.state.withLock { state in
                let events = state.events
                var ejected: Int?
                ByteLanes.write(offset, size, value) {
                    switch state.registers.write($0, $1, events: events) {
                    case .eject(let processor): if state.present.contains(processor) { ejected = processor }
                    case .handOver(let processor): state.handOver(processor)
                    case nil: break
                    }
                }
                return ejected
            }
            if let ejected { control.onEject(ejected) }
        }
    }

    /// The processors that are there.
    public var present: Set<Int> { state.withLock { $0.present } }

    /// A processor came: from now on it is there. False where it was before.
    public func insert(_ processor: Int) -> Bool {
        state.withLock { state in
            guard 0..<Self.limit ~= processor, state.present.insert(processor).inserted else { return false }
            state.changes.append(Change(processor: processor, kind: 1))
            return true
        }
    }
    /// A processor is to leave.
    public func requestEject(_ processor: Int) {
        state.withLock { $0.changes.append(Change(processor: processor, kind: 2)) }
    }
    /// It has left.
    public func remove(_ processor: Int) {
        state.withLock { state in
            state.present.remove(processor)
            state.handedOver.remove(processor)
        }
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { state in
            if offset < 64 {
                return ByteLanes.read(offset, size) { place in
                    (0..<8).reduce(UInt8(0)) { bits, bit in
                        bits | (state.present.contains(Int(place) * 8 + bit) ? 1 << UInt8(bit) : 0)
                    }
                }
            }
            guard offset == 64, size == 4, !state.changes.isEmpty else { return 0 }
            let change = state.changes.removeFirst()
            return UInt64(change.kind) << 16 | UInt64(change.processor + 1)
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let number = value & ~Self.handOver
        guard offset == 68, size == 4, 1...UInt64(Self.limit) ~= number else { return }
        let processor = Int(number) - 1
        guard value == number else { return state.withLock { $0.handOver(processor) } }
        if state.withLock({ $0.present.contains(processor) }) { onEject(processor) }
    }

    public func reset() {
        state.withLock { state in
            state.changes = []
            state.handedOver = []
            state.registers.reset()
        }
    }
    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("present", state.present.sorted().map { UInt8($0) })
            saved.set("changes", state.changes.flatMap { [UInt8($0.processor), UInt8($0.kind)] })
            saved.set("selector", state.registers.selector)
            saved.set("command", state.registers.command)
            saved.set("handed-over", state.handedOver.sorted().map { UInt8($0) })
            return saved
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let present = try saved.bytes("present")
        let changes = try saved.bytes("changes")
        guard changes.count % 2 == 0 else { throw .outOfRange(field: "changes", value: UInt64(changes.count)) }
        let list = stride(from: 0, to: changes.count, by: 2).map {
            Change(processor: Int(changes[$0]), kind: UInt32(changes[$0 + 1] == 1 ? 1 : 2))
        }
        // States of older releases do not have what firmware has selected.
        let isOlder = saved.fields["selector"] == nil
        let selector: UInt32 = isOlder ? 0 : try saved.integer("selector")
        let command: UInt8 = isOlder ? 0 : try saved.integer("command")
        let handedOver = saved.fields["handed-over"] == nil ? [] : try saved.bytes("handed-over")
        state.withLock { state in
            state.handedOver = Set(handedOver.map { Int($0) })
            (state.present, state.changes) = (Set(present.map { Int($0) }), list)
            (state.registers.selector, state.registers.command) = (selector, command)
        }
    }
}
