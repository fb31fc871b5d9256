internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Checkpoints: times from which the images of a machine count what changes, in a bitmap of the same name.
extension DomainDriver {
    private typealias Flags = VirDomainCheckpointCreateFlags

    static func noCheckpoint(_ name: String) -> LibvirtError {
        let detail = "no domain checkpoint with matching name '\(name)'"
        return LibvirtError(
            code: VirErrorNumber.noDomainCheckpoint, message: "Domain checkpoint not found: \(detail)", detail: detail)
    }

    func checkpoint(_ domain: Domain, _ name: String) throws(LibvirtError) -> SnapshotTree.Entry {
        if let entry = domain.state.withLock({ $0.checkpoints[name] }) { return entry }
        throw DomainDriver.noCheckpoint(name)
    }

    /// A checkpoint as it is to be, and what makes it.
    struct PreparedCheckpoint {
        var document: XMLTree
        var actions: [JSONValue]
        var name: String
    }

    func takeCheckpoint(_ domain: Domain, _ text: String, flags: UInt32) throws(LibvirtError) -> SnapshotTree.Entry {
        try domain.job.run { () throws(LibvirtError) in
            let isRedefined = flags & Flags.redefine != 0
            let prepared = try prepareCheckpoint(domain, text, isRedefined: isRedefined)
            if !isRedefined {
                try domain.running().qmp().execute("transaction", ["actions": .array(prepared.actions)])
            }
            return try enter(domain, prepared)
        }
    }

