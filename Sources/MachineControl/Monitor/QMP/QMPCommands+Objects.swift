internal import JSON
internal import Machine

extension QMPCommandTable {
    private static let property = SchemaObject(
        "ObjectPropertyInfo",
        [
            SchemaMember("name", .string), SchemaMember("type", .string),
            SchemaMember("description", .string, optional: true), SchemaMember("default-value", .any, optional: true),
        ])
    private static let typeInfo = SchemaObject(
        "ObjectTypeInfo",
        [
            SchemaMember("name", .string), SchemaMember("abstract", .boolean, optional: true),
            SchemaMember("parent", .string, optional: true),
        ])

    static let objects: [QMPCommand] = [
        QMPCommand("qom-list", [SchemaMember("path", .string)], returns: SchemaType.array(.object(property))) {
            (context, arguments) throws(MonitorError) in
            let path = arguments["path"]?.stringValue ?? ""
            let properties = try ObjectTree(context.machine).properties(at: path)
            return .array(properties.map { ["name": .string($0.name), "type": .string($0.type)] })
        },
        QMPCommand(
            "qom-get", [SchemaMember("path", .string), SchemaMember("property", .string)], returns: SchemaType.any
        ) { (context, arguments) throws(MonitorError) in
            let properties = try ObjectTree(context.machine).properties(at: arguments["path"]?.stringValue ?? "")
            let name = arguments["property"]?.stringValue ?? ""
            guard let property = properties.first(where: { $0.name == name }) else {
                throw .generic("Property '\(ObjectTree.type(properties)).\(printable(name))' not found")
            }
            return property.value
        },
        QMPCommand(
            "qom-list-types",
            [SchemaMember("implements", .string, optional: true), SchemaMember("abstract", .boolean, optional: true)],
            returns: SchemaType.array(.object(typeInfo))
        ) { (context, arguments) throws(MonitorError) in
            let wanted = arguments["implements"]?.stringValue
            return .array(
                types(context.machine).filter {
                    wanted == nil || wanted == "object" || $0.ancestors.contains(wanted ?? "")
                }
                .map { ["name": .string($0.name), "parent": .string($0.ancestors.first ?? "object")] })
        },
        QMPCommand(
            "object-add",
            [
                SchemaMember("qom-type", .enumeration("ObjectType", ObjectOptions.types.map(\.name))),
                SchemaMember("id", .string),
            ], tag: "qom-type", variants: ObjectOptions.types.map { ($0.name, properties(of: $0)) }
        ) { (context, arguments) throws(MonitorError) in
            let object: ObjectConfiguration
            do throws(OptionError) { object = try ObjectOptions.object(arguments) } catch { throw MonitorError(error) }
            try monitored { () throws(MachineError) in try context.machine.addObject(object) }
            return [:]
        },
        QMPCommand(
            "qom-list-properties", [SchemaMember("typename", .string)], returns: SchemaType.array(.object(property))
        ) { (context, arguments) throws(MonitorError) in
            let name = arguments["typename"]?.stringValue ?? ""
            guard let properties = properties(ofType: name, context.machine) else {
                throw .deviceNotFound("Class '\(printable(name))' not found")
            }
            return .array(properties)
        },
        QMPCommand(
            "qom-set", [SchemaMember("path", .string), SchemaMember("property", .string), SchemaMember("value", .any)]
        ) { (context, arguments) throws(MonitorError) in
            let properties = try ObjectTree(context.machine).properties(at: arguments["path"]?.stringValue ?? "")
            let name = arguments["property"]?.stringValue ?? ""
            if ObjectTree.type(properties) == "throttle-group", properties.contains(where: { $0.name == name }) {
                let id = (arguments["path"]?.stringValue ?? "").split(separator: "/").last.map(String.init) ?? ""
                try setLimits(context.machine, id, name, arguments["value"] ?? .null)
                return [:]
            }
            let known = properties.contains { $0.name == name }
            if known, name == "guest-stats-polling-interval" {
                guard let seconds = arguments["value"]?.int64Value else {
                    throw .generic("Invalid parameter type for 'guest-stats-polling-interval', expected: integer")
                }
                guard (0...Int64(UInt32.max)).contains(seconds) else {
                    throw .generic(seconds < 0 ? "timer value must be greater than zero" : "timer value is too big")
                }
                try monitored { () throws(MachineError) in
                    try context.machine.setBalloonStatisticsInterval(UInt64(seconds))
                }
                return [:]
            }
            throw .generic(
                "Property '\(ObjectTree.type(properties)).\(printable(name))' \(known ? "is not writable" : "not found")"
            )
        },
        QMPCommand("object-del", [SchemaMember("id", .string)]) { (context, arguments) throws(MonitorError) in
            let id = arguments["id"]?.stringValue ?? ""
            try monitored { () throws(MachineError) in try context.machine.removeObject(id) }
            return [:]
        },
    ]

