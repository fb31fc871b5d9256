import Synchronization

/// Why a function cannot be put in a slot.
public enum PCIBusError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The slot's function is taken.
    case occupied(PCIAddress)
    /// Slots are 0 to 31 and functions 0 to 7.
    case noSuchSlot(Int, function: Int)
    /// Every slot is taken.
    case full

    public var description: String {
        switch self {
        case .occupied(let address): "PCI slot \(address) is occupied"
        case .noSuchSlot(let slot, let function): "PCI slot \(slot) function \(function) does not exist"
        case .full: "Every PCI slot is occupied"
        }
    }
}

/// How the interrupt pins of a bus's slots end at inputs of the chipset.
public struct PCIInterruptRouting: Sendable {
    /// The input of a slot's pin (0 for INTA#).
    public let line: @Sendable (_ slot: Int, _ pin: Int) -> Int
    /// Sets the level of an input. Called with the bus's interrupt lock held: takes only a controller's lock.
    public let output: @Sendable (_ line: Int, _ level: Bool) -> Void

    /// Any wiring.
    public init(
        line: @escaping @Sendable (_ slot: Int, _ pin: Int) -> Int,
        output: @escaping @Sendable (_ line: Int, _ level: Bool) -> Void
    ) {
        self.line = line
        self.output = output
    }

    /// The usual swizzle onto `lines`: pin plus slot plus `offset`, modulo their number, so that neighbours use
    /// different inputs. (PCI-to-PCI Bridge 1.2, table 9-1, has offset 0; PIIX3 boards have 3.)
    public static func swizzled(_ lines: [InterruptLine], offset: Int = 0) -> PCIInterruptRouting {
        let count = max(lines.count, 1)
        return PCIInterruptRouting(
            line: { slot, pin in (slot + pin + offset) % count },
            output: { line, level in if lines.indices.contains(line) { lines[line].set(level) } })
    }

    /// No wires.
    public static let none = PCIInterruptRouting(line: { _, _ in 0 }, output: { _, _ in })
}

/// A PCI bus: functions in slots, what they reach, and buses behind bridges. Any thread.
///
/// Lock order: bus lock and interrupt lock are leaves but for interrupt controllers.
public final class PCIBus: Sendable {
    /// What functions of this bus reach.
    public let spaces: PCISpaces
    /// Name for `info pci` and `bus=` options: `pci.0`.
    public let name: String
    /// The bridge that this bus is behind; nil for a root bus.
    public let bridge: PCIFunction?

    private struct Slots: Sendable {
        var functions: [UInt8: PCIFunction] = [:]
        var children: [UInt8: PCIBus] = [:]
    }
    private let slots = Mutex(Slots())
    private let routing: PCIInterruptRouting
    // How many pins pull each input up.
    private let levels = Mutex<[Int: Int]>([:])

    /// A root bus.
    public init(name: String = "pci.0", spaces: PCISpaces, routing: PCIInterruptRouting = .none) {
        self.name = name
        self.spaces = spaces
        self.routing = routing
        bridge = nil
    }

    private init(name: String, spaces: PCISpaces, routing: PCIInterruptRouting, bridge: PCIFunction) {
        self.name = name
        self.spaces = spaces
        self.routing = routing
        self.bridge = bridge
    }

    /// The number that software has given the bus; 0 for a root bus.
    public var number: UInt8 {
        guard let bridge else { return 0 }
        return UInt8(truncatingIfNeeded: bridge.readConfiguration(PCIRegister.secondaryBus, size: 1))
    }

    /// Puts a function in a slot: it appears to software at once.
    public func attach(_ pciFunction: PCIFunction, slot: Int, function: Int = 0) throws(PCIBusError) {
        guard (0..<32).contains(slot), (0..<8).contains(function) else {
            throw .noSuchSlot(slot, function: function)
        }
        let address = PCIAddress(slot: UInt8(slot), function: UInt8(function))
        let taken = slots.withLock { slots in
            if slots.functions[address.devfn] != nil { return true }
            slots.functions[address.devfn] = pciFunction
            return false
        }
        if taken { throw .occupied(address) }
        if function > 0 {
            self.function(slot: slot, function: 0)?.markMultiFunction()
        } else if functions.contains(where: { $0.address.slot == UInt8(slot) && $0.address.function > 0 }) {
            pciFunction.markMultiFunction()
        }
        let above = bridge.flatMap { bridge in bridge.state.withLock { $0.place } }.map { "\($0)/" } ?? ""
        pciFunction.attach(spaces, place: above + address.description.dropFirst(3)) { [weak self] pin, level in
            self?.setPin(slot: slot, pin: pin, level: level)
        }
    }

