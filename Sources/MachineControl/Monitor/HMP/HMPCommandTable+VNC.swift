internal import JSON
internal import Machine
internal import SPICE
internal import VNC

extension HMPCommandTable {
    /// VNC servers.
    static let vnc: [HMPCommand] = [
        HMPCommand(
            "set_password",
            [
                HMPArgument("protocol", .word), HMPArgument("password", .word),
                HMPArgument("connected", .word, optional: true),
            ], "set spice/vnc password"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let password = arguments.words["password"] ?? ""
            if try isSPICE(arguments) {
                let action = try QMPCommandTable.passwordAction(arguments.words["connected"])
                try monitored { () throws(MachineError) in try monitor.machine.setSPICEPassword(password, action) }
                return ""
            }
            guard ["keep", nil].contains(arguments.words["connected"]) else {
                throw .generic("'connected' must be 'keep' for vnc")
            }
            try monitored { () throws(MachineError) in
                try monitor.machine.setVNCPassword(password, display: nil)
            }
            return ""
        },
        HMPCommand(
            "expire_password", [HMPArgument("protocol", .word), HMPArgument("time", .word)],
            "set spice/vnc password expire-time"
        ) { (monitor, arguments, _) throws(MonitorError) in
            let isSPICE = try isSPICE(arguments)
            let time = try QMPCommandTable.expiry(arguments.words["time"] ?? "")
            try monitored { () throws(MachineError) in
                if isSPICE { return try monitor.machine.setSPICEExpiry(time) }
                try monitor.machine.setVNCExpiry(time, display: nil)
            }
            return ""
        },
        HMPCommand(
            "client_migrate_info",
            [
                HMPArgument("protocol", .word), HMPArgument("hostname", .word),
                HMPArgument("port", .expression, optional: true), HMPArgument("tls-port", .expression, optional: true),
                HMPArgument("cert-subject", .word, optional: true),
            ], "set migration information for remote display"
        ) { (monitor, arguments, _) throws(MonitorError) in
            var values = JSONObject()
            for (name, word) in arguments.words { values[name] = .string(word) }
            for (name, number) in arguments.numbers { values[name] = .number(number) }
            try QMPCommandTable.moveClient(monitor.machine, values)
            return ""
        },
    ]

    private static func isSPICE(_ arguments: HMPArguments) throws(MonitorError) -> Bool {
        switch arguments.words["protocol"] {
        case "spice": return true
        case "vnc": return false
        case let other: throw .generic("'\(printable(other ?? ""))' is no protocol; valid: vnc, spice")
        }
    }

    /// `info spice`.
    static let infoSPICE = HMPCommand("spice", "show the spice server status") { (monitor, _, _) throws(MonitorError) in
        guard let server = monitor.machine.spiceServer else { return "Server: disabled\n" }
        var text = "Server:\n"
        let host = printable(server.host)
        if let port = server.port { text += "     address: \(host):\(port)\n" }
        if let port = server.tlsPort { text += "     address: \(host):\(port) [tls]\n" }
        if server.family == "unix" { text += "     address: \(host)\n" }
        text += "    migrated: \(server.hasMoved)\n        auth: \(server.authentication)\n  mouse-mode: \(server.mouseMode)\n"
        if server.channels.isEmpty { return text + "Channels: none\n" }
        for channel in server.channels {
            text += "Channel:\n     address: \(printable(channel.host)):\(channel.port)\(channel.isSecure ? " [tls]" : "")\n"
            text += "     session: \(channel.session)\n"
            text += "     channel: \(channel.kind.rawValue):\(channel.channel)\n     channel name: \(channel.kind.name)\n"
        }
        return text
    }

    /// `info vnc`.
    static let infoVNC = HMPCommand("vnc", "show the vnc server status") { (monitor, _, _) throws(MonitorError) in
        let servers = monitor.machine.vncServers
        if servers.isEmpty { return "None\n" }
        func place(_ host: String, _ service: String, _ family: String) -> String {
            "\(family == "unix" ? "" : "\(host):")\(service) (\(family))"
        }
        var text = ""
        for server in servers {
            text += "\(printable(server.id)):\n"
            if let service = server.service {
                text += "  Server: \(printable(place(server.host ?? "", service, server.family)))\n"
                text += "    Auth: \(server.authentication) (Sub: \(server.subAuthentication ?? "none"))\n"
            } else {
                text += "  Auth: \(server.authentication) (Sub: \(server.subAuthentication ?? "none"))\n"
            }
            for viewer in server.viewers {
                text += "  Client: \(printable(place(viewer.host, viewer.service, viewer.family)))\n"
                text += "    x509_dname: none\n    sasl_username: none\n"
            }
        }
        return text
    }
}
