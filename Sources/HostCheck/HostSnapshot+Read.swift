internal import CLinux
internal import HostOS
internal import KVMEngine
internal import Machine

extension HostSnapshot {
    /// This host as it is now, with the trial of both engines (some milliseconds).
    public static func read() -> HostSnapshot {
        var host = HostSnapshot()
        let processors = text("/proc/cpuinfo")
        host.processorFlags = flags(processors)
        host.processorName = value(of: "model name", in: processors)
        do throws(KVMError) {
            _ = try KVMDevice()
            host.kvm = .usable
            host.kvmTrial = EngineChoice().trialTime(.kvm)
            host.softwareTrial = EngineChoice().trialTime(.translator)
        } catch {
            if case .noDevice = error {
                host.kvm = .missing(error.description)
            } else {
                host.kvm = .unusable(error.description)
            }
        }
        host.modules = Set(
            ["kvm", "kvm_intel", "kvm_amd", "kvm_pvm"].filter { canUse("/sys/module/\($0)", writing: false) })
        let translation = TranslationSupport.read()
        host.nestedPaging = translation.isNested
        host.taggedTLB = translation.vpid
        host.kernelRelease = firstWord(text("/proc/sys/kernel/osrelease"))
        host.availableMemory = kibibytes("MemAvailable", in: text("/proc/meminfo"))
        // SAFETY: the text outlives the call.
        host.freeDisk = UInt64(max(0, unsafe apus_free_bytes("/var/lib")))
        host.iommuGroups = (0..<4096).prefix { canUse("/sys/kernel/iommu_groups/\($0)", writing: false) }.count
        host.controllers = controllers(
            unified: text("/sys/fs/cgroup/cgroup.controllers"), legacy: text("/proc/cgroups"))
        host.hasTun = canUse("/dev/net/tun", writing: true)
        host.hasVhostNet = canUse("/dev/vhost-net", writing: true)
        host.userNamespaces = Int(firstWord(text("/proc/sys/user/max_user_namespaces"))) ?? 0
        let merging = firstWord(text("/sys/kernel/mm/ksm/run"))
        host.mergesPages = merging.isEmpty ? nil : merging == "1"
        host.hugePages = chosen(text("/sys/kernel/mm/transparent_hugepage/enabled"))
        host.reservedHugePages = Int(firstWord(text("/proc/sys/vm/nr_hugepages"))) ?? 0
        return host
    }

    /// What follows the colon of the first line of a name.
    static func value(of name: String, in text: String) -> String {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
        let value = line.split(separator: ":", maxSplits: 1).dropFirst().first ?? ""
        return String(value.drop { $0 == " " })
    }

    /// The flags of the first processor.
    static func flags(_ text: String) -> Set<String> {
        let line = text.split(separator: "\n").first { $0.hasPrefix("flags") } ?? ""
        return Set((line.split(separator: ":").last ?? "").split(separator: " ").map(String.init))
    }

    /// The value of a line such as "MemTotal: 1024 kB", in bytes.
    static func kibibytes(_ name: String, in text: String) -> UInt64 {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        let words = (line ?? "").split(separator: " ")
        return words.count > 1 ? (UInt64(words[1]) ?? 0).multipliedReportingOverflow(by: 1024).partialValue : 0
    }

    /// Names of controllers under cgroup v2, or v1 in v2's names.
    static func controllers(unified: String, legacy: String) -> Set<String> {
        let names = unified.split { $0 == " " || $0 == "\n" }.map(String.init)
        guard names.isEmpty else { return Set(names) }
        let rows = legacy.split(separator: "\n").map { $0.split { $0 == "\t" || $0 == " " } }
        let enabled = rows.filter { $0.count == 4 && $0[3] == "1" }.map { String($0[0]) }
        return Set(enabled.map { $0 == "blkio" ? "io" : $0 })
    }

    /// The word in brackets of "always [madvise] never".
    static func chosen(_ text: String) -> String? {
        text.split { $0 == " " || $0 == "\n" }.first { $0.hasPrefix("[") }.map { String($0.dropFirst().dropLast()) }
    }

    private static func firstWord(_ text: String) -> String {
        text.split { $0 == " " || $0 == "\n" }.first.map(String.init) ?? ""
    }

    private static func text(_ path: String) -> String {
        String(decoding: (try? HostFile.contents(path, limit: 4 << 20)) ?? [], as: UTF8.self)
    }

    private static func canUse(_ path: String, writing: Bool) -> Bool {
        // SAFETY: the text outlives the call.
        unsafe apus_can_use(path, writing ? 1 : 0) != 0
    }
}
