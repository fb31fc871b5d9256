internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let version = SchemaType.object(
        SchemaObject(
            "VersionInfo",
            [
                SchemaMember(
                    "qemu",
                    .object(
                        SchemaObject(
                            "VersionTriple",
                            [
                                SchemaMember("major", .integer), SchemaMember("minor", .integer),
                                SchemaMember("micro", .integer),
                            ]))), SchemaMember("package", .string),
            ]))
    private static let machineInfo = SchemaObject(
        "MachineInfo",
        [
            SchemaMember("name", .string), SchemaMember("alias", .string, optional: true),
            SchemaMember("is-default", .boolean, optional: true), SchemaMember("cpu-max", .integer),
            SchemaMember("hotpluggable-cpus", .boolean), SchemaMember("numa-mem-supported", .boolean),
            SchemaMember("deprecated", .boolean), SchemaMember("default-cpu-type", .string, optional: true),
            SchemaMember("default-ram-id", .string, optional: true),
        ])
    private static let ioThread = SchemaObject(
        "IOThreadInfo",
        [
            SchemaMember("id", .string), SchemaMember("thread-id", .integer), SchemaMember("poll-max-ns", .integer),
            SchemaMember("poll-grow", .integer), SchemaMember("poll-shrink", .integer),
            SchemaMember("aio-max-batch", .integer),
        ])

    private static let optionParameter = SchemaObject(
        "CommandLineParameterInfo",
        [
            SchemaMember("name", .string),
            SchemaMember("type", .enumeration("CommandLineParameterType", ["string", "boolean", "number", "size"])),
            SchemaMember("help", .string, optional: true),
        ])

    /// What `query-version` and the greeting say.
    static var versionValue: JSONValue {
        let version = CommandLineParser.version
        return [
            "qemu": [
                "micro": .number(version.micro), "minor": .number(version.minor), "major": .number(version.major),
            ],
            "package": .string(CommandLineParser.package),
        ]
    }

    /// A UUID's 16 bytes in text; zeroes where there is none.
    static func text(ofUUID uuid: [UInt8]?) -> String {
        let bytes = uuid ?? []
        var text = ""
        for place in 0..<16 {
            if place == 4 || place == 6 || place == 8 || place == 10 { text += "-" }
            text += hex(UInt64(place < bytes.count ? bytes[place] : 0), 2)
        }
        return text
    }

    static let machineQueries: [QMPCommand] = [
        QMPCommand("query-version", returns: version) { (_, _) throws(MonitorError) in versionValue },
        QMPCommand(
            "query-name",
            returns: SchemaType.object(SchemaObject("NameInfo", [SchemaMember("name", .string, optional: true)]))
        ) { (context, _) throws(MonitorError) in
            let name = context.machine.configuration.name
            return name.isEmpty ? [:] : ["name": .string(name)]
        },
        QMPCommand(
            "query-uuid", returns: SchemaType.object(SchemaObject("UuidInfo", [SchemaMember("UUID", .string)]))
        ) { (context, _) throws(MonitorError) in
            ["UUID": .string(text(ofUUID: context.machine.configuration.uuid))]
        },
        QMPCommand(
            "query-target", returns: SchemaType.object(SchemaObject("TargetInfo", [SchemaMember("arch", target)]))
        ) { (_, _) throws(MonitorError) in ["arch": "x86_64"] },
        QMPCommand("query-machines", returns: SchemaType.array(.object(machineInfo))) {
            (_, _) throws(MonitorError) in
            .array(
                BoardKind.allCases.filter(\.isSupported).map { kind in
                    var object: JSONObject = [
                        "hotpluggable-cpus": .bool(kind.isPC), "name": .string(kind.versionedName), "numa-mem-supported": false,
                        "default-cpu-type": "qemu64-x86_64-cpu", "cpu-max": .number(kind.processorLimit),
                        "deprecated": false,
                    ]
                    if kind.rawValue != kind.versionedName { object["alias"] = .string(kind.rawValue) }
                    if kind == .pc { object["is-default"] = true }
                    object["default-ram-id"] = .string(kind == .pc ? "pc.ram" : "microvm.ram")
                    return .object(object)
                })
        },
        QMPCommand(
            "query-current-machine",
            returns: SchemaType.object(
                SchemaObject("CurrentMachineParams", [SchemaMember("wakeup-suspend-support", .boolean)]))
        ) { (context, _) throws(MonitorError) in
            ["wakeup-suspend-support": .bool(context.machine.configuration.sleepStates.memory != nil)]
        },
        QMPCommand("system_wakeup") { (context, _) throws(MonitorError) in
            try monitored { () throws(MachineError) in try context.machine.wakeUp() }
            return [:]
        },
        QMPCommand(
            "query-memory-size-summary",
            returns: SchemaType.object(
                SchemaObject(
                    "MemoryInfo",
                    [
                        SchemaMember("base-memory", .integer), SchemaMember("plugged-memory", .integer, optional: true),
                    ]))
        ) { (context, _) throws(MonitorError) in
            [
                "base-memory": .number(context.machine.configuration.memory.size),
                "plugged-memory": .number(context.machine.pluggedMemory),
            ]
        },
        QMPCommand("query-iothreads", returns: SchemaType.array(.object(ioThread))) {
            (context, _) throws(MonitorError) in
            .array(
                context.machine.ioThreads.map { thread in
                    let object = context.machine.objects.first { $0.id == thread.id }?.properties
                    return [
                        "poll-shrink": object?["poll-shrink"] ?? 0, "thread-id": .number(thread.threadID),
                        "aio-max-batch": object?["aio-max-batch"] ?? 0, "poll-grow": object?["poll-grow"] ?? 0,
                        "poll-max-ns": object?["poll-max-ns"] ?? 32768, "id": .string(thread.id),
                    ]
                })
        },
        QMPCommand(
            "query-command-line-options", [SchemaMember("option", .string, optional: true)],
            returns: SchemaType.array(
                .object(
                    SchemaObject(
                        "CommandLineOptionInfo",
                        [SchemaMember("option", .string), SchemaMember("parameters", .array(.object(optionParameter)))])
                ))
        ) { (_, arguments) throws(MonitorError) in
            let name = arguments["option"]?.stringValue
            guard let schema = OptionTable.schema(option: name) else {
                throw .generic("invalid option name: \(printable(name ?? ""))")
            }
            return schema
        },
        memorySave("memsave", isPhysical: false), memorySave("pmemsave", isPhysical: true),
    ]

    /// `memsave` and `pmemsave`, which write guest memory to a file of the host.
    private static func memorySave(_ name: String, isPhysical: Bool) -> QMPCommand {
        let arguments =
            [SchemaMember("val", .integer), SchemaMember("size", .integer), SchemaMember("filename", .string)]
            + (isPhysical ? [] : [SchemaMember("cpu-index", .integer, optional: true)])
        return QMPCommand(name, arguments) { (context, arguments) throws(MonitorError) in
            let address = UInt64(bitPattern: arguments["val"]?.int64Value ?? 0)
            guard let size = arguments["size"]?.uint64Value else {
                throw .generic("Parameter 'size' expects a size that is not negative")
            }
            let index = arguments["cpu-index"]?.intValue ?? 0
            guard isPhysical || context.machine.processors.contains(where: { $0.index == index }) else {
                throw .generic("Parameter 'cpu-index' expects a CPU number")
            }
            let path = arguments["filename"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in
                try context.machine.saveMemory(address, size: size, processor: isPhysical ? nil : index, to: path)
            }
            return [:]
        }
    }
}

/// Digits in hexadecimal, at least so many.
func hex(_ value: UInt64, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
/// Text at the right of a field.
func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
/// Text at the left of a field.
func left(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
