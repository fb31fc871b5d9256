import HostOS
import JSON
import Machine
import MachineControl
import Synchronization
import Testing

/// A client that has negotiated.
final class Client {
    let session: QMPSession
    init(_ machine: FakeMachine, now: @escaping @Sendable () -> UInt64 = { HostClock.monotonic }) {
        session = QMPSession(machine: machine, now: now)
        _ = session.open()
        _ = send("{\"execute\": \"qmp_capabilities\"}")
    }
    /// The lines that answer a line.
    func send(_ text: String) -> [String] { lines(session.receive(Array((text + "\n").utf8))) }
    func value(_ text: String) throws -> JSONValue { try JSONReader.parse(send(text).last ?? "") }
}

func lines(_ bytes: [UInt8]) -> [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
}

@Test func greetsAndNegotiates() throws {
    let session = QMPSession(machine: FakeMachine())
    let greeting = try JSONReader.parse(session.open())
    #expect(greeting["QMP"]?["version"]?["qemu"] == ["major": 7, "minor": 2, "micro": 0])
    #expect(greeting["QMP"]?["capabilities"] == [])
    #expect(
        lines(session.receive(Array("{\"execute\":\"query-status\"}".utf8))) == [
            #"{"error": {"class": "CommandNotFound", "desc": "Expecting capabilities negotiation with 'qmp_capabilities'"}}"#
        ])
    #expect(
        lines(session.receive(Array("{'execute':'qmp_capabilities','id':1}{'execute':'qmp_capabilities'}".utf8))) == [
            #"{"return": {}, "id": 1}"#,
            #"{"error": {"class": "CommandNotFound", "desc": "Capabilities negotiation is already complete, command ignored"}}"#,
        ])
}

