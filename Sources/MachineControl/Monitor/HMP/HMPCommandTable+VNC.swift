internal import Machine
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
            try checkProtocol(arguments)
            guard ["keep", nil].contains(arguments.words["connected"]) else {
                throw .generic("'connected' must be 'keep' for vnc")
            }
            try monitored { () throws(MachineError) in
                try monitor.machine.setVNCPassword(arguments.words["password"] ?? "", display: nil)
            }
            return ""
        },
        HMPCommand(
            "expire_password", [HMPArgument("protocol", .word), HMPArgument("time", .word)],
            "set spice/vnc password expire-time"
        ) { (monitor, arguments, _) throws(MonitorError) in
            try checkProtocol(arguments)
            let time = try QMPCommandTable.expiry(arguments.words["time"] ?? "")
            try monitored { () throws(MachineError) in try monitor.machine.setVNCExpiry(time, display: nil) }
            return ""
        },
    ]

    private static func checkProtocol(_ arguments: HMPArguments) throws(MonitorError) {
        guard arguments.words["protocol"] == "vnc" else { throw .generic("SPICE is not supported; use vnc") }
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
