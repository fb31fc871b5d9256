internal import DomainModel
internal import LibvirtClient
internal import RPCWire

/// `list`, and what tells one domain from another.
extension Run {
    static func list(_ c: Call) throws {
        typealias Flags = VirConnectListAllDomainsFlags
        var flags = c.has("inactive") ? Flags.inactive : c.has("all") ? Flags.active | Flags.inactive : Flags.active
        if c.has("all") { flags = Flags.active | Flags.inactive }
        let states = c.bits(
            ("state-running", Flags.running), ("state-paused", Flags.paused), ("state-shutoff", Flags.shutoff),
            ("state-other", Flags.other))
        flags |= states
        flags |= c.bits(
            ("persistent", Flags.persistent), ("transient", Flags.transient),
            ("with-managed-save", Flags.managedsave), ("without-managed-save", Flags.noManagedsave),
            ("autostart", Flags.autostart), ("no-autostart", Flags.noAutostart),
            ("with-snapshot", Flags.hasSnapshot), ("without-snapshot", Flags.noSnapshot),
            ("with-checkpoint", Flags.hasCheckpoint), ("without-checkpoint", Flags.noCheckpoint))
        for name in ["name", "uuid", "id"] { try c.exclusive("table", name) }
        let domains = try failing("Failed to list domains") {
            try c.ask(Remote.ConnectListAllDomains.self, .init(needResults: 1, flags: flags)).domains
        }.sorted(by: isBefore)
        if c.has("uuid") || c.has("name") || c.has("id") {
            // A number alone is only there where there is one.
            let onlyNumbers = !c.has("uuid") && !c.has("name")
            for domain in domains where !onlyNumbers || domain.id != -1 { c.out(listLine(c, domain)) }
            return
        }
        try listTable(c, domains)
    }

    /// Running ones by number, then the others by name.
    static func isBefore(_ a: RemoteDomain, _ b: RemoteDomain) -> Bool {
        if a.id == -1, b.id == -1 { return isBefore(a.name, b.name) }
        if a.id != -1, b.id != -1 { return a.id < b.id }
        return a.id != -1
    }

    /// Names in the order of their letters, whatever their case.
    static func isBefore(_ a: String, _ b: String) -> Bool {
        let (left, right) = (Array(a.utf8).map(lower), Array(b.utf8).map(lower))
        return left.lexicographicallyPrecedes(right)
    }

    private static func lower(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte + 32 : byte }

    private static func listLine(_ c: Call, _ domain: RemoteDomain) -> String {
        var words: [String] = []
        if c.has("id") { words.append(domain.id == -1 ? "-" : "\(domain.id)") }
        if c.has("uuid") { words.append("\(domain.uuid)") }
        if c.has("name") { words.append(domain.name) }
        return words.joined(separator: " ") + "\n"
    }

    private static func listTable(_ c: Call, _ domains: [RemoteDomain]) throws {
        let withTitle = c.has("title")
        var table = withTitle ? TextTable("Id", "Name", "State", "Title") : TextTable("Id", "Name", "State")
        let client = try c.client
        // All questions first, then all answers: one way to the daemon and back for all.
        var states: [UInt32] = []
        for domain in domains {
            states.append(try client.begin(Remote.DomainGetState.self, .init(dom: domain, flags: 0)))
        }
        for (domain, serial) in zip(domains, states) {
            let state = try? client.answer(Remote.DomainGetState.self, to: serial).state
            var words = state.map(DomainText.state) ?? "no state"
            if c.has("managed-save"), domain.id == -1,
                (try? c.ask(Remote.DomainHasManagedSaveImage.self, .init(dom: domain, flags: 0)).result) ?? 0 != 0
            {
                words = "saved"
            }
            let id = domain.id == -1 ? "-" : "\(domain.id)"
            if withTitle {
                let title =
                    (try? c.ask(
                        Remote.DomainGetMetadata.self,
                        .init(dom: domain, type: VirDomainMetadataType.title, uri: nil, flags: 0)
                    ).metadata) ?? ""
                table.add(id, domain.name, words, title)
            } else {
                table.add(id, domain.name, words)
            }
        }
        c.table(table)
    }

    static func domid(_ c: Call) throws {
        let domain = try c.domain(byID: false)
        c.out(domain.id == -1 ? "-\n" : "\(domain.id)\n")
    }

    static func domname(_ c: Call) throws { c.out("\(try c.domain(byName: false).name)\n") }

    static func domuuid(_ c: Call) throws { c.out("\(try c.domain().uuid)\n") }

    static func domstate(_ c: Call) throws {
        let domain = try c.domain()
        let answer = try c.ask(Remote.DomainGetState.self, .init(dom: domain, flags: 0))
        var text = DomainText.state(answer.state)
        if c.has("reason") { text += " (\(DomainText.reason(answer.state, answer.reason)))" }
        c.out("\(text)\n")
    }

