public import DeviceModel
internal import HostOS
internal import Synchronization

/// `pci-testdev`: times and checks writes of a guest, with an exit or by an eventfd. Window 0 is memory, window 1
/// ports. Where the engine hangs no doorbells up, writes that would ring come with exits and do nothing.
public final class PCITestDevice: Device {
    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let state = Mutex(PCITestModel())
    private let event: EventCounter?

    /// A device without a chosen test.
    public init(stateName: String = "pci-testdev") {
        self.stateName = stateName
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x1B36, deviceID: 0x0005, classCode: 0x00FF00, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100))
        event = try? EventCounter()
        function.addBAR(
            0, .memory32(prefetchable: false), size: PCITestModel.memoryCount,
            regions: [
                PCIBAR.Region(
                    count: PCITestModel.memoryCount, name: "pci-testdev-mmio", device: Window(self, isPort: false))
            ])
        function.addBAR(
            1, .io, size: PCITestModel.portCount,
            regions: [
                PCIBAR.Region(
                    count: PCITestModel.portCount, name: "pci-testdev-portio", device: Window(self, isPort: true))
            ])
    }

    private func read(offset: UInt64, size: Int) -> UInt64 {
        state.withLock { model in
            (0..<UInt64(size)).reduce(0) { $0 | UInt64(model.read(offset: offset &+ $1)) << ($1 * 8) }
        }
    }

    private func write(offset: UInt64, size: Int, value: UInt64, isPort: Bool) {
        var chosen: PCITestModel.Test??
        state.withLock { model in
            for index in 0..<UInt64(size) {
                let byte = UInt8(truncatingIfNeeded: value >> (index * 8))
                if model.write(offset: offset &+ index, value: byte, isPort: isPort) { chosen = .some(model.test) }
            }
        }
        if let chosen { arm(chosen) }
    }

    /// Hangs up the doorbell of a test, and takes that of the last one down. With no lock held.
    private func arm(_ test: PCITestModel.Test?) {
        var bells: [PCIDoorbell] = []
        if let test, let event, test.trigger != .none {
            bells = [
                PCIDoorbell(
                    bar: test.isPort ? 1 : 0, offset: test.offset, size: 1,
                    value: test.trigger == .match ? UInt64(test.value) : nil, descriptor: event.descriptor.rawValue)
            ]
        }
        function.setDoorbells(bells)
        _ = event?.take()
    }

    public func reset() {
        state.withLock { $0.reset() }
        function.reset()
        arm(nil)
    }
    public func exportState() -> DeviceState {
        var result = function.exportState()
        let (test, count) = state.withLock { ($0.test, $0.count) }
        result.set("test", UInt8(test?.number ?? 0xFF))
        result.set("count", count)
        return result
    }
    public func importState(_ state: DeviceState) throws(DeviceStateError) {
        try function.importState(state)
        let number: UInt8 = try state.integer("test")
        let count: UInt32 = try state.integer("count")
        let triggers = UInt8(PCITestModel.Trigger.allCases.count)
        let test = self.state.withLock { model in
            model.reset()
            let value = number < triggers * 2 ? number % triggers : 0xFF
            _ = model.write(offset: 0, value: value, isPort: number >= triggers)
            model.count = count
            return model.test
        }
        arm(test)
    }

    private final class Window: BusDevice {
        private unowned let device: PCITestDevice
        private let isPort: Bool

        init(_ device: PCITestDevice, isPort: Bool) {
            self.device = device
            self.isPort = isPort
        }
        func read(offset: UInt64, size: Int) -> UInt64 { device.read(offset: offset, size: size) }
        func write(offset: UInt64, size: Int, value: UInt64) {
            device.write(offset: offset, size: size, value: value, isPort: isPort)
        }
    }
}
