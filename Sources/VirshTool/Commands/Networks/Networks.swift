internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Virtual networks.
extension Run {
    static func netAutostart(_ c: Call) throws {
        let network = try c.network()
        let off = c.has("disable")
        try failing(
            off
                ? "failed to unmark network \(network.name) as autostarted"
                : "failed to mark network \(network.name) as autostarted"
        ) {
            try c.ask(Remote.NetworkSetAutostart.self, .init(net: network, autostart: off ? 0 : 1))
        }
        c.say(
            off
                ? "Network \(network.name) unmarked as autostarted\n"
                : "Network \(network.name) marked as autostarted\n")
    }

    static func netCreate(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let network = try failing("Failed to create network from \(path)") {
            c.has("validate")
                ? try c.ask(Remote.NetworkCreateXMLFlags.self, .init(xml: xml, flags: VirNetworkCreateFlags.validate))
                    .net
                : try c.ask(Remote.NetworkCreateXML.self, .init(xml: xml)).net
        }
        c.say("Network \(network.name) created from \(path)\n")
    }

    private static func defineNetwork(_ c: Call, _ xml: String, validates: Bool) throws -> RemoteNetwork {
        validates
            ? try c.ask(Remote.NetworkDefineXMLFlags.self, .init(xml: xml, flags: VirNetworkDefineFlags.validate)).net
            : try c.ask(Remote.NetworkDefineXML.self, .init(xml: xml)).net
    }

    static func netDefine(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let network = try failing("Failed to define network from \(path)") {
            try defineNetwork(c, xml, validates: c.has("validate"))
        }
        c.say("Network \(network.name) defined from \(path)\n")
    }

    static func netDestroy(_ c: Call) throws {
        let network = try c.network()
        try failing("Failed to destroy network \(network.name)") {
            try c.ask(Remote.NetworkDestroy.self, .init(net: network))
        }
        c.say("Network \(network.name) destroyed\n")
    }

    private static func networkXML(_ c: Call, _ network: RemoteNetwork, _ flags: UInt32) throws -> String {
        try c.ask(Remote.NetworkGetXMLDesc.self, .init(net: network, flags: flags)).xml
    }

    static func netDumpxml(_ c: Call) throws {
        let flags: UInt32 = c.has("inactive") ? VirNetworkXMLFlags.inactive : 0
        try printXML(c, try networkXML(c, try c.network(), flags))
    }

    static func netEdit(_ c: Call) throws {
        let network = try c.network()
        let persistent = (try? c.ask(Remote.NetworkIsPersistent.self, .init(net: network)).persistent) ?? 1
        let changed = try Editor.editDefinition(
            c, "Network \(network.name) XML configuration not changed.\n",
            read: { try networkXML(c, network, persistent != 0 ? VirNetworkXMLFlags.inactive : 0) }
        ) { _ = try defineNetwork(c, $0, validates: false) }
        if changed { c.say("Network \(network.name) XML configuration edited.\n") }
    }

    static func netInfo(_ c: Call) throws {
        let network = try c.network()
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Name:", network.name)
        line("UUID:", "\(network.uuid)")
        if let active = try? c.ask(Remote.NetworkIsActive.self, .init(net: network)).active {
            line("Active:", active != 0 ? "yes" : "no")
        }
        let persistent = try? c.ask(Remote.NetworkIsPersistent.self, .init(net: network)).persistent
        line("Persistent:", persistent.map { $0 != 0 ? "yes" : "no" } ?? "unknown")
        let autostart = try? c.ask(Remote.NetworkGetAutostart.self, .init(net: network)).autostart
        line("Autostart:", autostart.map { $0 != 0 ? "yes" : "no" } ?? "no autostart")
        if let bridge = try? c.ask(Remote.NetworkGetBridgeName.self, .init(net: network)).name {
            line("Bridge:", bridge)
        }
    }

    static func netList(_ c: Call) throws {
        typealias Flags = VirConnectListAllNetworksFlags
        var flags = c.has("all") ? Flags.active | Flags.inactive : c.has("inactive") ? Flags.inactive : Flags.active
        flags |= c.bits(
            ("persistent", Flags.persistent), ("transient", Flags.transient), ("autostart", Flags.autostart),
            ("no-autostart", Flags.noAutostart))
        for pair in [("table", "uuid"), ("table", "name"), ("uuid", "name")] where c.has(pair.0) && c.has(pair.1) {
            throw CommandFailure("Only one argument from --table, --name and --uuid may be specified.")
        }
        let networks = try failing("Failed to list networks") {
            try c.ask(Remote.ConnectListAllNetworks.self, .init(needResults: 1, flags: flags)).nets
        }
        let sorted = try networks.map { network in
            (network, try c.ask(Remote.NetworkIsActive.self, .init(net: network)).active != 0)
        }.sorted { $0.1 == $1.1 ? isBefore($0.0.name, $1.0.name) : $0.1 }
        if c.has("uuid") {
            for (network, _) in sorted { c.out("\(network.uuid)\n") }
            return
        }
        if c.has("name") {
            for (network, _) in sorted { c.out("\(network.name)\n") }
            return
        }
        var table = TextTable("Name", "State", "Autostart", "Persistent")
        for (network, active) in sorted {
            let autostart = try? c.ask(Remote.NetworkGetAutostart.self, .init(net: network)).autostart
            let persistent = (try? c.ask(Remote.NetworkIsPersistent.self, .init(net: network)).persistent) ?? 0
            table.add(
                network.name, active ? "active" : "inactive",
                autostart.map { $0 != 0 ? "yes" : "no" } ?? "no autostart",
                persistent != 0 ? "yes" : "no")
        }
        c.table(table)
    }

