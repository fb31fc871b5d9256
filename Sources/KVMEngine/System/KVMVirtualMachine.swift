internal import CLinux
internal import HostOS
internal import SystemPackage

/// A virtual machine of KVM, without processors and memory yet. Any thread.
public final class KVMVirtualMachine: Sendable {
    /// The device that it is of.
    public let device: KVMDevice
    let control: Control

    /// Where Intel's processors without unrestricted guests keep KVM's own pages: in the gap below the firmware.
    private static let identityMap: UInt64 = 0xFEFF_C000

    /// An empty machine.
    public init(_ device: KVMDevice) throws(KVMError) {
        self.device = device
        let number = try KVMError.wrapping { () throws(HostError) in
            try device.control.request(APUS_KVM_CREATE_VM, "make a virtual machine")
        }
        control = Control(descriptor: Descriptor(owning: number))
        // Only Intel's module wants them; the others refuse or ignore them.
        var map = Self.identityMap
        _ = try? control.exchange(APUS_KVM_SET_IDENTITY_MAP_ADDR, &map, "place the identity map")
        _ = try? control.request(APUS_KVM_SET_TSS_ADDR, UInt(Self.identityMap + 0x1000), "place the task segment")
    }

    /// The number that KVM gives for a capability of this machine, 0 where it has it not.
    func capability(_ number: Int32) -> Int {
        Int(
            (try? control.request(APUS_KVM_CHECK_EXTENSION, UInt(bitPattern: Int(number)), "ask for a capability")) ?? 0
        )
    }

    /// Switches a capability on.
    func enable(_ capability: Int32, _ argument: UInt64, _ what: @autoclosure () -> String) throws(HostError) {
        var request = kvm_enable_cap()
        request.cap = UInt32(bitPattern: capability)
        request.args.0 = argument
        try control.exchange(APUS_KVM_ENABLE_CAP, &request, what())
    }

    /// Frequency of the guests' time-stamp counter in kHz; nil where KVM does not tell it.
    public var tscKHz: UInt32? {
        let frequency = (try? control.request(APUS_KVM_GET_TSC_KHZ, "ask for the frequency of the TSC")) ?? 0
        return frequency > 0 ? UInt32(frequency) : nil
    }
}
