internal import JSON
internal import Machine

/// A command of QMP: one row of the table that dispatch, checking, `query-commands` and `query-qmp-schema` come from.
struct QMPCommand: Sendable {
    typealias Handler = @Sendable (QMPContext, JSONObject) throws(MonitorError) -> JSONValue

    let name: String
    /// What it takes.
    let arguments: SchemaObject
    /// What it returns.
    let result: SchemaType
    let handler: Handler

    init(
        _ name: String, _ arguments: [SchemaMember] = [], returns result: SchemaType = SchemaType.empty,
        tag: String? = nil, variants: [(name: String, type: SchemaObject)] = [], _ handler: @escaping Handler
    ) {
        self.name = name
        let typeName = arguments.isEmpty ? "q_empty" : "q_obj_\(name)-arg"
        self.arguments = SchemaObject(typeName, arguments, tag: tag, variants: variants)
        self.result = result
        self.handler = handler
    }

    /// The arguments, checked against their types; throws the first that does not fit, in QMP's usual words.
    func check(_ arguments: JSONObject) throws(MonitorError) { try Self.check(arguments, self.arguments, path: "") }

    private static func check(_ object: JSONObject, _ type: SchemaObject, path: String) throws(MonitorError) {
        for member in type.members {
            guard let value = object[member.name] else {
                if member.isOptional { continue }
                throw .generic("Parameter '\(path)\(member.name)' is missing")
            }
            try check(value, member.type, path: path + member.name)
        }
        guard type.tag == nil else { return }
        for name in object.names where !type.members.contains(where: { $0.name == name }) {
            throw .generic("Parameter '\(path)\(printable(name))' is unexpected")
        }
    }

    private static func check(_ value: JSONValue, _ type: SchemaType, path: String) throws(MonitorError) {
        let expected: String
        switch (type, value) {
        case (.any, _), (.string, .string), (.boolean, .bool), (.integer, .integer), (.number, .integer),
            (.number, .double), (.number, .unsigned):
            return
        case (.array(let element), .array(let values)):
            for (place, value) in values.enumerated() { try check(value, element, path: "\(path)[\(place)]") }
            return
        case (.enumeration(_, let words), .string(let word)):
            guard words.contains(word) else {
                throw .generic("Parameter '\(path)' does not accept value '\(printable(word))'")
            }
            return
        case (.object(let object), .object(let value)): return try check(value, object, path: path + ".")
        case (.string, _), (.enumeration, _): expected = "string"
        case (.boolean, _): expected = "boolean"
        case (.integer, _): expected = "integer"
        case (.number, _): expected = "number"
        case (.array, _): expected = "array"
        case (.object, _): expected = "object"
        }
        throw .generic("Invalid parameter type for '\(path)', expected: \(expected)")
    }
}

/// What a command works on.
struct QMPContext {
    let machine: any MachineOperations
    /// The monitor for people behind `human-monitor-command`.
    let human: HMPInterpreter
}

/// All commands.
enum QMPCommandTable {
    static let all: [QMPCommand] =
        lifecycle + processors + machineQueries + devices + objects + monitorCommands
    static let byName: [String: QMPCommand] = Dictionary(
        all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
}
