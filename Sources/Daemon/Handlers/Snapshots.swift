internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    private static func reference(_ entry: SnapshotTree.Entry, _ domain: Domain) -> RemoteDomainSnapshot {
        RemoteDomainSnapshot(name: entry.name, dom: domain.reference)
    }

    /// Snapshots of domains.
    mutating func addSnapshots() {
        add(Remote.DomainSnapshotCreateXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let entry = try call.driver.takeSnapshot(domain, arguments.xmlDesc, flags: arguments.flags)
            return .init(snap: HandlerTable.reference(entry, domain))
        }
        add(Remote.DomainSnapshotGetXMLDesc.self, .loop) { (call, arguments) throws(LibvirtError) in
            let entry = try call.driver.snapshot(try call.domain(arguments.snap.dom), arguments.snap.name)
            var tree = entry.document
            if arguments.flags & VirDomainXMLFlags.secure == 0, let domain = tree.child("domain") {
                tree.update("domain") { $0 = DomainFigures.withoutSecrets(domain) }
            }
            return .init(xml: XMLWriter.write(tree))
        }
        add(Remote.DomainSnapshotLookupByName.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            return .init(snap: HandlerTable.reference(try call.driver.snapshot(domain, arguments.name), domain))
        }
        add(Remote.DomainHasCurrentSnapshot.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(result: try call.domain(arguments.dom).state.withLock { $0.snapshots.current } == nil ? 0 : 1)
        }
        add(Remote.DomainSnapshotCurrent.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            guard let name = domain.state.withLock({ $0.snapshots.current }) else {
                throw LibvirtError.noSnapshot("the domain does not have a current snapshot")
            }
            return .init(snap: HandlerTable.reference(try call.driver.snapshot(domain, name), domain))
        }
        add(Remote.DomainSnapshotGetParent.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.snap.dom)
            let entry = try call.driver.snapshot(domain, arguments.snap.name)
            guard let parent = entry.parent else {
                throw LibvirtError.noSnapshot("snapshot '\(entry.name)' does not have a parent")
            }
            return .init(snap: HandlerTable.reference(try call.driver.snapshot(domain, parent), domain))
        }
        add(Remote.DomainSnapshotIsCurrent.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.snap.dom)
            let entry = try call.driver.snapshot(domain, arguments.snap.name)
            return .init(current: domain.state.withLock { $0.snapshots.current } == entry.name ? 1 : 0)
        }
        add(Remote.DomainSnapshotHasMetadata.self, .loop) { (call, arguments) throws(LibvirtError) in
            _ = try call.driver.snapshot(try call.domain(arguments.snap.dom), arguments.snap.name)
            return .init(metadata: 1)
        }
        add(Remote.DomainRevertToSnapshot.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.snap.dom)
            try call.driver.revert(domain, to: arguments.snap.name, flags: arguments.flags)
        }
        add(Remote.DomainSnapshotDelete.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.snap.dom)
            try call.driver.deleteSnapshot(domain, arguments.snap.name, flags: arguments.flags)
        }
        addSnapshotLists()
    }

    /// Of the whole domain, those without a parent if `flags` ask for roots.
    private static func snapshots(_ domain: Domain, _ flags: UInt32) -> [SnapshotTree.Entry] {
        let tree = domain.state.withLock { $0.snapshots }
        let roots = flags & VirDomainSnapshotListFlags.roots != 0
        return tree.matching(flags, among: tree.all.filter { !roots || $0.parent.map { tree[$0] == nil } ?? true })
    }

    /// Below one snapshot; the whole branch if `flags` ask for descendants.
    private static func children(
        _ domain: Domain, _ name: String, _ flags: UInt32
    ) throws(LibvirtError) -> [SnapshotTree.Entry] {
        let tree = domain.state.withLock { $0.snapshots }
        guard tree[name] != nil else { throw DomainDriver.noSnapshot(name) }
        let all = flags & VirDomainSnapshotListFlags.descendants != 0
        return tree.matching(flags, among: all ? tree.descendants(of: name) : tree.children(of: name))
    }

    private mutating func addSnapshotLists() {
        add(Remote.DomainSnapshotNum.self, .loop) { (call, arguments) throws(LibvirtError) in
            .init(num: Int32(clamping: HandlerTable.snapshots(try call.domain(arguments.dom), arguments.flags).count))
        }
        add(Remote.DomainSnapshotListNames.self, .loop) { (call, arguments) throws(LibvirtError) in
            let names = HandlerTable.snapshots(try call.domain(arguments.dom), arguments.flags).map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.DomainListAllSnapshots.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            let found = HandlerTable.snapshots(domain, arguments.flags).map { HandlerTable.reference($0, domain) }
            return .init(snapshots: arguments.needResults != 0 ? found : [], ret: Int32(clamping: found.count))
        }
        add(Remote.DomainSnapshotNumChildren.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.snap.dom)
            let found = try HandlerTable.children(domain, arguments.snap.name, arguments.flags)
            return .init(num: Int32(clamping: found.count))
        }
        add(Remote.DomainSnapshotListChildrenNames.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.snap.dom)
            let names = try HandlerTable.children(domain, arguments.snap.name, arguments.flags).map(\.name)
            return .init(names: Array(names.prefix(Int(max(0, arguments.maxnames)))))
        }
        add(Remote.DomainSnapshotListAllChildren.self, .loop) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.snapshot.dom)
            let found = try HandlerTable.children(domain, arguments.snapshot.name, arguments.flags)
                .map { HandlerTable.reference($0, domain) }
            return .init(snapshots: arguments.needResults != 0 ? found : [], ret: Int32(clamping: found.count))
        }
    }

    /// Machines that are written to files.
    mutating func addSaving() {
        add(Remote.DomainSave.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.save(try call.domain(arguments.dom), to: arguments.to, document: nil, flags: 0)
        }
        add(Remote.DomainSaveFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.save(domain, to: arguments.to, document: arguments.dxml, flags: arguments.flags)
        }
        add(Remote.DomainRestore.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.restore(from: arguments.from, document: nil, flags: 0)
        }
        add(Remote.DomainRestoreFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.restore(from: arguments.from, document: arguments.dxml, flags: arguments.flags)
        }
        add(Remote.DomainSaveImageGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            let image = try SavedMachine(arguments.file)
            let secure = arguments.flags & VirDomainXMLFlags.secure != 0
            if secure, call.session.isReadOnly {
                throw LibvirtError.operationDenied("virDomainSaveImageGetXMLDesc with secure flag").from(0)
            }
            return .init(
                xml: XMLWriter.write(secure ? image.document : DomainFigures.withoutSecrets(image.document)))
        }
        add(Remote.DomainSaveImageDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.redefine(arguments.file, arguments.dxml, flags: arguments.flags)
        }
        add(Remote.DomainManagedSave.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.managedSave(try call.domain(arguments.dom), flags: arguments.flags)
        }
        add(Remote.DomainManagedSaveRemove.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let path = call.driver.store.savedPath(try call.domain(arguments.dom).name)
            try call.driver.onHost { () throws(HostError) in try HostFile.remove(path) }
        }
        add(Remote.DomainManagedSaveGetXMLDesc.self, .worker) { (call, arguments) throws(LibvirtError) in
            let path = try HandlerTable.managedImage(call, arguments.dom)
            return .init(xml: XMLWriter.write(try SavedMachine(path).document))
        }
        add(Remote.DomainManagedSaveDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let path = try HandlerTable.managedImage(call, arguments.dom)
            guard let document = arguments.dxml else { return }
            try call.driver.redefine(path, document, flags: arguments.flags)
        }
        add(Remote.DomainCoreDump.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.dumpCore(domain, to: arguments.to, format: 0, flags: arguments.flags)
        }
        add(Remote.DomainCoreDumpWithFormat.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let domain = try call.domain(arguments.dom)
            try call.driver.dumpCore(domain, to: arguments.to, format: arguments.dumpformat, flags: arguments.flags)
        }
        addJobs()
    }

    private static func managedImage(_ call: Call, _ reference: RemoteDomain) throws(LibvirtError) -> String {
        let name = try call.domain(reference).name
        guard call.driver.store.hasSaved(name) else {
            throw LibvirtError.operationInvalid("domain does not have managed save image")
        }
        return call.driver.store.savedPath(name)
    }

    /// What takes long, and how far it is.
    private mutating func addJobs() {
        add(Remote.DomainGetJobInfo.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            _ = try domain.running()
            let job = JobProgress(domain)
            return .init(
                type: job.type, timeElapsed: job.elapsed, timeRemaining: 0, dataTotal: job.total,
                dataProcessed: job.done, dataRemaining: job.left, memTotal: job.total, memProcessed: job.done,
                memRemaining: job.left, fileTotal: 0, fileProcessed: 0, fileRemaining: 0)
        }
        add(Remote.DomainGetJobStats.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            if arguments.flags & VirDomainGetJobStatsFlags.completed != 0 {
                let last = domain.state.withLock { state -> JobProgress? in
                    let keeps = arguments.flags & VirDomainGetJobStatsFlags.keepCompleted != 0
                    defer { if !keeps { state.lastJob = nil } }
                    return state.lastJob?.completed
                }
                guard let last, last.type != 0 else { return .init(type: 0, params: []) }
                return .init(type: last.type, params: last.parameters)
            }
            _ = try domain.running()
            let job = JobProgress(domain)
            guard job.type != 0 else { return .init(type: 0, params: []) }
            return .init(type: job.type, params: job.parameters)
        }
        add(Remote.DomainAbortJob.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.abortJob(try call.domain(arguments.dom))
        }
        add(Remote.DomainAbortJobFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.abortJob(try call.domain(arguments.dom))
        }
    }
}

extension DomainDriver {
    /// Puts another document into the file of a saved machine.
    func redefine(_ path: String, _ document: String, flags: UInt32) throws(LibvirtError) {
        let image = try SavedMachine(path)
        let other = try DomainDefaults.parse(document, emulators)
        guard other.uuid.description == image.document.child("uuid")?.text else {
            throw LibvirtError.configUnsupported("the document is of another domain")
        }
        let running =
            flags & VirDomainSaveRestoreFlags.running != 0
            ? true : flags & VirDomainSaveRestoreFlags.paused != 0 ? false : nil
        try image.replace(other.tree, running: running)
    }
}
