internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// Descriptions, titles, metadata, and definitions in an editor.
extension Run {
    static func desc(_ c: Call) throws {
        let impact = try c.impact()
        let domain = try c.domain()
        let isTitle = c.has("title")
        let type = isTitle ? VirDomainMetadataType.title : VirDomainMetadataType.description
        let words = c.all("new-desc")
        func current() throws -> String {
            do {
                return try c.ask(
                    Remote.DomainGetMetadata.self, .init(dom: domain, type: type, uri: nil, flags: impact)
                ).metadata
            } catch let error as ClientError {
                if error.code == VirErrorNumber.noDomainMetadata { return "" }
                throw error
            }
        }
        guard c.has("edit") || !words.isEmpty else {
            let text = try current()
            if text.isEmpty {
                return c.say(
                    isTitle ? "No title for domain: \(domain.name)" : "No description for domain: \(domain.name)")
            }
            return c.out(text)
        }
        var text = words.joined(separator: " ")
        if c.has("edit") {
            let old = words.isEmpty ? try current() : text
            text = try Editor.edit(old, c.shell).trimmedEnd
            if text == old {
                return c.say(isTitle ? "Domain title not changed\n" : "Domain description not changed\n")
            }
        }
        try failing(isTitle ? "Failed to set new domain title" : "Failed to set new domain description") {
            try c.ask(
                Remote.DomainSetMetadata.self,
                .init(dom: domain, type: type, metadata: text, key: nil, uri: nil, flags: impact))
        }
        c.say(isTitle ? "Domain title updated successfully" : "Domain description updated successfully")
    }

    static func metadata(_ c: Call) throws {
        let impact = try c.impact()
        for pair in [("edit", "set"), ("remove", "set"), ("remove", "edit")] { try c.exclusive(pair.0, pair.1) }
        let domain = try c.domain()
        let uri = try c.text("uri")
        let element = VirDomainMetadataType.element
        func current() throws -> String {
            try c.ask(
                Remote.DomainGetMetadata.self, .init(dom: domain, type: element, uri: uri, flags: impact)
            ).metadata
        }
        func set(_ text: String?) throws {
            try c.ask(
                Remote.DomainSetMetadata.self,
                .init(dom: domain, type: element, metadata: text, key: c["key"], uri: uri, flags: impact))
        }
        if c.has("remove") {
            try set(nil)
            return c.say("Metadata removed\n")
        }
        if c.has("set") || c.has("edit"), !c.has("key") {
            throw CommandFailure("namespace key is required when modifying metadata")
        }
        if let text = c["set"] {
            try set(text)
            return c.say("Metadata modified\n")
        }
        if c.has("edit") {
            let old = (try? current()) ?? "\n"
            let text = try Editor.edit(old, c.shell)
            if text == old { return c.say("Metadata not changed\n") }
            try set(text)
            return c.say("Metadata modified\n")
        }
        c.out("\(try current())\n")
    }

    static func edit(_ c: Call) throws {
        let domain = try c.domain()
        let flags = VirDomainXMLFlags.inactive | VirDomainXMLFlags.secure
        var validates = !c.has("skip-validate")
        let changed = try Editor.editDefinition(
            c, "Domain '\(domain.name)' XML configuration not changed.\n", read: { try c.xml(of: domain, flags) }
        ) { text in
            do {
                if validates {
                    try c.ask(
                        Remote.DomainDefineXMLFlags.self, .init(xml: text, flags: VirDomainDefineFlags.validate))
                } else {
                    try c.ask(Remote.DomainDefineXML.self, .init(xml: text))
                }
            } catch let error as ClientError where error.isUnsupported && validates {
                validates = false
                try c.ask(Remote.DomainDefineXML.self, .init(xml: text))
            }
        }
        if changed { c.say("Domain '\(domain.name)' XML configuration edited.\n") }
    }

