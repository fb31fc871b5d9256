internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Storage pools.
extension Run {
    static func poolAutostart(_ c: Call) throws {
        let pool = try c.pool()
        let off = c.has("disable")
        try failing(
            off
                ? "failed to unmark pool \(pool.name) as autostarted"
                : "failed to mark pool \(pool.name) as autostarted"
        ) {
            try c.ask(Remote.StoragePoolSetAutostart.self, .init(pool: pool, autostart: off ? 0 : 1))
        }
        c.say(off ? "Pool \(pool.name) unmarked as autostarted\n" : "Pool \(pool.name) marked as autostarted\n")
    }

    /// Flags of making a pool with what it stands on.
    private static func buildFlags(_ c: Call) throws -> UInt32 {
        try c.exclusive("overwrite", "no-overwrite")
        return c.bits(
            ("build", VirStoragePoolCreateFlags.withBuild), ("overwrite", VirStoragePoolCreateFlags.withBuildOverwrite),
            ("no-overwrite", VirStoragePoolCreateFlags.withBuildNoOverwrite))
    }

    static func poolCreate(_ c: Call) throws {
        let path = try c.text("file")
        let flags = try buildFlags(c)
        let xml = try c.file(path)
        let pool = try failing("Failed to create pool from \(path)") {
            try c.ask(Remote.StoragePoolCreateXML.self, .init(xml: xml, flags: flags)).pool
        }
        c.say("Pool \(pool.name) created from \(path)\n")
    }

    static func poolDefine(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let flags: UInt32 = c.has("validate") ? VirStoragePoolDefineFlags.validate : 0
        let pool = try failing("Failed to define pool from \(path)") {
            try c.ask(Remote.StoragePoolDefineXML.self, .init(xml: xml, flags: flags)).pool
        }
        c.say("Pool \(pool.name) defined from \(path)\n")
    }

    /// The XML of `pool-define-as` and `pool-create-as`.
    private static func poolXML(_ c: Call) throws -> (name: String, xml: String) {
        let (name, type) = (try c.text("name"), try c.text("type"))
        try c.requires("auth-username", "auth-type")
        try c.requires("auth-type", "auth-username")
        var xml = XMLText("pool", [("type", type)])
        xml.add("name", text: name)
        var source = XMLText("source")
        if let host = c["source-host"] { source.add("host", [("name", host)]) }
        if let path = c["source-path"] { source.add("dir", [("path", path)]) }
        if let device = c["source-dev"] { source.add("device", [("path", device)]) }
        if let initiator = c["source-initiator"] {
            var element = XMLText("initiator")
            element.add("iqn", [("name", initiator)])
            source.children.append(element)
        }
        if c.has("adapter-wwnn") || c.has("adapter-parent") || c.has("adapter-name") {
            var attributes: [(String, String)] = []
            if c.has("adapter-wwnn") {
                attributes = [("type", "fc_host")]
                for (option, attribute) in [
                    ("adapter-parent", "parent"), ("adapter-parent-wwnn", "parent_wwnn"),
                    ("adapter-parent-wwpn", "parent_wwpn"), ("adapter-parent-fabric-wwn", "parent_fabric_wwn"),
                    ("adapter-wwnn", "wwnn"), ("adapter-wwpn", "wwpn"),
                ] {
                    if let value = c[option] { attributes.append((attribute, value)) }
                }
            } else {
                attributes = [("type", "scsi_host"), ("name", c["adapter-name"] ?? "")]
            }
            source.add("adapter", attributes)
        }
        if let type = c["auth-type"], let user = c["auth-username"] {
            var auth = XMLText("auth", [("type", type), ("username", user)])
            if let usage = c["secret-usage"] { auth.add("secret", [("usage", usage)]) }
            if let uuid = c["secret-uuid"] { auth.add("secret", [("uuid", uuid)]) }
            source.children.append(auth)
        }
        if let format = c["source-format"] { source.add("format", [("type", format)]) }
        if let version = c["source-protocol-ver"] { source.add("protocol", [("ver", version)]) }
        if let name = c["source-name"] { source.add("name", text: name) }
        if !source.children.isEmpty { xml.children.append(source) }
        if let target = c["target"] {
            var element = XMLText("target")
            element.add("path", text: absolute(target))
            xml.children.append(element)
        }
        return (name, xml.written())
    }

    static func poolCreateAs(_ c: Call) throws {
        let flags = try buildFlags(c)
        let (name, xml) = try poolXML(c)
        if c.has("print-xml") { return c.out(xml) }
        let pool = try failing("Failed to create pool \(name)") {
            try c.ask(Remote.StoragePoolCreateXML.self, .init(xml: xml, flags: flags)).pool
        }
        c.say("Pool \(pool.name) created\n")
    }

