internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Snapshots of domains.
extension Run {
    private static func createFlags(_ c: Call) -> UInt32 {
        typealias Flags = VirDomainSnapshotCreateFlags
        return c.bits(
            ("redefine", Flags.redefine), ("current", Flags.current), ("no-metadata", Flags.noMetadata),
            ("halt", Flags.halt), ("disk-only", Flags.diskOnly), ("reuse-external", Flags.reuseExt),
            ("quiesce", Flags.quiesce), ("atomic", Flags.atomic), ("live", Flags.live), ("validate", Flags.validate))
    }

    private static func makeSnapshot(
        _ c: Call, _ domain: RemoteDomain, _ xml: String, _ flags: UInt32, from: String?
    ) throws {
        let snapshot = try c.ask(
            Remote.DomainSnapshotCreateXML.self, .init(dom: domain, xmlDesc: xml, flags: flags)
        ).snap
        if let from {
            c.say("Domain snapshot \(snapshot.name) created from '\(from)'")
        } else {
            c.say("Domain snapshot \(snapshot.name) created")
        }
    }

    static func snapshotCreate(_ c: Call) throws {
        try c.requires("current", "redefine")
        let domain = try c.domain()
        let path = c["xmlfile"]
        let xml = try path.map { try c.file($0) } ?? "<domainsnapshot/>"
        try makeSnapshot(c, domain, xml, createFlags(c), from: path)
    }

