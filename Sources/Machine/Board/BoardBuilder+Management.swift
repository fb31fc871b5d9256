internal import DeviceModel
internal import Devices
internal import Firmware
internal import GuestMemory

/// System management mode: who has it, and what the boards wire for it.
extension BoardBuilder {
    /// Whether the machine has system management mode: where the engine has it, unless it was declined.
    var hasManagement: Bool {
        configuration.board.kind.isPC && configuration.board.systemManagement.resolved(default: engine.hasManagement)
    }

    /// Requests interrupts of all processors or of the one whose thread this is; nil without system management mode.
    var requestSMI: (@Sendable (_ all: Bool) -> Void)? {
        guard hasManagement else { return nil }
        let management = management
        return { management.raise(all: $0) }
    }

    func checkManagement() throws(MachineBuildError) {
        guard configuration.board.kind.isPC else { return }
        guard configuration.board.systemManagement != .on || engine.hasManagement else {
            throw MachineBuildError(
                "-machine smm=on: System Management Mode is not there with \(engine.name): -accel tcg has it")
        }
        guard hasManagement || !hasSecureFlash else {
            throw MachineBuildError(
                "-global cfi.pflash01.secure=on: flash that only system management writes takes smm=on and -accel tcg")
        }
    }

    /// `-global driver=cfi.pflash01,property=secure,value=on`: only system management writes to flash.
    var hasSecureFlash: Bool { configuration.globalFlag("cfi.pflash01", "secure", default: false) }

    /// The host bridge's part.
    var managementMemory: I440FX.SystemManagement? {
        guard hasManagement else { return nil }
        let largest = configuration.global("mch", "extended-tseg-mbytes").flatMap { UInt16($0) }
        return I440FX.SystemManagement(top: layout.low, largestSegment: largest ?? 16)
    }

    /// What the ICH9 may agree upon with firmware.
    private var managementFeatures: UInt64 {
        func feature(_ property: String, _ bit: UInt64) -> UInt64 {
            configuration.globalFlag("ICH9-LPC", property, default: true) ? bit : 0
        }
        return feature("x-smi-broadcast", SMIRegisters.Feature.broadcast)
            | feature("x-smi-cpu-hotplug", SMIRegisters.Feature.processors)
            | feature("x-smi-cpu-hotunplug", SMIRegisters.Feature.removal)
    }

    /// The files by which firmware asks for them (QEMU, docs/specs: `etc/smi`).
    func addManagementFiles(_ items: inout FwCfgItems) throws(MachineBuildError) {
        // Without system management there is nothing to ask for; the files are there, as a machine may change its engine.
        let supported = hasManagement ? managementFeatures : 0
        guard let lpc, managementFeatures != 0 else { return }
        let (offer, request, answer) = ("etc/smi/supported-features", "etc/smi/requested-features", "etc/smi/features-ok")
        do throws(FwCfgError) {
            try items.add(
                file: offer, bytes: (0..<8).map { UInt8(truncatingIfNeeded: supported >> ($0 * 8)) }, isLater: true)
            try items.add(file: request, bytes: [UInt8](repeating: 0, count: 8), isWritable: true, isLater: true)
            try items.add(file: answer, bytes: [0], isLater: true)
        } catch { throw MachineBuildError("\(error)") }
        items.refreshed.append(
            FwCfgItems.Refreshed([answer]) { [weak lpc] file in
                let wanted = (file(request) ?? []).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                return [(answer, [lpc?.negotiate(wanted, supported: supported) == true ? 1 : 0])]
            })
    }
}
