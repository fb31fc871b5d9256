internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let instanceProperties = SchemaType.object(
        SchemaObject(
            "CpuInstanceProperties",
            [
                SchemaMember("node-id", .integer, optional: true), SchemaMember("socket-id", .integer, optional: true),
                SchemaMember("die-id", .integer, optional: true), SchemaMember("core-id", .integer, optional: true),
                SchemaMember("thread-id", .integer, optional: true),
            ]))
    private static let cpuInfo = SchemaObject(
        "CpuInfoFast",
        [
            SchemaMember("cpu-index", .integer), SchemaMember("qom-path", .string), SchemaMember("thread-id", .integer),
            SchemaMember("props", instanceProperties, optional: true), SchemaMember("target", target),
        ])
    static let target = SchemaType.enumeration("SysEmuTarget", ["i386", "x86_64"])
    private static let hotpluggable = SchemaObject(
        "HotpluggableCPU",
        [
            SchemaMember("type", .string), SchemaMember("vcpus-count", .integer),
            SchemaMember("props", instanceProperties), SchemaMember("qom-path", .string, optional: true),
        ])
    private static let modelInfo = SchemaObject(
        "CpuModelInfo", [SchemaMember("name", .string), SchemaMember("props", .any, optional: true)])
    private static let definition = SchemaObject(
        "CpuDefinitionInfo",
        [
            SchemaMember("name", .string), SchemaMember("migration-safe", .boolean, optional: true),
            SchemaMember("static", .boolean), SchemaMember("unavailable-features", .array(.string), optional: true),
            SchemaMember("typename", .string), SchemaMember("alias-of", .string, optional: true),
            SchemaMember("deprecated", .boolean),
        ])

    /// The members that say where a processor sits; dies only where a socket has several.
    static func properties(_ place: ProcessorTopology.Place, _ topology: ProcessorTopology?) -> JSONValue {
        var object: JSONObject = ["socket-id": .number(place.socket)]
        if (topology?.dies ?? 1) > 1 { object["die-id"] = .number(place.die) }
        object["core-id"] = .number(place.core)
        object["thread-id"] = .number(place.thread)
        return .object(object)
    }

    /// The model's name without features, as part of a type's name.
    static func processorType(_ configuration: MachineConfiguration) -> String {
        let model = configuration.processorModel?.split(separator: ",").first.map(String.init) ?? "qemu64"
        return model + "-x86_64-cpu"
    }

    /// Where a processor is in the tree of objects: one that came later as any device that is plugged in.
    static func path(of processor: ProcessorStatus) -> String {
        switch processor.name {
        case nil: "/machine/unattached/device[\(processor.index)]"
        case "": "/machine/peripheral-anon/device[\(processor.index)]"
        case let name?: "/machine/peripheral/\(name)"
        }
    }

    static let processors: [QMPCommand] = [
        QMPCommand("query-cpus-fast", returns: SchemaType.array(.object(cpuInfo))) {
            (context, _) throws(MonitorError) in
            let topology = try? ProcessorTopology(context.machine.configuration.topology)
            return .array(
                context.machine.processors.map { processor in
                    [
                        "thread-id": .number(processor.threadID), "props": properties(processor.place, topology),
                        "qom-path": .string(path(of: processor)),
                        "cpu-index": .number(processor.index), "target": "x86_64",
                    ]
                })
        },
        QMPCommand("query-hotpluggable-cpus", returns: SchemaType.array(.object(hotpluggable))) {
            (context, _) throws(MonitorError) in
            guard let topology = try? ProcessorTopology(context.machine.configuration.topology) else { return [] }
            let present = Dictionary(context.machine.processors.map { ($0.index, $0) }) { first, _ in first }
            return .array(
                (0..<topology.maximum).reversed().map { index in
                    var object: JSONObject = [
                        "props": properties(topology.place(of: index), topology), "vcpus-count": 1,
                    ]
                    if let processor = present[index] { object["qom-path"] = .string(path(of: processor)) }
                    object["type"] = .string(processorType(context.machine.configuration))
                    return .object(object)
                })
        },
        QMPCommand("query-cpu-definitions", returns: SchemaType.array(.object(definition))) {
            (context, _) throws(MonitorError) in
            .array(
                context.machine.processorModels.map { model in
                    var object: JSONObject = [
                        "name": .string(model.name), "typename": .string(model.name + "-x86_64-cpu"),
                        "unavailable-features": .array(model.unavailableFeatures.map(JSONValue.string)),
                        "static": false, "migration-safe": .bool(model.isMigrationSafe), "deprecated": false,
                    ]
                    if let alias = model.aliasOf { object["alias-of"] = .string(alias) }
                    return .object(object)
                })
        },
        QMPCommand(
            "query-cpu-model-expansion",
            [
                SchemaMember("type", .enumeration("CpuModelExpansionType", ["static", "full"])),
                SchemaMember("model", .object(modelInfo)),
            ],
            returns: SchemaType.object(
                SchemaObject("CpuModelExpansionInfo", [SchemaMember("model", .object(modelInfo))]))
        ) { (context, arguments) throws(MonitorError) in
            let name = arguments["model"]?["name"]?.stringValue ?? ""
            guard !name.utf8.contains(UInt8(ascii: ",")), context.machine.expandProcessorModel(name) != nil else {
                throw .generic("The CPU definition '\(printable(name))' is unknown.")
            }
            var specification = name
            // There are no enlightenments of Hyper-V to pass through.
            for member in arguments["model"]?["props"]?.objectValue?.members ?? []
            where member.name != "hv-passthrough" {
                let value = member.value.boolValue.map { $0 ? "on" : "off" } ?? member.value.stringValue
                specification += ",\(member.name)=\(value ?? member.value.description)"
            }
            guard let features = context.machine.expandProcessorModel(specification) else {
                throw .generic("The CPU model '\(printable(specification))' has a property that is not there")
            }
            return ["model": ["name": .string(name), "props": .object(features)]]
        },
        QMPCommand(
            "query-kvm",
            returns: SchemaType.object(
                SchemaObject(
                    "KvmInfo",
                    [
                        SchemaMember("enabled", .boolean), SchemaMember("present", .boolean),
                        SchemaMember("ept", .boolean, optional: true), SchemaMember("npt", .boolean, optional: true),
                        SchemaMember("vpid", .boolean, optional: true),
                    ]))
        ) { (context, _) throws(MonitorError) in
            let engine = context.machine.accelerator
            // "Present" is the engine in the program, as with QEMU, not the device on the host.
            var answer: JSONObject = ["enabled": .bool(engine.isKVM), "present": true]
            for part in engine.translation { answer[part.name] = .bool(part.isOn) }
            return .object(answer)
        },
    ]
}
