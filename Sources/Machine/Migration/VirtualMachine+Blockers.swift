internal import BlockImage

// What keeps a machine where it is, as QEMU's `blocked-reasons` has it.
extension VirtualMachine {
    public var migrationBlockers: [String] { blockers(forks: false) }

    /// Why the machine can neither go nor be saved now.
    private func blockers(forks: Bool) -> [String] {
        var reasons: [String] = []
        // What a guest has open in a folder of this host is nowhere else. Two machines that work in the same memory or on
        // the same disk of another process are no fork.
        if let name = board.shares.outside(all: forks) {
            reasons.append("State blocked by non-migratable device '\(name)'")
        }
        if let path = board.shares.pathInUse {
            reasons.append("Migration is disabled when VirtFS export path '\(path)' is mounted in the guest")
        }
        // Who opened it before the machine came has its tables as they were then.
        for node in board.storage.graph.nodes where !node.isReadOnly && node is MappedNode {
            reasons.append(
                "The \(node.driverName) format used by node '\(node.nodeName)' does not support live migration")
        }
        return reasons
    }

    /// Throws the first of the reasons.
    func checkBlockers(forks: Bool = false) throws(MachineError) {
        if let reason = blockers(forks: forks).first { throw .failed(reason) }
    }
}
