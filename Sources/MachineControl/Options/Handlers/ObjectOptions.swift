internal import JSON
internal import Machine

/// -object and QMP's `object-add`: the types and what they take.
enum ObjectOptions {
    /// A type of object.
    struct ObjectType: Sendable {
        let name: String
        let table: ParameterTable
        /// Parameters that must be there.
        var required: [String] = []
    }

    private static let memory: [Parameter] = [
        Parameter("size", Parameter.size), Parameter("share", Parameter.Kind.boolean),
        Parameter("prealloc", Parameter.Kind.boolean), Parameter("prealloc-threads", Parameter.natural),
        Parameter("prealloc-context", Parameter.Kind.string),
        Parameter("merge", Parameter.Kind.boolean), Parameter("dump", Parameter.Kind.boolean),
        Parameter("reserve", Parameter.Kind.boolean),
        Parameter("policy", Parameter.Kind.choice(["default", "preferred", "bind", "interleave"])),
        Parameter("host-nodes", Parameter.Kind.any),
        Parameter("x-use-canonical-path-for-ramblock-id", Parameter.Kind.boolean),
    ]
    private static let hugePages: [Parameter] = [
        Parameter("hugetlb", Parameter.Kind.boolean), Parameter("hugetlbsize", Parameter.size),
        Parameter("seal", Parameter.Kind.boolean),
    ]
    private static let file: [Parameter] = [
        Parameter("mem-path", Parameter.Kind.string), Parameter("align", Parameter.size),
        Parameter("discard-data", Parameter.Kind.boolean), Parameter("pmem", Parameter.Kind.boolean),
        Parameter("readonly", Parameter.Kind.boolean), Parameter("offset", Parameter.size),
    ]
    private static let credentials: [Parameter] = [
        Parameter("dir", Parameter.Kind.string), Parameter("endpoint", Parameter.Kind.choice(["client", "server"])),
        Parameter("verify-peer", Parameter.Kind.boolean), Parameter("priority", Parameter.Kind.string),
    ]
    private static let username = Parameter("username", Parameter.Kind.string)
    private static let secret: [Parameter] = [
        Parameter("data", Parameter.Kind.string), Parameter("file", Parameter.Kind.string),
        Parameter("format", Parameter.Kind.choice(["raw", "base64"])), Parameter("keyid", Parameter.Kind.string),
        Parameter("iv", Parameter.Kind.string), Parameter("loaded", Parameter.Kind.boolean),
    ]
    private static let dump: [Parameter] = [
        Parameter("netdev", Parameter.Kind.string), Parameter("file", Parameter.Kind.string),
        Parameter("maxlen", Parameter.Kind.number(14...262144)),
        Parameter("queue", Parameter.Kind.choice(["all", "rx", "tx"])),
        Parameter("status", Parameter.Kind.choice(["on", "off"])), Parameter("position", Parameter.Kind.string),
        Parameter("insert", Parameter.Kind.choice(["before", "behind"])),
    ]
    private static let iothread: [Parameter] = [
        Parameter("poll-max-ns", Parameter.Kind.unsigned), Parameter("poll-grow", Parameter.Kind.unsigned),
        Parameter("poll-shrink", Parameter.Kind.unsigned), Parameter("aio-max-batch", Parameter.Kind.unsigned),
        Parameter("thread-pool-min", Parameter.natural), Parameter("thread-pool-max", Parameter.natural),
    ]

    private static let identity = Parameter("identity", Parameter.Kind.string)
    private static let rules: [Parameter] = [
        Parameter("policy", Parameter.Kind.choice(["allow", "deny"])), Parameter("rules", Parameter.Kind.any),
    ]
    private static let rulesFile: [Parameter] = [
        Parameter("filename", Parameter.Kind.string), Parameter("refresh", Parameter.Kind.boolean),
    ]

    private static let limitTable = ParameterTable(limitNames.map { Parameter($0, Parameter.Kind.unsigned) })
    private static let throttling: [Parameter] =
        [Parameter("limits", Parameter.Kind.any)] + limitNames.map { Parameter("x-" + $0, Parameter.Kind.unsigned) }
    private static let limitNames: [String] =
        ["bps", "iops"].flatMap { kind in
            ["total", "read", "write"].flatMap { direction in
                ["", "-max", "-max-length"].map { "\(kind)-\(direction)\($0)" }
            }
        } + ["iops-size"]

    /// The limits of a throttle group by their names, with their types or, as an option has them, as text.
    static func limits(_ value: JSONValue, isTyped: Bool = true) throws(OptionError) -> JSONObject {
        guard let object = value.objectValue else {
            throw .invalid("Invalid parameter type for 'limits', expected: object")
        }
        return try limitTable.values(object, isTyped: isTyped, path: "limits.")
    }

