public import DeviceModel
internal import Synchronization

/// The watchdog of Intel's 6300ESB as a PCI function: `i6300esb`.
public final class I6300ESB: Device, BusDevice, PCIFunctionDelegate {
    private static let configurationRegister = 0x60
    private static let lockRegister = 0x68

    public let stateName: String
    /// What a `PCIBus` attaches.
    public let function: PCIFunction
    private let clock: any VirtualClock
    private let onExpiry: @Sendable () -> Void
    private let model = Mutex(I6300ESBModel())
    private let timer = LateTimer()

    /// A watchdog that does not count yet. `onExpiry` runs with no lock held.
    public init(clock: any VirtualClock, stateName: String, onExpiry: @escaping @Sendable () -> Void) {
        self.stateName = stateName
        self.clock = clock
        self.onExpiry = onExpiry
        function = PCIFunction(
            PCIIdentity(
                vendorID: 0x8086, deviceID: 0x25AB, classCode: 0x088000, subsystemVendorID: 0x1AF4,
                subsystemID: 0x1100))
        function.defineRegister(Self.configurationRegister, value: UInt16(0), writable: UInt16(0x27))
        function.defineRegister(Self.lockRegister, value: UInt8(0), writable: UInt8(7))
        function.addBAR(
            0, .memory32(prefetchable: false), size: 16,
            regions: [PCIBAR.Region(count: 16, name: "i6300esb", device: WeakWindow(self))])
        function.setDelegate(self)
        timer.make(clock) { [weak self] in
            guard let self else { return }
            timer.fired()
            change { _, _ in }
        }
    }

    @discardableResult
    private func change<R: Sendable>(_ body: (inout I6300ESBModel, UInt64) -> R) -> R {
        let (result, fires) = model.withLock { model -> (R, Bool) in
            let now = clock.now
            let fires = model.advance(now)
            let result = body(&model, now)
            timer.set(model.deadline)
            return (result, fires)
        }
        if fires { onExpiry() }
        return result
    }

    public func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) {
        let configuration = UInt16(truncatingIfNeeded: function.readRaw(Self.configurationRegister, size: 2))
        let isLock = offset <= Self.lockRegister && offset + size > Self.lockRegister
        let lock = UInt8(truncatingIfNeeded: function.readRaw(Self.lockRegister, size: 1))
        change { model, now in
            model.configuration = configuration
            if isLock { model.writeLock(lock, now) }
        }
    }
    public func configurationRead(_ function: PCIFunction, offset: Int, size: Int) -> UInt32? {
        guard offset <= Self.lockRegister, offset + size > Self.lockRegister else { return nil }
        return model.withLock { UInt32($0.lock) << UInt32((Self.lockRegister - offset) * 8) }
    }

    public func read(offset: UInt64, size: Int) -> UInt64 { change { model, _ in UInt64(model.read(offset, size)) } }
    public func write(offset: UInt64, size: Int, value: UInt64) {
        change { model, now in model.write(offset, UInt32(truncatingIfNeeded: value), now) }
    }

    public func reset() {
        change { model, _ in model.reset() }
        function.reset()
    }
    public func exportState() -> DeviceState {
        var saved = model.withLock { $0.exportState() }
        saved.set("pci", [function.exportState()])
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        let restored = try I6300ESBModel(saved)
        try function.importState(try saved.list("pci", count: 1)[0])
        model.withLock { model in
            model = restored
            timer.set(restored.deadline)
        }
    }
}
