internal import HostOS
internal import JSON
internal import Machine
internal import VNC

extension QMPCommandTable {
    private static let viewerType = SchemaObject(
        "VncClientInfo",
        [
            SchemaMember("host", .string), SchemaMember("service", .string), SchemaMember("family", .string),
            SchemaMember("websocket", .boolean),
        ])
    private static let protocolType = SchemaType.enumeration("DisplayProtocol", ["vnc", "spice"])

    /// VNC servers.
    static let vnc: [QMPCommand] = [
        QMPCommand(
            "query-vnc",
            returns: .object(
                SchemaObject(
                    "VncInfo",
                    [
                        SchemaMember("enabled", .boolean), SchemaMember("host", .string, optional: true),
                        SchemaMember("family", .string, optional: true),
                        SchemaMember("service", .string, optional: true),
                        SchemaMember("auth", .string, optional: true),
                        SchemaMember("clients", .array(.object(viewerType)), optional: true),
                    ]))
        ) { (context, _) throws(MonitorError) in
            guard let server = context.machine.vncServers.first else { return ["enabled": false] }
            guard let service = server.service else {
                return ["enabled": true, "auth": .string(method(server)), "clients": viewers(server)]
            }
            return [
                "enabled": true, "host": .string(server.host ?? ""), "family": .string(server.family),
                "service": .string(service), "auth": .string(method(server)), "clients": viewers(server),
            ]
        },
        QMPCommand(
            "query-vnc-servers",
            returns: .array(
                .object(
                    SchemaObject(
                        "VncInfo2",
                        [
                            SchemaMember("id", .string), SchemaMember("server", .array(.any)),
                            SchemaMember("clients", .array(.object(viewerType))), SchemaMember("auth", .string),
                            SchemaMember("vencrypt", .string, optional: true),
                        ])))
        ) { (context, _) throws(MonitorError) in
            .array(
                context.machine.vncServers.map { server in
                    let places = [(server.service, false), (server.webSocketService, true)].compactMap {
                        service, isWebSocket in service.map { place(server, $0, isWebSocket: isWebSocket) }
                    }
                    var answer: JSONObject = [
                        "id": .string(server.id), "server": .array(places.map { .object($0) }),
                        "auth": .string(server.authentication), "clients": viewers(server),
                    ]
                    if let kind = server.subAuthentication { answer["vencrypt"] = .string(kind) }
                    return .object(answer)
                })
        },
        QMPCommand(
            "set_password",
            [
                SchemaMember("protocol", protocolType), SchemaMember("password", .string),
                SchemaMember("connected", .enumeration("SetPasswordAction", ["keep", "fail", "disconnect"]), optional: true),
                SchemaMember("display", .string, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let password = arguments.string("password") ?? ""
            if arguments.string("protocol") == "spice" {
                let action = try passwordAction(arguments.string("connected"))
                try monitored { () throws(MachineError) in try context.machine.setSPICEPassword(password, action) }
                return [:]
            }
            guard arguments.string("connected") ?? "keep" == "keep" else {
                throw .generic("parameter 'connected' must be 'keep' when 'protocol' is 'vnc'")
            }
            try monitored { () throws(MachineError) in
                try context.machine.setVNCPassword(password, display: arguments.string("display"))
            }
            return [:]
        },
        QMPCommand(
            "expire_password",
            [
                SchemaMember("protocol", protocolType), SchemaMember("time", .string),
                SchemaMember("display", .string, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let time = try expiry(arguments.string("time") ?? "")
            try monitored { () throws(MachineError) in
                if arguments.string("protocol") == "spice" { return try context.machine.setSPICEExpiry(time) }
                try context.machine.setVNCExpiry(time, display: arguments.string("display"))
            }
            return [:]
        },
        QMPCommand("change-vnc-password", [SchemaMember("password", .string)]) {
            (context, arguments) throws(MonitorError) in
            try monitored { () throws(MachineError) in
                try context.machine.setVNCPassword(arguments.string("password") ?? "", display: nil)
            }
            return [:]
        },
        QMPCommand(
            "add_client",
            [
                SchemaMember("protocol", .string), SchemaMember("fdname", .string),
                SchemaMember("skipauth", .boolean, optional: true), SchemaMember("tls", .boolean, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let name = arguments.string("fdname") ?? ""
            guard let socket = context.named.take(name) else {
                throw .generic("File descriptor named '\(printable(name))' has not been found")
            }
            switch arguments.string("protocol") {
            case "vnc": break
            case "spice":
                let (isKnown, isSecure) = (arguments["skipauth"]?.boolValue ?? false, arguments["tls"]?.boolValue ?? false)
                try monitored { () throws(MachineError) in
                    try context.machine.addSPICEClient(socket, skipsAuthentication: isKnown, isSecure: isSecure)
                }
                return [:]
            case let other: throw .generic("protocol '\(printable(other ?? ""))' is invalid")
            }
            let isKnown = arguments["skipauth"]?.boolValue ?? false
            try monitored { () throws(MachineError) in
                try context.machine.addVNCViewer(socket, skipsAuthentication: isKnown)
            }
            return [:]
        },
    ]

    /// `now`, `never`, `+60` or seconds since 1970, as nanoseconds since 1970.
    static func expiry(_ text: String) throws(MonitorError) -> UInt64? {
        switch text {
        case "never": return nil
        case "now": return 0
        default:
            guard let seconds = UInt64(text.hasPrefix("+") ? String(text.dropFirst()) : text), seconds < 1 << 33 else {
                throw .generic("'\(printable(text))' is no time; expects now, never, +seconds or seconds since 1970")
            }
            let nanoseconds = seconds * 1_000_000_000
            return text.hasPrefix("+") ? HostClock.realtime + nanoseconds : nanoseconds
        }
    }

    /// How viewers show who they are, in one word.
    private static func method(_ server: VNCStatus) -> String {
        guard let kind = server.subAuthentication else { return server.authentication }
        return server.authentication + "+" + kind.split(separator: "-").joined(separator: "+")
    }

    private static func viewers(_ server: VNCStatus) -> JSONValue { .array(server.viewers.map { .object(object($0)) }) }

    private static func object(_ viewer: VNCViewer) -> JSONObject {
        [
            "host": .string(viewer.host), "family": .string(viewer.family), "service": .string(viewer.service),
            "websocket": .bool(viewer.isWebSocket),
        ]
    }
    private static func place(_ server: VNCStatus, _ service: String, isWebSocket: Bool) -> JSONObject {
        [
            "host": .string(server.host ?? ""), "family": .string(server.family), "service": .string(service),
            "websocket": .bool(isWebSocket), "auth": .string(server.authentication),
        ]
    }

    /// An event's name and data.
    static func event(_ event: VNCEvent, _ server: VNCStatus) -> (String, JSONObject) {
        let (name, viewer) =
            switch event {
            case .connected(let viewer): ("VNC_CONNECTED", viewer)
            case .initialized(let viewer): ("VNC_INITIALIZED", viewer)
            case .disconnected(let viewer): ("VNC_DISCONNECTED", viewer)
            }
        let service = viewer.isWebSocket ? server.webSocketService : server.service
        return (
            name,
            [
                "server": .object(place(server, service ?? "", isWebSocket: viewer.isWebSocket)),
                "client": .object(object(viewer)),
            ]
        )
    }
}
