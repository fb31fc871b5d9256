internal import DomainModel
internal import JSON

/// Serial and parallel ports, channels, consoles, smart cards and redirected devices.
extension QEMUArguments {
    mutating func characters() throws(DefinitionError) {
        for (index, card) in domain.devices.smartcards.enumerated() { try smartCard(card, index) }
        for (index, serial) in domain.devices.serials.enumerated() {
            let alias = serial.info.alias ?? "serial\(index)"
            try chardev(serial.source, "char" + alias, in: "serial", name: nil)
            var object: JSONObject = [
                "driver": .string(serial.target.model ?? "isa-serial"), "chardev": .string("char" + alias),
                "id": .string(alias),
            ]
            if serial.target.model == "isa-serial" || serial.target.model == nil {
                object["index"] = .number(serial.target.port ?? UInt32(index))
            }
            object.place(serial.info, in: domain)
            device(object)
        }
        for (index, parallel) in domain.devices.parallels.enumerated() {
            let alias = parallel.info.alias ?? "parallel\(index)"
            try chardev(parallel.source, "char" + alias, in: "parallel", name: nil)
            device(["driver": "isa-parallel", "chardev": .string("char" + alias), "id": .string(alias)])
        }
        for (index, channel) in domain.devices.channels.enumerated() { try self.channel(channel, index) }
        for (index, console) in domain.devices.consoles.enumerated() where console.target.type == "virtio" {
            let alias = console.info.alias ?? "console\(index)"
            try chardev(console.source, "char" + alias, in: "console", name: nil)
            var object: JSONObject = ["driver": "virtconsole"]
            port(console.info, &object)
            object["chardev"] = .string("char" + alias)
            object["id"] = .string(alias)
            device(object)
        }
    }

    private func port(_ info: DeviceInfo, _ object: inout JSONObject) {
        guard case .virtioSerial(let controller, _, let port)? = info.address else { return }
        object["bus"] = .string("virtio-serial\(controller).0")
        object["nr"] = .number(port)
    }

    private mutating func channel(_ channel: Channel, _ index: Int) throws(DefinitionError) {
        let alias = channel.info.alias ?? "channel\(index)"
        try chardev(channel.source, "char" + alias, in: "channel", name: channel.target.name)
        if channel.target.type == "guestfwd" {
            add(
                "-netdev",
                [
                    "type": "user",
                    "guestfwd": .array([
                        .object([
                            "str": .string(
                                "tcp:\(channel.target.address ?? ""):\(channel.target.port ?? "0")-chardev:char\(alias)"
                            )
                        ])
                    ]), "id": .string(alias),
                ])
            return
        }
        var object: JSONObject = ["driver": "virtserialport"]
        port(channel.info, &object)
        object["chardev"] = .string("char" + alias)
        object["id"] = .string(alias)
        object.set("name", channel.target.name ?? (channel.source.type == .spicevmc ? "com.redhat.spice.0" : nil))
        device(object)
    }

    private mutating func smartCard(_ card: SmartCard, _ index: Int) throws(DefinitionError) {
        let alias = card.info.alias ?? "smartcard\(index)"
        var object = JSONObject()
        switch card.mode {
        case "passthrough":
            try chardev(card.source, "char" + alias, in: "smartcard", name: nil)
            object = ["driver": "ccid-card-passthru", "chardev": .string("char" + alias)]
        default:
            object = ["driver": "ccid-card-emulated"]
            object["backend"] = .string(card.mode == "host" ? "nss-emulated" : "certificates")
            for (number, name) in card.certificates.enumerated() { object["cert\(number + 1)"] = .string(name) }
            object.set("db", card.database)
        }
        object["id"] = .string(alias)
        object.place(card.info, in: domain)
        device(object)
    }

    func reconnect(_ reconnect: Reconnect?) -> String {
        guard let reconnect else { return "" }
        return ",reconnect=\(reconnect.enabled.isYes ? reconnect.timeout ?? 0 : 0)"
    }

    /// Where a channel's socket is that names none.
    public static func channelPath(folder: String, name: String) -> String {
        // A name is a guest's matter, and may hold anything.
        "\(folder)/\(String(name.map { $0 == "/" ? "_" : $0 }))"
    }

    /// `-chardev`.
    mutating func chardev(
        _ source: CharacterSource, _ id: String, in kind: String, name: String?
    ) throws(DefinitionError) {
        var text: String
        let end = source.ends.first
        let path = end?.path.map { Self.escaped($0) }
        switch source.type {
        case .null, nil: text = "null,id=\(id)"
        case .vc: text = "vc,id=\(id)"
        case .pty: text = "pty,id=\(id)"
        case .stdio: text = "stdio,id=\(id)"
        case .dev: text = (kind == "parallel" ? "parallel" : "serial") + ",id=\(id),path=\(path ?? "")"
        case .file:
            text = "file,id=\(id),path=\(path ?? "")"
            if let append = end?.append { text += ",append=\(append.rawValue)" }
        case .pipe: text = "pipe,id=\(id),path=\(path ?? "")"
        case .udp:
            let bind = source.ends.first { $0.mode == "bind" }
            let connect = source.ends.first { $0.mode == "connect" } ?? end
            text = "udp,id=\(id),host=\(Self.escaped(connect?.host ?? "")),port=\(Self.escaped(connect?.service ?? ""))"
            text += ",localaddr=\(Self.escaped(bind?.host ?? "")),localport=\(Self.escaped(bind?.service ?? "0"))"
        case .tcp:
            text = "socket,id=\(id),host=\(Self.escaped(end?.host ?? "")),port=\(Self.escaped(end?.service ?? ""))"
            if source.networkProtocol == "telnet" { text += ",telnet=on" }
            text += end?.mode == "bind" ? ",server=on,wait=off" : reconnect(end?.reconnect)
        case .unix:
            let own = Self.channelPath(folder: plan.folder, name: name ?? id)
            text = "socket,id=\(id),path=\(path ?? Self.escaped(own))"
            text += end == nil || end?.mode != "connect" ? ",server=on,wait=off" : reconnect(end?.reconnect)
        case .spicevmc:
            let names = ["channel": "vdagent", "smartcard": "smartcard", "redirdev": "usbredir"]
            text = "spicevmc,id=\(id),name=\(names[kind] ?? "vdagent")"
        case .spiceport: text = "spiceport,id=\(id),name=\(Self.escaped(end?.channel ?? ""))"
        case .vdagent:
            text = "qemu-vdagent,id=\(id),name=vdagent"
            if let clipboard = end?.clipboardCopyPaste { text += ",clipboard=\(clipboard.isYes ? "on" : "off")" }
            if let mouse = end?.mouseMode { text += ",mouse=\(mouse == "client" ? "on" : "off")" }
        case .dbus: text = "dbus,id=\(id),name=\(Self.escaped(end?.channel ?? ""))"
        case .nmdm:
            throw DefinitionError(.configUnsupported, "unsupported configuration: unsupported chardev 'nmdm'")
        }
        if let log = source.log {
            text += ",logfile=\(Self.escaped(log.file))"
            // Who keeps logs small makes them shorter: what follows must go to their end.
            if plan.logsConsoles {
                text += ",logappend=on"
            } else if let append = log.append {
                text += ",logappend=\(append.rawValue)"
            }
        } else if plan.logsConsoles, source.type == .pty, kind == "serial" || kind == "console" {
            text += ",logfile=\(Self.escaped("\(plan.folder)/\(id).log")),logappend=on"
        }
        add("-chardev", text)
    }
}
