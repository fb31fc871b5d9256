internal import HostOS
internal import LibvirtClient
internal import RPCWire

/// States that are kept: saved, managed, dumped; and pictures.
extension Run {
    private static func saveFlags(_ c: Call) throws -> UInt32 {
        try c.exclusive("running", "paused")
        return c.bits(
            ("bypass-cache", VirDomainSaveRestoreFlags.bypassCache), ("running", VirDomainSaveRestoreFlags.running),
            ("paused", VirDomainSaveRestoreFlags.paused), ("reset-nvram", VirDomainSaveRestoreFlags.resetNvram))
    }

    /// Paths of files are the daemon's: relative ones begin at our working folder.
    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        return (HostFile.workingFolder ?? "") + "/" + path
    }

    static func save(_ c: Call) throws {
        let flags = try saveFlags(c)
        let domain = try c.domain()
        let path = try c.text("file")
        let xml = try c["xml"].map { try c.file($0) }
        try failing("Failed to save domain '\(domain.name)' to \(path)") {
            if flags != 0 || xml != nil {
                try JobProgress.run(
                    c, domain, "Save", Remote.DomainSaveFlags.self,
                    .init(dom: domain, to: absolute(path), dxml: xml, flags: flags))
            } else {
                try JobProgress.run(
                    c, domain, "Save", Remote.DomainSave.self, .init(dom: domain, to: absolute(path)))
            }
        }
        c.say("\nDomain '\(domain.name)' saved to \(path)\n")
    }

    static func restore(_ c: Call) throws {
        let flags = try saveFlags(c)
        let path = try c.text("file")
        let xml = try c["xml"].map { try c.file($0) }
        try failing("Failed to restore domain from \(path)") {
            if flags != 0 || xml != nil {
                try c.ask(Remote.DomainRestoreFlags.self, .init(from: absolute(path), dxml: xml, flags: flags))
            } else {
                try c.ask(Remote.DomainRestore.self, .init(from: absolute(path)))
            }
        }
        c.say("Domain restored from \(path)\n")
    }

    static func saveImageDumpxml(_ c: Call) throws {
        let path = try c.text("file")
        let flags: UInt32 = c.has("security-info") ? VirDomainSaveImageXMLFlags.secure : 0
        try printXML(
            c, try c.ask(Remote.DomainSaveImageGetXMLDesc.self, .init(file: absolute(path), flags: flags)).xml)
    }

    static func saveImageDefine(_ c: Call) throws {
        let flags = try saveFlags(c)
        let path = try c.text("file")
        let xml = try c.file(try c.text("xml"))
        try failing("Failed to update \(path)") {
            try c.ask(
                Remote.DomainSaveImageDefineXML.self, .init(file: absolute(path), dxml: xml, flags: flags))
        }
        c.say("State file \(path) updated.\n")
    }

    static func saveImageEdit(_ c: Call) throws {
        let flags = try saveFlags(c)
        let path = try c.text("file")
        let changed = try Editor.editDefinition(
            c, "Saved image \(path) XML configuration not changed.\n",
            read: {
                try c.ask(
                    Remote.DomainSaveImageGetXMLDesc.self,
                    .init(file: absolute(path), flags: VirDomainSaveImageXMLFlags.secure)
                ).xml
            }
        ) { text in
            try c.ask(
                Remote.DomainSaveImageDefineXML.self, .init(file: absolute(path), dxml: text, flags: flags))
        }
        if changed { c.say("State file \(path) edited.\n") }
    }

    static func managedsave(_ c: Call) throws {
        let flags = try saveFlags(c)
        let domain = try c.domain()
        try failing("Failed to save domain '\(domain.name)' state") {
            try JobProgress.run(
                c, domain, "Managedsave", Remote.DomainManagedSave.self, .init(dom: domain, flags: flags))
        }
        c.say("\nDomain '\(domain.name)' state saved by libvirt\n")
    }

    static func managedsaveRemove(_ c: Call) throws {
        let domain = try c.domain()
        let has = try failing("Failed to check for domain managed save image") {
            try c.ask(Remote.DomainHasManagedSaveImage.self, .init(dom: domain, flags: 0)).result != 0
        }
        guard has else { return c.say("Domain '\(domain.name)' has no manage save image; removal skipped") }
        try failing("Failed to remove managed save image for domain '\(domain.name)'") {
            try c.ask(Remote.DomainManagedSaveRemove.self, .init(dom: domain, flags: 0))
        }
        c.say("Removed managedsave image for domain '\(domain.name)'")
    }

    private static func managedXML(_ c: Call, _ domain: RemoteDomain, _ flags: UInt32) throws -> String {
        try c.ask(Remote.DomainManagedSaveGetXMLDesc.self, .init(dom: domain, flags: flags)).xml
    }

    static func managedsaveDumpxml(_ c: Call) throws {
        let flags: UInt32 = c.has("security-info") ? VirDomainSaveImageXMLFlags.secure : 0
        try printXML(c, try managedXML(c, try c.domain(), flags))
    }

    static func managedsaveDefine(_ c: Call) throws {
        let flags = try saveFlags(c)
        let xml = try c.file(try c.text("xml"))
        let domain = try c.domain()
        try failing("Failed to update XML of managed save state file") {
            try c.ask(Remote.DomainManagedSaveDefineXML.self, .init(dom: domain, dxml: xml, flags: flags))
        }
        c.say("Managed save state file of domain '\(domain.name)' updated.\n")
    }

    static func managedsaveEdit(_ c: Call) throws {
        let flags = try saveFlags(c)
        let domain = try c.domain()
        let changed = try Editor.editDefinition(
            c, "Managed save image of domain '\(domain.name)' XML configuration not changed.\n",
            read: { try managedXML(c, domain, VirDomainSaveImageXMLFlags.secure) }
        ) { text in
            try c.ask(Remote.DomainManagedSaveDefineXML.self, .init(dom: domain, dxml: text, flags: flags))
        }
        if changed { c.say("Managed save image of Domain '\(domain.name)' XML configuration edited.\n") }
    }

    static func dump(_ c: Call) throws {
        for pair in [("live", "crash"), ("live", "reset")] { try c.exclusive(pair.0, pair.1) }
        let domain = try c.domain()
        let path = try c.text("file")
        typealias Flags = VirDomainCoreDumpFlags
        let flags = c.bits(
            ("live", Flags.live), ("crash", Flags.crash), ("bypass-cache", Flags.bypassCache), ("reset", Flags.reset),
            ("memory-only", Flags.memoryOnly))
        var format: UInt32 = 0
        if let name = c["format"] {
            guard c.has("memory-only") else { throw CommandFailure("--format only works with --memory-only") }
            let names = ["elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "win-dmp"]
            guard let place = names.firstIndex(of: name) else {
                throw CommandFailure(
                    "format '\(name)' is not supported, expecting 'kdump-zlib', 'kdump-lzo', 'kdump-snappy', 'win-dmp' or 'elf'"
                )
            }
            format = UInt32(place)
        }
        try failing("Failed to core dump domain '\(domain.name)' to \(path)") {
            if format != 0 {
                try JobProgress.run(
                    c, domain, "Dump", Remote.DomainCoreDumpWithFormat.self,
                    .init(dom: domain, to: absolute(path), dumpformat: format, flags: flags))
            } else {
                try JobProgress.run(
                    c, domain, "Dump", Remote.DomainCoreDump.self,
                    .init(dom: domain, to: absolute(path), flags: flags))
            }
        }
        c.say("\nDomain '\(domain.name)' dumped to \(path)\n")
    }

    static func screenshot(_ c: Call) throws {
        let domain = try c.domain()
        let screen = try c.number("screen", UInt32.self) ?? 0
        let (answer, stream) = try failing("could not take a screenshot of \(domain.name)") {
            try c.client.openStream(Remote.DomainScreenshot.self, .init(dom: domain, screen: screen, flags: 0))
        }
        let mime = answer.mime ?? ""
        let path = c["file"] ?? "\(domain.name)-\(fileStamp())\(suffix(mime))"
        try failing("could not receive data from domain '\(domain.name)'") { try Transfer.download(stream, path) }
        c.say("Screenshot saved to \(path), with type of \(mime)")
    }

    private static func fileStamp() -> String {
        let text = TimeText.dateTime(Int64(HostClock.realtime / 1_000_000_000))
        return text.split(separator: " ").joined(separator: "-")
    }

    private static func suffix(_ mime: String) -> String {
        mime == "image/x-portable-pixmap" ? ".ppm" : mime == "image/png" ? ".png" : ""
    }
}
