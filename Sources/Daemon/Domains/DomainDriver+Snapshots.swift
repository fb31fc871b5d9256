internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire
internal import Synchronization

/// Snapshots: within the images, or as images on top of them.
extension DomainDriver {
    private typealias Flags = VirDomainSnapshotCreateFlags

    static func noSnapshot(_ name: String) -> LibvirtError {
        LibvirtError.noSnapshot("no domain snapshot with matching name '\(name)'")
    }

    func snapshot(_ domain: Domain, _ name: String) throws(LibvirtError) -> SnapshotTree.Entry {
        if let entry = domain.state.withLock({ $0.snapshots[name] }) { return entry }
        throw DomainDriver.noSnapshot(name)
    }

    // MARK: - Taking

    func takeSnapshot(_ domain: Domain, _ text: String, flags: UInt32) throws(LibvirtError) -> SnapshotTree.Entry {
        let wanted: DomainSnapshot
        do throws(DefinitionError) { wanted = try DomainSnapshot(xml: text) } catch {
            throw LibvirtError(error, VirErrorDomain.none)
        }
        return try domain.job.run { () throws(LibvirtError) in
            let (name, current, definition, live, state, known) = domain.state.withLock {
                ($0.name, $0.snapshots.current, $0.definition, $0.live, $0.state, $0.snapshots)
            }
            let title = wanted.name ?? "\(HostClock.realtime / 1_000_000_000)"
            guard !title.isEmpty, title != ".", title != "..", !title.contains("/"),
                title.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), title.utf8.count <= 255
            else {
                throw LibvirtError.xml("a snapshot cannot be called '\(title)'")
            }
            let redefines = flags & Flags.redefine != 0
            if !redefines, known[title] != nil {
                throw LibvirtError.operationFailed("domain moment \(title) already exists")
            }
            let form = live ?? definition ?? XMLTree("domain")
            var document = XMLTree("domainsnapshot")
            document.append(.text("name", title))
            if let words = wanted.description { document.append(.text("description", words)) }
            if redefines {
                document = wanted.tree()
                document.setText("name", title)
            } else {
                let isExternal =
                    flags & Flags.diskOnly != 0 || wanted.memorySnapshot == "external"
                    || wanted.disks.contains { $0.snapshot == "external" }
                let kind =
                    live == nil
                    ? "shutoff"
                    : flags & Flags.diskOnly != 0
                        ? "disk-snapshot" : state == VirDomainState.paused ? "paused" : "running"
                document.append(.text("state", isExternal && live == nil ? "shutoff" : kind))
                if let current {
                    var parent = XMLTree("parent")
                    parent.append(.text("name", current))
                    document.append(parent)
                }
                document.append(.text("creationTime", "\(HostClock.realtime / 1_000_000_000)"))
                let disks =
                    isExternal
                    ? try takeExternal(domain, form, title, wanted, flags, &document)
                    : try takeInternal(domain, form, title, &document)
                document.append(disks)
                var kept = form
                kept.set("id", nil)
                document.append(kept)
            }
            guard let entry = SnapshotTree.Entry(document) else { throw LibvirtError.xml("missing snapshot name") }
            let becomesCurrent = !redefines || flags & Flags.current != 0
            if flags & Flags.noMetadata == 0 {
                try snapshots.save(name, entry, isCurrent: becomesCurrent)
                if becomesCurrent, let current, let old = known[current], current != title {
                    try snapshots.save(name, old, isCurrent: false)
                }
                domain.state.withLock { state in
                    state.snapshots.enter(entry)
                    if becomesCurrent { state.snapshots.current = title }
                }
            }
            if flags & Flags.halt != 0, let machine = domain.machine {
                try end(
                    domain, machine, VirDomainShutoffReason.fromSnapshot, VirDomainEventStoppedDetailType.fromSnapshot)
            }
            return entry
        }
    }

    /// Disks that a snapshot is taken of: all that a guest writes to.
    func writable(_ form: XMLTree) -> [XMLTree] {
        DomainFigures.devices(form, "disk").filter { disk in
            (disk["device"] ?? "disk") == "disk" && disk.child("readonly") == nil && DomainFigures.path(disk) != nil
        }
    }

    private func takeInternal(
        _ domain: Domain, _ form: XMLTree, _ title: String, _ document: inout XMLTree
    ) throws(LibvirtError) -> XMLTree {
        let disks = writable(form)
        for disk in disks where disk.child("driver")?["type"] != "qcow2" {
            throw LibvirtError.configUnsupported(
                "internal snapshot for disk \(disk.child("target")?["dev"] ?? "") unsupported for storage type "
                    + (disk.child("driver")?["type"] ?? "raw"))
        }
        guard !disks.isEmpty else {
            throw LibvirtError.configUnsupported("a snapshot within images needs a disk of format qcow2")
        }
        document.append(.of("memory", ["snapshot": domain.isActive ? "internal" : "no"]))
        if let machine = domain.machine {
            guard form.at("os", "nvram") == nil else {
                throw LibvirtError.operationUnsupported(
                    "internal snapshots of a VM with pflash based firmware are not supported")
            }
            try human(machine, "savevm \(DomainDriver.quoted(title))")
        } else {
            for disk in disks {
                try ImageProgram.run(["snapshot", "-c", title, DomainFigures.path(disk) ?? ""])
            }
        }
        var list = XMLTree("disks")
        for disk in DomainFigures.devices(form, "disk") {
            let isTaken = disks.contains(disk)
            list.append(
                .of(
                    "disk",
                    ["name": disk.child("target")?["dev"] ?? "", "snapshot": isTaken ? "internal" : "no"]))
        }
        return list
    }

    /// A command of the human monitor, whose complaints are its answer.
    func human(_ machine: RunningMachine, _ command: String) throws(LibvirtError) {
        let answer = try machine.qmp().execute("human-monitor-command", ["command-line": .string(command)])
        let words = HostDescription.trim(answer.stringValue ?? "")
        guard words.isEmpty else { throw LibvirtError.operationFailed("Failed to \(command): \(words)") }
    }

    static func quoted(_ text: String) -> String {
        "\"" + text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] } + "\""
    }

    private func takeExternal(
        _ domain: Domain, _ form: XMLTree, _ title: String, _ wanted: DomainSnapshot, _ flags: UInt32,
        _ document: inout XMLTree
    ) throws(LibvirtError) -> XMLTree {
        let machine = domain.machine
        if let file = wanted.memoryFile, let machine {
            document.append(.of("memory", ["snapshot": "external", "file": file]))
            let wasRunning = domain.state.withLock { $0.state == VirDomainState.running }
            if wasRunning {
                try machine.qmp().execute("stop")
                machine.settle()
            }
            var kept = form
            kept.set("id", nil)
            let image = try SavedMachine.begin(file, kept, wasRunning: wasRunning)
            try write(domain, machine, image)
            try SavedMachine.finish(file)
            let list = try overlay(domain, form, title, wanted, flags)
            if wasRunning {
                try machine.qmp().execute("cont")
                machine.settle()
            }
            return list
        }
        document.append(.of("memory", ["snapshot": "no"]))
        return try overlay(domain, form, title, wanted, flags)
    }

    /// Puts a new image on top of each disk; what was is its base from now on.
    private func overlay(
        _ domain: Domain, _ form: XMLTree, _ title: String, _ wanted: DomainSnapshot, _ flags: UInt32
    ) throws(LibvirtError) -> XMLTree {
        var list = XMLTree("disks")
        var moves: [(disk: XMLTree, path: String)] = []
        for disk in DomainFigures.devices(form, "disk") {
            let target = disk.child("target")?["dev"] ?? ""
            let own = wanted.disks.first { $0.name == target || $0.name == DomainFigures.path(disk) }
            guard writable(form).contains(disk), own?.snapshot != "no", let base = DomainFigures.path(disk) else {
                list.append(.of("disk", ["name": target, "snapshot": "no"]))
                continue
            }
            let stem = base.lastIndex(of: "/").map { String(base[base.index(after: $0)...]) } ?? base
            let root = stem.lastIndex(of: ".").map { String(stem[..<$0]) } ?? stem
            let folder = base.lastIndex(of: "/").map { String(base[...$0]) } ?? ""
            let path = own?.source?.file ?? "\(folder)\(root).\(title)"
            if flags & VirDomainSnapshotCreateFlags.reuseExt == 0, HostFile.status(path).kind != .nothing {
                throw LibvirtError.configUnsupported(
                    "external snapshot file for disk \(target) already exists and is not a block device: \(path)")
            }
            moves.append((disk, path))
            var element = XMLTree.of("disk", ["name": target, "snapshot": "external", "type": "file"])
            element.append(.of("driver", ["type": "qcow2"]))
            element.append(.of("source", ["file": path]))
            list.append(element)
        }
        guard !moves.isEmpty else { throw LibvirtError.configUnsupported("no disks selected for snapshot") }
        if flags & VirDomainSnapshotCreateFlags.reuseExt == 0 {
            for (disk, path) in moves {
                let base = DomainFigures.path(disk) ?? ""
                let size = DomainFigures.capacity(disk)
                // The base is in use: it is not opened, so its size is told.
                try ImageProgram.run([
                    "create", "-u", "-f", "qcow2", "-b", base, "-F", disk.child("driver")?["type"] ?? "raw", path,
                    "\(size)",
                ])
            }
        }
        do throws(LibvirtError) {
            if let machine = domain.machine { try putOnTop(domain, machine, moves) }
        } catch {
            if flags & VirDomainSnapshotCreateFlags.reuseExt == 0 {
                for (_, path) in moves { try? HostFile.remove(path) }
            }
            throw error
        }
        try moveDefinition(domain, moves)
        return list
    }

    /// A number for an image that a running machine does not use yet.
    func freeImageNumber(_ domain: Domain) -> Int {
        // Copies that are being made have theirs already.
        let (tree, copies) = domain.state.withLock { ($0.current, $0.blockJobs.values.compactMap(\.result)) }
        return freeImageNumber(tree, copies)
    }

    func freeImageNumber(_ tree: XMLTree, _ copies: [XMLTree] = []) -> Int {
        func highest(_ element: XMLTree) -> Int {
            let own = element.child("source")?["index"].flatMap { Int($0) } ?? 0
            return max(own, element.child("backingStore").map { highest($0) } ?? 0)
        }
        return ((DomainFigures.devices(tree, "disk") + copies).map { highest($0) }.max() ?? 0) + 1
    }

    private func putOnTop(
        _ domain: Domain, _ machine: RunningMachine, _ moves: [(disk: XMLTree, path: String)]
    ) throws(LibvirtError) {
        let monitor = try machine.qmp()
        var number = freeImageNumber(domain)
        var actions: [JSONValue] = []
        var added: [String] = []
        var changed: [(alias: String, number: Int, path: String)] = []
        do throws(LibvirtError) {
            for (disk, path) in moves {
                try monitor.execute(
                    "blockdev-add",
                    [
                        "driver": "file", "filename": .string(path), "node-name": .string("libvirt-\(number)-storage"),
                        "auto-read-only": true, "discard": "unmap",
                    ])
                added.append("libvirt-\(number)-storage")
                try monitor.execute(
                    "blockdev-add",
                    [
                        "driver": "qcow2", "node-name": .string("libvirt-\(number)-format"), "read-only": false,
                        "file": .string("libvirt-\(number)-storage"), "backing": .null,
                    ])
                added.append("libvirt-\(number)-format")
                let base = disk.child("source")?["index"] ?? "0"
                actions.append(
                    .object([
                        "type": "blockdev-snapshot",
                        "data": .object([
                            "node": .string("libvirt-\(base)-format"), "overlay": .string("libvirt-\(number)-format"),
                        ]),
                    ]))
                changed.append((disk.child("alias")?["name"] ?? "", number, path))
                number += 1
            }
            try monitor.execute("transaction", ["actions": .array(actions)])
        } catch {
            for node in added.reversed() { _ = try? monitor.execute("blockdev-del", ["node-name": .string(node)]) }
            throw error
        }
        domain.state.withLock { state in
            state.live?.update("devices") { devices in
                devices.updateChildren { disk in
                    guard let change = changed.first(where: { $0.alias == disk.child("alias")?["name"] }),
                        disk.name == "disk"
                    else { return }
                    disk.moveOnTop(change.path, number: change.number)
                }
            }
        }
        try writeStatus(domain)
    }

    func moveDefinition(_ domain: Domain, _ moves: [(disk: XMLTree, path: String)]) throws(LibvirtError) {
        let (name, definition) = domain.state.withLock { ($0.name, $0.definition) }
        guard var definition else { return }
        definition.update("devices") { devices in
            devices.updateChildren { disk in
                guard disk.name == "disk",
                    let move = moves.first(where: { $0.disk.child("target")?["dev"] == disk.child("target")?["dev"] }),
                    DomainFigures.path(disk) == DomainFigures.path(move.disk)
                else { return }
                disk.moveOnTop(move.path, number: nil)
                disk.remove("backingStore")
            }
        }
        try store.save(name, definition)
        domain.state.withLock { [definition] in $0.definition = definition }
    }
}

extension XMLTree {
    /// A disk whose image becomes the base of another.
    mutating func moveOnTop(_ path: String, number: Int?) {
        var base = XMLTree.of("backingStore", ["type": self["type"] ?? "file"])
        if let index = child("source")?["index"], number != nil { base.set("index", index) }
        base.append(.of("format", ["type": child("driver")?["type"] ?? "raw"]))
        var below = child("source") ?? XMLTree("source")
        below.set("index", nil)
        if let index = child("source")?["index"] { below.set("index", index) }
        base.append(below)
        base.append(child("backingStore") ?? XMLTree("backingStore"))
        remove("source")
        remove("backingStore")
        set("type", "file")
        if child("driver") == nil { insert(.of("driver", ["name": "qemu"]), before: ["target"]) }
        update("driver") { $0.set("type", "qcow2") }
        var source = XMLTree.of("source", ["file": path])
        if let number { source.set("index", "\(number)") }
        insert(source, before: ["target"])
        insert(base, before: ["target"])
    }
}
