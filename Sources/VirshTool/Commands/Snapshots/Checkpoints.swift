internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Checkpoints of disks, and backups.
extension Run {
    private static func checkpointXML(_ c: Call, _ checkpoint: RemoteDomainCheckpoint, _ flags: UInt32) throws -> String
    {
        try c.ask(Remote.DomainCheckpointGetXMLDesc.self, .init(checkpoint: checkpoint, flags: flags)).xml
    }

    private static func makeCheckpoint(
        _ c: Call, _ domain: RemoteDomain, _ xml: String, _ flags: UInt32, from: String?
    ) throws {
        let made = try c.ask(
            Remote.DomainCheckpointCreateXML.self, .init(dom: domain, xmlDesc: xml, flags: flags)
        ).checkpoint
        if let from {
            c.say("Domain checkpoint \(made.name) created from '\(from)'")
        } else {
            c.say("Domain checkpoint \(made.name) created")
        }
    }

    static func checkpointCreate(_ c: Call) throws {
        typealias Flags = VirDomainCheckpointCreateFlags
        try c.requires("redefine-validate", "redefine")
        let flags = c.bits(
            ("redefine", Flags.redefine), ("redefine-validate", Flags.redefineValidate), ("quiesce", Flags.quiesce))
        let domain = try c.domain()
        let path = c["xmlfile"]
        let xml = try path.map { try c.file($0) } ?? "<domaincheckpoint/>"
        try makeCheckpoint(c, domain, xml, flags, from: path)
    }

    static func checkpointCreateAs(_ c: Call) throws {
        let domain = try c.domain()
        var xml = XMLText("domaincheckpoint")
        if let name = c["name"] { xml.add("name", text: name) }
        if let text = c["description"] { xml.add("description", text: text) }
        if !c.all("diskspec").isEmpty {
            var disks = XMLText("disks")
            for spec in c.all("diskspec") {
                var parts = commaParts(spec)[...]
                var attributes = [("name", parts.popFirst() ?? "")]
                for part in parts {
                    let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
                    guard pair.count == 2, ["checkpoint", "bitmap"].contains(pair[0]) else {
                        throw CommandFailure("unable to parse diskspec: \(spec)")
                    }
                    attributes.append((pair[0], pair[1]))
                }
                disks.add("disk", attributes)
            }
            xml.children.append(disks)
        }
        let text = xml.written()
        if c.has("print-xml") { return c.out(text + "\n") }
        let flags: UInt32 = c.has("quiesce") ? VirDomainCheckpointCreateFlags.quiesce : 0
        try makeCheckpoint(c, domain, text, flags, from: nil)
    }

    static func checkpointEdit(_ c: Call) throws {
        let domain = try c.domain()
        let checkpoint = try c.checkpoint(domain)
        let changed = try Editor.editDefinition(
            c, "Checkpoint \(checkpoint.name) XML configuration not changed.\n",
            read: { try checkpointXML(c, checkpoint, VirDomainCheckpointXMLFlags.secure) }
        ) { text in
            try c.ask(
                Remote.DomainCheckpointCreateXML.self,
                .init(dom: domain, xmlDesc: text, flags: VirDomainCheckpointCreateFlags.redefine))
        }
        if changed { c.say("Checkpoint \(checkpoint.name) edited.\n") }
    }

    private static func children(_ c: Call, _ checkpoint: RemoteDomainCheckpoint, _ flags: UInt32) throws
        -> [RemoteDomainCheckpoint]
    {
        try c.ask(
            Remote.DomainCheckpointListAllChildren.self, .init(checkpoint: checkpoint, needResults: 1, flags: flags)
        ).checkpoints
    }

    static func checkpointInfo(_ c: Call) throws {
        let checkpoint = try c.checkpoint(try c.domain())
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Name:", checkpoint.name)
        line("Domain:", checkpoint.dom.name)
        let root = XMLDocument.parse(try checkpointXML(c, checkpoint, 0))
        line("Parent:", root?.first("parent/name")?.text ?? "-")
        line("Children:", "\(try children(c, checkpoint, 0).count)")
        line("Descendants:", "\(try children(c, checkpoint, VirDomainCheckpointListFlags.descendants).count)")
    }