private let exchanges: [(String, String)] = [
    (
        #"{"execute": "foo", "id": {"a": 1}}"#,
        #"{"id": {"a": 1}, "error": {"class": "CommandNotFound", "desc": "The command foo has not been found"}}"#
    ),
    (
        #"{"execute": "query-status", "arguments": {"x": 1}}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'x' is unexpected"}}"#
    ),
    (
        #"{"execute": "query-status", "foo": 1}"#,
        #"{"error": {"class": "GenericError", "desc": "QMP input member 'foo' is unexpected"}}"#
    ),
    ("[1]", #"{"error": {"class": "GenericError", "desc": "QMP input must be a JSON object"}}"#),
    ("\"x\"", #"{"error": {"class": "GenericError", "desc": "QMP input must be a JSON object"}}"#),
    (
        #"{"execute": 1}"#,
        #"{"error": {"class": "GenericError", "desc": "QMP input member 'execute' must be a string"}}"#
    ),
    (
        #"{"execute": "cont", "arguments": []}"#,
        #"{"error": {"class": "GenericError", "desc": "QMP input member 'arguments' must be an object"}}"#
    ),
    ("{}", #"{"error": {"class": "GenericError", "desc": "QMP input lacks member 'execute'"}}"#),
    (
        "{bad json}",
        #"{"error": {"class": "GenericError", "desc": "JSON parse error, 'b' where a member's name is expected at offset 1"}}"#
    ),
    (
        #"{"execute":"human-monitor-command"}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'command-line' is missing"}}"#
    ),
    (
        #"{"execute":"memsave","arguments":{"val":0,"size":"x","filename":"f"}}"#,
        #"{"error": {"class": "GenericError", "desc": "Invalid parameter type for 'size', expected: integer"}}"#
    ),
    (
        #"{"execute":"memsave","arguments":{"val":0,"size":1,"filename":"f","cpu-index":9}}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'cpu-index' expects a CPU number"}}"#
    ),
    (
        #"{"execute":"query-cpu-model-expansion","arguments":{"type":"foo","model":{"name":"qemu64"}}}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'type' does not accept value 'foo'"}}"#
    ),
    (
        #"{"execute":"query-cpu-model-expansion","arguments":{"type":"full","model":{}}}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'model.name' is missing"}}"#
    ),
    (
        #"{"execute":"set_link","arguments":{"name":"foo","up":true}}"#,
        #"{"error": {"class": "DeviceNotFound", "desc": "Device 'foo' not found"}}"#
    ),
    (
        #"{"execute":"object-add","arguments":{"qom-type":"foo","id":"a"}}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'qom-type' does not accept value 'foo'"}}"#
    ),
    (
        #"{"execute":"object-add","arguments":{"qom-type":"rng-random"}}"#,
        #"{"error": {"class": "GenericError", "desc": "Parameter 'id' is missing"}}"#
    ),
    (
        #"{"execute":"object-del","arguments":{"id":"zz"}}"#,
        #"{"error": {"class": "GenericError", "desc": "object 'zz' not found"}}"#
    ),
    (
        #"{"execute":"device-list-properties","arguments":{"typename":"foo"}}"#,
        #"{"error": {"class": "DeviceNotFound", "desc": "Device 'foo' not found"}}"#
    ),
    (
        #"{"execute":"qom-list","arguments":{"path":"/nope"}}"#,
        #"{"error": {"class": "DeviceNotFound", "desc": "Device '/nope' not found"}}"#
    ),
    (
        #"{"execute":"qom-get","arguments":{"path":"/machine","property":"typefoo"}}"#,
        #"{"error": {"class": "GenericError", "desc": "Property 'pc-i440fx-7.2-machine.typefoo' not found"}}"#
    ),
    (
        #"{"execute":"qom-get","arguments":{"path":"/machine","property":"type"}}"#,
        #"{"return": "pc-i440fx-7.2-machine"}"#
    ),
    (#"{"execute":"qom-get","arguments":{"path":"peripheral/d","property":"vectors"}}"#, #"{"return": 2}"#),
    (#"{"execute":"qom-get","arguments":{"path":"/machine/peripheral/d","property":"drive"}}"#, #"{"return": "v"}"#),
    (#"{"execute":"query-status"}"#, #"{"return": {"status": "prelaunch", "singlestep": false, "running": false}}"#),
    (#"{"execute":"query-kvm"}"#, #"{"return": {"enabled": false, "present": true}}"#),
    (#"{"execute":"query-name"}"#, #"{"return": {}}"#),
    (#"{"execute":"query-uuid"}"#, #"{"return": {"UUID": "00000000-0000-0000-0000-000000000000"}}"#),
    (#"{"execute":"query-target"}"#, #"{"return": {"arch": "x86_64"}}"#),
    (#"{"execute":"query-memory-size-summary"}"#, #"{"return": {"base-memory": 134217728, "plugged-memory": 0}}"#),
    (
        #"{"execute":"device-list-properties","arguments":{"typename":"isa-debug-exit"}}"#,
        #"{"return": [{"default-value": 1281, "name": "iobase", "type": "uint32"}, {"default-value": 2, "name": "iosize", "type": "uint32"}]}"#
    ),
    (
        #"{"execute":"human-monitor-command","arguments":{"command-line":"info status"}}"#,
        #"{"return": "VM status: paused (prelaunch)\r\n"}"#
    ),
    (
        #"{"execute":"human-monitor-command","arguments":{"command-line":"info foo"}}"#,
        #"{"return": "unknown command: 'info foo'\r\n"}"#
    ),
    (
        #"{"execute":"human-monitor-command","arguments":{"command-line":"x/4xg"}}"#,
        #"{"return": "unexpected end of expression\r\nTry \"help x\" for more information\r\n"}"#
    ),
]

private func mismatch(_ words: String) -> String {
    #"{"error": {"class": "GenericError", "desc": "\#(words)"}}"#
}
/// Values of JSON that are not of their types, which options would take as texts.
private let mismatches: [(command: String, arguments: String, words: String)] = [
    ("object-add", "'qom-type':'memory-backend-ram','id':'m','size':'64M'", "Parameter 'size' expects uint64"),
    (
        "object-add", "'qom-type':'memory-backend-ram','id':'m','size':1048576,'share':'on'",
        "Invalid parameter type for 'share', expected: boolean"
    ),
    (
        "object-add", "'qom-type':'rng-random','id':'m','filename':5",
        "Invalid parameter type for 'filename', expected: string"
    ),
    (
        "netdev_add", "'type':'user','id':'n','ipv6-prefixlen':'64'",
        "Invalid parameter type for 'ipv6-prefixlen', expected: integer"
    ),
    (
        "netdev_add", "'type':'user','id':'n','hostfwd':['tcp::0-:22']",
        "Invalid parameter type for 'hostfwd[0]', expected: object"
    ),
    (
        "blockdev-add", "'driver':'file','node-name':'b','filename':'/x','read-only':'on'",
        "Invalid parameter type for 'read-only', expected: boolean"
    ),
    (
        "blockdev-add",
        "'driver':'raw','node-name':'b','file':{'driver':'file','filename':'/x','cache':{'direct':'off'}}",
        "Invalid parameter type for 'file.cache.direct', expected: boolean"
    ),
    (
        "blockdev-reopen", "'options':[{'driver':'file','node-name':'b','filename':'/x','read-only':'on'}]",
        "Invalid parameter type for 'read-only', expected: boolean"
    ),
    ("blockdev-reopen", "'options':[7]", "Invalid parameter type for 'options[0]', expected: object"),
    (
        "blockdev-add",
        "'driver':'qcow2','node-name':'b','file':'f','overlap-check':{'template':'all','main-header':'on'}",
        "Invalid parameter type for 'overlap-check.main-header', expected: boolean"
    ),
    (
        "blockdev-add", "'driver':'qcow2','node-name':'b','file':'f','encrypt':{'key-secret':'s'}",
        "Parameter 'encrypt.format' is missing"
    ),
    (
        "transaction",
        "'actions':[{'type':'abort','data':{}},{'type':'blockdev-snapshot','data':{'node':'a','overlay':'b','c':1}}]",
        "Parameter 'actions[1].data.c' is unexpected"
    ),
    (
        "transaction", "'actions':[{'type':'abort','data':{},'x':1}]", "Parameter 'actions[0].x' is unexpected"
    ),
    ("transaction", "'actions':[{'type':'abort'}]", "Parameter 'actions[0].data' is missing"),
    ("transaction", "'actions':[7]", "Invalid parameter type for 'actions[0]', expected: object"),
    (
        "transaction", "'actions':[{'type':'block-stream','data':{}}]",
        "Parameter 'actions[0].type' does not accept value 'block-stream'"
    ),
    (
        "transaction", "'actions':[{'type':'block-dirty-bitmap-add','data':{'node':'a','name':3}}]",
        "Invalid parameter type for 'actions[0].data.name', expected: string"
    ),
    ("transaction", "'actions':[],'properties':{'foo':1}", "Parameter 'properties.foo' is unexpected"),
    (
        "block-dirty-bitmap-merge", "'node':'a','target':'b','bitmaps':[{'node':'a','name':'c','d':1}]",
        "Parameter 'bitmaps[0].d' is unexpected"
    ),
    (
        "block-dirty-bitmap-merge", "'node':'a','target':'b','bitmaps':[3]",
        "Invalid parameter type for 'bitmaps[0]', expected: BlockDirtyBitmapOrStr"
    ),
    (
        "nbd-server-start", "'addr':{'type':'inet','data':{'host':'h'}}", "Parameter 'addr.data.port' is missing"
    ),
    (
        "block-export-add", "'type':'nbd','id':'e','node-name':'n','mountpoint':'/'",
        "Parameter 'mountpoint' is unexpected"
    ),
    (
        "blockdev-reopen", "'options':[{'driver':'file','filename':'/x'}]", "node-name not specified"
    ),
    (
        "chardev-add", "'id':'c','backend':{'type':'file','data':{'out':'/x','append':'on'}}",
        "Invalid parameter type for 'backend.data.append', expected: boolean"
    ),
    (
        "blockdev-create", "'job-id':'j','options':{'driver':'qcow2','file':'f','size':'1M'}",
        "Parameter 'options.size' expects uint64"
    ),
    (
        "blockdev-create", "'job-id':'j','options':{'driver':'vdi','file':'f','size':0,'foo':1}",
        "Parameter 'options.foo' is unexpected"
    ),
    ("blockdev-create", "'job-id':'j','options':{'driver':'file','size':0}", "Parameter 'options.filename' is missing"),
    (
        "blockdev-create", "'job-id':'j','options':{'driver':'raw','file':'f','size':0}",
        "Driver 'raw' does not support blockdev-create"
    ),
    ("query-stats", "'target':'foo'", "Parameter 'target' does not accept value 'foo'"),
]

@Test(arguments: mismatches)
func typesAreThoseOfTheSchema(command: String, arguments: String, words: String) {
    let reply = Client(FakeMachine()).send("{'execute':'\(command)','arguments':{\(arguments)}}")
    #expect(reply == [mismatch(words)])
}

/// As QEMU's, device_add takes what an option would say.
@Test func devicesTakeTextsForNumbers() {
    let machine = FakeMachine()
    let client = Client(machine)
    let reply = client.send(
        "{'execute':'device_add','arguments':{'driver':'virtio-blk-pci','id':'a','num-queues':'2','serial':7}}")
    #expect(reply == ["{\"return\": {}}"])
    #expect(machine.calls == ["device [\"num-queues\", \"serial\"]"])
}

@Test func whatThereIsNothingOfIsEmpty() throws {
    let machine = FakeMachine()
    let client = Client(machine)
    #expect(try client.value("{'execute':'query-stats','arguments':{'target':'vcpu'}}")["return"] == [])
    #expect(try client.value("{'execute':'query-stats-schemas'}")["return"] == [])
    #expect(try client.value("{'execute':'query-block-exports'}")["return"] == [])
    #expect(
        try client.value("{'execute':'query-dump'}")["return"] == ["status": "none", "completed": 0, "total": 0])
    let create =
        "{'execute':'blockdev-create','arguments':{'job-id':'j','options':{'driver':'file','filename':'/x','size':512}}}"
    #expect(try client.value(create)["return"] == [:])
    #expect(machine.calls == ["create file"])
}

@Test func theObjectTreeKnowsEveryDevicesLife() throws {
    let client = Client(FakeMachine())
    let list = try client.value("{'execute':'qom-list','arguments':{'path':'/machine/peripheral/d'}}")
    let names = list["return"]?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
    #expect(Set(["type", "parent_bus", "realized", "hotplugged", "hotpluggable", "vectors"]).isSubset(of: names))
    func get(_ name: String) throws -> JSONValue? {
        try client.value("{'execute':'qom-get','arguments':{'path':'/machine/peripheral/d','property':'\(name)'}}")[
            "return"]
    }
    #expect(try get("parent_bus") == "/machine/i440fx/pci.0")
    #expect(try get("realized") == true && get("hotplugged") == false && get("hotpluggable") == true)
}

@Test(arguments: exchanges)
func answersAsQEMUDoes(request: String, expected: String) {
    #expect(Client(FakeMachine()).send(request) == [expected])
}

@Test func processorsHaveThreads() throws {
    let reply = try Client(FakeMachine()).value("{'execute':'query-cpus-fast'}")
    #expect(reply["return"]?.arrayValue?.map { $0["thread-id"] } == [3967, 3968])
    #expect(reply["return"]?.arrayValue?[1]["props"] == ["socket-id": 0, "core-id": 1, "thread-id": 0])
    #expect(reply["return"]?.arrayValue?[1]["qom-path"] == "/machine/unattached/device[1]")
}

@Test func blockDevicesTellTheirImages() throws {
    let reply = try Client(FakeMachine()).value("{'execute':'query-block'}")
    let devices = try #require(reply["return"]?.arrayValue)
    #expect(devices[0]["inserted"]?["ro"] == true)
    #expect(devices[0]["inserted"]?["image"]?["virtual-size"] == 151_552)
    #expect(devices[1]["inserted"] == nil)
    #expect(devices[1]["tray_open"] == false)
}

@Test func eventsComeBeforeTheReplyThatCausedThem() {
    let machine = FakeMachine()
    let client = Client(machine)
    let timestamp = #""timestamp": {"seconds": 1700000000, "microseconds": 123456}"#
    #expect(client.send("{'execute':'cont'}") == ["{\(timestamp), \"event\": \"RESUME\"}", "{\"return\": {}}"])
    #expect(
        client.send("{'execute':'system_reset'}").first
            == "{\(timestamp), \"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-system-reset\"}}"
    )
    #expect(
        client.send("{'execute':'quit','id':9}") == [
            "{\(timestamp), \"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-qmp-quit\"}}",
            "{\"return\": {}, \"id\": 9}",
        ])
    #expect(machine.calls == ["cont", "reset", "quit"])
}

@Test func severalClientsSeeEveryEvent() {
    let machine = FakeMachine()
    let first = Client(machine)
    let wakes = Atomic<Int>(0)
    let wakeCount = WakeCounter(wakes: { wakes.add(1, ordering: .relaxed) })
    let second = QMPSession(machine: machine, wake: wakeCount.wakes)
    _ = second.open()
    machine.send(.powerDown)
    #expect(second.pendingEvents() == [])  // not negotiated
    _ = second.receive(Array("{'execute':'qmp_capabilities'}".utf8))
    _ = first.send("{'execute':'stop'}")
    #expect(lines(second.pendingEvents()).count == 1)
    #expect(wakes.load(ordering: .relaxed) == 2)
    second.close()
    machine.send(.resume)
    #expect(second.pendingEvents() == [])
    #expect(lines(first.session.pendingEvents()).count == 1)
}

struct WakeCounter { let wakes: @Sendable () -> Void }

@Test func eventsOfAGuestDoNotPileUp() {
    let machine = FakeMachine()
    let client = Client(machine, now: { 0 })
    for offset in 0..<5000 { machine.send(.rtcChange(offset: Int64(offset), path: "/machine/rtc")) }
    #expect(lines(client.session.pendingEvents()).count == 1)
    for _ in 0..<5000 { machine.send(.reset(.guestReset)) }
    #expect(lines(client.session.pendingEvents()).count == 1024)
}

/// The first at once, then the last of each second; those of each port by themselves, and those of other kinds as they come.
@Test func eventsOfStatesComeOnceASecond() throws {
    let machine = FakeMachine()
    let time = Atomic<UInt64>(0)
    let clock = Clock(time: { time.load(ordering: .relaxed) })
    let client = Client(machine, now: clock.time)
    func told() throws -> [String] {
        try lines(client.session.pendingEvents()).map { line in
            let event = try JSONReader.parse(line)
            let data = event["data"]
            return (event["event"]?.stringValue ?? "") + (data?["actual"]?.uint64Value.map { " \($0)" } ?? "")
                + (data?["id"]?.stringValue.map { " \($0)" } ?? "") + (data?["open"]?.boolValue.map { " \($0)" } ?? "")
        }
    }
    #expect(client.session.eventDeadline == nil)
    for actual in UInt64(1)...9 { machine.send(.balloonChange(actual: actual)) }
    for isOpen in [true, false] {
        for id in ["a", "b"] { machine.send(.serialPortChange(id: id, isOpen: isOpen)) }
    }
    machine.send(.resume)
    #expect(try told() == ["BALLOON_CHANGE 1", "VSERPORT_CHANGE a true", "VSERPORT_CHANGE b true", "RESUME"])
    #expect(client.session.eventDeadline == 1_000_000_000)
    time.store(999_999_999, ordering: .relaxed)
    #expect(try told() == [])
    time.store(1_000_000_000, ordering: .relaxed)
    #expect(try Set(told()) == ["BALLOON_CHANGE 9", "VSERPORT_CHANGE a false", "VSERPORT_CHANGE b false"])
    // A second after that one, too.
    machine.send(.balloonChange(actual: 10))
    #expect(try told() == [] && client.session.eventDeadline == 2_000_000_000)
    time.store(2_000_000_000, ordering: .relaxed)
    #expect(try told() == ["BALLOON_CHANGE 10"])
    // Where nothing came for a second, the next comes at once.
    time.store(3_000_000_000, ordering: .relaxed)
    #expect(try told() == [] && client.session.eventDeadline == nil)
    machine.send(.balloonChange(actual: 11))
    #expect(try told() == ["BALLOON_CHANGE 11"])
}

struct Clock { let time: @Sendable () -> UInt64 }

@Test func malformedAndOversizedInputCostsOneErrorEach() {
    let client = Client(FakeMachine())
    let long = "{\"execute\": \"" + String(repeating: "x", count: 5 << 20) + "\"}"
    #expect(client.send(long).count == 1)
    #expect(client.send(String(repeating: "[", count: 513)).count == 1)
    _ = client.session.receive([0xff])
    #expect(client.send("{'execute':'query-target'}") == [#"{"return": {"arch": "x86_64"}}"#])
}

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

@Test func prettyIsTheSameValue() throws {
    let session = QMPSession(machine: FakeMachine(), pretty: true)
    let greeting = session.open()
    #expect(String(decoding: greeting, as: UTF8.self).hasPrefix("{\r\n    \"QMP\": {\r\n"))
    #expect(try JSONReader.parse(greeting)["QMP"] != nil)
}

@Test func actionsAtTheTurnsOfLifeChange() throws {
    let machine = FakeMachine()
    let client = Client(machine)
    let before = machine.actions
    #expect(
        try client.value("{'execute':'set-action','arguments':{'reboot':'shutdown','panic':'exit-failure'}}")["return"]
            != nil)
    #expect(machine.actions.reboot == .shutdown && machine.actions.panic == .exitFailure)
    #expect(machine.actions.shutdown == before.shutdown && machine.actions.watchdog == before.watchdog)
    #expect(try client.value("{'execute':'watchdog-set-action','arguments':{'action':'inject-nmi'}}")["return"] != nil)
    #expect(machine.actions.watchdog == .injectNMI)
    let refused = try client.value("{'execute':'set-action','arguments':{'reboot':'dance'}}")["error"]
    #expect(refused?["desc"]?.stringValue?.contains("dance") == true)
    #expect(machine.actions.reboot == .shutdown)
}