    /// Reads a checkpoint's document and completes it. The job is held.
    func prepareCheckpoint(
        _ domain: Domain, _ text: String, isRedefined: Bool
    ) throws(LibvirtError) -> PreparedCheckpoint {
        let wanted: DomainCheckpoint
        do throws(DefinitionError) { wanted = try DomainCheckpoint(xml: text) } catch {
            throw LibvirtError(error, VirErrorDomain.none)
        }
        let known = domain.state.withLock { $0.checkpoints }
        let name = wanted.name ?? "\(HostClock.realtime / 1_000_000_000)"
        guard !name.isEmpty, name != ".", name != "..", !name.contains("/"), name.utf8.count <= 255,
            name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw LibvirtError.xml("a checkpoint cannot be called '\(name)'") }
        if isRedefined {
            var document = wanted.tree()
            document.setText("name", name)
            return PreparedCheckpoint(document: document, actions: [], name: name)
        }
        guard domain.isActive else {
            throw LibvirtError.operationUnsupported("cannot create checkpoint for inactive domain")
        }
        guard known[name] == nil else {
            throw LibvirtError.operationFailed("domain checkpoint \(name) already exists")
        }
        let live = domain.state.withLock { $0.current }
        var document = XMLTree("domaincheckpoint")
        document.append(.text("name", name))
        if let words = wanted.description { document.append(.text("description", words)) }
        if let parent = known.current {
            var element = XMLTree("parent")
            element.append(.text("name", parent))
            document.append(element)
        }
        document.append(.text("creationTime", "\(HostClock.realtime / 1_000_000_000)"))
        var disks = XMLTree("disks")
        var actions: [JSONValue] = []
        for disk in DomainFigures.devices(live, "disk") {
            let target = disk.child("target")?["dev"] ?? ""
            let own = wanted.disks.first { $0.name == target }
            let isKept = own.map { $0.checkpoint != "no" } ?? (wanted.disks.isEmpty && writable(live).contains(disk))
            guard isKept else {
                disks.append(.of("disk", ["name": target, "checkpoint": "no"]))
                continue
            }
            guard disk.child("driver")?["type"] == "qcow2" else {
                throw LibvirtError.configUnsupported(
                    "checkpoint for disk \(target) unsupported for storage type "
                        + (disk.child("driver")?["type"] ?? "raw"))
            }
            let bitmap = own?.bitmap ?? name
            disks.append(.of("disk", ["name": target, "checkpoint": "bitmap", "bitmap": bitmap]))
            actions.append(
                .object([
                    "type": "block-dirty-bitmap-add",
                    "data": .object([
                        "node": .string(DomainDriver.topNode(disk)), "name": .string(bitmap), "persistent": true,
                        "disabled": false,
                    ]),
                ]))
        }
        for own in wanted.disks where DomainFigures.disk(live, own.name) == nil {
            throw LibvirtError.configUnsupported("no disk named '\(own.name)'")
        }
        guard !actions.isEmpty else { throw LibvirtError.configUnsupported("no disks selected for checkpoint") }
        document.append(disks)
        var form = live
        form.set("id", nil)
        MachineConfinement.unlabel(&form)
        document.append(form)
        return PreparedCheckpoint(document: document, actions: actions, name: name)
    }

    static func topNode(_ disk: XMLTree) -> String { "libvirt-\(disk.child("source")?["index"] ?? "0")-format" }

    /// Writes down a checkpoint that is there. The job is held.
    func enter(_ domain: Domain, _ prepared: PreparedCheckpoint) throws(LibvirtError) -> SnapshotTree.Entry {
        guard let entry = SnapshotTree.Entry(prepared.document) else {
            throw LibvirtError.xml("missing checkpoint name")
        }
        let known = domain.state.withLock { $0.checkpoints }
        try checkpoints.save(domain.name, entry, isCurrent: true)
        if let current = known.current, current != entry.name, let old = known[current] {
            try checkpoints.save(domain.name, old, isCurrent: false)
        }
        domain.state.withLock { state in
            state.checkpoints.enter(entry)
            state.checkpoints.current = entry.name
        }
        return entry
    }

    func deleteCheckpoint(_ domain: Domain, _ title: String, flags: UInt32) throws(LibvirtError) {
        typealias Flags = VirDomainCheckpointDeleteFlags
        let entry = try checkpoint(domain, title)
        try domain.job.run { () throws(LibvirtError) in
            let known = domain.state.withLock { $0.checkpoints }
            let childrenOnly = flags & Flags.childrenOnly != 0
            var doomed: [SnapshotTree.Entry] = childrenOnly ? [] : [entry]
            if childrenOnly || flags & Flags.children != 0 { doomed += known.descendants(of: title) }
            for one in doomed.reversed() {
                if flags & Flags.metadataOnly == 0 { try removeBitmaps(domain, one) }
                for child in known.children(of: one.name) where !doomed.contains(where: { $0.name == child.name }) {
                    let moved = child.moved(below: one.parent)
                    try checkpoints.save(domain.name, moved, isCurrent: known.current == child.name)
                    domain.state.withLock { $0.checkpoints.enter(moved) }
                }
                checkpoints.remove(domain.name, one.name)
                let parent = domain.state.withLock { state -> SnapshotTree.Entry? in
                    let wasCurrent = state.checkpoints.current == one.name
                    state.checkpoints.remove(one.name)
                    guard wasCurrent, let parent = one.parent else { return nil }
                    state.checkpoints.current = state.checkpoints[parent] == nil ? nil : parent
                    return state.checkpoints[parent]
                }
                if let parent { try checkpoints.save(domain.name, parent, isCurrent: true) }
            }
        }
    }

    private func removeBitmaps(_ domain: Domain, _ entry: SnapshotTree.Entry) throws(LibvirtError) {
        guard let machine = domain.machine else {
            throw LibvirtError.operationInvalid("cannot delete checkpoint for inactive domain")
        }
        let live = domain.state.withLock { $0.current }
        var actions: [JSONValue] = []
        for mark in entry.document.child("disks")?.all("disk") ?? [] where mark["checkpoint"] != "no" {
            guard let disk = DomainFigures.disk(live, mark["name"] ?? "") else { continue }
            actions.append(
                .object([
                    "type": "block-dirty-bitmap-remove",
                    "data": .object([
                        "node": .string(DomainDriver.topNode(disk)), "name": .string(mark["bitmap"] ?? entry.name),
                    ]),
                ]))
        }
        if !actions.isEmpty { try machine.qmp().execute("transaction", ["actions": .array(actions)]) }
    }
}

extension SnapshotTree.Entry {
    /// The same below another one, or below none.
    func moved(below parent: String?) -> SnapshotTree.Entry {
        var copy = self
        copy.parent = parent
        copy.document.remove("parent")
        if let parent {
            var element = XMLTree("parent")
            element.append(.text("name", parent))
            copy.document.insert(element, before: ["creationTime", "memory", "disks", "domain"])
        }
        return copy
    }
}
