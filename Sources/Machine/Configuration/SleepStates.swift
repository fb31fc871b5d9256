/// The sleep states that a guest may ask for beside power-off, by their SLP_TYP; nil where it may not.
public struct SleepStates: Equatable, Sendable {
    /// Suspend to RAM, S3.
    public var memory: UInt8?
    /// Suspend to disk, S4.
    public var disk: UInt8?
}

extension MachineConfiguration {
    /// What `-global` says of a property of a model on the board.
    func global(_ model: String, _ property: String) -> String? {
        globals.last { $0.driver == model && $0.property == property }?.value
    }

    /// A switch of the same.
    func globalFlag(_ model: String, _ property: String, default value: Bool) -> Bool {
        switch global(model, property) {
        case "on", "yes", "true", "y": true
        case "off", "no", "false", "n": false
        default: value
        }
    }

    /// What `-global PIIX4_PM.disable_s3=1` and its kin leave, or those of `ICH9-LPC` on q35.
    public var sleepStates: SleepStates {
        guard board.kind.isPC else { return SleepStates() }
        let model = board.kind == .q35 ? "ICH9-LPC" : "PIIX4_PM"
        func value(_ property: String) -> UInt8? { global(model, property).flatMap { UInt8($0) } }
        return SleepStates(
            memory: value("disable_s3") ?? 0 == 0 ? 1 : nil,
            disk: value("disable_s4") ?? 0 == 0 ? (value("s4_val") ?? 2) & 7 : nil)
    }
}
