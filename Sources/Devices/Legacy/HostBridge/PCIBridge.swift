public import DeviceModel

/// A bridge to a bus of conventional PCI (PCI-to-PCI Bridge 1.2), below such a bus or below a port of PCI Express (PCI
/// Express to PCI/PCI-X Bridge 1.0). What is behind it is there from the start and stays: it has no hot plug.
public final class PCIBridge: Device {
    /// What is above it.
    public enum Kind: Sendable {
        case conventional, express
    }

    public let stateName: String
    /// What a `PCIBus` attaches as a bridge.
    public let function: PCIFunction

    public init(_ kind: Kind, stateName: String) {
        self.stateName = stateName
        let isExpress = kind == .express
        function = PCIFunction(
            PCIIdentity(vendorID: 0x1B36, deviceID: isExpress ? 0x000E : 0x0001, classCode: 0x060400), isBridge: true,
            isExpress: isExpress)
        if isExpress { function.addExpressCapability(.bridge) }
    }

    public func reset() { function.reset() }
    public func exportState() -> DeviceState {
        var saved = DeviceState(version: 1)
        saved.set("pci", [function.exportState()])
        return saved
    }
    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        try function.importState(try saved.list("pci", count: 1)[0])
    }
}
