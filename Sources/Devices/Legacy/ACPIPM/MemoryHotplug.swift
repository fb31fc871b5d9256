public import DeviceModel
import Synchronization

/// The board's controller of memory modules that come and go, as the ACPI tables' methods use it: a slot is chosen by
/// number, then tells where its module lies, whether it is there and what changed. QEMU's has the same registers
/// (docs/specs/acpi_mem_hotplug.rst).
public final class MemoryHotplugControl: BusDevice, Device {
    /// A module in its slot.
    public struct Module: Equatable, Sendable {
        /// First address.
        public var address: UInt64
        /// Bytes.
        public var size: UInt64
        /// The node of memory that it belongs to.
        public var node: UInt32

        /// A module of all parts.
        public init(address: UInt64, size: UInt64, node: UInt32) {
            self.address = address
            self.size = size
            self.node = node
        }
    }
    /// What the guest says of its work on a module (`_OST`, ACPI 6.5, 6.3.5).
    public struct Report: Equatable, Sendable {
        /// The slot.
        public var slot: Int
        /// What it worked on: 1 for a module that came, 3 and 259 for one that is to leave.
        public var event: UInt32
        /// 0 for success.
        public var status: UInt32
    }
    private struct Slot: Sendable {
        var module: Module?
        var isNew = false
        var isLeaving = false
        var event: UInt32 = 0
        var status: UInt32 = 0
    }
    private struct State: Sendable {
        var slots: [Slot]
        var selected = 0
    }
    private enum Flag {
        static let present: UInt32 = 1
        static let new: UInt32 = 2
        static let leaving: UInt32 = 4
        static let eject: UInt32 = 8
    }
    /// First port.
    public static let port: UInt64 = 0xA80
    /// Ports.
    public static let count: UInt64 = 24
    /// The general-purpose event that tells of changes.
    public static let event = 3
    /// The most slots.
    public static let limit = 256

    public let stateName: String
    private let state: Mutex<State>
    private let onEject: @Sendable (_ slot: Int) -> Void
    private let onReport: @Sendable (Report) -> Void

    /// A controller of so many empty slots. The closures run with no lock held, on a processor's thread.
    public init(
        slots: Int, stateName: String = "acpi-mem-hotplug", onEject: @escaping @Sendable (_ slot: Int) -> Void,
        onReport: @escaping @Sendable (Report) -> Void = { _ in }
    ) {
        self.stateName = stateName
        self.onEject = onEject
        self.onReport = onReport
        state = Mutex(State(slots: Array(repeating: Slot(), count: min(max(slots, 0), Self.limit))))
    }

    /// Puts a module into an empty slot. One that is there from the start is `quiet`: nothing tells of it.
    public func insert(_ module: Module, slot: Int, quiet: Bool) {
        state.withLock { state in
            guard state.slots.indices.contains(slot) else { return }
            state.slots[slot] = Slot(module: module, isNew: !quiet)
        }
    }
    /// The module of a slot is to leave.
    public func requestEject(_ slot: Int) {
        state.withLock { state in
            if state.slots.indices.contains(slot), state.slots[slot].module != nil {
                state.slots[slot].isLeaving = true
            }
        }
    }
    /// The slot is empty.
    public func remove(_ slot: Int) {
        state.withLock { state in
            if state.slots.indices.contains(slot) { state.slots[slot] = Slot() }
        }
    }
    /// What the guest said last of each slot.
    public var reports: [Report] {
        state.withLock { state in
            state.slots.enumerated().map { Report(slot: $0.offset, event: $0.element.event, status: $0.element.status) }
        }
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        let word = state.withLock { state -> UInt32 in
            guard state.slots.indices.contains(state.selected) else { return 0 }
            let slot = state.slots[state.selected]
            let module = slot.module ?? Module(address: 0, size: 0, node: 0)
            return switch offset & ~3 {
            case 0x00: UInt32(truncatingIfNeeded: module.address)
            case 0x04: UInt32(truncatingIfNeeded: module.address >> 32)
            case 0x08: UInt32(truncatingIfNeeded: module.size)
            case 0x0C: UInt32(truncatingIfNeeded: module.size >> 32)
            case 0x10: module.node
            case 0x14:
                (slot.module == nil ? 0 : Flag.present) | (slot.isNew ? Flag.new : 0)
                    | (slot.isLeaving ? Flag.leaving : 0)
            default: 0
            }
        }
        return UInt64(word >> UInt32((offset & 3) * 8))
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let value = UInt32(truncatingIfNeeded: value)
        var ejected: Int?
        var report: Report?
        state.withLock { state in
            if offset == 0 {
                state.selected = Int(value)
                return
            }
            let selected = state.selected
            guard state.slots.indices.contains(selected) else { return }
            switch offset {
            case 0x04: state.slots[selected].event = value
            case 0x08:
                state.slots[selected].status = value
                report = Report(slot: selected, event: state.slots[selected].event, status: value)
            case 0x14:
                if value & Flag.new != 0 { state.slots[selected].isNew = false }
                if value & Flag.leaving != 0 { state.slots[selected].isLeaving = false }
                if value & Flag.eject != 0, state.slots[selected].module != nil { ejected = selected }
            default: break
            }
        }
        if let report { onReport(report) }
        if let ejected { onEject(ejected) }
    }

    public func reset() {
        state.withLock { state in
            state.selected = 0
            for index in state.slots.indices {
                let module = state.slots[index].module
                state.slots[index] = Slot(module: module)
            }
        }
    }

    // MARK: State

    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("selected", state.selected)
            saved.set(
                "slots",
                state.slots.map { slot in
                    var part = DeviceState(version: 1)
                    part.set("address", slot.module?.address ?? 0)
                    part.set("size", slot.module?.size ?? 0)
                    part.set("node", slot.module?.node ?? 0)
                    part.set("new", slot.isNew)
                    part.set("leaving", slot.isLeaving)
                    part.set("event", slot.event)
                    part.set("status", slot.status)
                    return part
                })
            return saved
        }
    }
    /// The modules themselves must be there already: those of the receiving machine's command line.
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var new = State(slots: [])
        new.selected = Int(try saved.integer("selected", as: UInt32.self))
        let present = state.withLock { $0.slots.map(\.module) }
        for (part, module) in zip(try saved.list("slots", count: present.count), present) {
            let (address, size) = (
                try part.integer("address", as: UInt64.self), try part.integer("size", as: UInt64.self)
            )
            let node = try part.integer("node", as: UInt32.self)
            guard size == module?.size ?? 0 else { throw .outOfRange(field: "size", value: size) }
            guard address == module?.address ?? 0 else { throw .outOfRange(field: "address", value: address) }
            guard node == module?.node ?? 0 else { throw .outOfRange(field: "node", value: UInt64(node)) }
            new.slots.append(
                Slot(
                    module: module, isNew: try part.bool("new"), isLeaving: try part.bool("leaving"),
                    event: try part.integer("event"), status: try part.integer("status")))
        }
        let taken = new
        state.withLock { $0 = taken }
    }
}
