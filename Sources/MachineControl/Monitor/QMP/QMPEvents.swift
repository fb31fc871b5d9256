internal import JSON
internal import Machine

/// Events in QMP's form.
enum QMPEvents {
    private static let reset = [
        SchemaMember("guest", .boolean),
        SchemaMember("reason", .enumeration("ShutdownCause", ShutdownCause.allCases.map(\.rawValue))),
    ]

    private static let jobType = SchemaType.enumeration(
        "JobType", ["commit", "stream", "mirror", "backup", "snapshot-load", "snapshot-save", "snapshot-delete"])
    private static let jobStates = [
        "undefined", "created", "running", "paused", "ready", "standby", "waiting", "pending", "aborting",
        "concluded", "null",
    ]
    private static let blockJob = [
        SchemaMember("type", jobType), SchemaMember("device", .string), SchemaMember("len", .integer),
        SchemaMember("offset", .integer), SchemaMember("speed", .integer),
    ]
    private static let viewer = [SchemaMember("server", .any), SchemaMember("client", .any)]

    /// The events that there are, with what they carry.
    static let all: [(name: String, data: [SchemaMember])] = [
        ("SHUTDOWN", reset), ("RESET", reset), ("POWERDOWN", []), ("STOP", []), ("RESUME", []), ("SUSPEND", []),
        ("SUSPEND_DISK", []),
        ("WAKEUP", []),
        (
            "GUEST_PANICKED",
            [SchemaMember("action", .enumeration("GuestPanicAction", ["pause", "poweroff", "run"]))]
        ),
        (
            "GUEST_CRASHLOADED",
            [SchemaMember("action", .enumeration("GuestPanicAction", ["pause", "poweroff", "run"]))]
        ),
        (
            "WATCHDOG",
            [SchemaMember("action", .enumeration("WatchdogAction", LifecycleConfiguration.Watchdog.words))]
        ),
        ("DEVICE_DELETED", [SchemaMember("device", .string, optional: true), SchemaMember("path", .string)]),
        ("ACPI_DEVICE_OST", [SchemaMember("info", .object(QMPCommandTable.hotplugReport))]),
        ("DEVICE_UNPLUG_GUEST_ERROR", [SchemaMember("device", .string, optional: true), SchemaMember("path", .string)]),
        ("RTC_CHANGE", [SchemaMember("offset", .integer), SchemaMember("qom-path", .string)]),
        (
            "BLOCK_IO_ERROR",
            [
                SchemaMember("device", .string), SchemaMember("node-name", .string, optional: true),
                SchemaMember("operation", .enumeration("IoOperationType", ["read", "write"])),
                SchemaMember("action", .enumeration("BlockErrorAction", ["ignore", "report", "stop"])),
                SchemaMember("nospace", .boolean, optional: true), SchemaMember("reason", .string),
            ]
        ),
        (
            "BLOCK_IMAGE_CORRUPTED",
            [
                SchemaMember("device", .string), SchemaMember("node-name", .string, optional: true),
                SchemaMember("msg", .string), SchemaMember("offset", .integer, optional: true),
                SchemaMember("size", .integer, optional: true), SchemaMember("fatal", .boolean),
            ]
        ),
        (
            "BLOCK_WRITE_THRESHOLD",
            [
                SchemaMember("node-name", .string), SchemaMember("amount-exceeded", .integer),
                SchemaMember("write-threshold", .integer),
            ]
        ),
        ("NIC_RX_FILTER_CHANGED", [SchemaMember("name", .string, optional: true), SchemaMember("path", .string)]),
        ("VSERPORT_CHANGE", [SchemaMember("id", .string), SchemaMember("open", .boolean)]),
        ("MIGRATION", [SchemaMember("status", QMPCommandTable.migrationStatus)]),
        ("MIGRATION_PASS", [SchemaMember("pass", .integer)]),
        ("BALLOON_CHANGE", [SchemaMember("actual", .integer)]),
        ("BLOCK_JOB_COMPLETED", blockJob + [SchemaMember("error", .string, optional: true)]),
        ("BLOCK_EXPORT_DELETED", [SchemaMember("id", .string)]),
        ("BLOCK_JOB_CANCELLED", blockJob), ("BLOCK_JOB_READY", blockJob),
        ("BLOCK_JOB_PENDING", [SchemaMember("type", jobType), SchemaMember("id", .string)]),
        (
            "BLOCK_JOB_ERROR",
            [
                SchemaMember("device", .string),
                SchemaMember("operation", .enumeration("IoOperationType", ["read", "write"])),
                SchemaMember("action", .enumeration("BlockErrorAction", ["ignore", "report", "stop"])),
            ]
        ),
        ("JOB_STATUS_CHANGE", [SchemaMember("id", .string), SchemaMember("status", .enumeration("JobStatus", jobStates))]),
        ("SPICE_CONNECTED", viewer), ("SPICE_INITIALIZED", viewer), ("SPICE_DISCONNECTED", viewer),
        ("SPICE_MIGRATE_COMPLETED", []),
        ("VNC_CONNECTED", viewer), ("VNC_INITIALIZED", viewer), ("VNC_DISCONNECTED", viewer),
        (
            "DEVICE_TRAY_MOVED",
            [SchemaMember("device", .string), SchemaMember("id", .string), SchemaMember("tray-open", .boolean)]
        ),
        ("NETDEV_STREAM_CONNECTED", [SchemaMember("netdev-id", .string), SchemaMember("addr", .any)]),
        ("NETDEV_STREAM_DISCONNECTED", [SchemaMember("netdev-id", .string)]),
    ]

