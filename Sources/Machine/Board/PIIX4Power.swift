internal import DeviceModel
internal import Devices
internal import Synchronization

/// The PIIX4's power management function: where firmware puts its registers, there they answer (Intel 290562, 7.1).
/// SeaBIOS puts them at 0x600, OVMF at 0xB000. It also says whether commands are system management interrupts (7.1.16).
final class PIIX4Power: Device, PCIFunctionDelegate {
    private static let (baseRegister, commandRegister, enableRegister) = (0x40, 0x5B, 0x80)
    let stateName: String
    let function: PCIFunction
    private let power: ACPIPowerManagement
    private let io: Bus
    /// Where they answer now; 0: nowhere.
    private let place: Mutex<(base: UInt64, range: Bus.RangeID?)>

    /// Whether commands interrupt: not in machines of older releases, which go on without.
    private let interrupts = Atomic<Bool>(false)
    private let onSMI: (@Sendable (_ all: Bool) -> Void)?

    /// The function of registers that answer at their first place already. `onSMI` requests interrupts of the processor
    /// that asks; nil without system management mode.
    init(
        _ function: PCIFunction, _ power: ACPIPowerManagement, io: Bus, range: Bus.RangeID?,
        stateName: String, onSMI: (@Sendable (_ all: Bool) -> Void)?
    ) {
        self.onSMI = onSMI
        self.function = function
        self.power = power
        self.io = io
        self.stateName = stateName
        place = Mutex((power.configuration.base, range))
        function.setDelegate(self)
        interrupts.store(onSMI != nil, ordering: .relaxed)
        power.observeCommands { [weak self] _ in self?.receiveCommand() }
        follow()
    }

    private func receiveCommand() {
        guard interrupts.load(ordering: .relaxed), function.readRaw(Self.commandRegister, size: 1) & 2 != 0 else { return }
        onSMI?(false)
    }

    /// Where they answer; where they would, while nobody has said.
    var base: UInt16 {
        let now = place.withLock { $0.base }
        return UInt16(truncatingIfNeeded: now == 0 ? power.configuration.base : now)
    }

    private func follow() {
        let isOn = function.readRaw(Self.enableRegister, size: 1) & 1 != 0
        let wanted = isOn ? UInt64(function.readRaw(Self.baseRegister, size: 2) & 0xFFC0) : 0
        place.withLock { place in
            guard wanted != place.base else { return }
            if let range = place.range { io.remove(range) }
            place = (wanted, wanted == 0 ? nil : power.attachRegisters(to: io, at: wanted))
        }
    }

    func configurationRead(_ function: PCIFunction, offset: Int, size: Int) -> UInt32? { nil }
    func configurationWritten(_ function: PCIFunction, offset: Int, size: Int) { follow() }

    func reset() {
        function.reset()
        interrupts.store(onSMI != nil, ordering: .relaxed)
        follow()
    }
    func exportState() -> DeviceState {
        var state = function.exportState()
        if interrupts.load(ordering: .relaxed) { state.set("smi", true) }
        return state
    }
    func importState(_ state: DeviceState) throws(DeviceStateError) {
        try function.importState(state)
        let interrupted = state.fields["smi"] == nil ? false : try state.bool("smi")
        interrupts.store(onSMI != nil && interrupted, ordering: .relaxed)
        follow()
    }
}