    /// `file,key=value,…` cut at commas; two of them stand for one.
    static func commaParts(_ text: String) -> [String] {
        var parts = [""]
        var rest = Array(text)[...]
        while let character = rest.popFirst() {
            if character == "," {
                if rest.first == "," {
                    rest = rest.dropFirst()
                    parts[parts.count - 1].append(",")
                } else {
                    parts.append("")
                }
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    private static func memoryXML(_ spec: String) throws -> XMLText {
        var attributes: [(String, String)] = []
        var mode: String?
        var file: String?
        for part in commaParts(spec) {
            if part.hasPrefix("snapshot=") {
                mode = String(part.dropFirst(9))
            } else if part.hasPrefix("file=") {
                file = String(part.dropFirst(5))
            } else if file == nil, part.hasPrefix("/") {
                file = part
            } else {
                throw CommandFailure("unable to parse memspec: \(spec)")
            }
        }
        if let mode { attributes.append(("snapshot", mode)) }
        if let file { attributes.append(("file", file)) }
        return XMLText("memory", attributes)
    }

    private static func diskXML(_ spec: String) throws -> XMLText {
        var parts = commaParts(spec)[...]
        let name = parts.popFirst() ?? ""
        var snapshot: String?, driver: String?, source: String?, type: String?
        for part in parts {
            if part.hasPrefix("snapshot=") {
                snapshot = String(part.dropFirst(9))
            } else if part.hasPrefix("driver=") {
                driver = String(part.dropFirst(7))
            } else if part.hasPrefix("stype=") {
                type = String(part.dropFirst(6))
            } else if part.hasPrefix("file=") {
                source = String(part.dropFirst(5))
            } else {
                throw CommandFailure("unable to parse diskspec: \(spec)")
            }
        }
        guard !name.isEmpty else { throw CommandFailure("unable to parse diskspec: \(spec)") }
        var xml = XMLText("disk", [("name", name)])
        if let snapshot { xml.attributes.append(("snapshot", snapshot)) }
        if let type { xml.attributes.append(("type", type)) }
        if let driver { xml.add("driver", [("type", driver)]) }
        if let source { xml.add("source", [(type == "block" ? "dev" : "file", source)]) }
        return xml
    }

    static func snapshotCreateAs(_ c: Call) throws {
        let domain = try c.domain()
        var xml = XMLText("domainsnapshot")
        if let name = c["name"] { xml.add("name", text: name) }
        if let text = c["description"] { xml.add("description", text: text) }
        if let spec = c["memspec"] { xml.children.append(try memoryXML(spec)) }
        if !c.all("diskspec").isEmpty {
            var disks = XMLText("disks")
            for spec in c.all("diskspec") { disks.children.append(try diskXML(spec)) }
            xml.children.append(disks)
        }
        let text = xml.written()
        if c.has("print-xml") { return c.out(text + "\n") }
        try makeSnapshot(c, domain, text, createFlags(c), from: nil)
    }

    static func snapshotEdit(_ c: Call) throws {
        try c.exclusive("rename", "clone")
        let domain = try c.domain()
        let snapshot = try c.snapshotOrCurrent(domain, exclusive: false)
        let isCurrent = (try? c.ask(Remote.DomainSnapshotIsCurrent.self, .init(snap: snapshot, flags: 0)).current) ?? 0
        var name = snapshot.name
        let changed = try Editor.editDefinition(
            c, "Snapshot \(snapshot.name) XML configuration not changed.\n",
            read: { try snapshotXML(c, snapshot, VirDomainSnapshotXMLFlags.secure) }
        ) { text in
            var flags = VirDomainSnapshotCreateFlags.redefine
            if isCurrent != 0 || c.has("current") { flags |= VirDomainSnapshotCreateFlags.current }
            name = try c.ask(
                Remote.DomainSnapshotCreateXML.self, .init(dom: domain, xmlDesc: text, flags: flags)
            ).snap.name
        }
        guard changed else { return }
        if name == snapshot.name {
            c.say("Snapshot \(name) edited.\n")
        } else if c.has("clone") {
            c.say("Snapshot \(snapshot.name) cloned to \(name).\n")
        } else if c.has("rename") {
            try c.ask(
                Remote.DomainSnapshotDelete.self,
                .init(snap: snapshot, flags: VirDomainSnapshotDeleteFlags.metadataOnly))
            c.say("Snapshot \(snapshot.name) renamed to \(name).\n")
        } else {
            throw CommandFailure("Must use --rename or --clone to change \(snapshot.name) to \(name)")
        }
    }

    private static func snapshotXML(_ c: Call, _ snapshot: RemoteDomainSnapshot, _ flags: UInt32) throws -> String {
        try c.ask(Remote.DomainSnapshotGetXMLDesc.self, .init(snap: snapshot, flags: flags)).xml
    }

    static func snapshotCurrent(_ c: Call) throws {
        try c.exclusive("name", "snapshotname")
        let flags: UInt32 = c.has("security-info") ? VirDomainSnapshotXMLFlags.secure : 0
        let domain = try c.domain()
        if let name = c["snapshotname"] {
            let xml = try snapshotXML(c, try c.snapshot(domain, name), VirDomainSnapshotXMLFlags.secure)
            try c.ask(
                Remote.DomainSnapshotCreateXML.self,
                .init(
                    dom: domain, xmlDesc: xml,
                    flags: VirDomainSnapshotCreateFlags.redefine | VirDomainSnapshotCreateFlags.current))
            return c.say("Snapshot \(name) set as current")
        }
        let has = try c.ask(Remote.DomainHasCurrentSnapshot.self, .init(dom: domain, flags: 0)).result != 0
        guard has else { throw CommandFailure("domain '\(domain.name)' has no current snapshot") }
        let snapshot = try c.ask(Remote.DomainSnapshotCurrent.self, .init(dom: domain, flags: 0)).snap
        c.out(c.has("name") ? snapshot.name : try snapshotXML(c, snapshot, flags))
    }

    static func snapshotInfo(_ c: Call) throws {
        let domain = try c.domain()
        let snapshot = try c.snapshotOrCurrent(domain)
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Name:", snapshot.name)
        line("Domain:", snapshot.dom.name)
        let current = try c.ask(Remote.DomainSnapshotIsCurrent.self, .init(snap: snapshot, flags: 0)).current
        line("Current:", current > 0 ? "yes" : "no")
        guard let root = XMLDocument.parse(try snapshotXML(c, snapshot, 0)) else { return }
        let state = root.child("state")?.text ?? ""
        line("State:", state)
        let isExternal =
            state == "disk-snapshot" || root.child("memory")?["snapshot"] == "external"
            || root.all("disks/disk").contains { $0["snapshot"] == "external" }
        line("Location:", isExternal ? "external" : "internal")
        line("Parent:", root.first("parent/name")?.text ?? "-")
        func children(_ flags: UInt32) throws -> Int32 {
            try c.ask(Remote.DomainSnapshotNumChildren.self, .init(snap: snapshot, flags: flags)).num
        }
        line("Children:", "\(try children(0))")
        line("Descendants:", "\(try children(VirDomainSnapshotListFlags.descendants))")
        if let metadata = try? c.ask(Remote.DomainSnapshotHasMetadata.self, .init(snap: snapshot, flags: 0)).metadata {
            line("Metadata:", metadata > 0 ? "yes" : "no")
        }
    }

    static func snapshotList(_ c: Call) throws {
        for pair in [("parent", "tree"), ("roots", "tree"), ("tree", "name"), ("roots", "from"), ("roots", "current")] {
            try c.exclusive(pair.0, pair.1)
        }
        typealias Flags = VirDomainSnapshotListFlags
        var flags = c.bits(
            ("leaves", Flags.leaves), ("no-leaves", Flags.noLeaves), ("metadata", Flags.metadata),
            ("no-metadata", Flags.noMetadata), ("inactive", Flags.inactive), ("active", Flags.active),
            ("disk-only", Flags.diskOnly), ("internal", Flags.internal), ("external", Flags.external),
            ("topological", Flags.topological))
        let domain = try c.domain()
        var from: RemoteDomainSnapshot?
        if c.has("from") || c.has("current") {
            from =
                try c.has("from")
                ? c.snapshot(domain, try c.text("from"))
                : c.ask(Remote.DomainSnapshotCurrent.self, .init(dom: domain, flags: 0)).snap
            if c.has("descendants") || c.has("tree") { flags |= Flags.descendants }
        } else if c.has("roots") {
            flags |= Flags.roots
        }
        let snapshots: [RemoteDomainSnapshot]
        if let from {
            snapshots = try c.ask(
                Remote.DomainSnapshotListAllChildren.self, .init(snapshot: from, needResults: 1, flags: flags)
            ).snapshots
        } else {
            snapshots = try c.ask(
                Remote.DomainListAllSnapshots.self, .init(dom: domain, needResults: 1, flags: flags)
            ).snapshots
        }
        let sorted = c.has("topological") ? snapshots : snapshots.sorted { isBefore($0.name, $1.name) }
        if c.has("name") {
            for snapshot in sorted { c.out("\(snapshot.name)\n") }
            return
        }
        let details = try sorted.map { snapshot in
            (snapshot.name, XMLDocument.parse(try snapshotXML(c, snapshot, 0)))
        }
        if c.has("tree") {
            var entries = details.map { TreeText.Entry(name: $0.0, parent: $0.1?.first("parent/name")?.text) }
            if let from { entries.insert(TreeText.Entry(name: from.name, parent: nil), at: 0) }
            return c.out(TreeText.text(entries))
        }
        var table =
            c.has("parent")
            ? TextTable("Name", "Creation Time", "State", "Parent") : TextTable("Name", "Creation Time", "State")
        for (name, root) in details {
            guard let seconds = root?.child("creationTime").flatMap({ Int64($0.text) }) else { continue }
            let cells = [name, TimeText.withZone(seconds), root?.child("state")?.text ?? ""]
            table.add(cells: c.has("parent") ? cells + [root?.first("parent/name")?.text ?? ""] : cells)
        }
        c.table(table)
    }

    static func snapshotDumpxml(_ c: Call) throws {
        let flags: UInt32 = c.has("security-info") ? VirDomainSnapshotXMLFlags.secure : 0
        let domain = try c.domain()
        let snapshot = try c.snapshot(domain, try c.text("snapshotname"))
        try printXML(c, try snapshotXML(c, snapshot, flags))
    }

    static func snapshotParent(_ c: Call) throws {
        let domain = try c.domain()
        let snapshot = try c.snapshotOrCurrent(domain)
        let root = XMLDocument.parse(try snapshotXML(c, snapshot, 0))
        guard let parent = root?.first("parent/name")?.text else {
            throw CommandFailure("snapshot '\(snapshot.name)' has no parent")
        }
        c.out(parent)
    }

    static func snapshotRevert(_ c: Call) throws {
        let domain = try c.domain()
        let snapshot = try c.snapshotOrCurrent(domain)
        typealias Flags = VirDomainSnapshotRevertFlags
        var flags = c.bits(("running", Flags.running), ("paused", Flags.paused), ("reset-nvram", Flags.resetNvram))
        if c.has("force") { flags |= Flags.force }
        try c.ask(Remote.DomainRevertToSnapshot.self, .init(snap: snapshot, flags: flags))
        c.say("Domain snapshot \(snapshot.name) reverted\n")
    }

    static func snapshotDelete(_ c: Call) throws {
        let domain = try c.domain()
        let snapshot = try c.snapshotOrCurrent(domain)
        typealias Flags = VirDomainSnapshotDeleteFlags
        let flags = c.bits(
            ("children", Flags.children), ("children-only", Flags.childrenOnly), ("metadata", Flags.metadataOnly))
        try failing("Failed to delete snapshot \(snapshot.name)") {
            try c.ask(Remote.DomainSnapshotDelete.self, .init(snap: snapshot, flags: flags))
        }
        c.say(
            c.has("children-only")
                ? "Domain snapshot \(snapshot.name) children deleted\n" : "Domain snapshot \(snapshot.name) deleted\n")
    }
}
