internal import CEngine

/// What the host's processor says of hardware virtualization.
public enum HostVirtualization {
    /// Intel's: CPUID.01H:ECX.VMX (SDM volume 3, 24.6).
    public static var hasVMX: Bool { apus_host_cpuid(1, 0).ecx >> 5 & 1 != 0 }
    /// AMD's: CPUID 8000_0001H:ECX.SVM (APM volume 2, 15.4).
    public static var hasSVM: Bool {
        apus_host_cpuid(0x8000_0000, 0).eax >= 0x8000_0001 && apus_host_cpuid(0x8000_0001, 0).ecx >> 2 & 1 != 0
    }
    /// The kernel's module for it; nil where the processor shows none.
    public static var vendorModule: String? { hasVMX ? "kvm-intel" : hasSVM ? "kvm-amd" : nil }
}