    static func checkpointList(_ c: Call) throws {
        for pair in [("tree", "parent"), ("tree", "roots"), ("tree", "name"), ("roots", "from")] {
            try c.exclusive(pair.0, pair.1)
        }
        typealias Flags = VirDomainCheckpointListFlags
        var flags = c.bits(("leaves", Flags.leaves), ("no-leaves", Flags.noLeaves), ("topological", Flags.topological))
        let domain = try c.domain()
        var list: [RemoteDomainCheckpoint]
        var from: RemoteDomainCheckpoint?
        if c.has("from") {
            let name = try c.text("from")
            from = try c.ask(
                Remote.DomainCheckpointLookupByName.self, .init(dom: domain, name: name, flags: 0)
            ).checkpoint
        }
        if let from {
            if c.has("descendants") || c.has("tree") { flags |= Flags.descendants }
            list = try children(c, from, flags)
        } else {
            if c.has("roots") { flags |= Flags.roots }
            list = try c.ask(
                Remote.DomainListAllCheckpoints.self, .init(dom: domain, needResults: 1, flags: flags)
            ).checkpoints
        }
        if !c.has("topological") { list.sort { isBefore($0.name, $1.name) } }
        if c.has("name") {
            for checkpoint in list { c.out("\(checkpoint.name)\n") }
            return
        }
        let details = try list.map { ($0.name, XMLDocument.parse(try checkpointXML(c, $0, 0))) }
        if c.has("tree") {
            var entries = details.map { TreeText.Entry(name: $0.0, parent: $0.1?.first("parent/name")?.text) }
            if let from { entries.insert(TreeText.Entry(name: from.name, parent: nil), at: 0) }
            return c.out(TreeText.text(entries))
        }
        var table = c.has("parent") ? TextTable("Name", "Creation Time", "Parent") : TextTable("Name", "Creation Time")
        for (name, root) in details {
            guard let seconds = root?.child("creationTime").flatMap({ Int64($0.text) }) else { continue }
            let cells = [name, TimeText.withZone(seconds)]
            table.add(cells: c.has("parent") ? cells + [root?.first("parent/name")?.text ?? ""] : cells)
        }
        c.table(table)
    }

    static func checkpointDumpxml(_ c: Call) throws {
        typealias Flags = VirDomainCheckpointXMLFlags
        let flags = c.bits(("security-info", Flags.secure), ("no-domain", Flags.noDomain), ("size", Flags.size))
        try printXML(c, try checkpointXML(c, try c.checkpoint(try c.domain()), flags))
    }

    static func checkpointParent(_ c: Call) throws {
        let checkpoint = try c.checkpoint(try c.domain())
        let root = XMLDocument.parse(try checkpointXML(c, checkpoint, 0))
        guard let parent = root?.first("parent/name")?.text else {
            throw CommandFailure("checkpoint '\(checkpoint.name)' has no parent")
        }
        c.out(parent)
    }

    static func checkpointDelete(_ c: Call) throws {
        let checkpoint = try c.checkpoint(try c.domain())
        typealias Flags = VirDomainCheckpointDeleteFlags
        let flags = c.bits(
            ("children", Flags.children), ("children-only", Flags.childrenOnly), ("metadata", Flags.metadataOnly))
        try failing("Failed to delete checkpoint \(checkpoint.name)") {
            try c.ask(Remote.DomainCheckpointDelete.self, .init(checkpoint: checkpoint, flags: flags))
        }
        c.say(
            c.has("children-only")
                ? "Domain checkpoint \(checkpoint.name) children deleted\n"
                : "Domain checkpoint \(checkpoint.name) deleted\n")
    }

    static func backupBegin(_ c: Call) throws {
        let domain = try c.domain()
        let xml = try c["backupxml"].map { try c.file($0) } ?? "<domainbackup/>"
        let checkpoint = try c["checkpointxml"].map { try c.file($0) }
        let flags: UInt32 = c.has("reuse-external") ? VirDomainBackupBeginFlags.reuseExternal : 0
        try c.ask(
            Remote.DomainBackupBegin.self,
            .init(dom: domain, backupXml: xml, checkpointXml: checkpoint, flags: flags))
        c.out("Backup started\n")
    }

    static func backupDumpxml(_ c: Call) throws {
        try printXML(
            c, try c.ask(Remote.DomainBackupGetXMLDesc.self, .init(dom: try c.domain(), flags: 0)).xml)
    }
}
