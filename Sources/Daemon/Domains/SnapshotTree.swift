internal import DomainModel
internal import HostOS
internal import RPCWire

/// The snapshots of one domain: each grew out of at most one other.
struct SnapshotTree: Sendable {
    /// One snapshot: its document, and what of it is asked for often.
    struct Entry: Sendable {
        var name: String
        var parent: String?
        /// `running`, `paused`, `shutoff` or `disk-snapshot`.
        var state: String
        var isExternal: Bool
        var document: XMLTree

        /// What the document says, without the mark of the current one.
        init?(_ tree: XMLTree) {
            guard let name = tree.child("name")?.text, !name.isEmpty else { return nil }
            self.name = name
            parent = tree.at("parent", "name")?.text
            state = tree.child("state")?.text ?? "shutoff"
            isExternal =
                tree.child("memory")?["snapshot"] == "external"
                || (tree.child("disks")?.all("disk").contains { $0["snapshot"] == "external" } ?? false)
            document = tree
            document.remove("active")
        }

        var isActive: Bool { state == "running" || state == "paused" }
    }

    private(set) var entries: [String: Entry] = [:]
    /// The one that the domain stands on.
    var current: String?

    var isEmpty: Bool { entries.isEmpty }
    /// All, by name.
    var all: [Entry] { entries.values.sorted { $0.name < $1.name } }

    subscript(name: String) -> Entry? { entries[name] }

    mutating func enter(_ entry: Entry) { entries[entry.name] = entry }

    mutating func remove(_ name: String) {
        entries[name] = nil
        if current == name { current = nil }
    }

    func children(of name: String) -> [Entry] { all.filter { $0.parent == name } }

    /// A snapshot's children, theirs, and so on.
    func descendants(of name: String) -> [Entry] {
        var found: [Entry] = []
        var wanted = [name]
        // A file may have been changed into a ring by hand: nobody is met twice.
        var seen: Set<String> = [name]
        while let next = wanted.popLast() {
            for child in children(of: next) where seen.insert(child.name).inserted {
                found.append(child)
                wanted.append(child.name)
            }
        }
        return found
    }

    /// Those that the flags of a list ask for (`virDomainSnapshotListFlags`); the lowest bit means roots here.
    func matching(_ flags: UInt32, among candidates: [Entry]) -> [Entry] {
        typealias Flags = VirDomainSnapshotListFlags
        let filter = ListFilter(flags: flags)
        return candidates.filter { entry in
            let isLeaf = children(of: entry.name).isEmpty
            let states = flags & (Flags.inactive | Flags.active | Flags.diskOnly)
            let ofState =
                states == 0 || flags & Flags.inactive != 0 && entry.state == "shutoff"
                || flags & Flags.active != 0 && entry.isActive
                || flags & Flags.diskOnly != 0 && entry.state == "disk-snapshot"
            return filter.admits(isLeaf, Flags.leaves, Flags.noLeaves) && ofState
                && filter.admits(entry.isExternal, Flags.external, Flags.internal)
                && (flags & Flags.noMetadata == 0 || flags & Flags.metadata != 0)
        }
    }
}

/// Snapshots on the disk: a folder for each domain, a file for each snapshot.
struct SnapshotStore: Sendable {
    let path: String

    func folder(_ domain: String) -> DocumentFolder { DocumentFolder(path: "\(path)/\(domain)") }

    func save(_ domain: String, _ entry: SnapshotTree.Entry, isCurrent: Bool) throws(LibvirtError) {
        var tree = entry.document
        tree.append(.text("active", isCurrent ? "1" : "0"))
        try folder(domain).save(entry.name, tree)
    }

    func remove(_ domain: String, _ name: String) { try? folder(domain).remove(name) }

    func load(_ domain: String) -> SnapshotTree {
        var snapshots = SnapshotTree()
        for (_, tree) in folder(domain).all {
            guard let entry = SnapshotTree.Entry(tree) else { continue }
            snapshots.enter(entry)
            if tree.child("active")?.text == "1" { snapshots.current = entry.name }
        }
        return snapshots
    }

    func rename(_ old: String, _ new: String) { try? HostFile.rename("\(path)/\(old)", to: "\(path)/\(new)") }
    func removeAll(_ domain: String) { HostFile.removeTree("\(path)/\(domain)") }
}
