internal import HostOS
internal import JSON
internal import Machine

extension QMPCommandTable {
    static let migrationStatus = SchemaType.enumeration("MigrationStatus", MigrationStatus.allCases.map(\.rawValue))
    private static let capability = SchemaObject(
        "MigrationCapabilityStatus", [SchemaMember("capability", .string), SchemaMember("state", .boolean)])

    /// Snapshots as jobs.
    private static let snapshotJobs = SnapshotJob.Kind.allCases.map { kind in
        var members = [SchemaMember("job-id", .string), SchemaMember("tag", .string)]
        if kind != .delete { members.append(SchemaMember("vmstate", .string)) }
        return QMPCommand(kind.rawValue, members + [SchemaMember("devices", .array(.string))]) {
            (context, arguments) throws(MonitorError) in
            let job = SnapshotJob(
                kind: kind, id: arguments["job-id"]?.stringValue ?? "", tag: arguments["tag"]?.stringValue ?? "",
                vmstate: arguments["vmstate"]?.stringValue,
                devices: (arguments["devices"]?.arrayValue ?? []).compactMap(\.stringValue))
            try monitored { () throws(MachineError) in try context.machine.startSnapshotJob(job) }
            return [:]
        }
    }

    private static let forkOverlay = SchemaObject(
        "ForkOverlay",
        [
            SchemaMember("device", .string), SchemaMember("snapshot-file", .string, optional: true),
            SchemaMember("overlay", .string, optional: true),
        ])