    static func poolDefineAs(_ c: Call) throws {
        let (name, xml) = try poolXML(c)
        if c.has("print-xml") { return c.out(xml) }
        let pool = try failing("Failed to define pool \(name)") {
            try c.ask(Remote.StoragePoolDefineXML.self, .init(xml: xml, flags: 0)).pool
        }
        c.say("Pool \(pool.name) defined\n")
    }

    static func poolBuild(_ c: Call) throws {
        try c.exclusive("overwrite", "no-overwrite")
        let pool = try c.pool()
        let flags = c.bits(
            ("no-overwrite", VirStoragePoolBuildFlags.noOverwrite), ("overwrite", VirStoragePoolBuildFlags.overwrite))
        try failing("Failed to build pool \(pool.name)") {
            try c.ask(Remote.StoragePoolBuild.self, .init(pool: pool, flags: flags))
        }
        c.say("Pool \(pool.name) built\n")
    }

    static func poolDestroy(_ c: Call) throws {
        let pool = try c.pool()
        try failing("Failed to destroy pool \(pool.name)") {
            try c.ask(Remote.StoragePoolDestroy.self, .init(pool: pool))
        }
        c.say("Pool \(pool.name) destroyed\n")
    }

    static func poolDelete(_ c: Call) throws {
        let pool = try c.pool()
        try failing("Failed to delete pool \(pool.name)") {
            try c.ask(Remote.StoragePoolDelete.self, .init(pool: pool, flags: 0))
        }
        c.say("Pool \(pool.name) deleted\n")
    }

    static func poolRefresh(_ c: Call) throws {
        let pool = try c.pool()
        try failing("Failed to refresh pool \(pool.name)") {
            try c.ask(Remote.StoragePoolRefresh.self, .init(pool: pool, flags: 0))
        }
        c.say("Pool \(pool.name) refreshed\n")
    }

    static func poolStart(_ c: Call) throws {
        let flags = try buildFlags(c)
        let pool = try c.pool()
        try failing("Failed to start pool \(pool.name)") {
            try c.ask(Remote.StoragePoolCreate.self, .init(pool: pool, flags: flags))
        }
        c.say("Pool \(pool.name) started\n")
    }

    static func poolUndefine(_ c: Call) throws {
        let pool = try c.pool()
        try failing("Failed to undefine pool \(pool.name)") {
            try c.ask(Remote.StoragePoolUndefine.self, .init(pool: pool))
        }
        c.say("Pool \(pool.name) has been undefined\n")
    }

    static func poolName(_ c: Call) throws { c.out("\(try c.pool(byName: false).name)\n") }

    static func poolUuid(_ c: Call) throws { c.out("\(try c.pool().uuid)\n") }

    private static func poolText(_ c: Call, _ pool: RemoteStoragePool, _ flags: UInt32) throws -> String {
        try c.ask(Remote.StoragePoolGetXMLDesc.self, .init(pool: pool, flags: flags)).xml
    }

    static func poolDumpxml(_ c: Call) throws {
        let flags: UInt32 = c.has("inactive") ? VirStorageXMLFlags.inactive : 0
        try printXML(c, try poolText(c, try c.pool(), flags))
    }

    static func poolEdit(_ c: Call) throws {
        let pool = try c.pool()
        let changed = try Editor.editDefinition(
            c, "Pool \(pool.name) XML configuration not changed.\n",
            read: { try poolText(c, pool, VirStorageXMLFlags.inactive) }
        ) { try c.ask(Remote.StoragePoolDefineXML.self, .init(xml: $0, flags: 0)) }
        if changed { c.say("Pool \(pool.name) XML configuration edited.\n") }
    }

    private static let states = ["inactive", "building", "running", "degraded", "inaccessible"]

    /// A size for people: two digits behind the point.
    static func size(_ bytes: UInt64) -> String {
        let pretty = NumberText.pretty(bytes)
        return "\(NumberText.fixed(pretty.value, 2)) \(pretty.unit)"
    }

    static func poolInfo(_ c: Call) throws {
        let pool = try c.pool()
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Name:", pool.name)
        line("UUID:", "\(pool.uuid)")
        let info = try c.ask(Remote.StoragePoolGetInfo.self, .init(pool: pool))
        line("State:", DomainText.name(states, info.state))
        let persistent = try? c.ask(Remote.StoragePoolIsPersistent.self, .init(pool: pool)).persistent
        line("Persistent:", persistent.map { $0 != 0 ? "yes" : "no" } ?? "unknown")
        let autostart = try? c.ask(Remote.StoragePoolGetAutostart.self, .init(pool: pool)).autostart
        line("Autostart:", autostart.map { $0 != 0 ? "yes" : "no" } ?? "no autostart")
        guard info.state == UInt8(VirStoragePoolState.running) || info.state == UInt8(VirStoragePoolState.degraded)
        else { return }
        for (label, value) in [
            ("Capacity:", info.capacity), ("Allocation:", info.allocation), ("Available:", info.available),
        ] {
            line(label, c.has("bytes") ? "\(value)" : size(value))
        }
    }

