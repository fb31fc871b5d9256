internal import DomainModel
internal import RPCWire

/// What the two ends tell each other besides the protocol: libvirt's `<qemu-migration>`.
struct MigrationCookie: Sendable {
    var name = ""
    var uuid = ""
    var hostName = ""
    /// Tells the daemons apart, of which several may be on a host.
    var hostUUID = ""
    /// What is defined besides what runs, for a destination that is to define it.
    var persistent: XMLTree?

    static let limit = 4 << 20

    init() {}

    /// Reads the other end's. Elements of others are passed over; a cookie of nothing is fine.
    init(_ bytes: [UInt8]) throws(LibvirtError) {
        let text = bytes.prefix { $0 != 0 }
        guard !text.isEmpty else { return }
        let tree: XMLTree
        do throws(DefinitionError) {
            tree = try XMLReader.parse(bytes: Array(text), document: "(qemu_migration_cookie)")
        } catch { throw LibvirtError(error, VirErrorDomain.qemu) }
        guard tree.name == "qemu-migration" else {
            throw LibvirtError.internalError("unexpected root element <\(tree.name)> in migration cookie data")
        }
        name = tree.child("name")?.text ?? ""
        uuid = tree.child("uuid")?.text ?? ""
        hostName = tree.child("hostname")?.text ?? ""
        hostUUID = tree.child("hostuuid")?.text ?? ""
        persistent = tree.child("domain")
    }

    /// The bytes, with the zero that libvirt ends them with.
    var bytes: [UInt8] {
        var tree = XMLTree("qemu-migration")
        tree.append(.text("name", name))
        tree.append(.text("uuid", uuid))
        tree.append(.text("hostname", hostName))
        tree.append(.text("hostuuid", hostUUID))
        if let persistent { tree.append(persistent) }
        let bytes = Array(XMLWriter.write(tree).utf8) + [0]
        return bytes.count <= MigrationCookie.limit ? bytes : []
    }
}