    /// Changes the limits of a throttle group; single ones are told only where it is made.
    private static func setLimits(
        _ machine: any MachineOperations, _ id: String, _ name: String, _ value: JSONValue
    ) throws(MonitorError) {
        guard name == "limits" else { throw .generic("Property cannot be set after initialization") }
        let limits: JSONObject
        do throws(OptionError) { limits = try ObjectOptions.limits(value) } catch { throw MonitorError(error) }
        try monitored { () throws(MachineError) in try machine.setThrottleLimits(id, limits) }
    }

    /// The members that objects of a type take besides their name.
    private static func properties(of type: ObjectOptions.ObjectType) -> SchemaObject {
        let members = type.table.parameters.map { parameter in
            SchemaMember(parameter, of: type.name, optional: !type.required.contains(parameter.name))
        }
        return SchemaObject(members.isEmpty ? "q_empty" : "q_obj_\(type.name)-properties", members)
    }

    /// The properties of a type: of a board, a CPU model, a device or an object.
    private static func properties(ofType name: String, _ machine: any MachineOperations) -> [JSONValue]? {
        func value(_ name: String, _ type: String, _ help: String = "") -> JSONValue {
            var object: JSONObject = ["name": .string(name), "type": .string(type)]
            if !help.isEmpty { object["description"] = .string(help) }
            return .object(object)
        }
        func value(_ parameter: Parameter) -> JSONValue {
            switch parameter.kind {
            case .choice(let words) where words == ["on", "off", "auto"]:
                value(parameter.name, "OnOffAuto", parameter.help)
            case .boolean: value(parameter.name, "bool", parameter.help)
            case .number, .unsigned: value(parameter.name, "int", parameter.help)
            case .size: value(parameter.name, "size", parameter.help)
            case .string, .choice, .any: value(parameter.name, "string", parameter.help)
            }
        }
        if let object = ObjectOptions.types.first(where: { $0.name == name }) {
            return [value("type", "string")] + object.table.parameters.map(value)
        }
        if let device = DeviceCatalogue.listed(name) {
            return [value("type", "string")] + device.properties.map { value($0.name, $0.kind.typeName, $0.help) }
        }
        let boards = BoardKind.allCases.filter(\.isSupported)
        if let kind = boards.first(where: { $0.versionedName + "-machine" == name }) {
            return [value("type", "string")] + BoardOptions.parameters(of: kind).map(value)
        }
        let suffix = "-x86_64-cpu"
        guard name.hasSuffix(suffix), let features = machine.expandProcessorModel(String(name.dropLast(suffix.count)))
        else { return nil }
        return [value("type", "string")]
            + features.members.map { value($0.name, $0.value.boolValue == nil ? $0.value.kindName : "bool") }
    }

    /// All types that there are objects of, each with its ancestors from the nearest up.
    private static func types(_ machine: any MachineOperations) -> [(name: String, ancestors: [String])] {
        func parents(of bus: String) -> [String] {
            switch bus {
            case "PCI": ["pci-device", "device"]
            case "ISA": ["isa-device", "device"]
            case "IDE": ["ide-device", "device"]
            case "virtio-bus": ["virtio-device", "device"]
            default: ["virtio-serial-port", "device"]
            }
        }
        return (DeviceCatalogue.all + DeviceCatalogue.board).map { ($0.name, parents(of: $0.bus)) }
            + ObjectOptions.types.map { ($0.name, ["user-creatable"]) }
            + BoardKind.allCases.filter(\.isSupported).map { ($0.versionedName + "-machine", ["machine"]) }
            // Both engines are there; whether KVM works, `query-kvm` says.
            + ["tcg-accel", "kvm-accel"].map { ($0, ["accel"]) }
            + machine.processorModels.map { ($0.name + "-x86_64-cpu", ["x86_64-cpu", "cpu", "device"]) }
    }
}
