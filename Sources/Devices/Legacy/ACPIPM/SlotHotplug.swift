public import DeviceModel
import Synchronization

/// The board's controller of slots whose devices come and go, as the ACPI tables' methods use it: a word of slots that
/// got a device, one of slots whose device is to leave, and one that lets devices go. Reading a word clears it.
public final class SlotHotplug: BusDevice, Device {
    private struct State {
        var inserted: UInt32 = 0
        var leaving: UInt32 = 0
    }
    /// First port, as QEMU's `pc` has it.
    public static let port: UInt64 = 0xAE00
    /// Ports.
    public static let count: UInt64 = 12
    /// The general-purpose event that tells of changes.
    public static let event = 1

    public let stateName: String
    private let state = Mutex(State())
    private let onEject: @Sendable (_ slot: Int) -> Void

    /// A controller. `onEject` runs with no lock held, on the processor's thread.
    public init(stateName: String = "acpi-pci-hotplug", onEject: @escaping @Sendable (_ slot: Int) -> Void) {
        self.stateName = stateName
        self.onEject = onEject
    }

    /// A slot got a device.
    public func insert(_ slot: Int) { state.withLock { $0.inserted |= 1 << UInt32(slot & 31) } }
    /// A slot's device is to leave.
    public func requestEject(_ slot: Int) { state.withLock { $0.leaving |= 1 << UInt32(slot & 31) } }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        guard size == 4 else { return 0 }
        return state.withLock { state in
            switch offset {
            case 0:
                defer { state.inserted = 0 }
                return UInt64(state.inserted)
            case 4:
                defer { state.leaving = 0 }
                return UInt64(state.leaving)
            default: return 0
            }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        guard offset == 8, size == 4 else { return }
        for slot in 0..<32 where value >> UInt64(slot) & 1 != 0 { onEject(slot) }
    }

    public func reset() { state.withLock { $0 = State() } }
    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("inserted", state.inserted)
            saved.set("leaving", state.leaving)
            return saved
        }
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let (inserted, leaving): (UInt32, UInt32) = (try saved.integer("inserted"), try saved.integer("leaving"))
        state.withLock { $0 = State(inserted: inserted, leaving: leaving) }
    }
}
