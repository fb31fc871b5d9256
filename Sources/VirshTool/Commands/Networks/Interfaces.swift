internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Interfaces of the host.
extension Run {
    static func ifaceList(_ c: Call) throws {
        typealias Flags = VirConnectListAllInterfacesFlags
        let flags = c.has("all") ? Flags.active | Flags.inactive : c.has("inactive") ? Flags.inactive : Flags.active
        let list = try failing("Failed to list interfaces") {
            try c.ask(Remote.ConnectListAllInterfaces.self, .init(needResults: 1, flags: flags)).ifaces
        }
        let sorted = try list.map { ($0, try c.ask(Remote.InterfaceIsActive.self, .init(iface: $0)).active != 0) }
            .sorted { $0.1 == $1.1 ? isBefore($0.0.name, $1.0.name) : $0.1 }
        var table = TextTable("Name", "State", "MAC Address")
        for (iface, active) in sorted { table.add(iface.name, active ? "active" : "inactive", iface.mac) }
        c.table(table)
    }

    static func ifaceName(_ c: Call) throws { c.out("\(try c.interface(byName: false).name)\n") }

    static func ifaceMac(_ c: Call) throws { c.out("\(try c.interface(byMAC: false).mac)\n") }

    private static func interfaceXML(_ c: Call, _ iface: RemoteInterface, _ flags: UInt32) throws -> String {
        try c.ask(Remote.InterfaceGetXMLDesc.self, .init(iface: iface, flags: flags)).xml
    }

    static func ifaceDumpxml(_ c: Call) throws {
        let flags: UInt32 = c.has("inactive") ? VirInterfaceXMLFlags.inactive : 0
        try printXML(c, try interfaceXML(c, try c.interface(), flags))
    }

    static func ifaceDefine(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let flags: UInt32 = c.has("validate") ? VirInterfaceDefineFlags.validate : 0
        let iface = try failing("Failed to define interface from \(path)") {
            try c.ask(Remote.InterfaceDefineXML.self, .init(xml: xml, flags: flags)).iface
        }
        c.say("Interface \(iface.name) defined from \(path)\n")
    }

    static func ifaceEdit(_ c: Call) throws {
        let iface = try c.interface()
        let changed = try Editor.editDefinition(
            c, "Interface \(iface.name) XML configuration not changed.\n",
            read: { try interfaceXML(c, iface, VirInterfaceXMLFlags.inactive) }
        ) { try c.ask(Remote.InterfaceDefineXML.self, .init(xml: $0, flags: 0)) }
        if changed { c.say("Interface \(iface.name) XML configuration edited.\n") }
    }

    private static func change(_ c: Call, _ verb: String, _ done: String, _ body: (RemoteInterface) throws -> Void)
        throws
    {
        let iface = try c.interface()
        try failing("Failed to \(verb) interface \(iface.name)") { try body(iface) }
        c.say("Interface \(iface.name) \(done)\n")
    }

    static func ifaceUndefine(_ c: Call) throws {
        try change(c, "undefine", "undefined") { try c.ask(Remote.InterfaceUndefine.self, .init(iface: $0)) }
    }

    static func ifaceStart(_ c: Call) throws {
        try change(c, "start", "started") { try c.ask(Remote.InterfaceCreate.self, .init(iface: $0, flags: 0)) }
    }

    static func ifaceDestroy(_ c: Call) throws {
        try change(c, "destroy", "destroyed") { try c.ask(Remote.InterfaceDestroy.self, .init(iface: $0, flags: 0)) }
    }

    static func ifaceBegin(_ c: Call) throws {
        try failing("Failed to begin network config change transaction") {
            try c.ask(Remote.InterfaceChangeBegin.self, .init(flags: 0))
        }
        c.say("Network config change transaction started\n")
    }

    static func ifaceCommit(_ c: Call) throws {
        try failing("Failed to commit network config change transaction") {
            try c.ask(Remote.InterfaceChangeCommit.self, .init(flags: 0))
        }
        c.say("Network config change transaction committed\n")
    }

