internal import DeviceModel
internal import KVMEngine

/// Doorbells of devices, hung up in KVM.
final class KVMDoorbells: DoorbellHost {
    private let engine: HardwareEngine

    init(_ engine: HardwareEngine) { self.engine = engine }

    func attach(_ doorbell: DeviceModel.Doorbell) -> Bool {
        do throws(KVMError) {
            try engine.attach(Self.translate(doorbell), eventDescriptor: doorbell.descriptor)
            return true
        } catch { return false }
    }
    func detach(_ doorbell: DeviceModel.Doorbell) {
        // Only what hangs is taken down.
        try? engine.detach(Self.translate(doorbell), eventDescriptor: doorbell.descriptor)
    }

    private static func translate(_ doorbell: DeviceModel.Doorbell) -> KVMEngine.Doorbell {
        KVMEngine.Doorbell(
            space: doorbell.space == .io ? .port : .memory, address: doorbell.address, size: doorbell.size,
            value: doorbell.value)
    }
}
