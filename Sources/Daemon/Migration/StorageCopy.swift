internal import DomainModel
internal import HostOS
internal import JSON
internal import RPCWire

/// A disk that goes with its machine: what the source tells the destination of it.
struct CopiedDisk: Sendable, Equatable {
    /// `vda`.
    var target: String
    /// The size that the guest sees, in bytes.
    var capacity: UInt64
    /// Tells the image from all others of the host: where both ends see the same, nothing is to be copied.
    var image: String?

    /// Of the bytes of an image, where it is on this host.
    static func identity(_ path: String) -> String? {
        guard let mark = HostFile.identity(path) else { return nil }
        return HostDescription.trim(HostDescription.text("/proc/sys/kernel/random/boot_id")) + ":" + mark
    }
}

extension MigrationRequest {
    /// Whether disks go with the machine.
    var copiesDisks: Bool { has(Flags.nonSharedDisk | Flags.nonSharedInc) }

    /// Whether a disk does: those that the client names, else all that the machine writes alone.
    func copies(_ disk: XMLTree) -> Bool {
        guard copiesDisks, DomainFigures.path(disk) != nil else { return false }
        if !disks.isEmpty { return disks.contains(disk.child("target")?["dev"] ?? "") }
        return disk.child("readonly") == nil && disk.child("shareable") == nil
    }

    /// The disks of a machine that go with it. A name that no disk has is an error.
    func copiedDisks(_ form: XMLTree) throws(LibvirtError) -> [XMLTree] {
        guard copiesDisks else { return [] }
        let all = DomainFigures.devices(form, "disk")
        for name in disks {
            guard let disk = all.first(where: { $0.child("target")?["dev"] == name }) else {
                throw LibvirtError.invalidArgument("disk target \(name) not found")
            }
            guard disk.child("readonly") == nil else {
                throw LibvirtError.operationUnsupported(
                    "Cannot migrate read-only disk \(name)")
            }
        }
        return all.filter(copies)
    }

    /// Where the destination takes disks: a place that the client names, or a port that it found.
    func disksPlace(port: Int32?) throws(LibvirtError) -> MigrationPlace {
        for parameter in others {
            guard parameter.field == "disks_uri", case .string(let text) = parameter.value else { continue }
            return try MigrationRequest.place(text)
        }
        guard let uri else { throw LibvirtError.internalError("the migration has no URI") }
        guard case .tcp(let place) = try MigrationRequest.place(uri) else {
            throw LibvirtError.invalidArgument("copies of disks need a 'disks_uri' where the state goes to a socket")
        }
        guard let port, (1...65_535).contains(port) else {
            throw LibvirtError.internalError("the destination does not say where it takes disks")
        }
        return .tcp(ListenerOptions.Place(host: place.host, port: UInt16(port)))
    }
}

extension XMLTree {
    /// The name under which a disk of a running machine is exported, and its job is known.
    var driveName: String { "drive-\(child("alias")?["name"] ?? child("target")?["dev"] ?? "disk")" }
    /// The node that a disk of a running machine reads and writes.
    var formatNode: String { "libvirt-\(child("source")?["index"] ?? "0")-format" }
}
