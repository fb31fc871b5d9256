internal import DomainModel
internal import HostOS
internal import RPCWire
internal import SystemPackage

/// Images that have machines' labels of SELinux while those run. What each had is remembered as libvirt does, in attributes
/// of the files, and written down, so that the next daemon gives it back.
struct ImageLabels: Sendable {
    private let folder: DocumentFolder
    private static let memory = FileMemory(model: MachineLabel.model)

    /// - Parameter path: the folder of what is written down.
    init(path: String) { folder = DocumentFolder(path: path) }

    /// Labels files for a machine; one that another machine has with another label is refused.
    func take(
        _ domain: UUIDBytes, _ files: [(path: String, context: SecurityContext)]
    ) throws(LibvirtError) {
        var record = (try? folder.read(domain.description)) ?? XMLTree("labels")
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
        try folder.save(domain.description, record)
        for (index, (path, context)) in wanted.enumerated() {
            Self.memory.add(path, SecurityLabels.of(path)?.description ?? "")
            do throws(HostError) {
                if SecurityLabels.of(path) != context { try SecurityLabels.set(path, context) }
            } catch {
                // File systems that keep no labels have one for all their files.
                if error.errno == .notSupported || error.errno == .readOnlyFileSystem { continue }
                let rest = Set(wanted[(index + 1)...].map(\.path))
                record.nodes.removeAll { node in
                    if case .element(let image) = node { rest.contains(image["path"] ?? "") } else { false }
                }
                try folder.save(domain.description, record)
                throw LibvirtError.system("\(error)")
            }
        }
    }

    /// Gives back what a machine took that has ended, or one image that has left it.
    func release(_ domain: UUIDBytes, _ path: String? = nil) {
        guard var record = try? folder.read(domain.description) else { return }
        for image in record.all("image") {
            guard let file = image["path"], path == nil || file == path else { continue }
            let before = image["before"].flatMap { SecurityContext($0) }
            guard case .nobody(let remembered) = Self.memory.remove(file) else { continue }
            // Whoever gave it another label meanwhile meant that.
            guard SecurityLabels.of(file)?.description == image["label"] else { continue }
            if let label = remembered.flatMap({ SecurityContext($0) }) ?? before {
                try? SecurityLabels.set(file, label)
            }
        }
        guard let path else { return (try? folder.remove(domain.description)) ?? () }
        record.nodes.removeAll { node in
            if case .element(let image) = node { image["path"] == path } else { false }
        }
        try? folder.save(domain.description, record)
    }

    /// Gives back what machines took that ended while no daemon looked.
    func releaseAll(except running: Set<UUIDBytes>) {
        for (name, _) in folder.all {
            if let uuid = UUIDBytes(name), !running.contains(uuid) { release(uuid) }
        }
    }
}
