internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Network cards of domains.
extension Run {
    static func attachInterface(_ c: Call) throws {
        let type = try c.text("type")
        let source = try c.text("source")
        let domain = try c.domain()
        let flags = try c.deviceImpact(domain)
        guard ["network", "bridge", "direct", "hostdev"].contains(type) else {
            throw CommandFailure("No support for \(type) in command 'attach-interface'")
        }
        var attributes = [("type", type)]
        if c.has("managed") { attributes.append(("managed", "yes")) }
        var xml = XMLText("interface", attributes)
        switch type {
        case "direct":
            xml.add("source", [("dev", source)] + (c["source-mode"].map { [("mode", $0)] } ?? []))
        case "hostdev":
            // domain:bus:slot.function, in hexadecimal digits.
            let parts = source.split(whereSeparator: { $0 == ":" || $0 == "." }).map { UInt32($0, radix: 16) }
            let numbers = parts.compactMap { $0 }
            guard numbers.count == 4, parts.count == 4 else {
                throw CommandFailure("cannot parse pci address '\(source)'")
            }
            func hex(_ value: UInt32, _ digits: Int) -> String {
                let plain = String(value, radix: 16)
                return "0x" + String(repeating: "0", count: max(0, digits - plain.utf8.count)) + plain
            }
            var element = XMLText("source")
            element.add(
                "address",
                [
                    ("type", "pci"), ("domain", hex(numbers[0], 4)), ("bus", hex(numbers[1], 2)),
                    ("slot", hex(numbers[2], 2)), ("function", hex(numbers[3], 1)),
                ])
            xml.children.append(element)
        default: xml.add("source", [(type, source)])
        }
        if let target = c["target"] { xml.add("target", [("dev", target)]) }
        if let mac = c["mac"] { xml.add("mac", [("address", mac)]) }
        if let script = c["script"] { xml.add("script", [("path", script)]) }
        if let model = c["model"] { xml.add("model", [("type", model)]) }
        if let alias = c["alias"] { xml.add("alias", [("name", alias)]) }
        if c.has("inbound") || c.has("outbound") {
            var bandwidth = XMLText("bandwidth")
            for name in ["inbound", "outbound"] {
                guard let text = c[name] else { continue }
                let rate = try self.rate(text, name)
                if rate.average == 0, rate.floor == 0 { throw CommandFailure("\(name) average is mandatory") }
                bandwidth.add(name, rate.attributes)
            }
            xml.children.append(bandwidth)
        }
        let text = xml.written()
        if c.has("print-xml") { return c.out(text) }
        try failing("Failed to attach interface") { try attach(c, domain, text, flags) }
        c.say("Interface attached successfully\n")
    }

    struct Rate {
        var average: UInt64 = 0
        var peak: UInt64 = 0
        var burst: UInt64 = 0
        var floor: UInt64 = 0
        var attributes: [(String, String)] {
            [("average", average), ("peak", peak), ("burst", burst), ("floor", floor)]
                .filter { $0.1 > 0 }.map { ($0.0, "\($0.1)") }
        }
    }

