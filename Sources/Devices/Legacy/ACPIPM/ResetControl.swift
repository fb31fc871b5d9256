public import DeviceModel
internal import Synchronization

/// The reset control register at port CF9 (PIIX, 290562): bit 2 resets the processor when it becomes 1.
public final class ResetControl: BusDevice, Device {
    /// Its port. It lies inside the PCI configuration address, which is only accessed as a whole.
    public static let port: UInt64 = 0xCF9

    public let stateName: String
    private let onReset: @Sendable () -> Void
    private let value = Mutex<UInt8>(0)

    /// `onReset` runs on the processor's thread, with no lock held.
    public init(name: String = "reset-control", onReset: @escaping @Sendable () -> Void) {
        stateName = name
        self.onReset = onReset
    }

    /// Puts the register on a bus of I/O ports, before the PCI host bridge's.
    public func attach(to bus: Bus) { bus.add(self, start: Self.port, count: 1, name: stateName, priority: 1) }

    public func read(offset: UInt64, size: Int) -> UInt64 { UInt64(value.withLock { $0 }) }

    public func write(offset: UInt64, size: Int, value new: UInt64) {
        let resets = value.withLock { value in
            let resets = new & 4 != 0 && value & 4 == 0
            // Bit 2 is kept until the reset clears it, bit 1 is the kind of reset.
            value = UInt8(truncatingIfNeeded: new) & 0x06
            return resets
        }
        if resets { onReset() }
    }

    public func reset() { value.withLock { $0 = 0 } }

    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("value", value.withLock { $0 })
        return saved
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let restored = try saved.integer("value", as: UInt8.self) & 0x06
        value.withLock { $0 = restored }
    }
}
