internal import DomainModel
internal import HostOS
internal import RPCWire

/// Images that are changed for machines while those run. What each machine took is written down, in one document a machine
/// with an `<image>` for each file, so that the next daemon gives it back.
protocol TakenImages: Sendable {
    /// What is written down.
    var records: DocumentFolder { get }
    /// Gives one image back, unless others use it still.
    static func giveBack(_ image: XMLTree, _ path: String, of record: XMLTree)
}

extension TakenImages {
    /// Gives back what a machine took: everything when it has ended, or some images that it has no more, by their paths.
    func release(_ domain: UUIDBytes, _ paths: Set<String>? = nil) {
        guard let record = try? records.read(domain.description) else { return }
        for image in record.all("image") {
            guard let path = image["path"], path.hasPrefix("/"), paths?.contains(path) ?? true else { continue }
            Self.giveBack(image, path, of: record)
        }
        try? forget(domain, paths, in: record)
    }

    /// Strikes images out of what is written down.
    func forget(_ domain: UUIDBytes, _ paths: Set<String>?, in record: XMLTree) throws(LibvirtError) {
        var rest = record
        rest.nodes.removeAll { node in
            guard case .element(let image) = node, let paths else { return true }
            return paths.contains(image["path"] ?? "")
        }
        if rest.all("image").isEmpty { return try records.remove(domain.description) }
        if rest != record { try records.save(domain.description, rest) }
    }

    /// Gives back what machines took that ended while no daemon looked.
    func releaseAll(except running: Set<UUIDBytes>) {
        for (name, _) in records.all {
            if let uuid = UUIDBytes(name), !running.contains(uuid) { release(uuid) }
        }
    }
}
