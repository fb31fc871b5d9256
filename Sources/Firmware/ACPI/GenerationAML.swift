/// Where a guest finds the generation of its machine (Microsoft, "Virtual Machine Generation ID", 2012).
public struct MachineGeneration: Equatable, Sendable {
    /// The identifier's address.
    public var address: UInt64
    /// The general-purpose event that tells of a change.
    public var event: UInt8

    /// An identifier with its event.
    public init(address: UInt64, event: UInt8) {
        self.address = address
        self.event = event
    }
}

/// The objects of the identifier.
enum GenerationAML {
    static func device(_ generation: MachineGeneration) -> AML {
        AML.device(
            "VGEN",
            [
                AML.define("_HID", AML.string("QEMUVGID")),
                AML.define("_CID", AML.string("VM_Gen_Counter")),
                AML.define("_DDN", AML.string("VM_Gen_Counter")),
                AML.define(
                    "ADDR",
                    AML.package([
                        AML.integer(generation.address & 0xFFFF_FFFF), AML.integer(generation.address >> 32),
                    ])),
            ])
    }
    static func event(_ generation: MachineGeneration) -> [AML] { [AML.notify("\\_SB.VGEN", 0x80)] }
}
