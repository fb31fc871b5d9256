import Synchronization

/// Configuration mechanism #1: the address port at 0xCF8 and the data port at 0xCFC. PCI Local Bus 3.0, 3.2.2.3.2.
///
/// Answers 8 ports from 0xCF8. A board that has a reset register at 0xCF9 attaches that with a higher priority.
public final class PCIConfigPorts: BusDevice, Device {
    private let bus: PCIBus
    private let address = Mutex<UInt32>(0)
    public let stateName: String

    /// The ports of a root bus.
    public init(_ bus: PCIBus, stateName: String = "pci-config") {
        self.bus = bus
        self.stateName = stateName
    }

    /// Where an access to the data port goes: a function, an offset, and how many bytes of the dword it covers.
    private func target(_ offset: UInt64) -> (PCIAddress, Int)? {
        let value = address.withLock { $0 }
        guard value & 0x8000_0000 != 0 else { return nil }
        return (
            PCIAddress(
                bus: UInt8(truncatingIfNeeded: value >> 16), slot: UInt8(truncatingIfNeeded: value >> 11 & 31),
                function: UInt8(truncatingIfNeeded: value >> 8 & 7)),
            Int(value & 0xFC) | Int(offset & 3)
        )
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        if offset < 4 {
            // The address port exists as a whole dword only; other accesses pass to whatever else is there.
            return offset == 0 && size == 4 ? UInt64(address.withLock { $0 }) : UInt64.max
        }
        guard let (function, register) = target(offset) else { return UInt64.max }
        let count = min(size, 4 - register & 3)
        let value = bus.readConfiguration(function, offset: register, size: count)
        return UInt64(value) | (count < 8 ? UInt64.max << UInt64(count * 8) : 0)
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        if offset < 4 {
            if offset == 0 && size == 4 { address.withLock { $0 = UInt32(truncatingIfNeeded: value) & 0x80FF_FFFC } }
            return
        }
        guard let (function, register) = target(offset) else { return }
        bus.writeConfiguration(
            function, offset: register, size: min(size, 4 - register & 3), value: UInt32(truncatingIfNeeded: value))
    }

    public func reset() { address.withLock { $0 = 0 } }
    public func exportState() -> DeviceState {
        var state = DeviceState(version: 1)
        state.set("address", address.withLock { $0 })
        return state
    }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let value: UInt32 = try state.integer("address")
        address.withLock { $0 = value & 0x80FF_FFFC }
    }
}

/// The enhanced configuration access mechanism: configuration space as memory. PCI Express Base 3.0, 7.2.2.
///
/// Answers 1 MiB for each bus number of the range that MCFG announces, the first of them 0.
public final class PCIECAM: BusDevice {
    private let bus: PCIBus

    /// The window of a root bus.
    public init(_ bus: PCIBus) { self.bus = bus }

    private func target(_ offset: UInt64) -> (PCIAddress, Int) {
        (
            PCIAddress(
                bus: UInt8(truncatingIfNeeded: offset >> 20), slot: UInt8(truncatingIfNeeded: offset >> 15 & 31),
                function: UInt8(truncatingIfNeeded: offset >> 12 & 7)),
            Int(offset & 0xFFF)
        )
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        let (function, register) = target(offset)
        let low = UInt64(bus.readConfiguration(function, offset: register, size: min(size, 4)))
        guard size == 8 else { return low }
        return low | UInt64(bus.readConfiguration(function, offset: register + 4, size: 4)) << 32
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        let (function, register) = target(offset)
        bus.writeConfiguration(
            function, offset: register, size: min(size, 4), value: UInt32(truncatingIfNeeded: value))
        guard size == 8 else { return }
        bus.writeConfiguration(
            function, offset: register + 4, size: 4, value: UInt32(truncatingIfNeeded: value >> 32))
    }
}
