/// What the checks look at: this host, or one that a test made up.
public struct HostSnapshot: Equatable, Sendable {
    /// How /dev/kvm answers.
    public enum KVMState: Equatable, Sendable {
        /// It opens and works.
        case usable
        /// It is not there; why and what to do.
        case missing(String)
        /// It is there and cannot be used; why and what to do.
        case unusable(String)
    }

    /// The first processor's name, as its maker has it.
    public var processorName = ""
    /// The flags of the first processor in /proc/cpuinfo.
    public var processorFlags: Set<String> = []
    /// /dev/kvm.
    public var kvm = KVMState.missing("")
    /// Nested page tables (EPT or NPT) are on; nil where that is not known.
    public var nestedPaging: Bool?
    /// The TLB is tagged by processor (VPID); nil where that is not known.
    public var taggedTLB: Bool?
    /// Nanoseconds of the trial on KVM; nil where it did not end, or could not be made.
    public var kvmTrial: UInt64?
    /// The same on the software engine.
    public var softwareTrial: UInt64?
    /// Names in /sys/module that begin with "kvm".
    public var modules: Set<String> = []
    /// `uname -r`.
    public var kernelRelease = ""
    /// Bytes of memory that programs can still have.
    public var availableMemory: UInt64 = 0
    /// Bytes free where images are kept.
    public var freeDisk: UInt64 = 0
    /// Groups of the IOMMU.
    public var iommuGroups = 0
    /// Controllers of control groups.
    public var controllers: Set<String> = []
    /// /dev/net/tun can be used.
    public var hasTun = false
    /// /dev/vhost-net can be used.
    public var hasVhostNet = false
    /// User namespaces that may be made.
    public var userNamespaces = 0
    /// Pages are merged (/sys/kernel/mm/ksm/run); nil where the kernel cannot.
    public var mergesPages: Bool?
    /// Transparent huge pages: "always", "madvise" or "never"; nil where the kernel has none.
    public var hugePages: String?
    /// Huge pages that were set aside.
    public var reservedHugePages = 0

    /// A host with nothing.
    public init() {}
}
