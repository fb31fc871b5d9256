internal import DeviceModel
internal import Synchronization

/// Configuration space in memory, where a host bridge says that it is.
final class ConfigurationWindow: Sendable {
    private struct Place: Sendable {
        var window: (start: UInt64, count: UInt64)?
        var range: Bus.RangeID?
    }
    private let space: PCIECAM
    private let mmio: Bus
    private let place = Mutex(Place())

    init(_ bus: PCIBus, _ mmio: Bus) {
        space = PCIECAM(bus)
        self.mmio = mmio
    }

    /// Puts it elsewhere, or nowhere. Any thread.
    func move(to window: (start: UInt64, count: UInt64)?) {
        place.withLock { place in
            guard window?.start != place.window?.start || window?.count != place.window?.count else { return }
            if let old = place.range { mmio.remove(old) }
            place.window = window
            place.range = window.map {
                mmio.add(space, start: $0.start, count: $0.count, name: "pcie-mmcfg-mmio", priority: -1)
            }
        }
    }
}
