internal import CLinux
internal import HostOS
internal import SystemPackage
public import X86

/// /dev/kvm, open: what this host's KVM can do. Any thread.
public final class KVMDevice: Sendable {
    let control: Control
    /// Bytes of a processor's run page.
    let runPageSize: Int
    /// The answers of CPUID that KVM supports for guests.
    let supported: [CPUIDEntry]
    /// The numbers of the model-specific registers that KVM saves.
    let registers: Set<UInt32>

    /// Opens the device and asks for what never changes.
    public init(path: String = "/dev/kvm") throws(KVMError) {
        let raw = unsafe apus_open(path, O_RDWR | O_CLOEXEC, 0)
        guard raw >= 0 else { throw Self.reason(path, apus_errno()) }
        let control = Control(descriptor: Descriptor(owning: raw))
        self.control = control
        let version = try KVMError.wrapping { () throws(HostError) in
            try control.request(APUS_KVM_GET_API_VERSION, "ask KVM for its version")
        }
        guard version == KVM_API_VERSION else { throw .version(version) }
        do throws(HostError) {
            runPageSize = Int(try control.request(APUS_KVM_GET_VCPU_MMAP_SIZE, "ask KVM for the size of run pages"))
            supported = try CPUIDEntry.supported(control)
            registers = try Self.registers(control)
        } catch { throw .failed(error) }
    }

    /// The number that KVM gives for a capability (KVM_CAP_*), 0 where it has it not.
    public func capability(_ number: Int32) -> Int {
        Int(
            (try? control.request(APUS_KVM_CHECK_EXTENSION, UInt(bitPattern: Int(number)), "ask for a capability")) ?? 0
        )
    }

    /// One of KVM's answers of CPUID; zeros where it has none.
    public func supportedCPUID(leaf: UInt32, subleaf: UInt32) -> CPUIDRegisters {
        let entry = supported.first { $0.leaf == leaf && (!$0.isIndexed || $0.subleaf == subleaf) }
        return entry?.registers ?? CPUIDRegisters()
    }

    /// The features that guests of this KVM can have (with its in-kernel local APIC).
    public var offeredFeatures: FeatureSet {
        var features = FeatureSet(reading: supportedCPUID, includesKVM: true)
        // What KVM emulates beyond what it lists: its documentation leaves these bits to user space.
        var more = FeatureSet(names: "hypervisor x2apic apic")
        if capability(KVM_CAP_TSC_DEADLINE_TIMER) != 0 { more.formUnion(FeatureSet(names: "tsc-deadline")) }
        features.formUnion(more)
        return features
    }

    /// Width of the physical addresses that guests can have.
    public var physicalBits: Int {
        let bits = Int(supportedCPUID(leaf: 0x8000_0008, subleaf: 0).eax & 0xFF)
        return bits == 0 ? 36 : min(max(bits, 32), 52)
    }

    /// Whether a machine can have its local APICs in the kernel and the other controllers here.
    public var hasSplitInterruptController: Bool { capability(KVM_CAP_SPLIT_IRQCHIP) != 0 }

    private static func registers(_ control: Control) throws(HostError) -> Set<UInt32> {
        let room = 1024
        var bytes = [UInt8](repeating: 0, count: 4 + room * 4)
        bytes.put(UInt32(room), at: 0)
        try control.exchange(APUS_KVM_GET_MSR_INDEX_LIST, bytes: &bytes, "ask KVM for its registers")
        let count = min(Int(bytes.get(0, as: UInt32.self)), room)
        return Set((0..<count).map { bytes.get(4 + $0 * 4, as: UInt32.self) })
    }

    /// Why the device does not open.
    private static func reason(_ path: String, _ errno: Int32) -> KVMError {
        switch errno {
        case ENOENT:
            let vendor = HostVirtualization.vendorModule
            return .noDevice(path: path, hasVirtualization: vendor != nil, module: vendor ?? "kvm")
        case ENODEV, ENXIO, EOPNOTSUPP: return .notSupported(path: path)
        case EACCES, EPERM:
            var name = [CChar](repeating: 0, count: 64)
            // SAFETY: the array has room for what it says.
            let found = unsafe apus_file_group(path, &name, 64) == 0
            let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            let group = String(decoding: bytes, as: UTF8.self)
            return .permission(path: path, group: found && group != "root" ? group : nil)
        default: return .failed(HostError("open '\(path)'", Errno(rawValue: errno)))
        }
    }
}