    static func domxmlFromNative(_ c: Call) throws {
        let format = try c.text("format")
        let config = try c.file(try c.text("config"))
        c.out(
            try c.ask(
                Remote.ConnectDomainXMLFromNative.self, .init(nativeFormat: format, nativeConfig: config, flags: 0)
            ).domainXml)
    }

    static func domxmlToNative(_ c: Call) throws {
        let format = try c.text("format")
        try c.exclusive("domain", "xml")
        let xml: String
        if let path = c["xml"] {
            xml = try c.file(path)
        } else if c.has("domain") {
            xml = try c.xml(of: try c.domain())
        } else {
            throw CommandFailure("need either domain or domain XML")
        }
        c.out(
            try c.ask(
                Remote.ConnectDomainXMLToNative.self, .init(nativeFormat: format, domainXml: xml, flags: 0)
            ).nativeConfig
                + "\n")
    }

    static func domdisplay(_ c: Call) throws {
        let domain = try c.domain()
        guard try c.isActive(domain) else { throw CommandFailure("Domain is not running") }
        let flags: UInt32 = c.has("include-password") ? VirDomainXMLFlags.secure : 0
        let root = XMLDocument.parse(try c.xml(of: domain, flags))
        var found: [String] = []
        for graphics in root?.all("devices/graphics") ?? [] {
            let type = graphics["type"] ?? ""
            if let wanted = c["type"], wanted != type { continue }
            guard let text = displayURI(c, type, graphics) else { continue }
            found.append(text)
            if !c.has("all") { break }
        }
        if found.isEmpty {
            throw c["type"].map { CommandFailure("No graphical display with type '\($0)' found") }
                ?? CommandFailure("No graphical display found")
        }
        c.out(c.has("all") ? found.map { $0 + "\n" }.joined() : found.joined())
    }

    private static func displayURI(_ c: Call, _ type: String, _ graphics: XMLTree) -> String? {
        if let socket = graphics["socket"] ?? graphics.child("listen")?["socket"] { return "\(type)+unix://\(socket)" }
        guard ["vnc", "spice", "rdp"].contains(type) else { return nil }
        let port = Int(graphics["port"] ?? "") ?? 0
        let tls = Int(graphics["tlsPort"] ?? "") ?? 0
        guard port > 0 || tls > 0 else { return nil }
        var host = graphics["listen"] ?? graphics.child("listen")?["address"] ?? ""
        // An address that means all of the host's is that of the connection.
        if host.isEmpty || host == "0.0.0.0" || host == "::" {
            let remote = (try? c.client)?.uri?.host ?? ""
            host = remote.isEmpty ? "localhost" : remote
        }
        if host.contains(":") { host = "[\(host)]" }
        var text = "\(type)://"
        let password = graphics["passwd"]
        if let password, type == "vnc" { text += ":\(password)@" }
        text += host
        if port > 0 { text += type == "vnc" ? ":\(port - 5900)" : ":\(port)" }
        var parameters: [String] = []
        if tls > 0 { parameters.append("tls-port=\(tls)") }
        if let password, type == "spice" { parameters.append("password=\(password)") }
        return text + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
    }

    static func vncdisplay(_ c: Call) throws {
        let domain = try c.domain()
        guard try c.isActive(domain) else { throw CommandFailure("Domain is not running") }
        let root = XMLDocument.parse(try c.xml(of: domain))
        guard let vnc = root?.all("devices/graphics").first(where: { $0["type"] == "vnc" }),
            let port = vnc["port"].flatMap({ Int($0) }), port >= 0
        else { throw CommandFailure("Failed to get VNC port. Is this domain using VNC?") }
        let listen = vnc["listen"] ?? vnc.child("listen")?["address"] ?? ""
        c.out("\(listen == "0.0.0.0" ? "" : listen):\(port - 5900)\n")
    }
}

extension String {
    /// Without line ends at the end.
    var trimmedEnd: String {
        var text = self
        while text.last == "\n" { text.removeLast() }
        return text
    }
}
