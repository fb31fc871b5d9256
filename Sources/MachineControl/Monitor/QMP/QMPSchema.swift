internal import JSON

/// The reply to `query-qmp-schema`: commands, events and all types that they use, out of the tables.
enum QMPSchema {
    static let description: JSONValue = {
        var builder = SchemaBuilder()
        for command in QMPCommandTable.all {
            builder.add([
                "name": .string(command.name), "ret-type": .string(builder.use(command.result)),
                "meta-type": "command", "arg-type": .string(builder.use(.object(command.arguments))),
            ])
        }
        for event in QMPEvents.all {
            let data =
                event.data.isEmpty ? SchemaType.empty : .object(SchemaObject("q_obj_\(event.name)-arg", event.data))
            builder.add([
                "name": .string(event.name), "meta-type": "event", "arg-type": .string(builder.use(data)),
            ])
        }
        return .array(builder.entries)
    }()
}

private struct SchemaBuilder {
    private(set) var entries: [JSONValue] = []
    private var known: Set<String> = []

    mutating func add(_ object: JSONObject) { entries.append(.object(object)) }

    /// The type's name, after its own entry and those of its parts.
    mutating func use(_ type: SchemaType) -> String {
        guard known.insert(type.name).inserted else { return type.name }
        switch type {
        case .string: addBuiltin(type.name, "string")
        case .integer: addBuiltin(type.name, "int")
        case .number: addBuiltin(type.name, "number")
        case .boolean: addBuiltin(type.name, "boolean")
        case .null: addBuiltin(type.name, "null")
        case .any: addBuiltin(type.name, "value")
        case .array(let element):
            add(["name": .string(type.name), "element-type": .string(use(element)), "meta-type": "array"])
        case .enumeration(let name, let words):
            add([
                "name": .string(name), "members": .array(words.map { ["name": .string($0)] }), "meta-type": "enum",
                "values": .array(words.map(JSONValue.string)),
            ])
        case .alternate(_, let types):
            let members = types.map { JSONValue.object(["type": .string(use($0))]) }
            add(["name": .string(type.name), "members": .array(members), "meta-type": "alternate"])
        case .object(let object):
            var members: [JSONValue] = []
            for member in object.members {
                var entry: JSONObject = ["name": .string(member.name)]
                if member.isOptional { entry["default"] = .null }
                entry["type"] = .string(use(member.type))
                members.append(.object(entry))
            }
            var description: JSONObject = [
                "name": .string(object.name), "members": .array(members), "meta-type": "object",
            ]
            if let tag = object.tag {
                description["tag"] = .string(tag)
                description["variants"] = .array(
                    object.variants.map { variant in
                        ["case": .string(variant.name), "type": .string(use(.object(variant.type)))]
                    })
            }
            add(description)
        }
        return type.name
    }
    private mutating func addBuiltin(_ name: String, _ json: String) {
        add(["name": .string(name), "json-type": .string(json), "meta-type": "builtin"])
    }
}
