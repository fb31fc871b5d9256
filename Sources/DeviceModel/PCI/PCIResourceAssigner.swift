/// Does what firmware does for a board that boots without it: gives windows addresses, switches decoders on, and
/// fills in interrupt lines.
public struct PCIResourceAssigner: Sendable {
    /// A range of addresses from which windows are cut.
    public struct Window: Sendable {
        /// Next free address.
        public private(set) var next: UInt64
        /// The address after the last.
        public let end: UInt64

        /// Addresses from `start` up to `end`.
        public init(start: UInt64, end: UInt64) {
            next = start
            self.end = end
        }

        /// Cuts off `size` (a power of two) bytes aligned to their size; nil where they do not fit.
        mutating func take(_ size: UInt64) -> UInt64? {
            let (raised, overflow) = next.addingReportingOverflow(size - 1)
            let start = raised & ~(size - 1)
            guard !overflow, start < end, size <= end - start else { return nil }
            next = start + size
            return start
        }
    }

    /// A window that found no room.
    public struct Shortage: Error, Equatable, Sendable, CustomStringConvertible {
        /// Whose it is.
        public let function: PCIAddress
        /// Its register's offset.
        public let register: Int
        /// Its length.
        public let size: UInt64
        public var description: String {
            "No room for the \(size) bytes of PCI function \(function)'s window at register 0x"
                + String(register, radix: 16)
        }
    }

    private var io: Window
    private var memory32: Window
    private var memory64: Window
    private let interruptLine: @Sendable (_ slot: Int, _ pin: Int) -> UInt8

    /// An assigner for the given ranges. `interruptLine` gives the value of the interrupt line register for a root
    /// slot's pin (0 for INTA#).
    public init(
        io: Window, memory32: Window, memory64: Window,
        interruptLine: @escaping @Sendable (_ slot: Int, _ pin: Int) -> UInt8
    ) {
        self.io = io
        self.memory32 = memory32
        self.memory64 = memory64
        self.interruptLine = interruptLine
    }

    private struct Request {
        let address: PCIAddress
        let function: PCIFunction
        let bar: PCIBAR
    }

    /// Assigns everything on a root bus; bridges get bus numbers and windows. Windows that find no room stay switched
    /// off, with the other windows of their function, and are returned.
    public mutating func assign(_ bus: PCIBus) -> [Shortage] {
        var lastBus: UInt8 = 0
        return assign(bus, lastBus: &lastBus) { slot, pin in (slot, pin) }
    }

    private mutating func assign(
        _ bus: PCIBus, lastBus: inout UInt8, rootPin: (Int, Int) -> (Int, Int)
    ) -> [Shortage] {
        var shortages: [Shortage] = []
        var requests: [Request] = []
        let functions = bus.functions
        for (address, function) in functions {
            for bar in function.bars where bar.kind != .rom {
                requests.append(Request(address: address, function: function, bar: bar))
            }
        }
        // The largest first: alignment then leaves no holes.
        requests.sort { ($0.bar.size, $1.address.devfn) > ($1.bar.size, $0.address.devfn) }
        for request in requests where !place(request) {
            shortages.append(
                Shortage(function: request.address, register: request.bar.register, size: request.bar.size))
        }
        for (address, function) in functions {
            let pin = Int(function.readConfiguration(PCIRegister.interruptPin, size: 1))
            if pin > 0 {
                let (slot, number) = rootPin(Int(address.slot), pin - 1)
                function.writeConfiguration(
                    PCIRegister.interruptLine, size: 1, value: UInt32(interruptLine(slot, number)))
            }
            if let child = bus.child(slot: Int(address.slot), function: Int(address.function)) {
                shortages += assignBridge(function, child, at: address, lastBus: &lastBus, rootPin: rootPin)
            }
            guard !shortages.contains(where: { $0.function == address }) else { continue }
            var command = function.command
            for bar in function.bars where bar.kind != .rom {
                command |= bar.isIO ? PCICommand.ioSpace : PCICommand.memorySpace
            }
            if function.isBridge { command |= PCICommand.ioSpace | PCICommand.memorySpace | PCICommand.busMaster }
            function.writeConfiguration(PCIRegister.command, size: 2, value: UInt32(command))
        }
        return shortages
    }

