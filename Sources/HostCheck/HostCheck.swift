/// One thing that was looked at, and what came of it.
public struct HostCheck: Equatable, Sendable {
    /// What came of it.
    public enum Result: Equatable, Sendable {
        /// As it should be.
        case pass
        /// Machines run, and something is worse than it could be; what to do.
        case warn(String)
        /// Something cannot work; what to do.
        case fail(String)

        /// The word that is printed.
        public var word: String {
            switch self {
            case .pass: "PASS"
            case .warn: "WARN"
            case .fail: "FAIL"
            }
        }
        /// What to do; empty for a pass.
        public var advice: String {
            switch self {
            case .pass: ""
            case .warn(let text), .fail(let text): text
            }
        }
    }

    /// What was looked at, as virt-host-validate words it: "hardware virtualization".
    public let name: String
    /// What came of it.
    public let result: Result

    private init(_ name: String, _ isGood: Bool, _ otherwise: Result) {
        self.name = name
        result = isGood ? .pass : otherwise
    }

    /// All checks of a host, in the order in which they depend on each other.
    public static func all(_ host: HostSnapshot) -> [HostCheck] {
        processor(host) + kvm(host) + resources(host) + facilities(host)
    }

    private static func processor(_ host: HostSnapshot) -> [HostCheck] {
        let hasFlag = !host.processorFlags.isDisjoint(with: ["vmx", "svm"])
        return [
            HostCheck(
                "for hardware virtualization", hasFlag,
                .warn(
                    "The processor shows neither vmx nor svm: switch VT-x or AMD-V on in the firmware, or let the "
                        + "outer machine nest; guests run on the software engine meanwhile")),
            HostCheck(
                "for a 64-bit processor", host.processorFlags.contains("lm"),
                .fail("The processor shows no lm: this host runs no 64-bit guests")),
            HostCheck(
                "for the no-execute flag", host.processorFlags.contains("nx"),
                .warn("The processor shows no nx: switch 'Execute Disable' on in the firmware")),
        ]
    }

    private static func kvm(_ host: HostSnapshot) -> [HostCheck] {
        var checks: [HostCheck] = []
        if case .missing(let reason) = host.kvm {
            checks.append(HostCheck("if device /dev/kvm exists", false, .warn(reason)))
        } else {
            checks.append(HostCheck("if device /dev/kvm exists", true, .pass))
            var reason = ""
            if case .unusable(let words) = host.kvm { reason = words }
            checks.append(HostCheck("if device /dev/kvm is accessible", reason.isEmpty, .fail(reason)))
        }
        if host.kvm == .usable { checks.append(HostCheck("if device /dev/kvm is fast", isFast(host), slow(host))) }
        let hasFlag = !host.processorFlags.isDisjoint(with: ["vmx", "svm"])
        let vendor = host.processorFlags.contains("svm") ? "kvm_amd" : "kvm_intel"
        checks.append(
            HostCheck(
                "for the kernel's KVM modules", host.modules.count >= 2 || host.kvm == .usable,
                .warn(hasFlag ? "Load them: 'modprobe \(vendor)'" : "They would find no virtualization to use")))
        if hasFlag, case .missing = host.kvm, !host.modules.isDisjoint(with: ["kvm_intel", "kvm_amd"]) {
            checks.append(
                HostCheck(
                    "for virtualization in the firmware", false,
                    .fail("The processor and its module are there and /dev/kvm is not: switch VT-x or AMD-V on")))
        } else if hasFlag, case .usable = host.kvm {
            checks.append(HostCheck("for virtualization in the firmware", true, .pass))
        }
        if let isNested = host.nestedPaging {
            checks.append(
                HostCheck(
                    "for nested page tables (EPT or NPT)", isNested,
                    .warn("Guests' page tables are shadowed: load \(vendor) with 'ept=1' or 'npt=1'")))
        }
        if let isTagged = host.taggedTLB {
            checks.append(
                HostCheck(
                    "for TLB entries tagged by processor (VPID)", isTagged,
                    .warn("Each exit empties the TLB: load \(vendor) with 'vpid=1'")))
        }
        checks.append(
            HostCheck(
                "for a kernel of 4.13 or later", isRecent(host.kernelRelease),
                .fail("Linux \(host.kernelRelease) is too old for the KVM engine: update it")))
        return checks
    }

    private static func isFast(_ host: HostSnapshot) -> Bool {
        guard let kvm = host.kvmTrial else { return false }
        return host.softwareTrial.map { kvm < $0 } ?? true
    }

    private static func slow(_ host: HostSnapshot) -> Result {
        guard let kvm = host.kvmTrial else {
            return .warn("It does not end a guest of a few thousand instructions: use '-accel tcg' or '-accel auto'")
        }
        return .warn(
            "It emulates: \(kvm / 1000) µs for a guest that the software engine ends in "
                + "\((host.softwareTrial ?? 0) / 1000) µs; use '-accel tcg' or '-accel auto'")
    }

    private static func isRecent(_ release: String) -> Bool {
        let parts = release.split { !$0.isNumber }.prefix(2).map { Int($0) ?? 0 }
        return parts.count == 2 && (parts[0], parts[1]) >= (4, 13)
    }

    private static func resources(_ host: HostSnapshot) -> [HostCheck] {
        [
            HostCheck(
                "for 2 GB of free memory", host.availableMemory >= 2_000_000_000,
                .warn("\(host.availableMemory / 1_000_000) MB are free: end other programs, or give guests less")),
            HostCheck(
                "for 6 GB of free disk", host.freeDisk >= 6_000_000_000,
                .warn("\(host.freeDisk / 1_000_000) MB are free at /var/lib: make room, or keep images elsewhere")),
        ]
    }

    private static func facilities(_ host: HostSnapshot) -> [HostCheck] {
        let flag = host.processorFlags.contains("svm") ? "amd_iommu=on" : "intel_iommu=on"
        var checks = [
            HostCheck(
                "for device assignment IOMMU support", host.iommuGroups > 0,
                .warn("Devices cannot be handed to guests: start the kernel with '\(flag)'"))
        ]
        for name in ["cpu", "cpuset", "memory", "io"] {
            checks.append(
                HostCheck(
                    "for cgroup '\(name)' controller support", host.controllers.contains(name),
                    .warn("Guests cannot be limited in this: enable the '\(name)' controller")))
        }
        return checks + [
            HostCheck(
                "if device /dev/net/tun is accessible", host.hasTun,
                .warn("Bridged networks need it: 'modprobe tun', and rights on it; user-mode networks do not")),
            HostCheck(
                "if device /dev/vhost-net is accessible", host.hasVhostNet,
                .warn("Bridged networks are slower without it: 'modprobe vhost_net'")),
            HostCheck(
                "for user namespaces", host.userNamespaces > 0,
                .warn("Confinement is weaker without them: raise user.max_user_namespaces by sysctl")),
            HostCheck(
                "for merging of equal pages", host.mergesPages == true,
                .warn("Equal guests share no memory: 'echo 1 > /sys/kernel/mm/ksm/run'")),
            HostCheck(
                "for huge pages", host.hugePages.map { $0 != "never" } ?? false || host.reservedHugePages > 0,
                .warn("Guests are slower: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled'")),
        ]
    }
}
