import HostOS
import JSON
import Machine
import MachineControl
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

@Test func malformedAndOversizedInputCostsOneErrorEach() {
    let client = Client(FakeMachine())
    let long = "{\"execute\": \"" + String(repeating: "x", count: 5 << 20) + "\"}"
    #expect(client.send(long).count == 1)
    #expect(client.send(String(repeating: "[", count: 513)).count == 1)
    _ = client.session.receive([0xff])
    #expect(client.send("{'execute':'query-target'}") == [#"{"return": {"arch": "x86_64"}}"#])
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