    static func value(_ event: MachineEvent) -> JSONValue {
        let (name, data) = parts(event.kind)
        var object: JSONObject = [
            "timestamp": [
                "seconds": .number(event.time / 1_000_000_000),
                "microseconds": .number(event.time % 1_000_000_000 / 1000),
            ],
            "event": .string(name),
        ]
        if !data.isEmpty { object["data"] = .object(data) }
        return .object(object)
    }

    private static func parts(_ kind: MachineEvent.Kind) -> (String, JSONObject) {
        switch kind {
        case .shutdown(let cause): ("SHUTDOWN", ["guest": .bool(cause.isGuest), "reason": .string(cause.rawValue)])
        case .reset(let cause): ("RESET", ["guest": .bool(cause.isGuest), "reason": .string(cause.rawValue)])
        case .powerDown: ("POWERDOWN", [:])
        case .stop: ("STOP", [:])
        case .resume: ("RESUME", [:])
        case .suspend: ("SUSPEND", [:])
        case .suspendDisk: ("SUSPEND_DISK", [:])
        case .wakeUp: ("WAKEUP", [:])
        case .guestPanicked(let action):
            ("GUEST_PANICKED", ["action": action == .pause ? "pause" : action == .none ? "run" : "poweroff"])
        case .guestCrashLoaded: ("GUEST_CRASHLOADED", ["action": "run"])
        case .watchdog(let action): ("WATCHDOG", ["action": .string(action.rawValue)])
        case .deviceDeleted(let id, let path):
            ("DEVICE_DELETED", id.map { ["device": .string($0), "path": .string(path)] } ?? ["path": .string(path)])
        case .hotplugReport(let id, let report):
            ("ACPI_DEVICE_OST", ["info": .object(QMPCommandTable.value(of: report, device: id))])
        case .unplugFailed(let id, let path):
            (
                "DEVICE_UNPLUG_GUEST_ERROR",
                id.map { ["device": .string($0), "path": .string(path)] } ?? ["path": .string(path)]
            )
        case .rtcChange(let offset, let path):
            ("RTC_CHANGE", ["offset": .number(offset), "qom-path": .string(path)])
        case .blockIOError(let device, let node, let isWrite, let action, let noSpace, let reason):
            ("BLOCK_IO_ERROR", blockError(device, node, isWrite, action, noSpace, reason))
        case .blockJob(let event, let data): (event, data)
        case .serialPortChange(let id, let isOpen):
            ("VSERPORT_CHANGE", ["id": .string(id), "open": .bool(isOpen)])
        case .receiveFilterChanged(let id, let path):
            (
                "NIC_RX_FILTER_CHANGED",
                id.map { ["name": .string($0), "path": .string(path)] } ?? ["path": .string(path)]
            )
        case .vnc(let event, let server): QMPCommandTable.event(event, server)
        case .spice(let event, let server): QMPCommandTable.event(event, server)
        case .balloonChange(let actual): ("BALLOON_CHANGE", ["actual": .number(actual)])
        case .migration(let status): ("MIGRATION", ["status": .string(status.rawValue)])
        case .migrationPass(let pass): ("MIGRATION_PASS", ["pass": .number(pass)])
        case .trayMoved(let device, let id, let isOpen):
            ("DEVICE_TRAY_MOVED", ["device": .string(device), "id": .string(id), "tray-open": .bool(isOpen)])
        case .networkConnected(let id, let address):
            ("NETDEV_STREAM_CONNECTED", ["netdev-id": .string(id), "addr": .object(peer(address))])
        case .networkDisconnected(let id): ("NETDEV_STREAM_DISCONNECTED", ["netdev-id": .string(id)])
        }
    }

    /// A peer's address as QAPI's SocketAddress.
    private static func peer(_ address: String) -> JSONObject {
        guard !address.hasPrefix("/"), let colon = address.lastIndex(of: ":") else {
            return ["path": .string(address), "type": "unix"]
        }
        return [
            "port": .string(String(address[address.index(after: colon)...])), "host": .string(String(address[..<colon])),
            "type": "inet",
        ]
    }

    private static func blockError(
        _ device: String, _ node: String?, _ isWrite: Bool, _ action: ErrorPolicy, _ noSpace: Bool, _ reason: String
    ) -> JSONObject {
        var object: JSONObject = ["device": .string(device)]
        if let node { object["node-name"] = .string(node) }
        object["reason"] = .string(reason)
        object["nospace"] = .bool(noSpace)
        object["action"] = action == .ignore ? "ignore" : action == .stop ? "stop" : "report"
        object["operation"] = isWrite ? "write" : "read"
        return object
    }
}
