internal import DomainModel
internal import JSON
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    private static func reference(_ entry: SnapshotTree.Entry, _ domain: Domain) -> RemoteDomainCheckpoint {
        RemoteDomainCheckpoint(name: entry.name, dom: domain.reference)
    }

    /// Checkpoints and backups of domains.
    mutating func addBackups() {
        add(Remote.DomainCheckpointCreateXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let entry = try call.driver.takeCheckpoint(domain, arguments.xmlDesc, flags: arguments.flags)
            return .init(checkpoint: HandlerTable.reference(entry, domain))
        }
        add(Remote.DomainCheckpointGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.checkpoint.dom)
            let entry = try call.driver.checkpoint(domain, arguments.checkpoint.name)
            return .init(xml: try HandlerTable.text(entry, domain, arguments.flags, call))
        }
        add(Remote.DomainCheckpointLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let entry = try call.driver.checkpoint(domain, arguments.name)
            return .init(checkpoint: HandlerTable.reference(entry, domain))
        }
        add(Remote.DomainCheckpointGetParent.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.checkpoint.dom)
            let entry = try call.driver.checkpoint(domain, arguments.checkpoint.name)
            guard let parent = entry.parent else {
                let detail = "checkpoint '\(entry.name)' does not have a parent"
                throw LibvirtError(
                    code: VirErrorNumber.noDomainCheckpoint, message: "Domain checkpoint not found: \(detail)",
                    detail: detail)
            }
            return .init(
                parent: HandlerTable.reference(try call.driver.checkpoint(domain, parent), domain))
        }
        add(Remote.DomainCheckpointDelete.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.checkpoint.dom)
            try call.driver.deleteCheckpoint(domain, arguments.checkpoint.name, flags: arguments.flags)
        }
        addCheckpointLists()
        add(Remote.DomainBackupBegin.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.beginBackup(
                try call.domain(arguments.dom), arguments.backupXml, checkpoint: arguments.checkpointXml,
                flags: arguments.flags)
        }
        add(Remote.DomainBackupGetXMLDesc.self, .loop) { (call, arguments) throws(LibvirtError) in
            guard let backup = try call.domain(arguments.dom).state.withLock({ $0.backup }) else {
                throw LibvirtError(
                    code: VirErrorNumber.noDomainBackup,
                    message: "Domain backup job id not found: no domain backup job present",
                    detail: "no domain backup job present")
            }
            return .init(xml: XMLWriter.write(backup.document))
        }
    }

    private static func text(
        _ entry: SnapshotTree.Entry, _ domain: Domain, _ flags: UInt32, _ call: Call
    ) throws(LibvirtError) -> String {
        typealias Flags = VirDomainCheckpointXMLFlags
        var tree = entry.document
        if flags & Flags.noDomain != 0 { tree.remove("domain") }
        if flags & Flags.secure == 0, let form = tree.child("domain") {
            tree.update("domain") { $0 = DomainFigures.withoutSecrets(form) }
        }
        if flags & Flags.size != 0 {
            let sizes = try call.driver.changedBytes(domain, entry)
            tree.update("disks") { disks in
                disks.updateChildren { disk in
                    if let size = sizes[disk["name"] ?? ""] { disk.set("size", "\(size)") }
                }
            }
        }
        return XMLWriter.write(tree)
    }

    private static func chosen(_ domain: Domain, _ flags: UInt32, below name: String?) throws(LibvirtError)
        -> [SnapshotTree.Entry]
    {
        let tree = domain.state.withLock { $0.checkpoints }
        // The rest of the flags has the same meaning as for snapshots, but for "topological".
        typealias Flags = VirDomainCheckpointListFlags
        let rest = flags & (Flags.leaves | Flags.noLeaves)
        guard let name else {
            let roots = flags & Flags.roots != 0
            return tree.matching(rest, among: tree.all.filter { !roots || $0.parent.map { tree[$0] == nil } ?? true })
        }
        guard tree[name] != nil else { throw DomainDriver.noCheckpoint(name) }
        let all = flags & Flags.descendants != 0
        return tree.matching(rest, among: all ? tree.descendants(of: name) : tree.children(of: name))
    }

    private mutating func addCheckpointLists() {
        add(Remote.DomainListAllCheckpoints.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let found = try HandlerTable.chosen(domain, arguments.flags, below: nil)
                .map { HandlerTable.reference($0, domain) }
            return .init(checkpoints: arguments.needResults != 0 ? found : [], ret: Int32(clamping: found.count))
        }
        add(Remote.DomainCheckpointListAllChildren.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.checkpoint.dom)
            let found = try HandlerTable.chosen(domain, arguments.flags, below: arguments.checkpoint.name)
                .map { HandlerTable.reference($0, domain) }
            return .init(checkpoints: arguments.needResults != 0 ? found : [], ret: Int32(clamping: found.count))
        }
    }
}

extension DomainDriver {
    /// How much has changed since a checkpoint, by disk.
    func changedBytes(_ domain: Domain, _ entry: SnapshotTree.Entry) throws(LibvirtError) -> [String: UInt64] {
        let nodes = try domain.running().qmp().execute("query-named-block-nodes", ["flat": true]).arrayValue ?? []
        let live = domain.state.withLock { $0.current }
        var sizes: [String: UInt64] = [:]
        for mark in entry.document.child("disks")?.all("disk") ?? [] where mark["checkpoint"] != "no" {
            guard let target = mark["name"], let disk = DomainFigures.disk(live, target) else { continue }
            let name = DomainDriver.topNode(disk)
            let node = nodes.first { $0["node-name"]?.stringValue == name }
            let bitmap = node?["dirty-bitmaps"]?.arrayValue?.first {
                $0["name"]?.stringValue == mark["bitmap"] ?? entry.name
            }
            if let count = bitmap?["count"]?.uint64Value { sizes[target] = count }
        }
        return sizes
    }
}