    static func netName(_ c: Call) throws { c.out("\(try c.network(byName: false).name)\n") }

    static func netUuid(_ c: Call) throws { c.out("\(try c.network().uuid)\n") }

    static func netStart(_ c: Call) throws {
        let network = try c.network()
        try failing("Failed to start network \(network.name)") {
            try c.ask(Remote.NetworkCreate.self, .init(net: network))
        }
        c.say("Network \(network.name) started\n")
    }

    static func netUndefine(_ c: Call) throws {
        let network = try c.network()
        try failing("Failed to undefine network \(network.name)") {
            try c.ask(Remote.NetworkUndefine.self, .init(net: network))
        }
        c.say("Network \(network.name) has been undefined\n")
    }

    static func netUpdate(_ c: Call) throws {
        for pair in [("current", "live"), ("current", "config")] { try c.exclusive(pair.0, pair.1) }
        let network = try c.network()
        let commands = ["none", "modify", "delete", "add-last", "add-first"]
        let sections = [
            "none", "bridge", "domain", "ip", "ip-dhcp-host", "ip-dhcp-range", "forward", "forward-interface",
            "forward-pf", "portgroup", "dns-host", "dns-txt", "dns-srv",
        ]
        let commandText = try c.text("command")
        guard let command = commandText == "add" ? 3 : commands.firstIndex(of: commandText), command > 0 else {
            throw CommandFailure("unrecognized command name '\(commandText)'")
        }
        let sectionText = try c.text("section")
        guard let section = sections.firstIndex(of: sectionText), section > 0 else {
            throw CommandFailure("unrecognized section name '\(sectionText)'")
        }
        let given = try c.text("xml")
        let index = try c.number("parent-index", Int32.self) ?? -1
        // XML itself, or a file of it.
        let xml = given.hasPrefix("<") ? given : try c.file(given)
        let flags = c.bits(("config", VirNetworkUpdateFlags.config), ("live", VirNetworkUpdateFlags.live))
        // Daemons of before a mistake was mended took section and command in the other order.
        let ordered = try c.client.supports(VirDriverFeature.networkUpdateHasCorrectOrder)
        try failing("Failed to update network \(network.name)") {
            try c.ask(
                Remote.NetworkUpdate.self,
                .init(
                    net: network, command: UInt32(ordered ? command : section),
                    section: UInt32(ordered ? section : command),
                    parentIndex: index, xml: xml, flags: flags))
        }
        let isConfig = c.has("config")
        c.say(
            isConfig
                ? c.has("live")
                    ? "Updated network \(network.name) persistent config and live state"
                    : "Updated network \(network.name) persistent config"
                : "Updated network \(network.name) live state")
    }

    static func netDhcpLeases(_ c: Call) throws {
        let network = try c.network()
        let leases = try failing("Failed to get leases info for \(network.name)") {
            try c.ask(
                Remote.NetworkGetDHCPLeases.self, .init(net: network, mac: c["mac"], needResults: 1, flags: 0)
            ).leases
        }
        let sorted = leases.sorted { isBefore($0.mac ?? "", $1.mac ?? "") }
        var table = TextTable("Expiry Time", "MAC address", "Protocol", "IP address", "Hostname", "Client ID or DUID")
        for lease in sorted {
            let kind = lease.type == VirIPAddrType.ipv4 ? "ipv4" : lease.type == VirIPAddrType.ipv6 ? "ipv6" : ""
            table.add(
                TimeText.dateTime(lease.expirytime), lease.mac ?? "-", kind, "\(lease.ipaddr)/\(lease.prefix)",
                lease.hostname ?? "-", lease.clientid ?? "-")
        }
        c.table(table)
    }

    // MARK: - Ports

    private static func port(_ c: Call) throws -> RemoteNetworkPort {
        let network = try c.network()
        let name = try c.text("port")
        return try failing("failed to get port '\(name)'") {
            guard let uuid = UUIDBytes(name) else {
                throw CommandFailure("invalid argument: port in virNetworkPortLookupByUUIDString must be a valid UUID")
            }
            return try c.ask(Remote.NetworkPortLookupByUUID.self, .init(network: network, uuid: uuid)).port
        }
    }

    static func netPortList(_ c: Call) throws {
        let network = try c.network()
        let ports = try failing("Failed to list network ports") {
            try c.ask(Remote.NetworkListAllPorts.self, .init(network: network, needResults: 1, flags: 0)).ports
        }
        if c.has("uuid") {
            for port in ports { c.out("\(port.uuid)\n") }
            return
        }
        var table = TextTable("UUID")
        for port in ports { table.add("\(port.uuid)") }
        c.table(table)
    }

    static func netPortCreate(_ c: Call) throws {
        let network = try c.network()
        let path = try c.text("file")
        let xml = try c.file(path)
        let flags: UInt32 = c.has("validate") ? VirNetworkPortCreateFlags.validate : 0
        let port = try failing("Failed to create network from \(path)") {
            try c.ask(Remote.NetworkPortCreateXML.self, .init(network: network, xml: xml, flags: flags)).port
        }
        c.say("Network port \(port.uuid) created from \(path)\n")
    }

    static func netPortDumpxml(_ c: Call) throws {
        try printXML(c, try c.ask(Remote.NetworkPortGetXMLDesc.self, .init(port: try port(c), flags: 0)).xml)
    }

    static func netPortDelete(_ c: Call) throws {
        let port = try port(c)
        try failing("Failed to delete network port \(port.uuid)") {
            try c.ask(Remote.NetworkPortDelete.self, .init(port: port, flags: 0))
        }
        c.say("Network port \(port.uuid) deleted\n")
    }
}
