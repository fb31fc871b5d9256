/// SMI_EN and SMI_STS of the ICH9, 8 bytes (Intel 316972, 13.8.3.7), with what firmware has agreed upon (QEMU, docs/specs:
/// the files `etc/smi/…` of fw_cfg). A pure value.
public struct SMIRegisters: Sendable {
    /// What firmware may ask for.
    public enum Feature {
        /// A command interrupts all processors, not only the one that wrote it.
        public static let broadcast: UInt64 = 1
        /// ACPI methods tell firmware of a new processor, by `processorCommand`, before the guest hears of it.
        public static let processors: UInt64 = 2
        /// They tell it in the same way of a processor that the guest has let go, and firmware ejects it.
        public static let removal: UInt64 = 4
    }
    /// The command that tells firmware to look for processors that came, and for those that go.
    public static let processorCommand: UInt8 = 4
    private static let globalEnable: UInt8 = 1
    private static let commandEnable: UInt8 = 0x20

    /// Whether there is system management. Without it, the enables are set, by which firmware knows that it need not set it
    /// up, and nothing comes of commands.
    let isThere: Bool
    var bytes: [UInt8]
    /// What was agreed upon.
    var features: UInt64 = 0
    /// The global enable can no longer be cleared.
    var isLocked = false

    init(isThere: Bool) {
        self.isThere = isThere
        bytes = [isThere ? 0 : Self.globalEnable | Self.commandEnable, 0, 0, 0, 0, 0, 0, 0]
    }

    /// A guest's write. SMI_STS's bits are cleared by 1s, and none is ever set.
    mutating func write(_ offset: UInt64, _ byte: UInt8) {
        guard offset < 4 else { return }
        var byte = byte
        if !isThere, offset == 0 { byte |= Self.globalEnable | Self.commandEnable }
        if isLocked, offset == 0 { byte = byte & ~Self.globalEnable | bytes[0] & Self.globalEnable }
        bytes[Int(offset)] = byte
    }

    /// A byte was written to the command port: whether all processors are to be interrupted, nil where none is.
    func command() -> Bool? {
        guard isThere, bytes[0] & Self.commandEnable != 0 else { return nil }
        return features & Feature.broadcast != 0
    }

    /// Firmware asks for features. It gets all or none, and does not ask again.
    mutating func negotiate(_ wanted: UInt64, supported: UInt64) -> Bool {
        guard isThere, wanted & ~supported == 0 else { return false }
        // Processors come and go only where all of them enter together, and those go that firmware has seen come.
        let changes = wanted & (Feature.processors | Feature.removal)
        guard changes == 0 || wanted & Feature.broadcast != 0 && changes != Feature.removal else { return false }
        features = wanted
        return true
    }
}
