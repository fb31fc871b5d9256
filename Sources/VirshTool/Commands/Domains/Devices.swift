internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Devices that come, go and change.
extension Run {
    static func attach(_ c: Call, _ domain: RemoteDomain, _ xml: String, _ flags: UInt32) throws {
        if flags != 0 || c.has("current") {
            try c.ask(Remote.DomainAttachDeviceFlags.self, .init(dom: domain, xml: xml, flags: flags))
        } else {
            try c.ask(Remote.DomainAttachDevice.self, .init(dom: domain, xml: xml))
        }
    }

    static func detach(_ c: Call, _ domain: RemoteDomain, _ xml: String, _ flags: UInt32) throws {
        if flags != 0 || c.has("current") {
            try c.ask(Remote.DomainDetachDeviceFlags.self, .init(dom: domain, xml: xml, flags: flags))
        } else {
            try c.ask(Remote.DomainDetachDevice.self, .init(dom: domain, xml: xml))
        }
    }

    static func attachDevice(_ c: Call) throws {
        let domain = try c.domain()
        let path = try c.text("file")
        let flags = try c.deviceImpact(domain)
        let xml = try c.file(path)
        try failing("Failed to attach device from \(path)") { try attach(c, domain, xml, flags) }
        c.say("Device attached successfully\n")
    }

    static func detachDevice(_ c: Call) throws {
        let domain = try c.domain()
        let path = try c.text("file")
        let flags = try c.deviceImpact(domain)
        let xml = try c.file(path)
        try failing("Failed to detach device from \(path)") { try detach(c, domain, xml, flags) }
        c.say("Device detached successfully\n")
    }

    static func detachDeviceAlias(_ c: Call) throws {
        let domain = try c.domain()
        let alias = try c.text("alias")
        let flags = try c.impact()
        try failing("Failed to detach device with alias \(alias)") {
            try c.ask(Remote.DomainDetachDeviceAlias.self, .init(dom: domain, alias: alias, flags: flags))
        }
        c.say("Device detach request sent successfully\n")
    }

    static func updateDevice(_ c: Call) throws {
        let domain = try c.domain()
        let path = try c.text("file")
        var flags = try c.deviceImpact(domain)
        let xml = try c.file(path)
        if c.has("force") { flags |= VirDomainDeviceModifyFlags.force }
        try failing("Failed to update device from \(path)") {
            try c.ask(Remote.DomainUpdateDeviceFlags.self, .init(dom: domain, xml: xml, flags: flags))
        }
        c.say("Device updated successfully\n")
    }

    // MARK: - Disks

    static func attachDisk(_ c: Call) throws {
        let source = c["source"] ?? ""
        let target = try c.text("target")
        let domain = try c.domain()
        let flags = try c.deviceImpact(domain)
        try c.requires("source-host-name", "source-protocol")
        try c.requires("source-host-transport", "source-protocol")
        try c.requires("source-host-socket", "source-protocol")
        let isNetwork = c.has("source-protocol")
        let kind: String
        switch c["sourcetype"] {
        case "file", "block", "network": kind = c["sourcetype"] ?? ""
        case let other?: throw CommandFailure("Unknown source type: '\(other)'")
        case nil:
            kind = isNetwork ? "network" : isBlockDevice(source) ? "block" : "file"
        }
        if let mode = c["mode"], mode != "readonly", mode != "shareable" {
            throw CommandFailure("No support for \(mode) in command 'attach-disk'")
        }
        var xml = XMLText("disk", [("type", kind)] + (c["type"].map { [("device", $0)] } ?? []))
        if c.has("rawio") { xml.attributes.append(("rawio", "yes")) }
        let driver: [(String, String)] = [
            c["driver"].map { ("name", $0) }, c["subdriver"].map { ("type", $0) },
            c["iothread"].map { ("iothread", $0) },
            c["cache"].map { ("cache", $0) }, c["io"].map { ("io", $0) },
        ].compactMap { $0 }
        if !driver.isEmpty { xml.add("driver", driver) }
        if !source.isEmpty || isNetwork { xml.children.append(sourceXML(c, kind, source)) }
        xml.add("target", [("dev", target)] + (c["targetbus"].map { [("bus", $0)] } ?? []))
        if let mode = c["mode"] { xml.add(mode, []) }
        if let serial = c["serial"] { xml.add("serial", text: serial) }
        if let alias = c["alias"] { xml.add("alias", [("name", alias)]) }
        if let wwn = c["wwn"] { xml.add("wwn", text: wwn) }
        if let address = c["address"] {
            xml.add(
                "address",
                try DeviceAddressText.attributes(address, target: target, multifunction: c.has("multifunction")))
        }
        let text = xml.written()
        if c.has("print-xml") { return c.out(text) }
        try failing("Failed to attach disk") { try attach(c, domain, text, flags) }
        c.say("Disk attached successfully\n")
    }

