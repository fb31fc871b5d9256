internal import DomainModel
internal import HostOS
internal import RPCWire

/// Control groups of a machine's process, of either version of the kernel's interface: shares and limits that the kernel
/// keeps to. They are made where a domain asks for any, and where this process may.
struct ControlGroup: Sendable {
    /// Where the host's controllers are, by their names in version 1; of version 2 all are in one place.
    private struct Host: Sendable {
        var folders: [String: String] = [:]
        var unified: String?
    }

    private static let host: Host = {
        var host = Host()
        // A mount that is there may still be read-only, or not ours.
        for line in HostDescription.text("/proc/self/mounts").split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 3, words[3].split(separator: ",").contains("rw") else { continue }
            if words[2] == "cgroup" {
                for controller in ["cpu", "memory", "blkio"]
                where words[3].split(separator: ",").contains(Substring(controller)) {
                    host.folders[controller] = words[1]
                }
            }
            let offered = HostDescription.text("\(words[1])/cgroup.controllers")
            if words[2] == "cgroup2", offered.contains("cpu ") || offered.contains("memory") {
                host.unified = words[1]
            }
        }
        return host
    }()

    /// Groups are named by their processes: several daemons may have the same machine while it goes over.
    private let name: String
    private let process: Int32

    init(process: Int32) {
        self.process = process
        name = "apus-\(process)"
    }

    private func folder(_ controller: String) -> String? {
        if let mount = ControlGroup.host.folders[controller] { return "\(mount)/machine/\(name)" }
        return ControlGroup.host.unified.map { "\($0)/machine.slice/\(name)" }
    }

    private static func isUnified(_ controller: String) -> Bool { host.folders[controller] == nil }

    /// Whether a definition asks for anything that needs groups.
    static func isAsked(_ tree: XMLTree) -> Bool {
        let limits = ["shares", "period", "quota"]
        let times = tree.child("cputune")?.children.contains { element in limits.contains { element.name.hasSuffix($0) }
        }
        return times == true || tree.child("memtune") != nil || tree.at("blkiotune", "weight") != nil
    }

    /// Makes the group of a controller if need be, with the process in it.
    private func make(_ controller: String, _ words: String) throws(LibvirtError) -> String {
        guard HostIdentity.userID == 0, let folder = folder(controller) else {
            throw LibvirtError.operationInvalid("cgroup \(words) controller is not mounted")
        }
        if HostFile.status(folder).kind == .folder { return folder }
        do throws(HostError) {
            if ControlGroup.isUnified(controller), let mount = ControlGroup.host.unified {
                try HostFolder.make("\(mount)/machine.slice")
                for parent in [mount, "\(mount)/machine.slice"] {
                    for offered in ["cpu", "memory", "io"] {
                        // What the host keeps for itself is found missing below.
                        try? ControlGroup.write("\(parent)/cgroup.subtree_control", "+\(offered)")
                    }
                }
            }
            try HostFolder.make(folder)
            try ControlGroup.write("\(folder)/cgroup.procs", "\(process)")
        } catch { throw LibvirtError.system("\(error)") }
        return folder
    }

    private static func write(_ path: String, _ text: String) throws(HostError) {
        try HostFile.open(path, HostFile.Mode.write).writeAll(Array(text.utf8))
    }

    private func set(_ path: String, _ text: String) throws(LibvirtError) {
        do throws(HostError) { try ControlGroup.write(path, text) } catch {
            throw LibvirtError.system("Unable to write '\(text)' to '\(path)': \(error)")
        }
    }

    /// Lets the kernel keep to what a document says.
    ///
    /// - Parameter threads: of the virtual processors.
    func apply(_ tree: XMLTree, threads: [Int32]) throws(LibvirtError) {
        if let tuning = tree.child("cputune") { try applyTimes(tuning, threads) }
        if let tuning = tree.child("memtune") { try applyMemory(tuning) }
        if let weight = ControlGroup.number(tree.child("blkiotune"), "weight") { try applyWeight(weight) }
    }

    private static func number(_ element: XMLTree?, _ name: String) -> Int64? {
        (element?.child(name)?.text).flatMap { Int64(HostDescription.trim($0)) }
    }

    private func applyTimes(_ tuning: XMLTree, _ threads: [Int32]) throws(LibvirtError) {
        let numbers = [
            "shares", "global_period", "global_quota", "period", "quota", "emulator_period", "emulator_quota",
        ]
        guard numbers.contains(where: { ControlGroup.number(tuning, $0) != nil }) else { return }
        let folder = try make("cpu", "CPU")
        let isUnified = ControlGroup.isUnified("cpu")
        if let shares = ControlGroup.number(tuning, "shares") {
            try set(folder + (isUnified ? "/cpu.weight" : "/cpu.shares"), "\(shares)")
        }
        try applyQuota(
            ControlGroup.number(tuning, "global_period"), ControlGroup.number(tuning, "global_quota"), folder)
        for (prefix, group, members) in [("", "vcpu", threads), ("emulator_", "emulator", [])] {
            let period = ControlGroup.number(tuning, prefix + "period")
            let quota = ControlGroup.number(tuning, prefix + "quota")
            guard period != nil || quota != nil else { continue }
            guard !isUnified else {
                throw LibvirtError.operationUnsupported("limits of single threads need control groups of version 1")
            }
            let all = (try? HostFolder.names(in: "/proc/\(process)/task"))?.compactMap { Int32($0) } ?? []
            for (index, list) in (group == "vcpu" ? members.map { [$0] } : [all.filter { !threads.contains($0) }])
                .enumerated()
            {
                let own = group == "vcpu" ? "\(folder)/vcpu\(index)" : "\(folder)/emulator"
                do throws(HostError) { try HostFolder.make(own) } catch { throw LibvirtError.system("\(error)") }
                try applyQuota(period, quota, own)
                // A thread may end meanwhile.
                for thread in list { try? ControlGroup.write("\(own)/tasks", "\(thread)") }
            }
        }
    }

    /// Microseconds; a quota of 0 or less is none.
    private func applyQuota(_ period: Int64?, _ quota: Int64?, _ folder: String) throws(LibvirtError) {
        guard period != nil || quota != nil else { return }
        let time = period ?? 100_000
        let limit = quota ?? 0
        if ControlGroup.isUnified("cpu") {
            return try set(folder + "/cpu.max", "\(limit > 0 ? "\(limit)" : "max") \(time > 0 ? time : 100_000)")
        }
        // In any order the limit of the one may be beyond what the other still allows.
        try set(folder + "/cpu.cfs_quota_us", "-1")
        if time > 0 { try set(folder + "/cpu.cfs_period_us", "\(time)") }
        if limit > 0 { try set(folder + "/cpu.cfs_quota_us", "\(limit)") }
    }

    /// KiB.
    private func applyMemory(_ tuning: XMLTree) throws(LibvirtError) {
        let files: [(String, String, String)] = [
            ("hard_limit", "memory.limit_in_bytes", "memory.max"),
            ("soft_limit", "memory.soft_limit_in_bytes", "memory.high"),
            ("swap_hard_limit", "memory.memsw.limit_in_bytes", "memory.swap.max"),
        ]
        for (name, old, new) in files {
            guard let value = ControlGroup.number(tuning, name), value > 0, value < 1 << 52 else { continue }
            let folder = try make("memory", "memory")
            try set("\(folder)/\(ControlGroup.isUnified("memory") ? new : old)", "\(value * 1024)")
        }
    }

    private func applyWeight(_ weight: Int64) throws(LibvirtError) {
        let folder = try make("blkio", "blkio")
        let names = ["io.bfq.weight", "io.weight", "blkio.weight", "blkio.bfq.weight"]
        guard let file = names.first(where: { HostFile.status("\(folder)/\($0)").kind != .nothing }) else {
            throw LibvirtError.operationUnsupported("the kernel has no weights of disks' requests")
        }
        try set("\(folder)/\(file)", "\(weight)")
    }

    /// Takes the groups away. The process has ended.
    func remove() {
        for controller in ["cpu", "memory", "blkio"] {
            guard let folder = folder(controller), HostFile.status(folder).kind == .folder else { continue }
            for name in (try? HostFolder.names(in: folder)) ?? [] where name.hasPrefix("vcpu") || name == "emulator" {
                try? HostFile.removeFolder("\(folder)/\(name)")
            }
            try? HostFile.removeFolder(folder)
        }
    }
}
