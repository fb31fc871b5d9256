internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Going back to snapshots, and taking them away.
extension DomainDriver {
    func loadSnapshot(_ name: String, _ machine: RunningMachine) throws(LibvirtError) {
        try human(machine, "loadvm \(DomainDriver.quoted(name))")
    }

    func revert(_ domain: Domain, to title: String, flags: UInt32) throws(LibvirtError) {
        let entry = try snapshot(domain, title)
        guard !entry.isExternal else {
            throw LibvirtError.configUnsupported("revert to external snapshot not supported yet")
        }
        guard let kept = entry.document.child("domain") else {
            throw LibvirtError.operationFailed("snapshot '\(title)' lacks domain '\(domain.name)' rollback info")
        }
        try domain.job.run { () throws(LibvirtError) in
            let form = try DomainDefaults.read(kept).tree
            let (name, known) = domain.state.withLock { ($0.name, $0.snapshots) }
            let runs =
                flags & VirDomainSnapshotRevertFlags.running != 0
                || flags & VirDomainSnapshotRevertFlags.paused == 0 && entry.state == "running"
            if entry.isActive {
                if let machine = domain.machine {
                    // Nothing of the guest runs between the two states.
                    try machine.qmp().execute("stop")
                    machine.settle()
                    try loadSnapshot(title, machine)
                    if runs { try machine.qmp().execute("cont") }
                    machine.settle()
                    change(
                        domain, runs ? VirDomainState.running : VirDomainState.paused,
                        runs ? VirDomainRunningReason.fromSnapshot : VirDomainPausedReason.fromSnapshot)
                } else {
                    try launch(domain, form, runs ? 0 : VirDomainCreateFlags.startPaused, snapshot: title)
                }
            } else {
                if let machine = domain.machine {
                    try end(
                        domain, machine, VirDomainShutoffReason.fromSnapshot,
                        VirDomainEventStoppedDetailType.fromSnapshot)
                }
                for disk in writable(form) {
                    try ImageProgram.run(["snapshot", "-a", title, DomainFigures.path(disk) ?? ""])
                }
                if domain.state.withLock({ $0.definition != nil }) {
                    try store.save(name, form)
                    domain.state.withLock { $0.definition = form }
                }
                if runs { try launch(domain, form, 0) }
            }
            if let current = known.current, current != title, let old = known[current] {
                try snapshots.save(name, old, isCurrent: false)
            }
            try snapshots.save(name, entry, isCurrent: true)
            domain.state.withLock { $0.snapshots.current = title }
        }
    }

    func deleteSnapshot(_ domain: Domain, _ title: String, flags: UInt32) throws(LibvirtError) {
        let entry = try snapshot(domain, title)
        try domain.job.run { () throws(LibvirtError) in
            let known = domain.state.withLock { $0.snapshots }
            let below = known.descendants(of: title)
            let childrenOnly = flags & VirDomainSnapshotDeleteFlags.childrenOnly != 0
            let metadataOnly = flags & VirDomainSnapshotDeleteFlags.metadataOnly != 0
            var doomed: [SnapshotTree.Entry] = childrenOnly ? [] : [entry]
            if childrenOnly || flags & VirDomainSnapshotDeleteFlags.children != 0 { doomed += below }
            if !metadataOnly, doomed.contains(where: { $0.isExternal }) {
                throw LibvirtError.configUnsupported(
                    "deletion of \(doomed.filter(\.isExternal).count) external disk snapshots not supported yet")
            }
            let name = domain.name
            // From the leaves to the root, so that what fails half way leaves a tree.
            for one in doomed.reversed() {
                if !metadataOnly { try removeData(domain, one) }
                for child in known.children(of: one.name) where !doomed.contains(where: { $0.name == child.name }) {
                    let moved = child.moved(below: one.parent)
                    try snapshots.save(name, moved, isCurrent: known.current == child.name)
                    domain.state.withLock { $0.snapshots.enter(moved) }
                }
                snapshots.remove(name, one.name)
                domain.state.withLock { state in
                    let wasCurrent = state.snapshots.current == one.name
                    state.snapshots.remove(one.name)
                    if wasCurrent, let parent = one.parent, state.snapshots[parent] != nil {
                        state.snapshots.current = parent
                    }
                }
                if let parent = domain.state.withLock({ state in
                    state.snapshots.current.flatMap { state.snapshots[$0] }
                }) {
                    try snapshots.save(name, parent, isCurrent: true)
                }
            }
        }
    }

    private func removeData(_ domain: Domain, _ entry: SnapshotTree.Entry) throws(LibvirtError) {
        if let machine = domain.machine {
            return try human(machine, "delvm \(DomainDriver.quoted(entry.name))")
        }
        let form = entry.document.child("domain") ?? domain.state.withLock { $0.current }
        for disk in writable(form) {
            let path = DomainFigures.path(disk) ?? ""
            guard HostFile.status(path).kind != .nothing else { continue }
            try ImageProgram.run(["snapshot", "-d", entry.name, path])
        }
    }
}