    private static func isBlockDevice(_ path: String) -> Bool { HostPath.isBlockDevice(path) }

    private static func sourceXML(_ c: Call, _ kind: String, _ source: String) -> XMLText {
        switch kind {
        case "block": return XMLText("source", [("dev", source)])
        case "network":
            var xml = XMLText(
                "source", [("protocol", c["source-protocol"] ?? "")] + (source.isEmpty ? [] : [("name", source)]))
            var host: [(String, String)] = []
            if let transport = c["source-host-transport"] { host.append(("transport", transport)) }
            if let socket = c["source-host-socket"] { host.append(("socket", socket)) }
            if let name = c["source-host-name"] {
                // A port stands behind the last colon, except in an address of IPv6 without brackets.
                let parts = name.split(separator: ":", omittingEmptySubsequences: false)
                if name.hasPrefix("["), let close = name.lastIndex(of: "]") {
                    host.append(("name", String(name[name.index(after: name.startIndex)..<close])))
                    let rest = name[name.index(after: close)...]
                    if rest.hasPrefix(":") { host.append(("port", String(rest.dropFirst()))) }
                } else if parts.count == 2 {
                    host += [("name", String(parts[0])), ("port", String(parts[1]))]
                } else {
                    host.append(("name", name))
                }
            }
            if !host.isEmpty { xml.add("host", host) }
            return xml
        default: return XMLText("source", [("file", source)])
        }
    }

    /// A disk's element in a definition: by its target or its source.
    private static func disk(_ xml: String, _ path: String, changeable: Bool = false) throws -> XMLTree {
        guard let root = XMLDocument.parse(xml) else { throw CommandFailure("Failed to get disk information") }
        let disks = root.all("devices/disk").filter { disk in
            !changeable || disk["device"] == "cdrom" || disk["device"] == "floppy"
        }
        if let found = disks.first(where: { disk in
            let source = disk.child("source")
            return disk.child("target")?["dev"] == path
                || ["file", "dev", "dir", "name"].contains { source?[$0] == path && !path.isEmpty }
        }) {
            return found
        }
        throw CommandFailure(
            changeable
                ? "No disk found whose source path or target is \(path)"
                : "No disk found whose source path or target is \(path)")
    }

    static func detachDisk(_ c: Call) throws {
        let domain = try c.domain()
        let flags = try c.deviceImpact(domain)
        let target = try c.text("target")
        let xml = try c.xml(of: domain, flags == VirDomainModificationImpact.config ? VirDomainXMLFlags.inactive : 0)
        let found = try disk(xml, target)
        let text = XMLWriter.write(found)
        if c.has("print-xml") { return c.out(NodeText.dump(found, depth: 2)) }
        try failing("Failed to detach disk") { try detach(c, domain, text, flags) }
        c.say("Disk detached successfully\n")
    }