    /// `average,peak,burst,floor`, of which only the first is needed.
    static func rate(_ text: String, _ name: String) throws -> Rate {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.isEmpty ? 0 : UInt64($0) }
        let numbers = parts.compactMap { $0 }
        guard numbers.count == parts.count, (1...4).contains(numbers.count) else {
            throw CommandFailure("\(name) format is incorrect")
        }
        var rate = Rate(average: numbers[0])
        if numbers.count > 1 { rate.peak = numbers[1] }
        if numbers.count > 2 { rate.burst = numbers[2] }
        if numbers.count > 3 { rate.floor = numbers[3] }
        return rate
    }

    static func detachInterface(_ c: Call) throws {
        let domain = try c.domain()
        let type = try c.text("type")
        let mac = c["mac"]
        let flags = try c.deviceImpact(domain)
        let affectsConfig = flags & VirDomainModificationImpact.config != 0
        let xml = try c.xml(of: domain, affectsConfig && flags & 1 == 0 ? VirDomainXMLFlags.inactive : 0)
        let cards = (XMLDocument.parse(xml)?.all("devices/interface") ?? []).filter { $0["type"] == type }
        if cards.isEmpty {
            throw CommandFailure("No interface found whose type is \(type)", "Failed to detach interface")
        }
        if mac == nil, cards.count > 1 {
            throw CommandFailure(
                "Domain has \(cards.count) interfaces. Please specify which one to detach using --mac")
        }
        let found =
            mac.map { mac in cards.filter { $0.child("mac")?["address"]?.lowercased() == mac.lowercased() } } ?? cards
        guard let card = found.first else {
            throw CommandFailure("No interface with MAC address \(mac ?? "") was found")
        }
        if found.count > 1 {
            throw CommandFailure(
                "Domain has multiple interfaces matching MAC address \(mac ?? ""). You must use detach-device and "
                    + "specify the device pci address to remove it.")
        }
        let text = XMLWriter.write(card)
        if c.has("print-xml") { return c.out(NodeText.dump(card, depth: 2)) }
        try failing("Failed to detach interface") { try detach(c, domain, text, flags) }
        c.say("Interface detached successfully\n")
    }

    /// A card's element: by its name on the host or its address.
    private static func card(_ xml: String, _ name: String) throws -> XMLTree {
        let cards = XMLDocument.parse(xml)?.all("devices/interface") ?? []
        let isAddress = name.split(separator: ":").count == 6
        let found = cards.filter {
            isAddress
                ? $0.child("mac")?["address"]?.lowercased() == name.lowercased() : $0.child("target")?["dev"] == name
        }
        if found.count > 1 { throw CommandFailure("multiple matching interfaces found") }
        guard let card = found.first else {
            throw CommandFailure(
                isAddress ? "Interface (mac: \(name)) not found." : "Interface (dev: \(name)) not found.")
        }
        return card
    }

    static func domifSetlink(_ c: Call) throws {
        let name = try c.text("interface")
        let state = try c.text("state")
        guard state == "up" || state == "down" else { throw CommandFailure("invalid link state '\(state)'") }
        let domain = try c.domain()
        let config = c.has("config")
        let xml = try c.xml(of: domain, config ? VirDomainXMLFlags.inactive : 0)
        var flags = config ? VirDomainModificationImpact.config : VirDomainModificationImpact.live
        if !config, try !c.isActive(domain) { flags = VirDomainModificationImpact.config }
        guard var found = try? card(xml, name) else { throw CommandFailure("interface '\(name)' not found") }
        let link = XMLTree("link", attributes: [XMLAttribute("state", state)])
        if found.child("link") != nil {
            found = found.replacing("link") { _ in link }
        } else {
            // Behind all that is there, its line end too.
            let end = "</\(found.name)>"
            let before = NodeText.dump(found, depth: 2)
            if c.has("print-xml"), before.hasSuffix(end) {
                return c.out(before.dropLast(end.utf8.count) + NodeText.dump(link) + end)
            }
            found.nodes.append(.element(link))
        }
        let text = XMLWriter.write(found)
        if c.has("print-xml") { return c.out(NodeText.dump(found, depth: 2)) }
        try failing("Failed to update interface link state") {
            try c.ask(Remote.DomainUpdateDeviceFlags.self, .init(dom: domain, xml: text, flags: flags))
        }
        c.say("Device updated successfully\n")
    }

    static func domifGetlink(_ c: Call) throws {
        let name = try c.text("interface")
        let domain = try c.domain()
        let found = try card(try c.xml(of: domain, c.has("config") ? VirDomainXMLFlags.inactive : 0), name)
        c.out("\(name) \(found.child("link")?["state"] ?? "up")")
    }

    static func domiftune(_ c: Call) throws {
        let flags = try c.impact()
        let device = try c.text("interface")
        let domain = try c.domain()
        if !c.has("inbound"), !c.has("outbound") {
            let count = try failing("Unable to get number of interface parameters") {
                try c.ask(
                    Remote.DomainGetInterfaceParameters.self,
                    .init(dom: domain, device: device, nparams: 0, flags: flags)
                ).nparams
            }
            let params = try failing("Unable to get interface parameters") {
                try c.ask(
                    Remote.DomainGetInterfaceParameters.self,
                    .init(dom: domain, device: device, nparams: count, flags: flags)
                ).params
            }
            for param in params { c.out("\(NumberText.left(param.field, 15)): \(ParameterText.value(param.value))\n") }
            return
        }
        var params: [RemoteTypedParam] = []
        for name in ["inbound", "outbound"] {
            guard let text = c[name] else { continue }
            let rate = try self.rate(text, name)
            if rate.average == 0, rate.burst != 0 || rate.peak != 0 {
                throw CommandFailure("\(name) average is mandatory")
            }
            params.append(RemoteTypedParam(field: "\(name).average", value: .uint(UInt32(clamping: rate.average))))
            for (field, value) in [("peak", rate.peak), ("burst", rate.burst), ("floor", rate.floor)] where value > 0 {
                params.append(RemoteTypedParam(field: "\(name).\(field)", value: .uint(UInt32(clamping: value))))
            }
        }
        try failing("Unable to set interface parameters") {
            try c.ask(
                Remote.DomainSetInterfaceParameters.self,
                .init(dom: domain, device: device, params: params, flags: flags))
        }
    }

    static func domifaddr(_ c: Call) throws {
        let domain = try c.domain()
        let wanted = c["interface"]
        let full = c.has("full")
        let sources = ["lease", "agent", "arp"]
        guard let source = sources.firstIndex(of: c["source"] ?? "lease") else {
            throw CommandFailure("Unknown data source '\(c["source"] ?? "")'")
        }
        let cards = try failing("Failed to query for interfaces addresses") {
            try c.ask(
                Remote.DomainInterfaceAddresses.self, .init(dom: domain, source: UInt32(source), flags: 0)
            ).ifaces
        }
        func line(_ name: String, _ mac: String, _ proto: String, _ address: String) {
            c.out(
                " \(NumberText.left(name, 10)) \(NumberText.left(mac, 20)) \(NumberText.left(proto, 8))     \(address)\n"
            )
        }
        if !c.shell.isQuiet {
            c.out(
                " \(NumberText.left("Name", 10)) \(NumberText.left("MAC address", 20)) \(NumberText.left("Protocol", 12)) Address\n"
            )
            c.out(String(repeating: "-", count: 79) + "\n")
        }
        for card in cards where wanted == nil || card.name == wanted {
            let mac = card.hwaddr ?? "N/A"
            if card.addrs.isEmpty { line(card.name, mac, "N/A", "N/A") }
            for (index, address) in card.addrs.enumerated() {
                let kind =
                    address.type == VirIPAddrType.ipv6 ? "ipv6" : address.type == VirIPAddrType.ipv4 ? "ipv4" : ""
                let showsName = index == 0 || full
                line(
                    showsName ? card.name : "-", showsName ? mac : "-", kind, "\(address.addr)/\(address.prefix)")
            }
        }
    }
}