    /// Puts a function in the first slot from `first` on that is wholly free, and returns the slot.
    @discardableResult
    public func attach(_ pciFunction: PCIFunction, firstFreeFrom first: Int) throws(PCIBusError) -> Int {
        for slot in max(first, 0)..<32 where (0..<8).allSatisfy({ function(slot: slot, function: $0) == nil }) {
            try attach(pciFunction, slot: slot)
            return slot
        }
        throw .full
    }

    /// Puts a bridge in a slot and returns the bus behind it.
    public func attachBridge(
        _ pciFunction: PCIFunction, slot: Int, function: Int = 0, name: String
    ) throws(PCIBusError) -> PCIBus {
        precondition(pciFunction.isBridge, "A bus is behind a bridge's header")
        try attach(pciFunction, slot: slot, function: function)
        // PCI-to-PCI Bridge 1.2, 9.1: pins of a slot behind the bridge rotate by the slot's number.
        let routing = PCIInterruptRouting(
            line: { slot, pin in (slot + pin) & 3 },
            output: { [weak self] pin, level in self?.setPin(slot: slot, pin: pin, level: level) })
        let child = PCIBus(name: name, spaces: spaces, routing: routing, bridge: pciFunction)
        slots.withLock { $0.children[PCIAddress(slot: UInt8(slot), function: UInt8(function)).devfn] = child }
        return child
    }

    /// Takes a function out: its windows vanish and its interrupt falls.
    public func detach(slot: Int, function: Int = 0) {
        let devfn = PCIAddress(slot: UInt8(slot & 31), function: UInt8(function & 7)).devfn
        let removed = slots.withLock { slots in
            slots.children[devfn] = nil
            return slots.functions.removeValue(forKey: devfn)
        }
        removed?.detach()
    }

    /// The function in a slot.
    public func function(slot: Int, function: Int) -> PCIFunction? {
        guard (0..<32).contains(slot), (0..<8).contains(function) else { return nil }
        return slots.withLock { $0.functions[UInt8(slot << 3 | function)] }
    }

    /// The bus behind the bridge in a slot.
    public func child(slot: Int, function: Int) -> PCIBus? {
        guard (0..<32).contains(slot), (0..<8).contains(function) else { return nil }
        return slots.withLock { $0.children[UInt8(slot << 3 | function)] }
    }

    /// What is in the slots, by slot and function; of this bus only.
    public var functions: [(address: PCIAddress, function: PCIFunction)] {
        let number = self.number
        return slots.withLock { $0.functions }.sorted { $0.key < $1.key }
            .map { (PCIAddress(bus: number, slot: $0.key >> 3, function: $0.key & 7), $0.value) }
    }

    /// The buses behind this one's bridges.
    public var children: [PCIBus] {
        slots.withLock { $0.children }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Finds a function by the bus numbers that software has given, as configuration accesses travel: down through
    /// the bridge whose secondary to subordinate range holds the number.
    public func find(_ address: PCIAddress) -> PCIFunction? {
        if address.bus == number { return function(slot: Int(address.slot), function: Int(address.function)) }
        for child in children {
            guard let bridge = child.bridge else { continue }
            let secondary = bridge.readConfiguration(PCIRegister.secondaryBus, size: 1)
            let subordinate = bridge.readConfiguration(PCIRegister.subordinateBus, size: 1)
            let wanted = UInt32(address.bus)
            if secondary != 0, secondary <= wanted, wanted <= subordinate { return child.find(address) }
        }
        return nil
    }

    /// A configuration read; all ones where nobody is.
    public func readConfiguration(_ address: PCIAddress, offset: Int, size: Int) -> UInt32 {
        find(address)?.readConfiguration(offset, size: size) ?? UInt32.max
    }

    /// A configuration write; nothing happens where nobody is.
    public func writeConfiguration(_ address: PCIAddress, offset: Int, size: Int, value: UInt32) {
        find(address)?.writeConfiguration(offset, size: size, value: value)
    }

    /// A pin's change: an input is high while any of its pins is.
    private func setPin(slot: Int, pin: Int, level: Bool) {
        let line = routing.line(slot, pin)
        levels.withLock { levels in
            let before = levels[line, default: 0]
            let after = max(0, before + (level ? 1 : -1))
            levels[line] = after
            if (before > 0) != (after > 0) { routing.output(line, after > 0) }
        }
    }
}
