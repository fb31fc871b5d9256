internal import JSON
internal import Machine
internal import SPICE

extension QMPCommandTable {
    private static let place = [
        SchemaMember("host", .string), SchemaMember("port", .string), SchemaMember("family", .string),
    ]
    private static let channelType = SchemaObject(
        "SpiceChannel",
        place + [
            SchemaMember("connection-id", .integer), SchemaMember("channel-type", .integer),
            SchemaMember("channel-id", .integer), SchemaMember("tls", .boolean),
        ])

    /// The SPICE server.
    static let spice: [QMPCommand] = [
        QMPCommand(
            "query-spice",
            returns: .object(
                SchemaObject(
                    "SpiceInfo",
                    [
                        SchemaMember("enabled", .boolean), SchemaMember("migrated", .boolean),
                        SchemaMember("host", .string, optional: true), SchemaMember("port", .integer, optional: true),
                        SchemaMember("tls-port", .integer, optional: true),
                        SchemaMember("auth", .string, optional: true),
                        SchemaMember("mouse-mode", .enumeration("SpiceQueryMouseMode", ["client", "server", "unknown"])),
                        SchemaMember("channels", .array(.object(channelType)), optional: true),
                    ]))
        ) { (context, _) throws(MonitorError) in
            guard let server = context.machine.spiceServer else {
                return ["enabled": false, "migrated": false, "mouse-mode": "unknown"]
            }
            var answer: JSONObject = [
                "enabled": true, "migrated": .bool(server.hasMoved), "host": .string(server.host),
                "auth": .string(server.authentication), "mouse-mode": .string(server.mouseMode),
                "channels": .array(server.channels.map { .object(channel($0)) }),
            ]
            if let port = server.port { answer["port"] = .number(port) }
            if let port = server.tlsPort { answer["tls-port"] = .number(port) }
            return .object(answer)
        },
        QMPCommand(
            "client_migrate_info",
            [
                SchemaMember("protocol", .string), SchemaMember("hostname", .string),
                SchemaMember("port", .integer, optional: true), SchemaMember("tls-port", .integer, optional: true),
                SchemaMember("cert-subject", .string, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            try moveClient(context.machine, arguments)
            return [:]
        },
    ]

    /// What `client_migrate_info` of either monitor asks for.
    static func moveClient(_ machine: any MachineOperations, _ arguments: JSONObject) throws(MonitorError) {
        func word(_ name: String) -> String? { arguments[name]?.stringValue }
        func port(_ name: String) throws(MonitorError) -> UInt16 {
            guard let number = arguments[name] else { return 0 }
            guard let port = number.uint64Value.flatMap({ UInt16(exactly: $0) }) else {
                throw .generic("\(number) is no port for '\(name)', which is from 0 to 65535")
            }
            return port
        }
        guard word("protocol") == "spice" else { throw .generic("Parameter 'protocol' expects 'spice'") }
        guard machine.spiceServer != nil else { throw .generic("SPICE is not in use") }
        let (plain, secure) = (try port("port"), try port("tls-port"))
        guard plain != 0 || secure != 0 else { throw .generic("Parameter 'port/tls-port' is missing") }
        let (host, subject) = (word("hostname") ?? "", word("cert-subject"))
        guard !host.isEmpty, host.utf8.count < 256 else { throw .generic("'\(printable(host))' is no name of a host") }
        guard subject?.utf8.count ?? 0 < 1024 else { throw .generic("The subject of a certificate is too long") }
        try monitored { () throws(MachineError) in
            try machine.setSPICEDestination(
                SPICEDestination(host: host, port: plain, tlsPort: secure, subject: subject))
        }
    }

    private static func client(_ channel: SPICEChannelStatus) -> JSONObject {
        ["host": .string(channel.host), "port": .string(channel.port), "family": .string(channel.family)]
    }
    private static func channel(_ channel: SPICEChannelStatus) -> JSONObject {
        var object = client(channel)
        object["connection-id"] = .number(UInt64(channel.session))
        object["channel-type"] = .number(Int(channel.kind.rawValue))
        object["channel-id"] = .number(channel.channel)
        object["tls"] = .bool(channel.isSecure)
        return object
    }

    /// An event's name and data.
    static func event(_ event: SPICEEvent, _ server: SPICEStatus) -> (String, JSONObject) {
        func own(_ channel: SPICEChannelStatus) -> JSONObject {
            let port = channel.isSecure ? server.tlsPort : server.port
            return [
                "host": .string(server.host), "port": .string(port.map(String.init) ?? ""),
                "family": .string(server.family),
            ]
        }
        switch event {
        case .connected(let channel):
            return ("SPICE_CONNECTED", ["server": .object(own(channel)), "client": .object(client(channel))])
        case .disconnected(let channel):
            return ("SPICE_DISCONNECTED", ["server": .object(own(channel)), "client": .object(client(channel))])
        case .migrated: return ("SPICE_MIGRATE_COMPLETED", [:])
        case .initialized(let status):
            var place = own(status)
            place["auth"] = .string(server.authentication)
            return ("SPICE_INITIALIZED", ["server": .object(place), "client": .object(channel(status))])
        }
    }

    /// What `connected` of set_password says.
    static func passwordAction(_ word: String?) throws(MonitorError) -> SPICEPasswordAction {
        guard let word else { return .keep }
        guard let action = SPICEPasswordAction(rawValue: word) else {
            throw .generic("'\(printable(word))' is no value of 'connected'; valid: keep, fail, disconnect")
        }
        return action
    }
}