    private mutating func place(_ request: Request) -> Bool {
        let bar = request.bar
        let start: UInt64?
        switch bar.kind {
        case .io: start = io.take(bar.size)
        case .memory32, .rom: start = memory32.take(bar.size)
        // Windows of some size go high, where there is room; a small one stays in reach of a 32-bit kernel.
        case .memory64:
            if bar.size < 1 << 20, let low = memory32.take(bar.size) {
                start = low
            } else {
                start = memory64.take(bar.size) ?? memory32.take(bar.size)
            }
        }
        guard let start else { return false }
        request.function.writeConfiguration(bar.register, size: 4, value: UInt32(truncatingIfNeeded: start))
        if bar.is64Bit {
            request.function.writeConfiguration(
                bar.register + 4, size: 4, value: UInt32(truncatingIfNeeded: start >> 32))
        }
        return true
    }

    /// Numbers the bus behind a bridge and gives the bridge windows that span what was placed there.
    private mutating func assignBridge(
        _ bridge: PCIFunction, _ child: PCIBus, at address: PCIAddress, lastBus: inout UInt8,
        rootPin: (Int, Int) -> (Int, Int)
    ) -> [Shortage] {
        guard lastBus < UInt8.max else { return [] }
        lastBus += 1
        bridge.writeConfiguration(PCIRegister.primaryBus, size: 1, value: UInt32(address.bus))
        bridge.writeConfiguration(PCIRegister.secondaryBus, size: 1, value: UInt32(lastBus))
        bridge.writeConfiguration(PCIRegister.subordinateBus, size: 1, value: 0xFF)
        // Windows of a bridge come in units of 4 KiB of ports and 1 MiB of memory.
        func aligned(_ window: Window, _ unit: UInt64) -> Window {
            Window(start: (window.next + unit - 1) & ~(unit - 1), end: window.end)
        }
        io = aligned(io, 0x1000)
        memory32 = aligned(memory32, 0x10_0000)
        memory64 = aligned(memory64, 0x10_0000)
        let (ioStart, lowStart, highStart) = (io.next, memory32.next, memory64.next)
        let slot = Int(address.slot)
        let shortages = assign(child, lastBus: &lastBus) { childSlot, pin in rootPin(slot, (childSlot + pin) & 3) }
        io = aligned(io, 0x1000)
        memory32 = aligned(memory32, 0x10_0000)
        memory64 = aligned(memory64, 0x10_0000)
        bridge.writeConfiguration(PCIRegister.subordinateBus, size: 1, value: UInt32(lastBus))

        // An empty window has its base above its limit.
        let ioLast = io.next > ioStart ? io.next - 1 : 0
        bridge.writeConfiguration(
            PCIRegister.ioBase, size: 2,
            value: UInt32(truncatingIfNeeded: ioStart >> 8 & 0xF0 | ioLast & 0xF000 | (ioLast == 0 ? 0xF0 : 0)))
        let lowLast = memory32.next > lowStart ? memory32.next - 1 : 0
        bridge.writeConfiguration(
            PCIRegister.memoryBase, size: 4,
            value: lowLast == 0
                ? 0x0000_FFF0 : UInt32(truncatingIfNeeded: lowStart >> 16 & 0xFFF0 | lowLast & 0xFFF0_0000))
        let highLast = memory64.next > highStart ? memory64.next - 1 : 0
        bridge.writeConfiguration(
            PCIRegister.prefetchableBase, size: 4,
            value: highLast == 0
                ? 0x0000_FFF0 : UInt32(truncatingIfNeeded: highStart >> 16 & 0xFFF0 | highLast & 0xFFF0_0000))
        bridge.writeConfiguration(0x28, size: 4, value: highLast == 0 ? 0 : UInt32(truncatingIfNeeded: highStart >> 32))
        bridge.writeConfiguration(0x2C, size: 4, value: UInt32(truncatingIfNeeded: highLast >> 32))
        return shortages
    }
}