    static func ifaceRollback(_ c: Call) throws {
        try failing("Failed to rollback network config change transaction") {
            try c.ask(Remote.InterfaceChangeRollback.self, .init(flags: 0))
        }
        c.say("Network config change transaction rolled back\n")
    }

    static func ifaceBridge(_ c: Call) throws {
        let iface = try c.interface()
        let bridge = try c.text("bridge")
        if (try? c.ask(Remote.InterfaceLookupByName.self, .init(name: bridge))) != nil {
            throw CommandFailure("Network device \(bridge) already exists")
        }
        let delay = try c.number("delay", UInt32.self) ?? 0
        guard var old = XMLDocument.parse(try interfaceXML(c, iface, 0)) else {
            throw CommandFailure("Failed to parse xml document")
        }
        if old["type"] == "bridge" { throw CommandFailure("Existing device \(iface.name) is already a bridge") }
        // The bridge takes over how the card starts and its addresses; the card becomes a part of it.
        let moved = Set(["start", "protocol", "mtu"])
        let kept = old.children.filter { moved.contains($0.name) }
        old.nodes = old.nodes.filter { if case .element(let child) = $0 { !moved.contains(child.name) } else { true } }
        var attributes = [XMLAttribute("stp", c.has("no-stp") ? "off" : "on")]
        if !c.has("no-stp") { attributes.append(XMLAttribute("delay", "\(delay)")) }
        let tree = XMLTree(
            "interface", attributes: [XMLAttribute("type", "bridge"), XMLAttribute("name", bridge)],
            nodes: kept.map { .element($0) } + [
                .element(XMLTree("bridge", attributes: attributes, nodes: [.element(old)]))
            ])
        let made = try failing("Failed to define new bridge interface \(bridge)") {
            try c.ask(Remote.InterfaceDefineXML.self, .init(xml: XMLWriter.write(tree), flags: 0)).iface
        }
        c.say("Created bridge \(bridge) with attached device \(iface.name)\n")
        guard !c.has("no-start") else { return }
        try failing("Failed to start bridge interface \(bridge)") {
            try c.ask(Remote.InterfaceCreate.self, .init(iface: made, flags: 0))
        }
        c.say("Bridge interface \(bridge) started\n")
    }

    static func ifaceUnbridge(_ c: Call) throws {
        let bridge = try c.interface("bridge")
        guard let tree = XMLDocument.parse(try interfaceXML(c, bridge, 0)), tree["type"] == "bridge" else {
            throw CommandFailure("Device \(bridge.name) is not a bridge")
        }
        let parts = tree.all("bridge/interface")
        guard parts.count == 1, var card = parts.first else {
            throw CommandFailure(
                parts.isEmpty
                    ? "No attached device found on bridge \(bridge.name)"
                    : "Multiple interfaces attached to bridge")
        }
        let moved = Set(["start", "protocol", "mtu"])
        card.nodes = tree.children.filter { moved.contains($0.name) }.map { .element($0) } + card.nodes
        if try c.ask(Remote.InterfaceIsActive.self, .init(iface: bridge)).active != 0 {
            try failing("Failed to destroy bridge interface \(bridge.name)") {
                try c.ask(Remote.InterfaceDestroy.self, .init(iface: bridge, flags: 0))
            }
        }
        try failing("Failed to undefine bridge interface \(bridge.name)") {
            try c.ask(Remote.InterfaceUndefine.self, .init(iface: bridge))
        }
        let name = card["name"] ?? ""
        let made = try failing("Failed to define new interface \(name)") {
            try c.ask(Remote.InterfaceDefineXML.self, .init(xml: XMLWriter.write(card), flags: 0)).iface
        }
        c.say("Device \(name) un-attached from bridge \(bridge.name)\n")
        guard !c.has("no-start") else { return }
        try failing("Failed to start interface \(name)") {
            try c.ask(Remote.InterfaceCreate.self, .init(iface: made, flags: 0))
        }
        c.say("Interface \(name) started\n")
    }
}