    /// A machine that goes to another place, or comes from there.
    static let migration: [QMPCommand] = snapshotJobs + [
        QMPCommand(
            "migrate",
            [
                SchemaMember("uri", .string), SchemaMember("blk", .boolean, optional: true),
                SchemaMember("inc", .boolean, optional: true), SchemaMember("detach", .boolean, optional: true),
                SchemaMember("resume", .boolean, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            for name in ["blk", "inc"] where arguments[name] == true {
                throw .generic("Parameter '\(name)' is not supported")
            }
            let address = arguments["uri"]?.stringValue ?? ""
            let descriptor = named(address, context)
            let resumes = arguments["resume"] == true
            try monitored { () throws(MachineError) in
                if resumes {
                    try context.machine.resumeMigration(to: address, descriptor: descriptor)
                } else {
                    try context.machine.migrate(to: address, descriptor: descriptor)
                }
            }
            return [:]
        },
        QMPCommand("migrate-continue", [SchemaMember("state", migrationStatus)]) {
            (context, arguments) throws(MonitorError) in
            let word = arguments["state"]?.stringValue ?? ""
            guard let state = MigrationStatus(rawValue: word) else {
                throw .generic("Parameter 'state' does not accept value '\(printable(word))'")
            }
            try monitored { () throws(MachineError) in try context.machine.continueMigration(from: state) }
            return [:]
        },
        QMPCommand("migrate-start-postcopy") { (context, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.startLateMigration() }
            return [:]
        },
        QMPCommand("migrate-recover", [SchemaMember("uri", .string)]) { (context, arguments) throws(MonitorError) in
            let address = arguments["uri"]?.stringValue ?? ""
            let descriptor = named(address, context)
            try monitored { () throws(MachineError) in
                try context.machine.recoverMigration(at: address, descriptor: descriptor)
            }
            return [:]
        },
        QMPCommand("migrate-pause") { (context, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.pauseMigration() }
            return [:]
        },
        QMPCommand(
            "x-fork",
            [
                SchemaMember("children", .array(.string)),
                SchemaMember("overlays", .array(.object(forkOverlay)), optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let overlays = (arguments["overlays"]?.arrayValue ?? []).map { entry in
                ForkRequest.Overlay(
                    device: entry["device"]?.stringValue ?? "", path: entry["snapshot-file"]?.stringValue ?? "",
                    nodeName: entry["overlay"]?.stringValue)
            }
            let children = (arguments["children"]?.arrayValue ?? []).compactMap(\.stringValue)
            var descriptors: [String: Descriptor] = [:]
            for child in children { if let descriptor = named(child, context) { descriptors[child] = descriptor } }
            let request = ForkRequest(children: children, overlays: overlays, descriptors: descriptors)
            try monitored { () throws(MachineError) in try context.machine.fork(request) }
            return [:]
        },
        // What `apus fork` starts children with.
        QMPCommand("x-query-fork", returns: SchemaType.any) { (context, _) throws(MonitorError) in
            let disks = try monitored { () throws(MachineError) in try context.machine.forkedDisks }
            return [
                "name": .string(context.machine.configuration.name),
                "arguments": .array(CommandLine.arguments.map { .string($0) }),
                "program": .string((try? HostFile.target(ofLink: "/proc/self/exe")) ?? ""),
                "directory": .string(HostFile.workingFolder ?? "/"),
                "paused": .bool(context.machine.runState == .paused),
                "disks": .array(
                    disks.map { disk in
                        [
                            "device": .string(disk.device), "backing": .string(disk.backing),
                            "format": .string(disk.format), "size": .number(disk.size),
                        ]
                    }),
            ]
        },
        QMPCommand(
            "query-vm-generation-id",
            returns: SchemaType.object(SchemaObject("GuidInfo", [SchemaMember("guid", .string)]))
        ) { (context, _) throws(MonitorError) in
            guard let generation = context.machine.generation else {
                throw .generic("VM Generation ID device not found")
            }
            return ["guid": .string(text(ofUUID: generation))]
        },
        QMPCommand(
            "announce-self",
            [
                SchemaMember("initial", .integer), SchemaMember("max", .integer), SchemaMember("rounds", .integer),
                SchemaMember("step", .integer), SchemaMember("interfaces", .array(.string), optional: true),
                SchemaMember("id", .string, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            func value(_ name: String) -> UInt64 { arguments[name]?.uint64Value ?? .max }
            try monitored { () throws(MachineError) in
                var parameters = try AnnounceParameters(
                    initial: value("initial"), most: value("max"), rounds: value("rounds"), step: value("step"))
                parameters.cards = arguments["interfaces"]?.arrayValue?.compactMap(\.stringValue)
                context.machine.announce(parameters)
            }
            return [:]
        },
        QMPCommand("migrate_cancel") { (context, _) throws(MonitorError) in
            context.machine.cancelMigration()
            return [:]
        },
        QMPCommand("migrate-incoming", [SchemaMember("uri", .string)]) { (context, arguments) throws(MonitorError) in
            let address = arguments["uri"]?.stringValue ?? ""
            let descriptor = named(address, context)
            try monitored { () throws(MachineError) in
                try context.machine.receiveMigration(from: address, descriptor: descriptor)
            }
            return [:]
        },
        QMPCommand("query-migrate", returns: SchemaType.any) { (context, _) throws(MonitorError) in
            var object = value(context.machine.migration)
            let blockers = context.machine.migrationBlockers
            if !blockers.isEmpty { object["blocked-reasons"] = .array(blockers.map { .string(printable($0)) }) }
            return .object(object)
        },
        QMPCommand("query-migrate-parameters", returns: SchemaType.any) { (context, _) throws(MonitorError) in
            .object(context.machine.migrationParameters)
        },
        QMPCommand("migrate-set-parameters", migrationParameters) { (context, arguments) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.setMigrationParameters(arguments) }
            return [:]
        },
        QMPCommand("query-migrate-capabilities", returns: SchemaType.array(.object(capability))) {
            (context, _) throws(MonitorError) in
            .array(
                context.machine.migrationCapabilities.map { ["state": .bool($0.isOn), "capability": .string($0.name)] })
        },
        QMPCommand("migrate-set-capabilities", [SchemaMember("capabilities", .array(.object(capability)))]) {
            (context, arguments) throws(MonitorError) in
            let changes = (arguments["capabilities"]?.arrayValue ?? []).map { entry in
                (name: entry["capability"]?.stringValue ?? "", isOn: entry["state"] == true)
            }
            try monitored { () throws(MachineError) in try context.machine.setMigrationCapabilities(changes) }
            return [:]
        },
        QMPCommand(
            "dump-guest-memory",
            [
                SchemaMember("paging", .boolean), SchemaMember("protocol", .string),
                SchemaMember("detach", .boolean, optional: true), SchemaMember("begin", .integer, optional: true),
                SchemaMember("length", .integer, optional: true), SchemaMember("format", .string, optional: true),
            ]
        ) { (context, arguments) throws(MonitorError) in
            let address = arguments["protocol"]?.stringValue ?? ""
            var request = DumpRequest(address: address)
            request.descriptor = named(address, context)
            request.paging = arguments["paging"] == true
            request.begin = arguments["begin"]?.uint64Value
            request.length = arguments["length"]?.uint64Value
            if let word = arguments["format"]?.stringValue {
                guard let format = DumpRequest.Format(rawValue: word) else {
                    throw .generic("Parameter 'format' does not accept value '\(printable(word))'")
                }
                request.format = format
            }
            let wanted = request
            try monitored { () throws(MachineError) in try context.machine.dumpMemory(wanted) }
            return [:]
        },
        QMPCommand("query-dump-guest-memory-capability", returns: SchemaType.any) { (_, _) throws(MonitorError) in
            ["formats": .array(DumpRequest.Format.allCases.map { .string($0.rawValue) })]
        },
    ]

    /// The descriptor that `fd:NAME` means, which is the operation's from now on.
    private static func named(_ address: String, _ context: QMPContext) -> Descriptor? {
        address.hasPrefix("fd:") ? context.named.take(String(address.dropFirst(3))) : nil
    }

    /// What QMP shows of a migration: nothing before the first.
    static func value(_ information: MigrationInformation) -> JSONObject {
        guard information.status != .none else { return [:] }
        var object: JSONObject = ["status": .string(information.status.rawValue)]
        if let error = information.error { object["error-desc"] = .string(error) }
        guard !information.isIncoming else {
            if let address = information.address { object["socket-address"] = .array([.object(socket(address))]) }
            return object
        }
        object["total-time"] = .number(information.totalTime)
        object["setup-time"] = .number(information.setupTime)
        if let downtime = information.downtime {
            object["downtime"] = .number(downtime)
        } else {
            object["expected-downtime"] = .number(information.expectedDowntime)
        }
        if information.throttle > 0 { object["cpu-throttle-percentage"] = .number(information.throttle) }
        object["ram"] = [
            "transferred": .number(information.transferred), "remaining": .number(information.remaining),
            "total": .number(information.total), "duplicate": .number(information.zeroPages), "skipped": 0,
            "normal": .number(information.fullPages), "normal-bytes": .number(information.fullPages << 12),
            "dirty-pages-rate": .number(information.dirtyRate), "mbps": .double(information.megabitsPerSecond),
            "dirty-sync-count": .number(information.rounds), "postcopy-requests": .number(information.requests),
            "page-size": 4096, "precopy-bytes": .number(information.bytesBefore),
            "downtime-bytes": .number(information.bytesStanding), "postcopy-bytes": .number(information.bytesLate),
            "dirty-sync-missed-zero-copy": 0,
            "multifd-bytes": .number(information.laneBytes),
            "pages-per-second": .number(information.pagesPerSecond),
        ]
        if let pages = information.packedPages {
            let ratio = information.packedBytes == 0 ? 0 : Double(pages << 12) / Double(information.packedBytes)
            object["compression"] = [
                "pages": .number(pages), "busy": 0, "busy-rate": .double(0),
                "compressed-size": .number(information.packedBytes), "compression-rate": .double(ratio),
            ]
        }
        return object
    }

    /// An address of a listener as QMP shows it.
    private static func socket(_ address: String) -> JSONObject {
        if address.hasPrefix("unix:") { return ["type": "unix", "path": .string(String(address.dropFirst(5)))] }
        let rest = address.dropFirst(4)
        guard let colon = rest.lastIndex(of: ":") else { return ["type": "inet"] }
        let host = rest[..<colon].filter { $0 != "[" && $0 != "]" }
        return ["type": "inet", "host": .string(host), "port": .string(String(rest[rest.index(after: colon)...]))]
    }
}
