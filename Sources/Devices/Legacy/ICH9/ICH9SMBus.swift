public import DeviceModel
internal import GuestMemory
import Synchronization

/// The ICH9's SMBus controller (Intel 316972, chapter 18) with nobody on its bus: every transfer ends with "no answer".
public final class ICH9SMBus: Device, BusDevice {
    private enum Register {
        static let status = 0
        static let control = 2
    }
    private static let count = 32
    private static let deviceError: UInt8 = 1 << 2
    private static let start: UInt8 = 1 << 6

    public let stateName: String
    /// What a `PCIBus` attaches at 1f.3.
    public let function: PCIFunction
    private let registers = Mutex([UInt8](repeating: 0, count: ICH9SMBus.count))

    /// A controller after power-on.
    public init(stateName: String = "ICH9-SMB") {
        self.stateName = stateName
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x2930, classCode: 0x0C0500, revision: 2, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100),
            interruptPin: 1)
        function.defineRegister(0x40, value: UInt8(0), writable: UInt8(0x07))
        function.addBAR(
            4, .io, size: 64,
            regions: [PCIBAR.Region(count: UInt64(Self.count), name: "ich9-smb", device: WeakWindow(self))])
    }

    public func read(offset: UInt64, size: Int) -> UInt64 {
        registers.withLock { bytes in
            ByteLanes.read(offset, size) { $0 < UInt64(bytes.count) ? bytes[Int($0)] : 0 }
        }
    }

    public func write(offset: UInt64, size: Int, value: UInt64) {
        registers.withLock { bytes in
            ByteLanes.write(offset, size, value) { place, byte in
                let place = Int(truncatingIfNeeded: place)
                guard bytes.indices.contains(place) else { return }
                if place == Register.status {
                    bytes[place] &= ~byte
                } else {
                    bytes[place] = byte
                }
                if place == Register.control, byte & Self.start != 0 {
                    bytes[place] &= ~Self.start
                    bytes[Register.status] |= Self.deviceError
                }
            }
        }
    }

    public func reset() {
        registers.withLock { $0 = [UInt8](repeating: 0, count: Self.count) }
        function.reset()
    }
    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("pci", [function.exportState()])
        saved.set("registers", registers.withLock { $0 })
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        let bytes = try saved.bytes("registers", count: Self.count)
        try function.importState(try saved.list("pci", count: 1)[0])
        registers.withLock { $0 = bytes }
    }
}
