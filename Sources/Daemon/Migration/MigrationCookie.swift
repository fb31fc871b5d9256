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

    /// Of a source: disks that go with the machine.
    var disks: [CopiedDisk] = []
    /// Of a destination: where it takes them, by NBD over TCP.
    var disksPort: Int32?

    /// Of a destination: where it shows the screen.
    var screen: ScreenPlace?

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
        screen = tree.child("graphics").flatMap { ScreenPlace(cookie: $0) }
        guard let server = tree.child("nbd") else { return }
        disksPort = server["port"].flatMap { Int32($0) }
        disks = server.all("disk").prefix(1000).map { disk in
            CopiedDisk(
                target: disk["target"] ?? "", capacity: disk["capacity"].flatMap { UInt64($0) } ?? 0,
                image: disk["image"])
        }
    }

    /// The bytes, with the zero that libvirt ends them with.
    var bytes: [UInt8] {
        var tree = XMLTree("qemu-migration")
        tree.append(.text("name", name))
        tree.append(.text("uuid", uuid))
        tree.append(.text("hostname", hostName))
        tree.append(.text("hostuuid", hostUUID))
        if let screen { tree.append(screen.element) }
        if let persistent { tree.append(persistent) }
        if disksPort != nil || !disks.isEmpty {
            var server = XMLTree("nbd")
            server.set("port", disksPort.map { "\($0)" })
            for disk in disks {
                var element = XMLTree.of("disk", ["target": disk.target, "capacity": "\(disk.capacity)"])
                element.set("image", disk.image)
                server.append(element)
            }
            tree.append(server)
        }
        let bytes = Array(XMLWriter.write(tree).utf8) + [0]
        return bytes.count <= MigrationCookie.limit ? bytes : []
    }
}
