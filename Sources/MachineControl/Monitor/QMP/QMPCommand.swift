internal import HostOS
internal import JSON
internal import Machine
internal import Synchronization

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
        tag: String? = nil, variants: [(name: String, type: SchemaObject)] = [], checksVariants: Bool = false,
        isOpen: Bool = false, _ handler: @escaping Handler
    ) {
        self.name = name
        let typeName = arguments.isEmpty ? "q_empty" : "q_obj_\(name)-arg"
        self.arguments = SchemaObject(
            typeName, arguments, tag: tag, variants: variants, checksVariants: checksVariants, isOpen: isOpen)
        self.result = result
        self.handler = handler
    }

    /// The arguments, checked against their types; throws the first that does not fit, in QMP's usual words.
    func check(_ arguments: JSONObject) throws(MonitorError) { try Self.check(arguments, self.arguments, path: "") }

    private static func check(_ object: JSONObject, _ type: SchemaObject, path: String) throws(MonitorError) {
        var members = type.members
        if type.checksVariants, let tag = type.tag, let word = object.string(tag) {
            members += type.variants.first { $0.name == word }?.type.members ?? []
        }
        for member in members {
            guard let value = object[member.name] else {
                if member.isOptional { continue }
                throw .generic("Parameter '\(path)\(member.name)' is missing")
            }
            try check(value, member.type, path: path + member.name)
        }
        guard type.tag == nil || type.checksVariants, !type.isOpen else { return }
        for name in object.names where !members.contains(where: { $0.name == name }) {
            throw .generic("Parameter '\(path)\(printable(name))' is unexpected")
        }
    }

    /// Whether JSON's kind of a value is that of a type.
    private static func isOf(_ type: SchemaType, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case (.string, .string), (.enumeration, .string), (.object, .object), (.array, .array), (.boolean, .bool),
            (.null, .null), (.alternate, _):
            true
        default: false
        }
    }

    private static func check(_ value: JSONValue, _ type: SchemaType, path: String) throws(MonitorError) {
        let expected: String
        switch (type, value) {
        case (.any, _), (.string, .string), (.boolean, .bool), (.null, .null), (.integer, .integer),
            (.integer, .unsigned), (.number, .integer), (.number, .double), (.number, .unsigned):
            return
        case (.array(let element), .array(let values)):
            for (place, value) in values.enumerated() { try check(value, element, path: "\(path)[\(place)]") }
            return
        case (.enumeration(_, let words), .string(let word)):
            guard words.contains(word) else {
                throw .generic("Parameter '\(path)' does not accept value '\(printable(word))'")
            }
            return
        case (.alternate(_, let types), _):
            if let found = types.first(where: { isOf($0, value) }) { return try check(value, found, path: path) }
            expected = type.name
        case (.object(let object), .object(let value)): return try check(value, object, path: path + ".")
        case (.string, _), (.enumeration, _): expected = "string"
        case (.boolean, _): expected = "boolean"
        case (.null, _): expected = "null"
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
    /// Takes a descriptor that the client passed, the oldest first.
    let takeDescriptor: @Sendable () -> Descriptor?
    /// The descriptors that the client named by `getfd`.
    let named: NamedDescriptors
}

/// Descriptors that one client has named.
final class NamedDescriptors: Sendable {
    private let entries = Mutex<[String: Descriptor]>([:])
    private static let limit = 1024

    /// Keeps a descriptor under a name; another one of the name is closed.
    func set(_ name: String, _ descriptor: Descriptor) -> Bool {
        entries.withLock { entries in
            guard entries[name] != nil || entries.count < Self.limit else { return false }
            entries[name] = descriptor
            return true
        }
    }
    /// The descriptor of a name, which is no longer kept here.
    func take(_ name: String) -> Descriptor? { entries.withLock { $0.removeValue(forKey: name) } }
    func remove(_ name: String) -> Bool { entries.withLock { $0.removeValue(forKey: name) } != nil }
    func removeAll() { entries.withLock { $0 = [:] } }
}

/// All commands.
enum QMPCommandTable {
    static let all: [QMPCommand] =
        lifecycle + migration + snapshots + processors + machineQueries + devices + media + disks + exports + backends
        + descriptors + objects + images + statistics + absent + monitorCommands + screen + input + vnc + spice
        + memoryModules
    static let byName: [String: QMPCommand] = Dictionary(
        all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
}
