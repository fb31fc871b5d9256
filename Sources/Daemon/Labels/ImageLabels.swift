internal import DomainModel
internal import HostOS
internal import RPCWire
internal import SystemPackage

/// Images that have machines' labels of SELinux while those run. What each had is remembered as libvirt does, in attributes
/// of the files, and written down, so that the next daemon gives it back.
struct ImageLabels: TakenImages {
    let records: DocumentFolder
    private static let memory = FileMemory(model: MachineLabel.model)

    /// - Parameter path: the folder of what is written down.
    init(path: String) { records = DocumentFolder(path: path) }

    /// Labels files for a machine; one that another machine has with another label is refused.
    func take(
        _ domain: UUIDBytes, _ files: [(path: String, context: SecurityContext)]
    ) throws(LibvirtError) {
        var record = (try? records.read(domain.description)) ?? XMLTree("labels")
        let known = Set(record.all("image").compactMap { $0["path"] })
        var wanted: [(path: String, context: SecurityContext)] = []
        for (path, context) in files where !known.contains(path) {
            let before = SecurityLabels.of(path)
            if before != context, Self.memory.users(path) > 0 {
                throw LibvirtError.operationInvalid(
                    "Setting different SELinux label on \(path) which is already in use")
            }
            wanted.append((path, context))
            record.append(
                .of("image", ["path": path, "label": context.description, "before": before?.description ?? ""]))
        }
        guard !wanted.isEmpty else { return }
        // Written down first: who is killed in between leaves nothing that is not known.
        try records.save(domain.description, record)
        for (index, (path, context)) in wanted.enumerated() {
            Self.memory.add(path, SecurityLabels.of(path)?.description ?? "")
            do throws(HostError) {
                if SecurityLabels.of(path) != context { try SecurityLabels.set(path, context) }
            } catch {
                // File systems that keep no labels have one for all their files.
                if error.errno == .notSupported || error.errno == .readOnlyFileSystem { continue }
                try forget(domain, Set(wanted[(index + 1)...].map(\.path)), in: record)
                throw LibvirtError.system("\(error)")
            }
        }
    }

    static func giveBack(_ image: XMLTree, _ path: String, of record: XMLTree) {
        guard case .nobody(let remembered) = memory.remove(path) else { return }
        // Whoever gave it another label meanwhile meant that.
        guard SecurityLabels.of(path)?.description == image["label"] else { return }
        if let label = (remembered ?? image["before"]).flatMap({ SecurityContext($0) }) {
            try? SecurityLabels.set(path, label)
        }
    }
}
