import JSON
import Machine
import MachineControl
import Testing

@Test func theSchemaIsClosed() throws {
    let client = Client(FakeMachine())
    let schema = try #require(client.value("{'execute':'query-qmp-schema'}")["return"]?.arrayValue)
    var kinds: [String: String] = [:]
    for entry in schema {
        let name = try #require(entry["name"]?.stringValue)
        #expect(kinds.updateValue(entry["meta-type"]?.stringValue ?? "", forKey: name) == nil, "twice: \(name)")
    }
    // Every type that is named is described.
    for entry in schema {
        for key in ["arg-type", "ret-type", "element-type"] {
            if let name = entry[key]?.stringValue { #expect(kinds[name] != nil, "\(name)") }
        }
        for variant in entry["variants"]?.arrayValue ?? [] {
            #expect(variant["type"]?.stringValue.flatMap { kinds[$0] } == "object")
        }
        for member in entry["members"]?.arrayValue ?? [] {
            if let name = member["type"]?.stringValue { #expect(kinds[name] != nil, "\(name)") }
        }
    }
    let commands = try #require(client.value("{'execute':'query-commands'}")["return"]?.arrayValue)
    #expect(Set(commands.compactMap { $0["name"]?.stringValue }) == Set(kinds.filter { $0.value == "command" }.keys))
    #expect(commands.count == Set(commands.compactMap { $0["name"]?.stringValue }).count)
    let memsave = schema.first { $0["name"] == "memsave" }
    let arguments = schema.first { $0["name"] == memsave?["arg-type"] }
    #expect(arguments?["members"]?.arrayValue?.last == ["name": "cpu-index", "default": .null, "type": "int"])
    #expect(kinds["SHUTDOWN"] == "event")
}

@Test func commandLineOptionsAreDescribed() throws {
    let client = Client(FakeMachine())
    let reply = try client.value("{'execute':'query-command-line-options','arguments':{'option':'smp-opts'}}")
    let names = reply["return"]?.arrayValue?.first?["parameters"]?.arrayValue?.compactMap { $0["name"]?.stringValue }
    #expect(names == ["cpus", "maxcpus", "sockets", "dies", "clusters", "cores", "threads"])
    #expect(try client.value("{'execute':'query-command-line-options','arguments':{'option':'x'}}")["error"] != nil)
}

@Test func repliesFitTheirSchema() throws {
    // What a query returns has the members that its type declares, and no others.
    let client = Client(FakeMachine())
    let schema = try #require(client.value("{'execute':'query-qmp-schema'}")["return"]?.arrayValue)
    var types: [String: JSONValue] = [:]
    for entry in schema { types[entry["name"]?.stringValue ?? ""] = entry }
    func check(_ value: JSONValue, _ name: String, _ path: String) {
        guard let type = types[name] else { return }
        switch type["meta-type"]?.stringValue {
        case "array":
            for element in value.arrayValue ?? [] {
                check(element, type["element-type"]?.stringValue ?? "", path + "[]")
            }
            #expect(value.arrayValue != nil, "\(path)")
        case "object":
            let members = type["members"]?.arrayValue ?? []
            for member in members {
                let name = member["name"]?.stringValue ?? ""
                if let found = value[name] {
                    check(found, member["type"]?.stringValue ?? "", "\(path).\(name)")
                } else {
                    #expect(member["default"] != nil, "\(path).\(name) is missing")
                }
            }
            for name in value.objectValue?.names ?? [] {
                #expect(members.contains { $0["name"]?.stringValue == name }, "\(path).\(name) is not declared")
            }
        case "enum": #expect(type["values"]?.arrayValue?.contains(value) == true, "\(path): \(value)")
        case "builtin":
            let json = type["json-type"]?.stringValue
            let kind = value.kindName == "integer" ? "int" : value.kindName
            #expect(json == "value" || json == kind, "\(path): \(value) is no \(json ?? "")")
        default: Issue.record("\(path) has no type")
        }
    }
    for command in schema where command["meta-type"] == "command" {
        let name = command["name"]?.stringValue ?? ""
        guard name.hasPrefix("query-"), !unanswered.contains(name) else { continue }
        let reply = try #require(client.value("{'execute':'\(name)'}")["return"])
        check(reply, command["ret-type"]?.stringValue ?? "", name)
    }
}

/// Queries that need arguments, or say that what they ask for is not there.
private let unanswered: Set<String> = [
    "query-cpu-model-expansion", "query-balloon", "query-sev-capabilities", "query-sgx-capabilities",
    "query-block-jobs", "query-jobs", "query-vm-generation-id", "query-stats",
]

@Test func everyQueryAnswers() throws {
    let client = Client(FakeMachine())
    let commands = try #require(client.value("{'execute':'query-commands'}")["return"]?.arrayValue)
    for name in commands.compactMap({ $0["name"]?.stringValue })
    where name.hasPrefix("query-") && !unanswered.contains(name) {
        #expect(try client.value("{'execute':'\(name)'}")["return"] != nil, "\(name)")
    }
}
