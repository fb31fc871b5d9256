internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

/// The labels of all machines that run: each has two categories that no other has, so that the kernel keeps it from the
/// others' images although all are of one type.
final class MachineLabels: Sendable {
    private let levels = Mutex<[UUIDBytes: String]>([:])

    /// Reads `<seclabel model='selinux'>`, and chooses what it leaves open.
    ///
    /// - Returns: nil: the machine has no label, because it wants none, or nobody asks for one and it is the daemon of an
    ///   ordinary user, whose machines Landlock keeps apart.
    func choose(_ domain: UUIDBytes, _ definition: XMLTree) throws(LibvirtError) -> MachineLabel? {
        let labels = definition.all("seclabel")
        guard let policy = LabelPolicy.host else {
            guard labels.allSatisfy({ $0["model"] != MachineLabel.model }) else {
                throw LibvirtError.configUnsupported("Security driver model '\(MachineLabel.model)' is not available")
            }
            return nil
        }
        // One without a model is of the host's first.
        let wanted = labels.last { [nil, "none", MachineLabel.model].contains($0["model"]) }
        guard wanted?["type"] != "none", wanted != nil || MachineRoot.isSupported else { return nil }
        if let wanted, wanted["type"] == "static" {
            let process = try Self.parse(wanted.child("label")?.text ?? "")
            return MachineLabel(
                process: process, image: policy.context(policy.image, process.range, isFile: true),
                relabels: wanted["relabel"] != "no", type: "static", base: nil)
        }
        let usual = definition["type"] == "kvm" ? policy.process : policy.translated
        let base = wanted?.child("baselabel")?.text
        var type = usual
        if let base { type = try Self.parse(base) }
        let level = try level(for: domain, policy)
        return MachineLabel(
            process: policy.context(type, level, isFile: false),
            image: policy.context(policy.image, level, isFile: true), relabels: true, type: "dynamic", base: base)
    }

    private func level(for domain: UUIDBytes, _ policy: LabelPolicy) throws(LibvirtError) -> String? {
        guard policy.own.levels != nil else { return nil }
        let level = levels.withLock { levels -> String? in
            levels[domain] = nil
            var generator = SystemRandomNumberGenerator()
            let level = policy.own.freeLevel(besides: Set(levels.values), using: &generator)
            levels[domain] = level
            return level
        }
        guard let level else {
            throw LibvirtError.internalError("No pair of categories is left in '\(policy.own)' for another machine")
        }
        return level
    }

    private static func parse(_ text: String) throws(LibvirtError) -> SecurityContext {
        guard let context = SecurityContext(text), context.description == text else {
            throw LibvirtError.invalidArgument("Failed to parse label '\(text)'")
        }
        return context
    }

    /// What a machine has that an earlier daemon started.
    func takeUp(_ domain: UUIDBytes, _ live: XMLTree) {
        guard let label = MachineLabel(live), label.type == "dynamic", let level = label.process.range else { return }
        levels.withLock { $0[domain] = level }
    }

    /// The categories of a machine that has ended are free.
    func release(_ domain: UUIDBytes) { levels.withLock { $0[domain] = nil } }
}