    static let types: [ObjectType] = [
        ObjectType(name: "authz-list", table: ParameterTable(rules)),
        ObjectType(name: "authz-list-file", table: ParameterTable(rulesFile), required: ["filename"]),
        ObjectType(name: "authz-simple", table: ParameterTable([identity]), required: ["identity"]),
        ObjectType(name: "filter-dump", table: ParameterTable(dump), required: ["netdev", "file"]),
        ObjectType(name: "iothread", table: ParameterTable(iothread)),
        ObjectType(
            name: "memory-backend-file", table: ParameterTable(memory + file), required: ["mem-path", "size"]),
        ObjectType(name: "memory-backend-memfd", table: ParameterTable(memory + hugePages), required: ["size"]),
        ObjectType(name: "memory-backend-ram", table: ParameterTable(memory), required: ["size"]),
        ObjectType(name: "rng-builtin", table: ParameterTable([])),
        ObjectType(
            name: "rng-random", table: ParameterTable([Parameter("filename", Parameter.Kind.string)])),
        ObjectType(name: "secret", table: ParameterTable(secret)),
        ObjectType(name: "tls-creds-psk", table: ParameterTable(credentials + [username]), required: ["dir"]),
        ObjectType(name: "tls-creds-x509", table: ParameterTable(credentials), required: ["dir"]),
        ObjectType(
            name: "thread-context",
            table: ParameterTable([
                Parameter("cpu-affinity", Parameter.Kind.any), Parameter("node-affinity", Parameter.Kind.any),
            ])),
        ObjectType(name: "throttle-group", table: ParameterTable(throttling)),
    ]

    static func object(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        let object: JSONObject
        let json = try jsonArgument(argument.text)
        if let json {
            object = json
        } else {
            let pairs = try OptionPairs(argument.text, implied: "qom-type")
            if pairs.startsWithHelp {
                throw .information(
                    "List of user creatable objects:\n" + types.map { "  \($0.name)\n" }.joined())
            }
            if pairs.asksForHelp, let type = types.first(where: { $0.name == pairs["qom-type"] }) {
                let lines = type.table.parameters.map { "  \($0.name)=<\($0.schemaType)>\n" }.sorted()
                throw .information("\(type.name) options:\n" + lines.joined())
            }
            object = try pairs.nested()
        }
        let made = try self.object(object, isTyped: json != nil)
        guard !builder.configuration.objects.contains(where: { $0.id == made.id }) else {
            throw .invalid("attempt to add duplicate property '\(made.id)' to object (type 'container')")
        }
        builder.configuration.objects.append(made)
    }

    /// Nodes of the host: `0-2` as text, numbers as JSON.
    private static func hostNodes(_ value: JSONValue) throws(OptionError) -> [Int] {
        var nodes: [Int] = []
        for part in value.arrayValue ?? [value] {
            if let number = part.intValue {
                nodes.append(number)
                continue
            }
            let ends = (part.stringValue ?? "-").split(separator: "-", omittingEmptySubsequences: false)
                .map { OptionValue.unsigned(String($0)).flatMap { Int(exactly: $0) } ?? -1 }
            guard (1...2).contains(ends.count), ends[0] >= 0, ends[ends.count - 1] >= ends[0],
                ends[ends.count - 1] < 1024
            else {
                throw .value("host-nodes", value.stringValue ?? value.description, expects: "a node, or first-last")
            }
            nodes += Array(ends[0]...ends[ends.count - 1])
        }
        guard nodes.allSatisfy({ (0..<1024).contains($0) }) else {
            throw .value("host-nodes", value.description, expects: "numbers from 0 to 1023")
        }
        return nodes
    }

    /// The object that a JSON object describes, whose members have their types or are texts of options.
    static func object(_ json: JSONObject, isTyped: Bool = true) throws(OptionError) -> ObjectConfiguration {
        var properties = json
        guard let name = json.string("qom-type") else { throw .missing("qom-type") }
        guard let type = types.first(where: { $0.name == name }) else {
            throw .unknown("Parameter 'qom-type' does not accept value", name, among: types.map(\.name))
        }
        guard let id = json.string("id") else { throw .missing("id") }
        guard DeviceOptions.isIdentifier(id) else {
            throw .value("id", id, expects: DeviceOptions.identifierWords)
        }
        properties["qom-type"] = nil
        properties["id"] = nil
        var object = ObjectConfiguration(type: type.name, id: id)
        object.properties = try type.table.values(properties, isTyped: isTyped)
        if let value = object.properties["limits"] {
            object.properties["limits"] = .object(try limits(value, isTyped: isTyped))
        }
        for name in type.required where object.properties[name] == nil { throw .missing(name) }
        if let nodes = object.properties["host-nodes"] {
            object.properties["host-nodes"] = .array(try hostNodes(nodes).map { .integer(Int64($0)) })
        }
        let policy = object.properties.string("policy") ?? "default"
        // Rules of authorization have a policy of another kind.
        guard !name.hasPrefix("memory-backend-") || (policy == "default") == (object.properties["host-nodes"] == nil)
        else {
            throw .invalid(
                policy == "default"
                    ? "host-nodes must be empty for policy 'default', or you should explicitly specify a policy"
                    : "host-nodes must be set for policy \(policy)")
        }
        if let alignment = object.properties.size("align"), alignment != 0 {
            let number = "alignment 0x" + String(alignment, radix: 16)
            guard alignment % 4096 == 0 else { throw .invalid("\(number) must be multiples of page size 0x1000") }
            guard alignment & (alignment - 1) == 0 else { throw .invalid("\(number) must be a power of two") }
        }
        if object.properties.size("size") == 0 { throw .value("size", "0", expects: "a size above 0") }
        return object
    }
}