    static func poolList(_ c: Call) throws {
        typealias Flags = VirConnectListAllStoragePoolsFlags
        var flags = c.has("all") ? Flags.active | Flags.inactive : c.has("inactive") ? Flags.inactive : Flags.active
        flags |= c.bits(
            ("persistent", Flags.persistent), ("transient", Flags.transient), ("autostart", Flags.autostart),
            ("no-autostart", Flags.noAutostart))
        if c.has("details"), c.has("name") || c.has("uuid") {
            throw CommandFailure("Only one argument from --details, --uuid and --name may be specified.")
        }
        let types = [
            "dir", "fs", "netfs", "logical", "disk", "iscsi", "scsi", "mpath", "rbd", "sheepdog", "gluster", "zfs",
            "vstorage", "iscsi-direct",
        ]
        for name in (c["type"] ?? "").split(separator: ",") {
            guard let place = types.firstIndex(of: String(name)) else {
                throw CommandFailure("Invalid pool type '\(name)'")
            }
            flags |= Flags.dir << UInt32(place)
        }
        let pools = try failing("Failed to list pools") {
            try c.ask(Remote.ConnectListAllStoragePools.self, .init(needResults: 1, flags: flags)).pools
        }
        let sorted = try pools.map { ($0, try c.ask(Remote.StoragePoolIsActive.self, .init(pool: $0)).active != 0) }
            .sorted { $0.1 == $1.1 ? isBefore($0.0.name, $1.0.name) : $0.1 }
        if c.has("name") || c.has("uuid") {
            for (pool, _) in sorted {
                var words: [String] = []
                if c.has("uuid") { words.append("\(pool.uuid)") }
                if c.has("name") { words.append(NumberText.left(pool.name, 20)) }
                c.out(words.joined(separator: " ") + "\n")
            }
            return
        }
        var table =
            c.has("details")
            ? TextTable("Name", "State", "Autostart", "Persistent", "Capacity", "Allocation", "Available")
            : TextTable("Name", "State", "Autostart")
        for (pool, active) in sorted {
            let autostart = try? c.ask(Remote.StoragePoolGetAutostart.self, .init(pool: pool)).autostart
            let auto = autostart.map { $0 != 0 ? "yes" : "no" } ?? "no autostart"
            guard c.has("details") else {
                table.add(pool.name, active ? "active" : "inactive", auto)
                continue
            }
            let persistent = try? c.ask(Remote.StoragePoolIsPersistent.self, .init(pool: pool)).persistent
            let info = try? c.ask(Remote.StoragePoolGetInfo.self, .init(pool: pool))
            let isOpen = info.map { [2, 3].contains($0.state) } ?? false
            table.add(
                pool.name, info.map { DomainText.name(states, $0.state) } ?? "unknown", auto,
                persistent.map { $0 != 0 ? "yes" : "no" } ?? "unknown", isOpen ? size(info?.capacity ?? 0) : "-",
                isOpen ? size(info?.allocation ?? 0) : "-", isOpen ? size(info?.available ?? 0) : "-")
        }
        c.table(table)
    }

    static func poolCapabilities(_ c: Call) throws {
        let text = try failing("failed to get storage pool capabilities") {
            try c.ask(Remote.ConnectGetStoragePoolCapabilities.self, .init(flags: 0)).capabilities
        }
        c.out("\(text)\n")
    }

    private static func findSources(_ c: Call, _ type: String, _ spec: String?) throws {
        let text = try failing("Failed to find any \(type) pool sources") {
            try c.ask(
                Remote.ConnectFindStoragePoolSources.self, .init(type: type, srcSpec: spec, flags: 0)
            ).xml
        }
        c.out(text)
    }

    static func findStoragePoolSources(_ c: Call) throws {
        try findSources(c, try c.text("type"), try c["srcSpec"].map { try c.file($0) })
    }

    static func findStoragePoolSourcesAs(_ c: Call) throws {
        let type = try c.text("type")
        guard let host = c["host"] else {
            if c.has("port") || c.has("initiator") { throw CommandFailure("missing host argument") }
            return try findSources(c, type, nil)
        }
        var xml = XMLText("source")
        xml.add("host", [("name", host)] + (c["port"].map { [("port", $0)] } ?? []))
        if let initiator = c["initiator"] {
            var element = XMLText("initiator")
            element.add("iqn", [("name", initiator)])
            xml.children.append(element)
        }
        try findSources(c, type, xml.written())
    }
}