    static func changeMedia(_ c: Call) throws {
        for pair in [("eject", "insert"), ("eject", "update"), ("insert", "update"), ("eject", "block")] {
            try c.exclusive(pair.0, pair.1)
        }
        let path = try c.text("path")
        let source = c["source"]
        let isEject = c.has("eject")
        if isEject, source != nil { throw CommandFailure("The disk device '\(path)' doesn't have media") }
        let domain = try c.domain()
        var flags = try c.impact()
        if c.has("force") { flags |= VirDomainDeviceModifyFlags.force }
        let xml = try c.xml(
            of: domain, flags & 3 == VirDomainModificationImpact.config ? VirDomainXMLFlags.inactive : 0)
        var found = try disk(xml, path, changeable: true)
        let hasMedia = found.child("source").map { !$0.attributes.filter { $0.name != "index" }.isEmpty } ?? false
        let action = isEject ? "eject" : c.has("insert") ? "insert" : "update"
        if isEject, !hasMedia { throw CommandFailure("The disk device '\(path)' doesn't have media") }
        if action == "insert", hasMedia { throw CommandFailure("The disk device '\(path)' already has media") }
        if action != "eject", source == nil, !(action == "update") {
            throw CommandFailure("New disk media source was not specified")
        }
        let rest = found.nodes.filter { node in
            if case .element(let child) = node { return !["source", "backingStore", "mirror"].contains(child.name) }
            return true
        }
        found.nodes = rest
        let isBlock = c.has("block") || source.map { HostPath.isBlockDevice($0) } ?? false
        found.attributes = found.attributes.map { attribute in
            attribute.name == "type" ? XMLAttribute("type", isBlock ? "block" : "file") : attribute
        }
        if let source, !source.isEmpty {
            let element = XMLTree("source", attributes: [XMLAttribute(isBlock ? "dev" : "file", source)])
            let place = found.nodes.firstIndex {
                if case .element(let child) = $0 { child.name == "target" } else { false }
            }
            found.nodes.insert(.element(element), at: place ?? found.nodes.count)
        }
        let text = XMLWriter.write(found)
        if c.has("print-xml") { return c.out(NodeText.dump(found, depth: 2)) }
        try failing("Failed to complete action \(action) on media") {
            try c.ask(Remote.DomainUpdateDeviceFlags.self, .init(dom: domain, xml: text, flags: flags))
        }
        let done = ["eject": "ejected", "insert": "inserted", "update": "updated"][action] ?? action
        c.say("Successfully \(done) media.")
    }

    static func domblkthreshold(_ c: Call) throws {
        let threshold = try c.scaled("threshold", scale: 1) ?? 0
        let device = try c.text("dev")
        let domain = try c.domain()
        try c.ask(
            Remote.DomainSetBlockThreshold.self, .init(dom: domain, dev: device, threshold: threshold, flags: 0))
    }

    static func blockresize(_ c: Call) throws {
        let path = try c.text("path")
        var size = try c.scaled("size", scale: 1024) ?? 0
        var flags: UInt32 = 0
        if size % 1024 == 0 { size /= 1024 } else { flags = VirDomainBlockResizeFlags.bytes }
        let domain = try c.domain()
        try failing("Failed to resize block device '\(path)'") {
            try c.ask(Remote.DomainBlockResize.self, .init(dom: domain, disk: path, size: size, flags: flags))
        }
        c.say("Block device '\(path)' is resized")
    }

    // MARK: - Memory devices

    static func updateMemoryDevice(_ c: Call) throws {
        let domain = try c.domain()
        let flags = try c.deviceImpact(domain)
        let alias = c["alias"]
        let node = try c.number("node", UInt32.self)
        try c.exclusive("alias", "node")
        let xml = try c.xml(
            of: domain, flags & VirDomainModificationImpact.config != 0 ? VirDomainXMLFlags.inactive : 0)
        let all = XMLDocument.parse(xml)?.all("devices/memory") ?? []
        let found = all.filter { device in
            if let alias { return device.child("alias")?["name"] == alias }
            if let node { return device.first("target/node")?.text == "\(node)" }
            return true
        }
        if found.isEmpty { throw CommandFailure("no memory device found") }
        if found.count > 1 {
            throw CommandFailure("multiple memory devices found, use --alias or --node to select one")
        }
        var device = found[0]
        if let size = try c.scaled("requested-size", scale: 1024) {
            device = device.replacing("target") { target in
                target.replacing("requested") { _ in
                    XMLTree(
                        "requested", attributes: [XMLAttribute("unit", "KiB")], nodes: [.text("\(size / 1024)")])
                }
            }
        }
        let text = XMLWriter.write(device)
        if c.has("print-xml") { return c.out(text) }
        try failing("Failed to update memory device") {
            try c.ask(Remote.DomainUpdateDeviceFlags.self, .init(dom: domain, xml: text, flags: flags))
        }
    }
}

extension XMLTree {
    /// The same with one child changed.
    func replacing(_ name: String, _ change: (XMLTree) -> XMLTree) -> XMLTree {
        var copy = self
        copy.nodes = nodes.map { node in
            if case .element(let child) = node, child.name == name { return .element(change(child)) }
            return node
        }
        return copy
    }
}
