internal import DeviceModel
internal import KVMEngine
internal import Log

/// PIC, IOAPIC and PIT of KVM as a device of the machine.
final class KVMControllers: EngineControllers {
    let stateName = "kvm-irqchip"
    private let engine: HardwareEngine
    private let log = Logger("kvm")

    init(_ engine: HardwareEngine) { self.engine = engine }

    func setLine(_ line: Int, level: Bool) { engine.setLine(line, level: level) }
    func setLegacyReplacement(_ isOn: Bool) { engine.setLegacyReplacement(isOn) }

    func reset() {
        do throws(KVMError) { try engine.resetControllers() } catch {
            log.error("Reset of KVM's controllers: \(error)")
        }
    }
    func exportState() -> DeviceState {
        do throws(DeviceStateError) { return try fetchState() } catch {
            log.error("State of KVM's controllers: \(error)")
            return DeviceState(version: 1)
        }
    }
    func fetchState() throws(DeviceStateError) -> DeviceState {
        var state = DeviceState(version: 1)
        do throws(KVMError) { state.set("chips", try engine.controllerState()) } catch {
            throw .refused(field: "chips", "\(error)")
        }
        return state
    }
    func importState(_ state: DeviceState) throws(DeviceStateError) {
        try state.requireVersion(1...1)
        let bytes = try state.bytes("chips")
        do throws(KVMError) {
            if try engine.setControllerState(bytes) { return }
        } catch { log.error("State of KVM's controllers: \(error)") }
        throw DeviceStateError.outOfRange(field: "chips", value: UInt64(bytes.count))
    }
}