    static func dumpxml(_ c: Call) throws {
        let flags = c.bits(
            ("inactive", VirDomainXMLFlags.inactive), ("security-info", VirDomainXMLFlags.secure),
            ("update-cpu", VirDomainXMLFlags.updateCpu), ("migratable", VirDomainXMLFlags.migratable))
        try printXML(c, try c.xml(of: try c.domain(), flags))
    }

    /// Prints XML, or with `--xpath` the parts that it names.
    static func printXML(_ c: Call, _ xml: String) throws {
        guard let path = c["xpath"] else { return c.out(xml) }
        guard let root = XMLDocument.parse(xml) else { throw CommandFailure("(domain_definition): malformed XML") }
        let found: [String]
        do { found = try XPath(path).texts(root) } catch { throw CommandFailure("\(error)") }
        if c.has("wrap"), !found.isEmpty {
            let lines = found.flatMap { $0.split(separator: "\n") }
            c.out("<nodes>\n" + lines.map { "  \($0)\n" }.joined() + "</nodes>\n")
        } else {
            for text in found { c.out("\(text)\n") }
        }
    }

    static func dominfo(_ c: Call) throws {
        let domain = try c.domain()
        func line(_ label: String, _ value: String) { c.out("\(NumberText.left(label, 15)) \(value)\n") }
        line("Id:", domain.id == -1 ? "-" : "\(domain.id)")
        line("Name:", domain.name)
        line("UUID:", "\(domain.uuid)")
        if let type = try? c.ask(Remote.DomainGetOSType.self, .init(dom: domain)).type { line("OS Type:", type) }
        let info = try c.ask(Remote.DomainGetInfo.self, .init(dom: domain))
        line("State:", DomainText.state(Int32(info.state)))
        line("CPU(s):", "\(info.nrVirtCpu)")
        if info.cpuTime != 0 { line("CPU time:", "\(NumberText.fixed(Double(info.cpuTime) / 1_000_000_000, 1))s") }
        line("Max memory:", info.maxMem == UInt64(UInt32.max) ? "no limit" : "\(info.maxMem) KiB")
        line("Used memory:", "\(info.memory) KiB")
        let persistent = try? c.ask(Remote.DomainIsPersistent.self, .init(dom: domain)).persistent
        line("Persistent:", persistent.map { $0 != 0 ? "yes" : "no" } ?? "unknown")
        if let autostart = try? c.ask(Remote.DomainGetAutostart.self, .init(dom: domain)).autostart {
            line("Autostart:", autostart != 0 ? "enable" : "disable")
        }
        let saved = try? c.ask(Remote.DomainHasManagedSaveImage.self, .init(dom: domain, flags: 0)).result
        line("Managed save:", saved.map { $0 != 0 ? "yes" : "no" } ?? "unknown")
        try securityLines(c, domain, line)
        if let messages = try? c.ask(Remote.DomainGetMessages.self, .init(dom: domain, flags: 0)).msgs {
            for (index, message) in messages.enumerated() { line(index == 0 ? "Messages:" : "", message) }
        }
    }

    private static func securityLines(
        _ c: Call, _ domain: RemoteDomain, _ line: (String, String) -> Void
    ) throws {
        let model: Remote.NodeGetSecurityModel.Result
        do { model = try c.ask(Remote.NodeGetSecurityModel.self, NoPayload()) } catch let error as ClientError {
            if error.isUnsupported { return }
            throw error
        }
        let name = text(model.model)
        guard !name.isEmpty else { return }
        line("Security model:", name)
        line("Security DOI:", text(model.doi))
        guard domain.id != -1 else { return }
        let label = try c.ask(Remote.DomainGetSecurityLabel.self, .init(dom: domain))
        let words = text(label.label)
        if !words.isEmpty {
            line("Security label:", "\(words) (\(label.enforcing != 0 ? "enforcing" : "permissive"))")
        }
    }

    /// Text that travels as signed bytes with a zero at its end.
    static func text(_ bytes: [Int8]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func ttyconsole(_ c: Call) throws {
        let root = XMLDocument.parse(try c.xml(of: try c.domain()))
        guard let tty = root?.first("devices/console")?["tty"] ?? root?.first("devices/console/source")?["path"] else {
            throw CommandFailure()
        }
        c.out("\(tty)\n")
    }

    static func domcontrol(_ c: Call) throws {
        let info = try c.ask(Remote.DomainGetControlInfo.self, .init(dom: try c.domain(), flags: 0))
        let states = ["ok", "background job", "occupied", "error"]
        let words = info.state < 4 ? states[Int(info.state)] : "unknown"
        if info.state == 0 {
            c.out("\(words)\n")
        } else if info.state == 3 {
            let details = ["", "unknown", "monitor failure", "internal (locking) error"]
            c.out("\(words): \(info.details < 4 ? details[Int(info.details)] : "unknown")\n")
        } else {
            c.out("\(words) (\(NumberText.fixed(Double(info.stateTime) / 1000, 3))s)\n")
        }
    }
}
