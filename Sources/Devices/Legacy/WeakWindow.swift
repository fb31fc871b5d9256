internal import DeviceModel

/// A range that passes accesses on to a device which holds it, without holding the device too. Offsets get `base` added.
final class WeakWindow: BusDevice {
    private struct Owner: Sendable { weak let device: (any BusDevice)? }
    private let owner: Owner
    private let base: UInt64

    init(_ device: any BusDevice, base: UInt64 = 0) {
        owner = Owner(device: device)
        self.base = base
    }
    func read(offset: UInt64, size: Int) -> UInt64 {
        owner.device?.read(offset: base &+ offset, size: size) ?? UInt64.max
    }
    func write(offset: UInt64, size: Int, value: UInt64) {
        owner.device?.write(offset: base &+ offset, size: size, value: value)
    }
}
